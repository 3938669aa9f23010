"""The trial: a candidate judges what the live bundle judged, and both are compared.

Nothing in here knows of threads. The candidate has states of its own, which begin where those of
the live bundle are, and canaries of its own; what it comes to is counted and told to nobody.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.anchors import Nearest
from detector.config import State as Rule
from detector.oncall.canary import Canaries
from detector.oncall.recall import Score
from detector.sight import Sight
from detector.state import SILENT, UNKNOWN, LinkState, Said, Turn, sayings
from detector.status import UNSETTLED
from detector.verdict import Verdict
from detector.window import Window, WindowSpec

from .fitting import Fitting
from .pairing import Pairing
from .report import CanaryPair, Onsets, ShadowReport

BREATH = 64  # windows judged between two breaths
EXPIRE_SECONDS = 60.0  # from one look for findings that are too old to the next
FORGET_SECONDS = 43_200.0  # without a window, at least, until a link is forgotten


class Shown(NamedTuple):
    """Some windows, and what the live bundle made of them."""

    windows: Sequence[Window]
    verdicts: Sequence[Verdict]  # of each window
    turns: Sequence[Turn]  # changes of state, in their order


class Trial:
    """Judges and compares."""

    def __init__(
        self,
        sight: Sight,
        live_window: WindowSpec,
        rule: Rule | None = None,
        canaries: Canaries | None = None,
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        """Make ready; *canaries* are the candidate's own.

        *breathe* is called between two handfuls of windows, so that others get a turn.

        Raises:
            ValueError: if the candidate can't read the live windows.
        """
        self.windows = self.unusable = 0
        self.link_seconds = 0.0
        self._sight, self._canaries, self._breathe = sight, canaries, breathe
        self._spec = sight.bundle.manifest.window
        self._fitting = Fitting(live_window, self._spec)
        self._steady = sight.steady(rule)
        self._pairs: Counter[tuple[str | None, str | None]] = Counter()
        self._pairing = Pairing()
        self._live_canaries: Mapping[str, tuple[int, int]] = {}  # found and judged, by label
        self._expired = self._forgot = -inf  # when it was last done, seconds of the caller's clock
        self._heard: set[str] = set()  # links of which a window came since

    @property
    def links(self) -> int:
        """How many are watched."""
        return len(self._steady.links)

    def use(self, sight: Sight) -> None:
        """Go on with other anchors of the same candidate."""
        self._sight = sight
        self._steady.relabel(sight.labels)
        if self._canaries is not None:
            self._canaries.relabel(sight.labels)

    def take(self, shown: Shown, now: float) -> None:
        """Judge windows and compare; *now* is seconds of a clock that never goes back."""
        pairs = self._usable(shown)
        windows = [window for window, _ in pairs]
        if not windows:
            return
        self._begin(pairs, shown.turns)
        links = self._steady.links
        planted = self._canaries.plant(windows, links, now) if self._canaries is not None else []
        values = np.stack([window.values for window in (*windows, *planted)])
        seen, count = self._sight.see(values), len(windows)
        mine, rest = seen.part(slice(count)), seen.part(slice(count, None))
        self._judge(pairs, _said(windows, mine.nearest, mine.strangeness, self._spec))
        self._pair(shown.turns, now)
        self._forget(pairs, now)
        if self._canaries is not None:
            said = _said(planted, rest.nearest, rest.strangeness, self._spec)
            self._canaries.judge(said, links)

    def live_canaries(self, found: Mapping[str, tuple[int, int]]) -> None:
        """Take how many canaries the live bundle found, and of how many, by label."""
        self._live_canaries = found

    def begin_anew(self, now: float) -> None:
        """Take links' states from the live bundle again, for windows of them were left out."""
        self._steady.links.clear()
        self._pairing.void(now)

    def report(self, **facts: object) -> ShadowReport:
        """Give what came of it so far; *facts* are what only others know."""
        states: dict[str, dict[str, int]] = {}
        for (live, shadow), count in self._pairs.items():
            states.setdefault(live or UNSETTLED, {})[shadow or UNSETTLED] = count
        onsets = self._pairing.onsets
        return ShadowReport(
            link_seconds=self.link_seconds,
            windows=self.windows,
            unusable=self.unusable,
            states=states,
            unknown=onsets.pop(UNKNOWN, Onsets()),
            onsets=onsets,
            delays_ms=self._pairing.delays_ms,
            canaries=self._canary_pairs(),
            **facts,  # type: ignore[arg-type]
        )

    def _usable(self, shown: Shown) -> list[tuple[Window, Verdict]]:
        """Give the windows as the candidate reads them, with the live verdicts."""
        fitted = self._fitting(shown.windows)
        pairs = [
            (window, verdict)
            for window, verdict in zip(fitted, shown.verdicts, strict=True)
            if window is not None
        ]
        self.unusable += len(fitted) - len(pairs)
        return pairs

    def _begin(self, pairs: Iterable[tuple[Window, Verdict]], turns: Iterable[Turn]) -> None:
        """Let links that are new, or back from silence, begin as they are to the live bundle."""
        before: dict[str, Turn] = {}
        for turn in turns:
            before.setdefault(turn.link, turn)
        links = self._steady.links
        for window, verdict in pairs:
            known = links.get(window.link)
            if known is None:
                first = before.get(window.link)
                if first is not None:
                    _set(self._steady.link(window.link), first.previous, first.began_ms)
                else:
                    _set(self._steady.link(window.link), verdict.state, verdict.since_ms)
            elif verdict.state == SILENT != known.label and known.last_ms <= verdict.since_ms:
                # No window says that a link is silent, so the candidate can't find it by itself.
                _set(known, SILENT, verdict.since_ms)

    def _judge(self, pairs: Sequence[tuple[Window, Verdict]], said: Iterable[Said]) -> None:
        """Let each window have its say, and compare the states that links are in with it."""
        span_ms, push, counts = self._spec.span_ms, self._steady.push, self._pairs
        watched_ms = 0
        for place, ((window, verdict), one) in enumerate(zip(pairs, said, strict=True), 1):
            state = self._steady.link(window.link)
            before_ms = state.last_ms
            push(window.link, one, window.source)
            counts[verdict.state, state.label] += 1
            if before_ms >= 0:
                watched_ms += min(max(state.last_ms - before_ms, 0), span_ms)
            if not place % BREATH:
                self._breathe()
        self.windows += len(pairs)
        self.link_seconds += watched_ms / 1000

    def _pair(self, turns: Iterable[Turn], now: float) -> None:
        """Match the changes of state that both sides found."""
        for turn in turns:
            if turn.link in self._steady.links:
                self._pairing.add("live", turn, now)
        for turn in self._steady.take_turns():
            self._pairing.add("shadow", turn, now)
        if now - self._expired >= EXPIRE_SECONDS:
            self._expired = now
            self._pairing.expire(now)

    def _forget(self, pairs: Iterable[tuple[Window, Verdict]], now: float) -> None:
        """Forget links of which nothing comes any more."""
        self._heard.update(window.link for window, _ in pairs)
        if now - self._forgot < FORGET_SECONDS:
            return
        for link in self._steady.links.keys() - self._heard:
            del self._steady.links[link]
        self._forgot, self._heard = now, set()

    def _canary_pairs(self) -> dict[str, CanaryPair]:
        scores = self._canaries.recall.scores() if self._canaries is not None else {}
        mine = {label: tally(score) for label, score in scores.items()}
        return {
            label: CanaryPair(*self._live_canaries.get(label, (0, 0)), *mine.get(label, (0, 0)))
            for label in sorted({*mine, *self._live_canaries})
        }


def tally(score: Score) -> tuple[int, int]:
    """Give how many canaries were found since the start, and how many could be judged."""
    found = score.outcomes.get("found", 0)
    return found, sum(count for outcome, count in score.outcomes.items() if outcome != "void")


def _set(state: LinkState, label: str | None, since_ms: int) -> None:
    """Let a link be in a state that others found."""
    state.label, state.since_ms = label, since_ms
    if label is not None:
        state.settled_ms = since_ms


def _said(
    windows: Sequence[Window],
    nearest: Nearest,
    strangeness: NDArray[np.float32] | None,
    spec: WindowSpec,
) -> Iterable[Said]:
    return sayings(nearest, [window.end_ms for window in windows], spec.span_ms, strangeness)
