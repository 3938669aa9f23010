"""The style sheet: one set of colours for daylight and paper, one for dark screens.

All writing has a contrast of 4.5 or more with what it stands on, all marks too; a test computes
it. Methods' colours are told apart by eyes that see no red or no green as far as eight can be;
the shapes of the marks and the printed names say the same.
"""

from collections.abc import Mapping, Sequence

LIGHT = {
    "page": "#ffffff",
    "card": "#f6f7f9",
    "ink": "#161b22",
    "soft": "#545d6a",
    "edge": "#d5dae1",
    "band": "#e7f0fa",
    "good": "#00664f",
    "bad": "#a33a00",
    "m0": "#0b57a8",
    "m1": "#a34700",
    "m2": "#006b55",
    "m3": "#8c3680",
    "m4": "#665a00",
    "m5": "#4b5563",
    "m6": "#b0103f",
    "m7": "#226a8c",
}
DARK = {
    "page": "#12161c",
    "card": "#1a2028",
    "ink": "#e8ecf1",
    "soft": "#a7b1be",
    "edge": "#37414d",
    "band": "#1d2e42",
    "good": "#5fd3ae",
    "bad": "#f5a566",
    "m0": "#74b6ff",
    "m1": "#f2a25c",
    "m2": "#4fd0ad",
    "m3": "#e29fd6",
    "m4": "#d8c750",
    "m5": "#bac3cf",
    "m6": "#ff94a9",
    "m7": "#8ad2ea",
}
# Shades of the heat maps from none to all, each with the writing on it.
LIGHT_RAMPS = {
    "cold": (
        *(("#f1f5fa", "#161b22"), ("#dce9f6", "#161b22"), ("#bfd7ef", "#161b22")),
        *(("#9bc1e5", "#161b22"), ("#2d6aa8", "#ffffff"), ("#1c4f86", "#ffffff")),
        ("#0d3459", "#ffffff"),
    ),
    "warm": (
        *(("#faf5ef", "#161b22"), ("#fbe7d2", "#161b22"), ("#f8d0a8", "#161b22")),
        *(("#f0b077", "#161b22"), ("#b3500a", "#ffffff"), ("#8a3a02", "#ffffff")),
        ("#5c2500", "#ffffff"),
    ),
}
DARK_RAMPS = {
    "cold": (
        *(("#1b222b", "#e8ecf1"), ("#1e3045", "#e8ecf1"), ("#214263", "#e8ecf1")),
        *(("#255580", "#f4f7fa"), ("#68a8e6", "#10151b"), ("#9dcaf5", "#10151b")),
        ("#d2e7fd", "#10151b"),
    ),
    "warm": (
        *(("#241f1a", "#e8ecf1"), ("#3a2a1a", "#e8ecf1"), ("#573819", "#e8ecf1")),
        *(("#784711", "#f4f7fa"), ("#eb9c4f", "#10151b"), ("#f7bf85", "#10151b")),
        ("#fde4c8", "#10151b"),
    ),
}

