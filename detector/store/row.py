"""A row that is kept, or may be: one step of one link, and the verdict of the window it ends."""

from typing import Literal

import msgspec

from detector.window import WindowSpec

Kind = Literal["fault", "around", "normal"]
KINDS: tuple[Kind, ...] = ("fault", "around", "normal")  # what is worth most first


class Row(msgspec.Struct, frozen=True, gc=False):
    """One step of one link.

    Its values are a copy: a view of a window would keep the whole message in memory that the
    window came in. The garbage collector never looks at rows, for there may be a million.
    """

    link: str
    source: str
    t_ms: int  # start of the step, Unix milliseconds
    values: bytes  # (features,) float32
    # What was said of the window whose last row this is; a label of None: no window ended here.
    label: str | None = None
    state: str | None = None
    since_ms: int | None = None
    reason: str | None = None
    bundle: str | None = None
    strangeness: float | None = None
    margin: float | None = None
    distance: float | None = None
    anchor: str | None = None


def row_bytes(spec: WindowSpec) -> int:
    """Give about how much memory a row takes that waits, texts that rows share left out."""
    return 320 + 4 * len(spec.features)
