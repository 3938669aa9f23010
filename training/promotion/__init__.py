"""Promotion: which version of a bundle store daemons use, and what a candidate has to prove."""
