"""Retraining: a candidate from the store, its labels, the base captures and a bundle's recipe."""
