"""The links of the picture: one line each, as many as there is room for, and what is left out."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from detector.board import Wanted
from detector.state import SILENT
from detector.status import UNSETTLED, LinkStatus, Status

from .words import (
    DIM,
    ODD,
    Part,
    by_state,
    count,
    flow,
    gap_at,
    lasting,
    side_by_side,
    style_of,
    text,
)

QUIET_SECONDS = 60  # a link of which no window came for as long is said to be quiet


class _Column(NamedTuple):
    """One column: what is above it, and what is in it."""

    heading: str
    least: int  # width of the terminal from which on it is shown
    cells: int  # that it takes at most, and ...
    share: float  # ... of those that nothing else takes
    show: Callable[[LinkStatus, Status], Part]


def table(status: Status, wanted: Wanted, width: int, height: int | None = None) -> list[Text]:
    """Show the links of *status* in *height* lines; None: all of them."""
    links = status.worst
    if not links:
        return [_none(status, wanted)]
    if height is not None:
        room = max(1, height - 1)  # below the heading
        has_foot = wanted.is_choosy or status.matched > room
        links = links[: max(1, room - has_foot)]
    rows = _rows(links, status, width)
    return [*rows, *_left_out(links, status, wanted, width)]


def _none(status: Status, wanted: Wanted) -> Text:
    if why := wanted.misspelt(status):
        return text(f"no link matches: {why}", ODD)
    return text("no link matches" if wanted.is_choosy else "no links yet", DIM)


def _rows(links: Sequence[LinkStatus], status: Status, width: int) -> list[Text]:
    columns = [column for column in _COLUMNS if width >= column.least]
    free = width - sum(column.cells + len(gap_at(width)) for column in columns)
    shares = [int(max(0, free) * column.share) for column in columns]
    shares[0] = max(8, free - sum(shares))  # the link's name gets what the others leave
    most = [column.cells + share for column, share in zip(columns, shares, strict=True)]
    heading = [Part(column.heading, DIM) for column in columns]
    rows = [[column.show(link, status) for column in columns] for link in links]
    return side_by_side([heading, *rows], most, width)


def _left_out(
    links: Sequence[LinkStatus], status: Status, wanted: Wanted, width: int
) -> list[Text]:
    """Say what is not listed."""
    if wanted.is_choosy:
        words = f"{len(links):,} of {count(status.matched, 'link')} that match"
        if status.searched < status.links:
            words += f", looked for among the {status.searched:,} worst of {status.links:,}"
        why = wanted.misspelt(status)
        return [text(f"{words}: {why}" if why else words, ODD if why else DIM)]
    if not (number := max(0, status.matched - len(links))):
        return []
    hidden = Counter(status.states) - Counter(link.state or UNSETTLED for link in links)
    if len(hidden) == 1:
        return [text(f"and {number:,} more, all {next(iter(hidden))}", DIM)]
    return flow(by_state(hidden), width, start=f"and {number:,} more: ", most=1)


def _state(link: LinkStatus, _status: Status) -> Part:
    state = link.state or UNSETTLED
    return Part(state, style_of(state))


def _heard(link: LinkStatus, status: Status) -> float:
    """Give the seconds since a window of a link came.

    An exporter's clock may be wrong, and captures are of any day, so a window's own time is
    gone by only where the daemon doesn't say.
    """
    if link.heard_seconds is not None:
        return link.heard_seconds
    return 0.0 if status.contact_seconds is None else (status.now_ms - link.last_ms) / 1000


def _lasting(link: LinkStatus, status: Status) -> Part:
    """Say for how long, as far as is known, a link has been in its state."""
    if link.state is None:
        return Part("")
    heard = _heard(link, status)
    is_known = heard <= QUIET_SECONDS or link.state == SILENT
    seconds = (link.last_ms - link.since_ms) / 1000 + (heard if is_known else 0.0)
    return Part(f"{lasting(seconds):>7}")


def _margin(link: LinkStatus, _status: Status) -> Part:
    return Part("" if link.margin is None else f"{link.margin:6.2f}")


def _strange(link: LinkStatus, _status: Status) -> Part:
    return Part("" if link.strangeness is None else f"{link.strangeness:7.2f}")


def _why(link: LinkStatus, status: Status) -> Part:
    notes = ["flapping"] if link.flapping else []
    heard = _heard(link, status)
    if link.state != SILENT and heard > QUIET_SECONDS:
        notes.append(f"last heard {lasting(heard)} ago")
    return Part("; ".join(filter(None, [*notes, link.reason])))


_COLUMNS = (
    _Column("link", 0, 0, 0, lambda link, _status: Part(link.link)),
    _Column("source", 60, 0, 0.2, lambda link, _status: Part(link.source)),
    _Column("state", 0, 16, 0, _state),
    _Column(f"{'for':>7}", 0, 7, 0, _lasting),
    _Column("margin", 48, 6, 0, _margin),
    _Column("strange", 130, 7, 0, _strange),
    _Column("why", 76, 0, 0.4, _why),
)
