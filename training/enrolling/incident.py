"""Incidents: which windows of what somebody points at become anchors.

Windows that the bundle in use takes for normal traffic are left out where there are others: a
fault that comes and goes has quiet seconds, and an anchor of one calls every quiet link faulty
(docs/experiments.md). The rest is taken evenly over the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import filter as matching

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.sight import Sight
from detector.state import NORMAL
from detector.window import WindowSpec
from training.failing import offered
from training.when import as_text

from .errors import EnrollingError
from .traffic import Piece

ODD = 1.0  # in the usual distances of known windows: farther away is no usual traffic


@dataclass(frozen=True, slots=True)
class Incident:
    """What somebody points at: the windows of one link that lie in a stretch of time."""

    link: str
    from_ms: int  # as far as it was captured, as `to_ms`
    to_ms: int
    starts_ms: tuple[int, ...]  # of each window
    values: NDArray[np.float32]  # (windows, steps, features)

    def take(self, places: Sequence[int]) -> "Incident":
        """Give some of its windows."""
        starts = tuple(self.starts_ms[place] for place in places)
        return Incident(self.link, self.from_ms, self.to_ms, starts, self.values[[*places]])

    def is_part_of(self, link: str, from_ms: int, until_ms: int) -> bool:
        """Whether it lies, wholly or in part, in a stretch of a link's time."""
        return link == self.link and from_ms <= self.to_ms and until_ms > self.from_ms

    def widened(self, stretches: Sequence[tuple[int, int]]) -> "Incident":
        """Give it with the stretches that it is part of, if somebody pointed at its middle."""
        begins, ends = zip((self.from_ms, self.to_ms), *stretches, strict=True)
        return replace(self, from_ms=min(begins), to_ms=max(ends))

    def holds(self, link: str, ends_ms: NDArray[np.int64], span_ms: int) -> NDArray[np.bool_]:
        """Tell which windows of a link, by their ends, share a row with it: (windows,)."""
        if link != self.link:
            return np.zeros(len(ends_ms), bool)
        return (ends_ms > self.from_ms) & (ends_ms < self.to_ms + span_ms)


def cut(
    pieces: Sequence[Piece], spec: WindowSpec, link: str, from_ms: int, to_ms: int
) -> Incident:
    """Cut all windows of a link that lie wholly in a stretch of time, one at every step.

    Raises:
        EnrollingError: if there is no such link, or no whole window.
    """
    mine = [piece for piece in pieces if piece.link == link]
    if not mine:
        raise EnrollingError(absent(link, sorted({piece.link for piece in pieces})))
    starts_ms: list[int] = []
    windows = []
    for piece in mine:
        rows, begins = _inside(piece.rows, spec, from_ms, to_ms)
        starts_ms += begins
        windows.append(piece.rows.windows(spec.steps)[rows])
    if not starts_ms:
        raise EnrollingError(_why_none(mine, spec, from_ms, to_ms))
    order = np.argsort(starts_ms, kind="stable")
    values = np.concatenate(windows)[order]
    starts = tuple(starts_ms[place] for place in order)
    return Incident(link, starts[0], starts[-1] + spec.span_ms, starts, values)


def absent(link: str, known: Sequence[str]) -> str:
    """Say that nothing was captured of a link, and of which others something was."""
    why = f"nothing was captured of the link {link!r}"
    if any(letter in link for letter in "*?["):
        why += ", and an incident is of one link, not of a pattern"
        known = matching(known, link) or known
    return f"{why}; there is {offered(link, known)}"


def choose(incident: Incident, sight: Sight, spec: WindowSpec, count: int) -> Incident:
    """Take *count* windows at most, evenly over those that don't look like normal traffic.

    The incident's windows have the features of *spec*; of these the sight's bundle takes its own.
    """
    values = fitted(incident.values, spec, sight.bundle.manifest.window)
    places = np.flatnonzero(is_odd(sight, values))
    if not len(places):  # it all looks normal: the window that does so the least
        places = np.array([_farthest(sight, values)])
    ranks = np.linspace(0, len(places) - 1, count) if count > 1 else [(len(places) - 1) / 2]
    return incident.take(places[np.unique(np.rint(ranks).astype(int))].tolist())


def is_odd(sight: Sight, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which windows are not what normal traffic usually is: (windows,)."""
    points = sight.encoder.embed(values)
    nearest = sight.look(points).nearest
    normal = sight.labels.index(NORMAL) if NORMAL in sight.labels else -1
    odd: NDArray[np.bool_] = nearest.label != normal
    if sight.bundle.known is not None:
        odd = odd | (sight.bundle.known.scores(points) > ODD)
    return odd


def fitted(
    values: NDArray[np.float32], spec: WindowSpec, wanted: WindowSpec
) -> NDArray[np.float32]:
    """Give windows of one spec as another reads them; a feature that wasn't recorded is NaN."""
    made = np.full((len(values), *wanted.shape), np.nan, np.float32)
    for place, name in enumerate(wanted.features):
        if name in spec.features:
            made[:, :, place] = values[:, -wanted.steps :, spec.features.index(name)]
    return made


def _inside(
    capture: LinkCapture, spec: WindowSpec, from_ms: int, to_ms: int
) -> tuple[NDArray[np.intp], list[int]]:
    rows = np.flatnonzero(capture.usable(spec))
    starts = capture.start_ms + rows * capture.step_ms
    is_in = (starts >= from_ms) & (starts + spec.span_ms <= to_ms)
    return rows[is_in], starts[is_in].tolist()


def _farthest(sight: Sight, values: NDArray[np.float32]) -> int:
    points = sight.encoder.embed(values)
    if sight.bundle.known is not None:
        return int(sight.bundle.known.distances(points).argmax())
    return len(values) // 2


def _why_none(pieces: Sequence[Piece], spec: WindowSpec, from_ms: int, to_ms: int) -> str:
    captures = [piece.rows for piece in pieces]
    ends = [(one.start_ms, one.start_ms + len(one.values) * one.step_ms) for one in captures]
    seconds = max(0, *(min(end, to_ms) - max(begin, from_ms) for begin, end in ends)) / 1000
    first, last = min(begin for begin, _ in ends), max(end for _, end in ends)
    return (
        f"link {pieces[0].link!r}: no whole window of {spec.span_ms / 1000:g} s was captured from "
        f"{as_text(from_ms)} to {as_text(to_ms)}, the longest stretch of rows has {seconds:g} s; "
        f"there is traffic of it between {as_text(first)} and {as_text(last)}"
    )
