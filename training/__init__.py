"""The bench: captures in, bundle out."""
