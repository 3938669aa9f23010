"""The page: a study as one HTML file that needs nothing else, for people and for programs.

`document` puts the page together, `sections` says what stands where, `summary` puts the numbers
into sentences. `rows`, `heat` and `scatter` draw; they know numbers and names, not studies.
`markup` is the only place where text becomes HTML, so what is not `Markup` is always escaped.
A further section is a function in `sections` that gives empty markup when the study has nothing
for it, and a line in its `SECTIONS`.
"""

from .document import as_html

__all__ = ["as_html"]
