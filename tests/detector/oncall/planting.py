"""Changes planted into real normal windows, so that it is known what made them faults.

The windows are of links that the encoder has not learnt from. What a fault left behind (queues
that empty, requests that are sent again) lasts up to half a minute: windows from then on are
taken, or what was planted would not be all that is wrong with them.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.encoder import Encoder
from detector.oncall.explainer import Score, likeness
from detector.window import WindowSpec, is_count

AFTER = 30  # rows after a fault until nothing is left of it
BEFORE = 60  # normal rows before a window that tell what is usual
FEWEST_BEFORE = 30
SHORTEST = 4  # steps of a planted change
CLEAR = 8  # events that a planted change is at least about

Change = tuple[str, str, float]  # feature; "begin" or "times"; share of the packets, or factor


def one_of(kind: str, by: float, *features: str) -> list[list[Change]]:
    """Make sorts of one change each."""
    return [[(feature, kind, by)] for feature in features]


# Each sort is a list of alternatives, each alternative what is planted together.
SORTS: Mapping[str, Sequence[Sequence[Change]]] = {
    "retransmissions begin": one_of(
        "begin",
        0.3,
        *("fwd_sip_retransmissions", "rev_sip_retransmissions"),
        *("fwd_tcp_retransmissions", "rev_tcp_retransmissions"),
    ),
    "errors begin": one_of(
        "begin", 0.4, "fwd_icmp_errors", "rev_icmp_errors", "fwd_tcp_rst", "rev_tcp_rst"
    ),
    "requests begin from the other side": one_of(
        "begin", 0.4, "rev_invite", "rev_bye", "rev_register", "rev_options", "rev_cancel"
    ),
    "answers and packets back fall": [
        [("rev_2xx", "times", by), ("rev_packets", "times", by)] for by in (0.0, 0.1)
    ],
    "answers stop, retransmissions begin": [
        [("rev_2xx", "times", 0.0), ("fwd_sip_retransmissions", "begin", by)] for by in (0.1, 0.3)
    ],
    "packets back stop, retransmissions begin": [
        [("rev_packets", "times", 0.0), (feature, "begin", 0.1)]
        for feature in ("fwd_sip_retransmissions", "fwd_tcp_retransmissions")
    ],
    "connections back stop, retransmissions begin": [
        [("rev_tcp_syn", "times", 0.0), ("fwd_tcp_retransmissions", "begin", 0.1)]
    ],
    "requests multiply, retransmissions begin": [
        [(feature, "times", 6.0), ("fwd_sip_retransmissions", "begin", 0.1)]
        for feature in ("fwd_invite", "fwd_register")
    ],
    "retransmissions begin both ways": [
        [(f"fwd_{name}", "begin", 0.1), (f"rev_{name}", "begin", 0.05)]
        for name in ("sip_retransmissions", "tcp_retransmissions")
    ],
    "answers take longer, retransmissions begin": [
        [("fwd_response_ms", "times", 3000.0), ("fwd_sip_retransmissions", "begin", 0.1)]
    ],
    "errors and retransmissions begin": [
        [("rev_icmp_errors", "begin", 0.1), ("fwd_sip_retransmissions", "begin", 0.1)]
    ],
}


@dataclass(frozen=True, slots=True)
class Quiet:
    """Normal windows, named normal, and what is usual on their links."""

    windows: NDArray[np.float32]  # (windows, steps, features)
    usual: NDArray[np.float32]  # (windows, features)


@dataclass(frozen=True, slots=True)
class Planted:
    """One window that is named a fault for what was planted in it."""

    values: NDArray[np.float32]  # (steps, features)
    usual: NDArray[np.float32]  # (features,)
    stretches: dict[str, tuple[int, int]]  # of each planted feature: first step, step after last
    score: Score


def quiet(
    links, spec: WindowSpec, encoder: Encoder, anchors: AnchorSet, *, as_seen: bool = False
) -> Quiet:
    """Find the normal windows of *links* of which enough normal rows lie before.

    What is usual is the mean of those rows. With *as_seen* they are what a daemon would take,
    who doesn't know the truth: the last rows of windows that were named normal, among them what
    faults left behind; and to mind those less, the square of the mean of square roots.
    """
    normal = anchors.labels.index("normal")
    windows, usual = [], []
    for link in links:
        is_normal = link.labels == "normal"
        fault = np.where(is_normal, -np.inf, np.arange(len(is_normal)))
        settled = np.arange(len(is_normal)) - np.maximum.accumulate(fault) > AFTER
        named = anchors.classify(encoder.embed(link.windows(spec.steps))).label == normal
        rows = np.flatnonzero(named) + spec.steps - 1 if as_seen else np.flatnonzero(settled)
        for start in np.flatnonzero(named):
            before = rows[rows < start][-BEFORE:]
            if settled[start : start + spec.steps].all() and len(before) >= FEWEST_BEFORE:
                windows.append(link.values[start : start + spec.steps])
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a feature that was never observed
                    power = 0.5 if as_seen else 1.0
                    mean = np.nanmean(np.power(link.values[before], power), axis=0)
                    usual.append(np.power(mean, 1 / power))
    return Quiet(np.stack(windows), np.stack(usual).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Planter:
    """Plants changes in the last steps of quiet windows."""

    spec: WindowSpec
    encoder: Encoder
    anchors: AnchorSet
    found: Quiet

    def plant(self, sort: str, seed: int, tries: int) -> Iterator[Planted]:
        """Plant one sort again and again, and give the windows that became faults.

        Windows in which the change would be none, as of answers where there are none, are
        passed over.
        """
        rng = np.random.default_rng(seed)
        alternatives = SORTS[sort]
        for _ in range(tries):
            which = int(rng.integers(len(self.found.windows)))
            changes = alternatives[int(rng.integers(len(alternatives)))]
            last = int(rng.integers(SHORTEST, self.spec.steps + 1))
            values = self.changed(self.found.windows[which], changes, last, rng)
            stretches = self._stretches(self.found.windows[which], values, changes, last)
            nearest = self.anchors.classify(self.encoder.embed(values[None]))
            label = self.anchors.labels[nearest.label[0]]
            if stretches and label != "normal":
                score = likeness(self.anchors, label)
                yield Planted(values, self.found.usual[which], stretches, score)

    def changed(
        self,
        window: NDArray[np.float32],
        changes: Sequence[Change],
        last: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Change the *last* steps of a copy of *window*."""
        values = window.copy()
        packets = [self.spec.features.index(name) for name in ("fwd_packets", "rev_packets")]
        busy = np.nanmean(window[:, packets])
        for feature, kind, by in changes:
            column = values[-last:, self.spec.features.index(feature)]
            if kind == "begin":
                column += rng.poisson(busy * by, last)
            elif not is_count(feature):
                column *= by
            elif by < 1:
                column[:] = rng.binomial(column.astype(int), by)
            else:
                column[:] = rng.poisson(column * by)
        return values

    def _stretches(
        self,
        window: NDArray[np.float32],
        values: NDArray[np.float32],
        changes: Sequence[Change],
        last: int,
    ) -> dict[str, tuple[int, int]]:
        """Tell where each feature really differs; nothing unless all of them clearly do."""
        stretches = {}
        for feature, _, _ in changes:
            place = self.spec.features.index(feature)
            was, now = np.nansum(window[-last:, place]), np.nansum(values[-last:, place])
            if max(was, now) < 2 * min(was, now) or abs(now - was) < CLEAR:
                return {}
            differs = np.flatnonzero(window[:, place] != values[:, place])
            stretches[feature] = (int(differs[0]), int(differs[-1]) + 1)
        return stretches
