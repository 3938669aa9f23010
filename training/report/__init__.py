"""Reports: a study as tables for a terminal, and as one page."""
