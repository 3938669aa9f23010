"""Judging: how good an encoder is on what it has not seen, beside plain methods."""
