"""Enrolling: an incident becomes an anchor of daemons that are running already."""
