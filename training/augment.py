"""Augmentation: traffic that was not recorded but could have been.

Load scaling: the same traffic with all counters times one factor is what a busier or quieter link
would have shown. Means and maxima stay. It teaches the encoder what thin evidence looks like.

Superposition: most captures have the calls of one side only. The far side of a link saw the same
condition at the same instant; its counters with the directions swapped are what the near side
would have seen had the far side been the caller. Added to the near side's own they make two-way
traffic out of one-way traffic, under the same label.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.capture import DIRECTIONS, LinkCapture, is_count

SIGN = "+"  # joins the places in the name of a superposed link


def superposed(
    links: Sequence[LinkCapture], everywhere: Sequence[LinkCapture], features: Sequence[str]
) -> list[LinkCapture]:
    """Give each of *links* with each other place of its run laid over it, directions swapped.

    *everywhere* holds all places of the runs. Places of other start or length are left out,
    and so is everything when the features don't name two directions.
    """
    swap = _swapped(features)
    if swap is None:
        return []
    made = []
    for link in links:
        for other in everywhere:
            is_beside = other.run == link.run and other.link != link.link
            same_grid = (other.start_ms, other.values.shape) == (link.start_ms, link.values.shape)
            if is_beside and same_grid:
                values = _laid_over(link.values, other.values[:, swap], features)
                name = f"{link.link}{SIGN}{other.link.rpartition('/')[2]}"
                made.append(replace(link, link=name, values=values))
    return made


def load_scaled(
    windows: NDArray[np.float32],
    counts: NDArray[np.bool_],
    span: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Scale the counters of half of the windows by a factor from 1/*span* to *span*.

    Takes windows (batch, steps, features) and which features are *counts* (features,).
    """
    factor = span ** rng.uniform(-1, 1, len(windows)).astype(np.float32)
    factor[rng.random(len(windows)) < 0.5] = 1
    return np.where(counts, windows * factor[:, None, None], windows)


def _swapped(features: Sequence[str]) -> list[int] | None:
    """Where each feature's counterpart of the other direction is."""
    other = {}
    for here, there in DIRECTIONS:
        for name in features:
            for ours, theirs in ((here, there), (there, here)):
                if name.startswith(ours) and theirs + name.removeprefix(ours) in features:
                    other[name] = theirs + name.removeprefix(ours)
    if not other:
        return None
    places = {name: place for place, name in enumerate(features)}
    return [places[other.get(name, name)] for name in features]


def _laid_over(
    one: NDArray[np.float32], two: NDArray[np.float32], features: Sequence[str]
) -> NDArray[np.float32]:
    """Counters add up; of means and maxima the larger one stands, as the slower side shows."""
    counts = np.array([is_count(name) for name in features])
    return np.where(counts, one + two, np.fmax(one, two)).astype(np.float32)
