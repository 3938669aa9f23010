"""The picture: a daemon's status as lines that fit a terminal.

From top to bottom: why there is nothing newer, if so; the header; the links; the latest events.
Times are by the daemon's clock, never by ours.
"""

from collections.abc import Sequence

from rich.text import Text

from detector.board import Wanted
from detector.state import NORMAL
from detector.status import EventStatus, LinkStatus, Status

from .header import header
from .table import table
from .words import BAD, DIM, WIDE, Part, count, flow, moment, side_by_side, style_of, text

LEAST_TABLE = 6  # lines; events go before the table gets shorter
SHARE_OF_EVENTS = 4  # of the lines below the header, one in so many


def picture(
    status: Status,
    wanted: Wanted,
    width: int,
    height: int | None = None,
    trouble: Sequence[str] = (),
) -> list[Text]:
    """Show a status on *width* columns and *height* lines; None: as many as it takes.

    *trouble* says why there is nothing newer.
    """
    top = flow([Part(words, BAD) for words in trouble], width, gap="   ")
    room = None if height is None else height - len(top)
    below = _below(status, wanted, width, room)
    if trouble:
        for line in below:
            line.stylize(DIM)
    lines = [*top, *below][:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _below(status: Status, wanted: Wanted, width: int, height: int | None) -> list[Text]:
    """Give header, links and events."""
    top = [*header(status, width), text()]
    bottom = [*_why(status, width), text()]
    if height is None:
        return [*top, *table(status, wanted, width), *bottom, *_events(status, width)]
    room = height - len(top)
    bottom += _events(status, width, max(1, room // SHARE_OF_EVENTS))
    if room - len(bottom) < LEAST_TABLE:
        bottom = []
    return [*top, *table(status, wanted, width, room - len(bottom)), *bottom]


def _why(status: Status, width: int) -> list[Text]:
    """Say in full why the first link is in its state, where the table has no room for it."""
    first = status.worst[0] if status.worst else LinkStatus("")
    if width >= WIDE or first.state in (None, NORMAL) or not first.reason:
        return []
    return [text(f"{first.link}: {first.reason}")]


def _events(status: Status, width: int, most: int | None = None) -> list[Text]:
    """Give the latest events, newest first, under a heading."""
    if not status.events:
        return [text("no events yet", DIM)]
    rows = [_event(event, status.now_ms) for event in status.events[:most]]
    columns = (11, max(12, width // 4), width // 2, width)
    return [text("latest events", DIM), *side_by_side(rows, columns, width)]


def _event(event: EventStatus, now_ms: int) -> list[Part]:
    """Say what happened: when, what, to whom, which state, why."""
    style = style_of(event.state)
    if event.links > 1 or event.group:
        whom = f"{count(event.links, 'link')} of {event.group or event.source}"
    else:
        whom = event.link or f"exporter {event.source}"
    if event.type == "abated":
        change = f"{event.previous} is over" if event.previous else "over"
        change += "" if event.state in (NORMAL, "") else f", now {event.state}"
    else:
        change = f"{event.state}, was {event.previous}" if event.previous else event.state
    when = moment(event.at_ms, now_ms)
    return [Part(when), Part(whom), Part(change, style), Part(event.reason)]
