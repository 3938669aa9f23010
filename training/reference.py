"""Reference windows: which one of each label, or of each of its kinds, becomes an anchor."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from detector.bundle import Anchor
from detector.capture import CaptureError
from detector.encoder import Encoder

from .batches import classes_of
from .labelled import LabelledWindows
from .traffic import plain

MEDOID_WINDOWS = 600  # of each class, to choose its anchor from


def find_anchors(
    windows: LabelledWindows, given: Mapping[str, str], *, kinds: bool
) -> dict[str, int]:
    """Find the reference windows that are *given* as LINK@START_MS, by class.

    A class is a label, or LABEL/KIND where *kinds* are told apart.

    Raises:
        CaptureError: if there is no such class, or no window of it there.
    """
    classes = classes_of(windows, kinds=kinds)
    unknown = sorted(set(given) - set(classes))
    if unknown:
        raise CaptureError(f"an anchor is given for {unknown[0]!r}, a label without a window")
    return {name: _find(windows, classes, name, where) for name, where in given.items()}


def choose_anchors(
    windows: LabelledWindows, encoder: Encoder, given: Mapping[str, int], *, kinds: bool
) -> list[int]:
    """Choose one reference window for each class: the one *given*, or the medoid.

    The medoid is the window that is nearest to all others of its class, so neither an odd one
    nor an average that never happened. Each run has as much of a say, however long it is.
    """
    classes = classes_of(windows, kinds=kinds)
    return [
        given[name] if name in given else _medoid(windows, classes == name, encoder)
        for name in sorted(set(classes))
    ]


def _medoid(windows: LabelledWindows, wanted: NDArray[np.bool_], encoder: Encoder) -> int:
    places = _evenly(np.flatnonzero(wanted), windows.runs[wanted].astype(str))
    points = encoder.embed(windows.cut(places)).astype(np.float64)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    _, run, windows_of = np.unique(
        windows.runs[places].astype(str), return_inverse=True, return_counts=True
    )
    return int(places[(distances @ (1 / windows_of[run])).argmin()])


def _evenly(places: NDArray[np.intp], runs: NDArray[np.str_]) -> NDArray[np.intp]:
    """Take at most `MEDOID_WINDOWS` of *places*, as many from each run and spread over it."""
    if len(places) <= MEDOID_WINDOWS:
        return places
    names = np.unique(runs)
    each = -(-MEDOID_WINDOWS // len(names))
    mine = [places[runs == name] for name in names]
    taken = [
        some[np.linspace(0, len(some) - 1, min(each, len(some))).astype(int)] for some in mine
    ]
    return np.concatenate(taken)


def _find(windows: LabelledWindows, classes: NDArray[np.str_], label: str, given: str) -> int:
    link, _, start = given.rpartition("@")
    for place in np.flatnonzero(classes == label):
        where = windows.place(place)
        if where.link.link == link and str(where.start_ms) == start:
            return int(place)
    raise CaptureError(f"no window of {label!r} is at {given!r}; give LINK@START_MS")


def describe(windows: LabelledWindows, place: int, *, kinds: bool = False) -> Anchor:
    """Say where a reference window came from; its name tells the class and the link."""
    where = windows.place(place)
    label, kind = str(windows.labels[place]), str(windows.kinds[place] or "")
    link = plain(where.link.link)
    name = str(classes_of(windows, kinds=kinds, which=np.array([place]))[0])
    return Anchor(f"{name}/{link}", label, kind or label, link, where.start_ms)


def draw_anchors(windows: LabelledWindows, rng: np.random.Generator, *, kinds: bool) -> list[int]:
    """Draw any one window of each class, as someone does who has one example."""
    classes = classes_of(windows, kinds=kinds)
    return [int(rng.choice(np.flatnonzero(classes == name))) for name in sorted(set(classes))]
