"""The choice: which rows of the traffic that was judged are kept, and as what.

A row is `fault` where its window's label or its link's state is one, with the whole window that
first said so; `around` within some seconds of a change of state; `normal` where its minute is in
the sample. The rest goes. Rows that are no fault wait until no change can come near them any
more; so each is kept once, as one thing. A plain class without I/O, clock or thread.
"""

from collections.abc import Iterable

from detector.config import Store
from detector.state import NORMAL, RESTING
from detector.verdict import Verdict
from detector.window import Window, WindowSpec

from .row import KINDS, Kind, Row, row_bytes
from .sample import MINUTE_MS, is_chosen
from .spans import Spans
from .track import Track

FORGET_SECONDS = 600.0  # after which nothing waits any longer for a link that says nothing
SHRINK, GROW, ROOMY = 0.8, 1.25, 0.7  # of the reach into the past, and when it may grow again


class Choice:
    """Takes windows as they were judged, and says what is to be kept."""

    def __init__(self, settings: Store, spec: WindowSpec) -> None:
        self._share = settings.normal_share
        self._around_ms = round(settings.around_seconds * 1000)
        self._tracks: dict[str, Track] = {}
        self._waiting = 0  # rows, of all links
        self.passed = 0  # windows that were dealt with and are not kept
        self._fresh: dict[Kind, list[Row]] = {kind: [] for kind in KINDS}
        self._read(spec)

    def _read(self, spec: WindowSpec) -> None:
        self.spec = spec
        # A change is noticed some windows after it began, and is looked back from there.
        self._full_ms = self._keep_ms = self._around_ms + spec.span_ms
        self._row_bytes = row_bytes(spec)

    @property
    def waiting_bytes(self) -> int:
        """How much memory the rows take that wait."""
        return self._waiting * self._row_bytes

    @property
    def reach_seconds(self) -> float:
        """From how long before a change rows can still be kept."""
        return max(0, self._keep_ms - self.spec.span_ms) / 1000

    def take_fresh(self) -> dict[Kind, list[Row]]:
        """Give what is to be kept since this was last asked."""
        fresh, self._fresh = self._fresh, {kind: [] for kind in KINDS}
        return fresh

    def push(self, window: Window, verdict: Verdict, since_ms: int, now: float = 0.0) -> None:
        """Take a window; *now* is any clock's that never goes back, seconds."""
        track = self._tracks.get(window.link)
        if track is None:
            track = self._meet(window, verdict.state, since_ms)
        elif track.until_ms - window.end_ms > 0 or track.is_behind:
            self._look_back(track, window)
        track.heard = now
        if verdict.state != track.state or since_ms != track.since_ms:
            self._follow(track, verdict.state, since_ms, window.end_ms)
        if verdict.label == NORMAL and verdict.state in RESTING:
            self._wait(track, window, verdict, since_ms)
        else:
            self._keep(track, window, verdict, since_ms)

    def turn(self, link: str, at_ms: int) -> None:
        """Note that a link's state changed without a window, at *at_ms*."""
        if track := self._tracks.get(link):
            # Its last rows are what led to it, however late it was noticed.
            self._turn(track, min(at_ms, track.until_ms), at_ms)

    def use(self, spec: WindowSpec) -> None:
        """Go on with windows of another shape; what waits is decided now."""
        self.finish()
        if spec.step_ms != self.spec.step_ms:
            for track in self._tracks.values():
                track.faults = None
        self._read(spec)

    def finish(self) -> None:
        """Decide on all that waits."""
        for track in self._tracks.values():
            self._leave(track, track.until_ms + self.spec.span_ms)

    def tend(self, now: float, most_bytes: int) -> None:
        """Forget links of which nothing came for long, and reach back farther if there is room."""
        for track in list(self._tracks.values()):
            if now - track.heard > FORGET_SECONDS:
                self._leave(track, track.until_ms + self.spec.span_ms)
                del self._tracks[track.link]
        if self._keep_ms < self._full_ms and self.waiting_bytes < ROOMY * most_bytes:
            longer_ms = round(max(self._keep_ms, self.spec.step_ms) * GROW)
            self._keep_ms = min(self._full_ms, longer_ms)

    def fit(self, most_bytes: int) -> None:
        """Let the oldest rows go, of all links alike, until what waits takes no more memory."""
        while self._waiting and self.waiting_bytes > most_bytes:
            self._keep_ms = int(self._keep_ms * SHRINK)
            if self._keep_ms < self.spec.step_ms:
                self._keep_ms = 0
            for track in self._tracks.values():
                self._leave(track, track.until_ms - self._keep_ms)

    def _meet(self, window: Window, state: str | None, since_ms: int) -> Track:
        track = Track(window.link, window.source, state, since_ms, window.start_ms)
        self._tracks[window.link] = track
        if state is not None:  # known from before a restart: it may have changed a moment ago
            self._turn(track, since_ms, since_ms)
        return track

    def _look_back(self, track: Track, window: Window) -> None:
        if track.is_set_back(window):
            self._leave(track, track.until_ms + self.spec.span_ms)
            track.restart(window.start_ms)

    def _follow(self, track: Track, state: str | None, since_ms: int, at_ms: int) -> None:
        """Note the link's state; a first one that is normal is no change."""
        is_news = track.state is not None or state not in RESTING
        track.state, track.since_ms = state, since_ms
        if is_news:
            self._turn(track, since_ms, at_ms)

    def _turn(self, track: Track, since_ms: int, at_ms: int) -> None:
        track.turn(since_ms - self._around_ms, at_ms + self._around_ms)

    def _wait(self, track: Track, window: Window, verdict: Verdict, since_ms: int) -> None:
        """Let a window's new rows wait for what comes."""
        spec = self.spec
        count = (window.end_ms - track.until_ms + spec.step_ms // 2) // spec.step_ms
        if count <= 0:  # a repeat, or a late one
            self.passed += 1
            return
        for place in range(max(0, spec.steps - count), spec.steps - 1):
            track.waiting.append(self._bare(track, window, place))
        track.waiting.append(self._row(track, window, verdict, since_ms))
        self._waiting += min(count, spec.steps)
        track.until_ms = window.end_ms
        before_ms = window.end_ms - self._keep_ms
        if track.waiting[0].t_ms < before_ms:
            self._leave(track, before_ms)

    def _keep(self, track: Track, window: Window, verdict: Verdict, since_ms: int) -> None:
        """Keep all of a window as a fault, but for what is kept as one already."""
        spec, half_ms = self.spec, self.spec.step_ms // 2
        if track.faults is None:
            track.faults = Spans(spec.step_ms)
        begin_ms, last = window.start_ms - half_ms, spec.steps - 1
        waited = track.withdraw(begin_ms, window.end_ms - half_ms)
        self._waiting -= len(waited)
        known = {(row.t_ms - begin_ms) // spec.step_ms: row for row in waited}
        self.passed += sum(row.label is not None for row in waited)
        places = track.faults.missing(window.start_ms, spec.steps)
        self.passed += last not in places
        for place in places:
            row = known.get(place)
            if place == last:
                row = self._row(track, window, verdict, since_ms)
            elif row is None:
                row = self._bare(track, window, place)
            else:
                self.passed -= row.label is not None
            self._fresh["fault"].append(row)
        track.faults.add(window.start_ms, window.end_ms)
        track.until_ms = max(track.until_ms, window.end_ms)

    def _leave(self, track: Track, before_ms: int) -> None:
        rows = track.leave(before_ms)
        self._waiting -= len(rows)
        self._decide(track, rows)
        if track.changes:
            track.settle(before_ms)

    def _decide(self, track: Track, rows: Iterable[Row]) -> None:
        for row in rows:
            if track.changes and track.is_around(row.t_ms):
                self._fresh["around"].append(row)
                continue
            minute = row.t_ms // MINUTE_MS
            if minute != track.minute:
                track.minute = minute
                track.is_chosen = is_chosen(track.link, minute, self._share)
            if track.is_chosen:
                self._fresh["normal"].append(row)
            else:
                self.passed += row.label is not None

    def _bare(self, track: Track, window: Window, place: int) -> Row:
        t_ms = window.start_ms + place * self.spec.step_ms
        return Row(track.link, track.source, t_ms, window.values[place].tobytes())

    def _row(self, track: Track, window: Window, verdict: Verdict, since_ms: int) -> Row:
        if window.source != track.source:  # else each row would hold a text of its own
            track.source = window.source
        return Row(
            track.link,
            track.source,
            window.end_ms - self.spec.step_ms,
            window.values[-1].tobytes(),
            verdict.label,
            verdict.state,
            since_ms,
            verdict.reason,
            verdict.bundle,
            verdict.strangeness,
            verdict.margin,
            verdict.distance,
            verdict.anchor,
        )
