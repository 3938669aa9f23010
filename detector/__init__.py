"""The daemon: records in, verdicts out."""

__version__ = "0.1.0"
