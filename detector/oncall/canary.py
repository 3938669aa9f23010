"""Canaries: faults planted in copies of live traffic, so that a blind detector is noticed.

Now and then the newest window of a link that is normal is taken for the moment at which a fault
begins. With each later window of that link comes a copy in which the rows since then are those
that a recorded fault would have left there (`difference`). Copies are embedded with the real
windows and named by the same anchors and the same rule, from the link's own state on, but in a
`Steady` of their own: nothing that they come to is ever said of a real link.

A batch has two steps: `plant` gives the copies that are to be embedded with it, and `judge`,
once the real windows are judged, takes what the copies say.
"""

import copy
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.state import NORMAL, LinkState, Said, Steady
from detector.window import Window, WindowSpec

from .difference import Difference, alike, is_busy, usual_row
from .recall import Outcome, Recall, Result

SPANS = 2  # lengths of a window in which a canary is to be found
TRIES = 16  # links of a batch that are looked at for one to plant a canary in
QUIET_SECONDS = 60.0  # without a window of its link, at least, until a canary is given up


@dataclass(slots=True)
class _Planted:
    """A canary that is neither found nor given up."""

    label: str
    link: str
    planted_ms: int  # end of the window that the fault began after
    fault: NDArray[np.float32]  # (SPANS * steps, features), rows from then on
    heard: float  # when a newer window last came, seconds of the caller's clock
    last_ms: int  # end of the newest window copied
    state: str | None = None  # once its link's state was copied: what the copies came to
    is_over: bool = False  # its time has passed; nothing more is copied
    is_void: bool = False


