"""The terminal sink: what the daemon sees, for a person. This file and `top` alone know rich.

In a terminal: a live table and the latest changes; elsewhere: one plain line for each change.
Where captures are replayed, the truth stands beside it and a summary of what was found comes
last. Times are traffic time: seconds since its run began for a link that is replayed, else UTC.
Names come off the network: they are always made `Text`, never read as markup.
"""

import io
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .events import Event
from .replayed import Replayed
from .sinks import Outcome
from .state import NORMAL
from .verdict import Verdict

if TYPE_CHECKING:
    from .capture import LinkCapture

MOST_LINKS = 100_000  # kept, with one small record each; the longest unheard of go first
QUIET_SECONDS, FORGET_SECONDS = 60, 3600  # a link of which nothing came is marked, then dropped
FRAME_SECONDS = 1 / 8  # from one picture to the next, at least
FRAME_SHARE = 0.1  # of the time may go into pictures, however many links there are
ANCHORS, SENTENCES, NAMES = 110, 130, 300  # columns that give room for these in full
UNSETTLED = "unsettled"
WELL = (NORMAL, UNSETTLED)
STYLES = {NORMAL: "green", UNSETTLED: "dim", "blocked": "bold red"}


@dataclass(slots=True)
class _Row:
    """What the table shows of one link."""

    link: str
    since_ms: int  # end of the first window in this state
    state: str = UNSETTLED
    turn: int = 0  # grows with each change of any link; 0: was always well
    last_ms: int = 0  # end of the newest window
    seen: float = 0.0  # when that came, seconds of the sink's clock
    anchor: str = ""
    margin: float = 0.0


