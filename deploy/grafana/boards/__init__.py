"""The dashboards, one file each, and what they are put together from.

`looks` (colours, thresholds) → `panels` (one function for each kind) → `grid` (where panels lie,
variables, the JSON) → `overview`, `link`, `embedding`, `health`, `learning` (what is shown).
"""
