"""Reference windows: which one of each label becomes its anchor."""

from collections.abc import Mapping

import numpy as np

from detector.bundle import Anchor
from detector.capture import CaptureError
from detector.encoder import Encoder

from .labelled import LabelledWindows

MEDOID_WINDOWS = 600  # of each label, to choose its anchor from


def find_anchors(windows: LabelledWindows, given: Mapping[str, str]) -> dict[str, int]:
    """Find the reference windows that are *given* as LINK@START_MS, by label.

    Raises:
        CaptureError: if there is no such label, or no window of it there.
    """
    unknown = sorted(set(given) - set(windows.labels))
    if unknown:
        raise CaptureError(f"an anchor is given for {unknown[0]!r}, a label without a window")
    return {label: _find(windows, label, where) for label, where in given.items()}


def choose_anchors(
    windows: LabelledWindows, encoder: Encoder, given: Mapping[str, int]
) -> list[int]:
    """Choose one reference window for each label: the one *given*, or the medoid.

    The medoid is the window that is nearest to all others of its label, so neither an odd one
    nor an average that never happened.
    """
    return [
        given[label] if label in given else _medoid(windows, label, encoder)
        for label in sorted(set(windows.labels))
    ]


def _medoid(windows: LabelledWindows, label: str, encoder: Encoder) -> int:
    places = np.flatnonzero(windows.labels == label)
    if len(places) > MEDOID_WINDOWS:
        places = places[np.linspace(0, len(places) - 1, MEDOID_WINDOWS).astype(int)]
    points = encoder.embed(windows.cut(places)).astype(np.float64)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return int(places[distances.sum(axis=1).argmin()])


def _find(windows: LabelledWindows, label: str, given: str) -> int:
    link, _, start = given.rpartition("@")
    for place in np.flatnonzero(windows.labels == label):
        where = windows.place(place)
        if where.link.link == link and str(where.start_ms) == start:
            return int(place)
    raise CaptureError(f"no window of {label!r} is at {given!r}; give LINK@START_MS")


def describe(windows: LabelledWindows, place: int) -> Anchor:
    """Say where a reference window came from."""
    where = windows.place(place)
    label, kind = str(windows.labels[place]), str(windows.kinds[place] or "")
    run = where.link.link
    return Anchor(f"{label}/{run}", label, kind or label, run, where.start_ms)