class TerminalSink:
    """Shows links and their states in a terminal, and plain lines where there is none."""

    def __init__(
        self,
        *,
        url: str,
        span_ms: int,
        bundle: str,
        links: Sequence["LinkCapture"] = (),
        seen_runs: Collection[str] = (),
        out: TextIO | None = None,
        console: Console | None = None,  # instead of one on *out*
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        out = out or sys.stdout
        if isinstance(out, io.TextIOWrapper):
            # A link's name may have letters that the terminal's encoding lacks.
            out.reconfigure(errors="backslashreplace")
        self._console, self._clock = console or Console(file=out), clock
        self._replayed = Replayed(links, seen_runs, span_ms)
        self._rows: dict[str, _Row] = {}
        self._latest: deque[tuple[Event, str]] = deque(maxlen=10)  # changes, how true they are
        self._turns = 0  # changes so far
        self._link_width = max((len(link.link) for link in links), default=0)
        self._at = "nothing yet"  # traffic time of the newest window
        self._next_frame, self._is_closed = float("-inf"), False
        self._address = f"bundle {bundle}   status page {url}/"
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=sys.stderr.isatty(),
            )
        else:
            self._print(Text(f"anchorwatch   {self._address}"))

    def send(self, outcome: Outcome) -> None:
        """Show what came of a batch; pictures are made only so often."""
        now = self._clock()
        for verdict in outcome.verdicts:
            self._take(verdict, now)
        if outcome.verdicts:
            newest = outcome.verdicts[-1]
            self._at = self._replayed.when(newest.link, newest.end_ms)
        for event in outcome.events:
            if not event.is_handover:  # the onset that follows tells it too
                for one in event.each():
                    self._change(one)
        if self._live is not None and now >= self._next_frame:
            self._live.start()  # not before: what the daemon logs as it starts stays above
            self._live.update(self._picture(now), refresh=True)
            self._next_frame = now + max(FRAME_SECONDS, (self._clock() - now) / FRAME_SHARE)

    def close(self) -> None:
        """End the live display and print the summary. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._live is not None and self._live.is_started:
            self._live.update(self._picture(self._clock()))
            self._live.stop()
            self._print(Text())
        counts = _listed(Counter(row.state for row in self._rows.values()))
        totals = [f"links: {counts or 'none'}", f"changes of state: {self._turns}"]
        for line in self._replayed.summary() if self._replayed.truth else totals:
            self._print(Text(line))

    def _take(self, verdict: Verdict, now: float) -> None:
        """Note what a verdict says of its link."""
        row = self._rows.get(verdict.link)
        if row is None:
            if len(self._rows) >= MOST_LINKS:
                # A tenth at once: looking for the longest unheard of takes a while.
                old = nsmallest(MOST_LINKS // 10, self._rows.values(), key=lambda row: row.seen)
                for each in old:
                    del self._rows[each.link]
            row = self._rows[verdict.link] = _Row(verdict.link, verdict.end_ms)
        state = verdict.state or UNSETTLED
        if state != row.state:
            row.state, row.since_ms = state, verdict.end_ms
        row.last_ms, row.seen = verdict.end_ms, now
        row.anchor, row.margin = verdict.anchor, verdict.margin
        self._replayed.reach(verdict.link, verdict.end_ms)

    def _change(self, event: Event) -> None:
        """Say that a state changed: at once, or in the next picture."""
        self._turns += 1
        if row := self._rows.get(event.link):
            row.turn, row.since_ms = self._turns, event.since_ms
        self._link_width = max(self._link_width, len(event.link))
        self._latest.append((event, self._replayed.judge(event)))
        if self._live is None:
            self._print(self._line(*self._latest[-1], NAMES))

    def _line(self, event: Event, outcome: str, width: int) -> Text:
        """Say what changed, as fully as the terminal is wide."""
        notes, room = [outcome], max(8, width - 57)
        if width >= SENTENCES:
            training = "training" if event.link in self._replayed.seen else ""
            truth = self._replayed.truth_at(event.link, event.at_ms)
            notes, room = [truth, outcome, training], width - 90
        when = self._replayed.when(event.link, event.at_ms)
        link = _fit(event.link or event.source, room).ljust(min(room, self._link_width, 40))
        change = f"{event.previous or UNSETTLED} -> {event.state}"
        words = f"{when:>7}  {link}  {change:<27}  {', '.join(filter(None, notes))}"
        return _text(words.rstrip(), _style(event.state))

    def _picture(self, now: float) -> Group:
        """Show as much as fits the terminal: faults first, then what changed last."""
        ended = self._replayed.ended()
        forgotten = [k for k, row in self._rows.items() if row.seen < now - FORGET_SECONDS]
        for link in (*ended, *forgotten):
            self._rows.pop(link, None)
        width, height = self._console.size
        latest = list(self._latest)[-max(1, (height - 7) // 3) :]
        room = max(1, height - 7 - len(latest))
        rows = nsmallest(room, self._rows.values(), lambda row: (row.state in WELL, -row.turn))
        counts = Counter(row.state for row in self._rows.values())
        hidden = counts - Counter(row.state for row in rows)
        which = f", all {next(iter(hidden))}" if len(hidden) == 1 else f": {_listed(hidden)}"
        number = f"{len(self._rows)} link{'' if len(self._rows) == 1 else 's'}"
        totals = f"{self._at}   {number}: {_listed(counts)}"
        return Group(
            self._table(rows, width, now),
            *([_text(f"and {hidden.total()} more{which}", "dim")] if hidden else []),
            _text(),
            _text("latest changes" if latest else "no changes yet", "dim"),
            *(self._line(*change, width) for change in latest),
            _text(),
            _text(totals + (f"; {len(ended)} ended" if ended else ""), "bold"),
            _text(self._address),
        )

    def _table(self, rows: Sequence[_Row], width: int, now: float) -> Table:
        """Lay links out; their names get the room that the rest leaves."""
        is_wide, truth, seen = width >= ANCHORS, self._replayed.truth, self._replayed.seen
        gap = 2 if is_wide else 1
        room = max(9, width - 28 - 3 * gap - (16 + gap if truth else 0) - (8 + gap if seen else 0))
        longest = max((len(row.link) for row in rows), default=0)
        link_width = min(longest, room // 2) if is_wide else room
        columns = {
            "link": [_text(_fit(row.link, link_width)) for row in rows],
            f"{'state':<16}": [_text(row.state, _style(row.state)) for row in rows],
            f"{'for':>6}": [_text(f"{_lasting(row, now):>6}") for row in rows],
        }
        if is_wide:
            names = [_fit(row.anchor, room - link_width - gap) for row in rows]
            columns["nearest anchor"] = [_text(name) for name in names]
        columns["margin"] = [_text(f"{row.margin:6.2f}") for row in rows]
        if truth:
            now_true = (self._replayed.at(row.link, row.last_ms) for row in rows)
            labels = [stretch.label if stretch else "" for stretch in now_true]
            columns[f"{'true now':<16}"] = [_text(label, _style(label)) for label in labels]
        if seen:
            columns[" " * 8] = [_text("training" if row.link in seen else "") for row in rows]
        table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
        for heading in columns:
            table.add_column(_text(heading, "dim"), no_wrap=True)
        for cells in zip(*columns.values(), strict=True):
            table.add_row(*cells)
        return table

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)


def _text(words: str = "", style: str = "") -> Text:
    """Make one line that is taken as it is, and cut where it doesn't fit."""
    return Text(words, style, no_wrap=True, overflow="ellipsis")


def _style(state: str) -> str:
    return STYLES.get(state, "bold yellow")


def _fit(name: str, width: int) -> str:
    """Shorten a name in its middle, for names that are alike differ at either end."""
    half = width // 2
    return name if len(name) <= width else f"{name[: half - 1]}…{name[half - width :]}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()) if count)


def _lasting(row: _Row, now: float) -> str:
    """Say how long a link has been in its state."""
    if now - row.seen > QUIET_SECONDS:
        return "quiet"
    seconds = max(0, row.last_ms - row.since_ms) // 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 10 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
