"""Augmentation: traffic that was not recorded but could have been.

Of whole links, before windows are cut:

* Superposition: most captures have the calls of one side only. The far side of a link saw the
  same condition at the same instant; its counters with the directions swapped are what the near
  side would have seen had the far side been the caller. Added to the near side's own they make
  two-way traffic out of one-way traffic, under the same label.

Of windows, as they are drawn, each of a share of them:

* Load scaling: all counters times one factor, so that what one says of another stays true, is
  what a busier or quieter link would have shown. Means and maxima stay.
* Thinning: each counted event is kept by chance, as on a link with fewer users. Where scaling
  leaves fractions, this leaves the whole events and the silence of a quiet link.
* Time shift: every step reaches a little into the one before it, as if the exporter's clock
  began its steps elsewhere. Whole steps need no shift: a window is cut at every one.
* Averaging: several steps in a row show their mean, as exporters do that measure less often
  than they report.
* Missing rows: steps that no exporter reported.
* Mirroring: which end of a link is called forward is chance on most networks.

And of inputs: `hidden`, since an encoder that leans on one of them is lost where an exporter
doesn't have it. A counter can't be taken out before that: ratios would read it as zero.

The change inside a window, labelled by its last rows, is `labelled`'s, not made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.window import DIRECTIONS, is_count

SIGN = "+"  # joins the places in the name of a superposed link
THINNEST = 1 / 30  # share of the events that the strongest thinning keeps
LONGEST = 5  # steps that an averaging exporter spreads one measurement over, at most
SPARSEST = 0.4  # share of the rows that are missing, at most

Windows = NDArray[np.float32]  # (windows, steps, features)


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to windows; all but *load_span* are shares of the windows, 0 to 1."""

    features: tuple[str, ...]
    load_span: float = 1.0  # counters of half of the windows times or by up to this; 1 = none
    thin: float = 0.0
    shift: float = 0.0
    average: float = 0.0
    missing: float = 0.0
    mirror: float = 0.0

    def __call__(self, windows: Windows, rng: np.random.Generator) -> Windows:
        """Augment a batch; the one given stays as it is."""
        counts = np.array([is_count(name) for name in self.features])
        if self.load_span > 1:
            windows = load_scaled(windows, counts, self.load_span, rng)
        if self.mirror and (swap := swapped(self.features)):
            windows = _some(windows, windows[..., swap], self.mirror, rng)
        for share, change in (
            (self.thin, _thinned),
            (self.shift, _shifted),
            (self.average, _averaged),
        ):
            if share:
                changed = np.where(counts, change(windows, rng), windows)
                windows = _some(windows, changed, share, rng)
        if self.missing:
            windows = _some(windows, _gappy(windows, rng), self.missing, rng)
        return windows


def superposed(
    links: Sequence[LinkCapture], everywhere: Sequence[LinkCapture], features: Sequence[str]
) -> list[LinkCapture]:
    """Give each of *links* with each other place of its run laid over it, directions swapped.

    *everywhere* holds all places of the runs. Places of other start or length are left out,
    and so is everything when the features don't name two directions.
    """
    swap = swapped(features)
    if swap is None:
        return []
    beside: dict[str, list[LinkCapture]] = {}
    for link in everywhere:
        beside.setdefault(link.run, []).append(link)
    made = []
    for link in links:
        for other in beside.get(link.run, ()):
            same_grid = (other.start_ms, other.values.shape) == (link.start_ms, link.values.shape)
            if other.link != link.link and same_grid:
                values = _laid_over(link.values, other.values[:, swap], features)
                name = f"{link.link}{SIGN}{other.link.rpartition('/')[2]}"
                made.append(replace(link, link=name, values=values))
    return made


def load_scaled(
    windows: Windows, counts: NDArray[np.bool_], span: float, rng: np.random.Generator
) -> Windows:
    """Scale the counters of half of the windows by a factor from 1/*span* to *span*.

    Takes windows (batch, steps, features) and which features are *counts* (features,).
    """
    factor = span ** rng.uniform(-1, 1, len(windows)).astype(np.float32)
    factor[rng.random(len(windows)) < 0.5] = 1
    return np.where(counts, windows * factor[:, None, None], windows)


def hidden(inputs: Windows, share: float, rng: np.random.Generator) -> Windows:
    """Set a *share* of the inputs of each window to 0, their mean, in all its steps."""
    shown: NDArray[np.bool_] = rng.random((len(inputs), 1, inputs.shape[2]), np.float32) >= share
    return np.multiply(inputs, shown)


def swapped(features: Sequence[str]) -> list[int] | None:
    """Where each feature's counterpart of the other direction is; None if there are none."""
    other = pairs(features)
    if not other:
        return None
    both = other | {there: here for here, there in other.items()}
    places = {name: place for place, name in enumerate(features)}
    return [places[both.get(name, name)] for name in features]


def pairs(features: Sequence[str]) -> dict[str, str]:
    """Give each feature of the first direction with its counterpart of the second.

    >>> pairs(("fwd_packets", "rev_packets", "fwd_bytes"))
    {'fwd_packets': 'rev_packets'}
    """
    return {
        name: there + name.removeprefix(here)
        for here, there in DIRECTIONS
        for name in features
        if name.startswith(here) and there + name.removeprefix(here) in features
    }


def _some(windows: Windows, changed: Windows, share: float, rng: np.random.Generator) -> Windows:
    """Take the changed form of about a *share* of the windows."""
    return np.where(rng.random((len(windows), 1, 1)) < share, changed, windows)


def _thinned(windows: Windows, rng: np.random.Generator) -> Windows:
    keep = THINNEST ** rng.random((len(windows), 1, 1))
    whole = np.rint(np.nan_to_num(np.clip(windows, 0, 2**62))).astype(np.int64)
    return np.where(np.isnan(windows), windows, rng.binomial(whole, keep)).astype(np.float32)


def _shifted(windows: Windows, rng: np.random.Generator) -> Windows:
    part = rng.random((len(windows), 1, 1), np.float32)
    before = np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    shifted: Windows = (1 - part) * windows + part * before
    return shifted


def _averaged(windows: Windows, rng: np.random.Generator) -> Windows:
    """Give each window's steps in blocks, each with the mean of what was observed in it."""
    steps = np.arange(windows.shape[1])
    long = rng.integers(2, LONGEST + 1, len(windows))[:, None]
    block = (steps + rng.integers(0, long)) // long  # (windows, steps)
    same = (block[:, :, None] == block[:, None, :]).astype(np.float32)
    seen = ~np.isnan(windows)
    count = same @ seen.astype(np.float32)
    total = same @ np.where(seen, windows, 0)
    return np.where(seen, total / np.maximum(count, 1), windows).astype(np.float32)


def _gappy(windows: Windows, rng: np.random.Generator) -> Windows:
    missing = rng.random(windows.shape[:2]) < SPARSEST * rng.random((len(windows), 1))
    missing[:, -1] = False  # the newest row is what the window was sent for
    return np.where(missing[..., None], np.float32(np.nan), windows)


def _laid_over(
    one: NDArray[np.float32], two: NDArray[np.float32], features: Sequence[str]
) -> NDArray[np.float32]:
    """Counters add up; of means and maxima the larger one stands, as the slower side shows."""
    counts = np.array([is_count(name) for name in features])
    return np.where(counts, one + two, np.fmax(one, two)).astype(np.float32)
