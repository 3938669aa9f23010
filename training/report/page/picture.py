"""What all pictures share: the frame, marks, texts that fit, colours by their class.

A method's colour and the shape of its mark follow from its place, so they are the same in every
picture. Colours are in `sheet`; no picture says anything by colour alone.
"""

from collections.abc import Sequence
from unicodedata import east_asian_width

from training.report.numbers import printable

from .markup import Markup, Value, tag

COLOURS = 8  # `m0` to `m7` of the style sheet
WIDTH = 340  # of a picture that has others beside it
LETTER = 0.57  # width of most letters, in heights of the writing
MORE = "\u2026"  # stands for what there was no room for
SHAPES = (  # circle, square, diamond, triangles up and down, bars across and upright, cross
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "M-4.5 -4.5h9v9h-9z",
    "M0 -6.2L6.2 0L0 6.2L-6.2 0z",
    "M0 -6L5.8 4.6H-5.8z",
    "M0 6L5.8 -4.6H-5.8z",
    "M-6.5 -2.6h13v5.2h-13z",
    "M-2.6 -6.5h5.2v13h-5.2z",
    "M-2 -6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
)


def svg(title: str, description: str, width: float, height: float, *parts: Value) -> Markup:
    """Make a picture; *title* and *description* are what a screen reader says of it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
    )


def colour(place: int) -> str:
    """Give the class that colours a method's marks."""
    return f"m{place % COLOURS}" if place < COLOURS else f"m{1 + (place - 1) % (COLOURS - 1)}"


def mark(place: int, x: float, y: float, class_: str = "dot") -> Markup:
    """Draw a method's mark."""
    shape = SHAPES[place % len(SHAPES)]
    return tag("path", d=shape, transform=f"translate({x:.2f} {y:.2f})", class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draw a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(words: str, x: float, y: float, class_: str = "", anchor: str = "start") -> Markup:
    """Write words, *anchor* at x."""
    return tag("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def fit(words: str, pixels: float, size: float = 12) -> str:
    """Shorten words that would run out of their place.

    >>> fit("nearest neighbour", 60, 10)
    'nearest ne\u2026'
    """
    words = printable(words)  # now, since it may make them longer
    if breadth(words, size) <= pixels:
        return words
    while words and breadth(words + MORE, size) > pixels:
        words = words[:-1]
    return words.rstrip() + MORE


def broken(words: str, pixels: float, size: float, most: int) -> list[str]:
    """Break words into at most so many lines, at blanks and hyphens, shortened where needed."""
    lines = [""]
    for word in _words(printable(words)):
        joined = lines[-1] + word
        if lines[-1] and breadth(joined.strip(), size) > pixels:
            lines.append(word)
        else:
            lines[-1] = joined
    if len(lines) > most:
        lines = [*lines[: most - 1], "".join(lines[most - 1 :])]
    return [fit(each.strip(), pixels, size) for each in lines]


def _words(words: str) -> Sequence[str]:
    for sign in ("-", "_", "+"):
        words = words.replace(sign, sign + "\0")
    return words.replace(" ", " \0").split("\0")


def breadth(words: str, size: float = 12) -> float:
    """Give about how wide words are, in pixels; no font is known here."""
    return sum(map(_letter, words)) * size * LETTER


def _letter(sign: str) -> float:
    """Give about how wide a sign is, in letters."""
    if east_asian_width(sign) in "WF":
        return 1.8
    if sign in "mwMW@%\u2026":
        return 1.5
    if sign in "fijlrt .,:;!'|()[]":
        return 0.65
    return 1.2 if sign.isupper() else 1.0
