"""How every picture looks: the colours of labels, what texts may hold, and how files are written.

A label has the same colour and marker in every picture. Those of the captures that ship have
theirs listed here; any other takes one by its name. The colours can be told apart by
colour-blind people (after Okabe and Ito 2008, and Tol 2021); each also has a marker of its own.
"""

import io
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from detector import durable

INK, FAINT, GRID = "#2b2f36", "#7c838c", "#e3e6ea"
UNLABELLED = ""  # stands for the label of what has none


class Look(NamedTuple):
    """How a label is drawn."""

    colour: str
    marker: str


GIVEN = {
    "normal": Look("#6d9bc3", "o"),
    "blocked": Look("#c1272d", "s"),
    "capacity-limited": Look("#eba000", "^"),
    "lossy": Look("#7b3fa0", "D"),
    UNLABELLED: Look("#a9aeb5", "."),
}
FURTHER = (
    Look("#009e73", "v"),
    Look("#d667a8", "P"),
    Look("#1b2a6b", "<"),
    Look("#6b4423", ">"),
    Look("#00b8c4", "X"),
    Look("#8a9a1c", "p"),
    Look("#14532d", "h"),
    Look("#ff7f6e", "d"),
)

STYLE: Any = {  # of matplotlib's settings
    "axes.edgecolor": FAINT,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 10,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 150,
    "svg.hashsalt": "anchorwatch",  # or ids in the file are random
    "text.color": INK,
    "text.parse_math": False,  # labels and links may hold a $
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def roomy() -> ConstrainedLayoutEngine:
    """Lay a figure's parts out side by side, with a margin around them."""
    return ConstrainedLayoutEngine(h_pad=0.13, w_pad=0.13)


@contextmanager
def in_style() -> Iterator[None]:
    """Draw so within this context; the process's own settings stay as they are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # whatever this machine's matplotlibrc says
        mpl.rcParams.update(STYLE)
        # A link may be named in a script that the font lacks: it gets boxes, and no warning each.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def looks(labels: Collection[str]) -> dict[str, Look]:
    """Give each label of a picture its look.

    Labels that are not listed take one of `FURTHER` by their name; of two that would take the
    same one the later in the alphabet takes the next that is free, as long as there is one.

    >>> looks(["blocked"])["blocked"] == looks(["blocked", "new"])["blocked"]
    True
    """
    found: dict[str, Look] = {}
    for label in sorted(set(labels)):
        if label in GIVEN:
            found[label] = GIVEN[label]
            continue
        first = zlib.crc32(label.encode(errors="replace")) % len(FURTHER)
        turned = FURTHER[first:] + FURTHER[:first]
        free = [look for look in turned if look not in found.values()]
        found[label] = (free or turned)[0]
    return found


def in_order(labels: Collection[str]) -> list[str]:
    """Sort labels as pictures list them: those with a look of their own first.

    >>> in_order({"new", "blocked", "normal"})
    ['normal', 'blocked', 'new']
    """
    known = [label for label in GIVEN if label in labels and label != UNLABELLED]
    rest = sorted(set(labels) - set(GIVEN))
    return [*known, *rest, *([UNLABELLED] if UNLABELLED in labels else [])]


def shown(text: str, most: int = 32) -> str:
    r"""Make a label or a link's name fit to be shown: on one line, and not too long.

    >>> shown("a" * 20 + "\n" + "z" * 20, most=11)
    'aaaaa…zzzzz'
    >>> shown("")
    'no label'
    """
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(text) > most:
        half = (most - 1) // 2
        text = f"{text[: most - 1 - half]}…{text[-half:]}"
    return text or "no label"


def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG or SVG by the path's suffix; the same figure gives the same bytes.

    Raises:
        OSError: if it can't be written.
    """
    kind = path.suffix[1:].lower()
    metadata = {"Date": None} if kind == "svg" else {"Software": "anchorwatch"}
    data = io.BytesIO()
    with in_style():
        figure.savefig(data, format=kind, metadata=metadata)
    durable.write(path, data.getvalue())