RULES = """
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body { margin: 0 auto; max-width: 1120px; padding: 28px 20px 60px; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 0 0 .4rem }
h3 { font-size: 1rem; margin: 1.1rem 0 .3rem; overflow-wrap: anywhere }
p { max-width: 75ch; margin: .3rem 0 .8rem; overflow-wrap: anywhere }
.soft, .note { color: var(--soft) }
.note { font-size: .88rem }
a { color: var(--m0) }
nav { font-size: .92rem; margin: .7rem 0 0 }
nav a { margin-right: 1.1em; display: inline-block; padding: .15em 0 }
section { margin-top: 2.6rem; padding-top: 1.3rem; border-top: 1px solid var(--edge) }
.found { background: var(--card); border: 1px solid var(--edge); border-radius: 8px;
  padding: 1rem 1.2rem .6rem; margin: 1rem 0 }
.found h3 { margin: 0 }
.found ul { margin: .4rem 0 .5rem; padding-left: 1.15rem }
.found li { margin: .2rem 0; max-width: 100ch; overflow-wrap: anywhere }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem;
  margin: .8rem 0 1rem; padding: 0 }
.tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end }
.tiles dt { color: var(--soft); font-size: .85rem; line-height: 1.35 }
.tiles dd { margin: 0; font-size: 1.75rem; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 310px), 1fr));
  gap: 1.2rem 1.6rem; align-items: start }
figure { margin: 0 0 .8rem; min-width: 0 }
figcaption { font-weight: 600; margin: .4rem 0; overflow-wrap: anywhere }
svg { display: block; width: 100%; height: auto; max-width: 400px }
.wide { overflow-x: auto }
.wide svg { max-width: none; width: auto }
.wide:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--m0);
  outline-offset: 2px }
svg text { fill: var(--ink); font-size: 12px; unicode-bidi: isolate;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
.row text, .ceiling-name, .course text { paint-order: stroke; stroke: var(--page);
  stroke-width: 4px; stroke-linejoin: round }
.row.encoder text { stroke: var(--band) }
svg .small, svg .ceiling-name { fill: var(--soft); font-size: 11px }
svg .number { font-variant-numeric: tabular-nums; font-size: 12px }
svg .head { font-size: 11.5px }
svg .cell { font-size: 12px; font-variant-numeric: tabular-nums }
svg .less { font-size: 11px }
svg .strong, .encoder .name, .encoder .number { font-weight: 700 }
.grid { stroke: var(--edge); stroke-width: 1 }
.zero { stroke: var(--ink); stroke-width: 1.25 }
.ceiling { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 6 4 }
.band { fill: var(--band) }
.row path, .row .bar, .key, .course path { fill: currentColor; stroke: currentColor;
  stroke-width: 1.5 }
.row path.hollow, .row path.end { fill: var(--page) }
.interval, .interval-end { stroke: currentColor; stroke-width: 2 }
.seed { stroke: currentColor; stroke-width: 1.25 }
.reach { stroke: currentColor; stroke-width: 1.5; stroke-dasharray: 2 3 }
.thin { stroke: currentColor; stroke-width: 1.25 }
polyline { fill: none; stroke: currentColor; stroke-width: 1.5 }
.row .second { fill: var(--page); stroke: currentColor; stroke-width: 1.25 }
.none rect { fill: none; stroke: var(--edge) }
details { margin: .15rem 0 }
summary { cursor: pointer; color: var(--m0); font-size: .92rem; padding: .25rem 0;
  overflow-wrap: anywhere }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; min-width: 4.2em;
  border-bottom: 1px solid var(--edge); unicode-bidi: isolate }
th, td { max-width: 24em; overflow-wrap: break-word }
td.long { min-width: 16em; overflow-wrap: anywhere }
tbody th { min-width: 10em; overflow-wrap: anywhere }
th { font-weight: 600 }
thead th { color: var(--soft); vertical-align: bottom }
tr.encoder th, tr.encoder td { background: var(--band); font-weight: 650 }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92em }
dl.how { display: grid; grid-template-columns: minmax(7em, max-content) 1fr; gap: .3rem 1.2rem }
dl.how dt { color: var(--soft) }
dl.how dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 480px) {
  body { padding: 18px 14px 40px }
  h1 { font-size: 1.5rem }
  dl.how { grid-template-columns: 1fr; gap: 0 }
  dl.how dd { margin-bottom: .5rem }
}
@media print {
  @page { margin: 14mm }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact }
  body { max-width: none; padding: 0; font-size: 10.5pt }
  nav { display: none }
  section { break-before: auto }
  figure, .found, tr { break-inside: avoid }
  h2, h3, h2 + p, figcaption, summary { break-after: avoid }
  .beside { grid-template-columns: repeat(3, 1fr); gap: .6rem }
  .wide { overflow: visible }
  .wide svg { max-width: 100% }
  table { font-size: 6pt; width: 100% }
  th, td, tbody th { padding: .2rem .3rem .2rem 0; min-width: 0; max-width: none;
    overflow-wrap: anywhere }
  details::details-content { content-visibility: visible; height: auto }
}
"""


def style_sheet() -> str:
    """Give the whole style sheet."""
    dark = f"@media screen and (prefers-color-scheme: dark) {{\n{_colours(DARK, DARK_RAMPS)}}}\n"
    return f":root {{ color-scheme: light dark }}\n{_colours(LIGHT, LIGHT_RAMPS)}{dark}" + RULES


def _colours(names: Mapping[str, str], ramps: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    variables = "; ".join(f"--{name}: {value}" for name, value in names.items())
    rules = [f":root {{ {variables} }}"]
    rules += [f".m{place} {{ color: var(--m{place}) }}" for place in range(8)]
    for ramp, shades in ramps.items():
        for shade, (ground, ink) in enumerate(shades):
            rules.append(f".{ramp}.q{shade} rect {{ fill: {ground} }}")
            rules.append(f".{ramp}.q{shade} text {{ fill: {ink} }}")
    return "\n".join(rules) + "\n"