class Canaries:
    """Plants canaries and keeps account of them.

    A canary is begun every *every_seconds* of the caller's clock, of each label in turn, while
    there are fewer than *most*; so a batch grows by at most *most* windows for each hop.
    """

    def __init__(
        self,
        differences: Iterable[Difference],
        spec: WindowSpec,
        steady: Steady,
        *,
        every_seconds: float = 10.0,
        most: int = 8,
        seed: int = 0,
    ) -> None:
        """Make ready; *steady* is one that nobody else uses, by the same labels and rule."""
        self._differences: dict[str, list[Difference]] = {}
        for one in sorted(differences, key=lambda one: one.label):
            self._differences.setdefault(one.label, []).append(one)
        self.recall = Recall(self._differences)
        self._turn = deque(self._differences)
        self._spec, self._steady = spec, steady
        self._every_seconds, self._most = every_seconds, most
        self._rng = np.random.default_rng(seed)
        self._next = -np.inf  # when the next one is to begin, seconds of the caller's clock
        self._living: dict[str, _Planted] = {}  # by link
        self._copied: list[_Planted] = []  # whose copy each window is that `plant` gave last

    def __len__(self) -> int:
        return len(self._living)

    def relabel(self, labels: tuple[str, ...]) -> None:
        """Go on with other labels; what was found so far of each fault stays."""
        self._steady.relabel(labels)

    def plant(
        self, windows: Sequence[Window], links: Mapping[str, LinkState], now: float
    ) -> list[Window]:
        """Give the copies to judge with a batch, and begin a canary if it is time to.

        *links* are the states before the batch; *now* is seconds of a clock that never goes
        back. The windows given stay as they are.
        """
        copies: list[Window] = []
        self._copied = []
        for planted, window in self._of_living(windows):
            if self._takes(planted, window, now):
                copies.append(self._changed(planted, window))
                self._copied.append(planted)
        quiet = max(QUIET_SECONDS, SPANS * self._spec.span_ms / 1000)
        for planted in self._living.values():
            planted.is_void |= now - planted.heard > quiet
        if self._turn and now >= self._next and len(self._living) < self._most:
            self._begin(windows, links, now)
        return copies

    def judge(self, said: Iterable[Said], links: Mapping[str, LinkState]) -> list[Result]:
        """Take what the copies say, in the order of `plant`, and give what is decided by it.

        *links* are the states after the batch.
        """
        results = [
            self._end(planted, "void")
            for planted in list(self._living.values())
            if planted.is_void or not self._is_well(planted, links)
        ]
        for planted, one in zip(self._copied, said, strict=True):
            if self._living.get(planted.link) is not planted:
                continue
            planted.state = self._steady.push(planted.link, one).label
            if planted.state == planted.label:
                results.append(self._end(planted, "found", one.end_ms))
        self._copied = []
        self._steady.take_turns()  # nobody is told of these
        for planted in [one for one in self._living.values() if one.is_over]:
            is_blind = planted.state in (None, NORMAL)
            results.append(self._end(planted, "missed" if is_blind else "renamed"))
        return results

    def _of_living(self, windows: Sequence[Window]) -> list[tuple[_Planted, Window]]:
        """Give the windows of links with a canary, in the order of their ends."""
        if not self._living:
            return []
        mine = [window for window in windows if window.link in self._living]
        mine.sort(key=lambda window: window.end_ms)
        return [(self._living[window.link], window) for window in mine]

    def _takes(self, planted: _Planted, window: Window, now: float) -> bool:
        """Whether a window is to be copied; if none is any more, say so of the canary."""
        step = window.end_ms - planted.last_ms
        if step <= 0 or planted.is_over or planted.is_void:
            return False
        planted.heard, planted.last_ms = now, window.end_ms
        # With nothing between, the rule itself would begin anew: it isn't the encoder's fault.
        planted.is_void = step > self._spec.span_ms
        planted.is_over = window.end_ms - planted.planted_ms >= SPANS * self._spec.span_ms
        is_within = window.end_ms - planted.planted_ms <= SPANS * self._spec.span_ms
        return is_within and not planted.is_void

    def _changed(self, planted: _Planted, window: Window) -> Window:
        """Copy a window, with the fault in the rows since it was planted."""
        since = round((window.end_ms - planted.planted_ms) / self._spec.step_ms)
        rows = min(since, self._spec.steps)
        values = window.values.copy()
        live = values[len(values) - rows :]
        fault = planted.fault[since - rows : since].copy()
        # What the exporter did not report of a step it would not have reported of a fault.
        is_counted = ~np.isnan(planted.fault).any(axis=0)
        fault[np.isnan(live) & is_counted] = np.nan
        fault[np.isnan(live).all(axis=1)] = np.nan
        live[:] = fault
        return Window(window.link, window.source, window.start_ms, window.end_ms, values)

    def _begin(
        self, windows: Sequence[Window], links: Mapping[str, LinkState], now: float
    ) -> None:
        """Plant a canary in one of the links of a batch, if one will do."""
        newest = _newest(windows)
        names = list(newest)
        for place in self._rng.permutation(len(names))[:TRIES]:
            window = newest[names[place]]
            if self._suits(window, links):
                label = self._turn[0]
                # Also where no difference is alike: the next label may fare better.
                self._turn.rotate(-1)
                fault = self._fault(label, window)
                if fault is not None:
                    self._living[window.link] = _Planted(
                        label, window.link, window.end_ms, fault, now, window.end_ms
                    )
                    self._next = now + self._every_seconds
                return

    def _suits(self, window: Window, links: Mapping[str, LinkState]) -> bool:
        """Whether a link has been normal so long that its newest window shows what is usual."""
        state = links.get(window.link)
        if state is None or state.label != NORMAL or window.link in self._living:
            return False
        since_ms = window.end_ms - state.settled_ms
        is_calm = since_ms >= self._steady.rule.recovery_seconds * 1000
        return is_calm and state.last_ms < window.end_ms and is_busy(window.values, self._spec)

    def _fault(self, label: str, window: Window) -> NDArray[np.float32] | None:
        """Give the rows of a fault as they would be on a window's link; None: nothing is alike."""
        usual = usual_row(window.values)
        fitting = alike(self._differences[label], usual)
        if not fitting:
            return None
        chosen = fitting[int(self._rng.integers(len(fitting)))]
        return chosen.rows(usual, SPANS * self._spec.steps)

    def _is_well(self, planted: _Planted, links: Mapping[str, LinkState]) -> bool:
        """Whether a canary's link is normal still; one that was just planted begins as it is."""
        state = links.get(planted.link)
        if state is None or state.label != NORMAL:
            return False
        if planted.state is None:
            if state.last_ms != planted.planted_ms:
                return False
            self._steady.links[planted.link] = copy.deepcopy(state)
            planted.state = NORMAL
        return True

    def _end(self, planted: _Planted, outcome: Outcome, end_ms: int | None = None) -> Result:
        del self._living[planted.link]
        self._steady.links.pop(planted.link, None)
        delay = None if end_ms is None else (end_ms - planted.planted_ms) / 1000
        result = Result(planted.label, planted.link, planted.planted_ms, outcome, delay)
        self.recall.add(result)
        return result


def _newest(windows: Sequence[Window]) -> dict[str, Window]:
    """Give each link's newest window."""
    newest: dict[str, Window] = {}
    for window in windows:
        known = newest.get(window.link)
        if known is None or known.end_ms < window.end_ms:
            newest[window.link] = window
    return newest
