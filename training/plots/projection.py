"""Projections: embeddings of any size onto the two or three dimensions of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .style import FAINT, GRID

CUBE, BALL, OPEN = "cube", "ball", "open"  # where embeddings can lie
PAD = 0.05  # around what lies farthest out, share of the span


@dataclass(frozen=True, slots=True)
class Projection:
    """Turns embeddings into places in a picture, the same way for every moment of it."""

    centre: NDArray[np.float64]  # (size,)
    basis: NDArray[np.float64]  # (size, dimensions), columns of length 1
    names: Sequence[str]  # of the picture's axes
    room: str  # one of CUBE, BALL, OPEN
    bounds: NDArray[np.float64]  # (2, dimensions), lowest and highest place to show

    @classmethod
    def fit(
        cls,
        points: NDArray[np.float32],
        also: Sequence[NDArray[np.float32]] = (),
        *,
        turning: bool = False,
    ) -> "Projection":
        """Choose the directions in which *points* (points, size) differ most.

        Embeddings of two or three numbers are shown as they are. The picture has room for
        them and for all that is in *also* (..., size). With *turning* larger embeddings get three
        dimensions, not two.
        """
        size = points.shape[1]
        everywhere = np.concatenate([points, *(more.reshape(-1, size) for more in also)])
        room = _room(everywhere)
        if size in (2, 3):
            plain = np.eye(size)
            names = [f"embedding {place + 1}" for place in range(size)]
            made = cls(np.zeros(size), plain, names, room, np.zeros((2, size)))
        else:
            made = cls._principal(points.astype(np.float64), 3 if turning and size > 3 else 2)
            room = OPEN
        return cls(made.centre, made.basis, made.names, room, _bounds(made(everywhere), room))

    @classmethod
    def _principal(cls, points: NDArray[np.float64], dimensions: int) -> "Projection":
        centre = points.mean(axis=0)
        _, spread, directions = np.linalg.svd(points - centre, full_matrices=False)
        basis = np.zeros((points.shape[1], dimensions))
        count = min(dimensions, len(directions))
        basis[:, :count] = directions[:count].T
        # A direction and its opposite are as good: the same one for the same points.
        largest = basis[np.abs(basis).argmax(axis=0), np.arange(dimensions)]
        basis *= np.where(largest < 0, -1, 1)
        shares = np.zeros(dimensions)
        total = np.square(spread).sum()
        if total > 0:
            shares[:count] = np.square(spread[:count]) / total
        names = [
            f"direction {place + 1}: {100 * share:.0f} % of the variance"
            for place, share in enumerate(shares)
        ]
        return cls(centre, basis, names, OPEN, np.zeros((2, dimensions)))

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.basis.shape[1])

    def __call__(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Project (points, size) to (points, dimensions)."""
        places: NDArray[np.float64] = (points.astype(np.float64) - self.centre) @ self.basis
        return places

    def draw_room(self, axes: Any) -> None:
        """Draw what the embeddings lie in, and name the axes."""
        low, high = self.bounds
        if self.dimensions == 2:
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            axes.set_xlabel(self.names[0])
            axes.set_ylabel(self.names[1])
            axes.grid(color=GRID, lw=0.6, zorder=0)
            axes.set_axisbelow(True)
            for outline in _outline_2d(self.room):
                axes.plot(*outline, color=FAINT, lw=1, zorder=1, gid=self.room)
            return
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
        for line in _ball() if self.room == BALL else _edges(low, high):
            axes.plot(*line, color="#b9bfc7", lw=0.9, zorder=1, gid=self.room)
        self._draw_axes(axes, low, high)

    def _draw_axes(self, axes: Any, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """Draw the axes from the lowest corner on, with name and bounds at the far end of each."""
        for axis, name in enumerate(self.names):
            is_axis = np.arange(3) == axis
            end = np.where(is_axis, high, low)
            axes.plot(*np.stack([low, end], axis=1), color=FAINT, lw=1.8, zorder=2, gid="axis")
            beyond = end + np.where(is_axis, 0.11, -0.02) * (high - low)
            bounds = "" if self.room == OPEN else f"\n{low[axis]:g} to {high[axis]:g}"
            text = name.replace(" of the", "\nof the") + bounds
            axes.text(*beyond, text, color=FAINT, size=8.5, ha="center", va="center", zorder=2)


def _room(points: NDArray[np.float32]) -> str:
    if points.min() >= 0 and points.max() <= 1:
        return CUBE
    lengths = np.linalg.norm(points.astype(np.float64), axis=-1)
    return BALL if np.allclose(lengths, 1, atol=1e-3) else OPEN


def _bounds(places: NDArray[np.float64], room: str) -> NDArray[np.float64]:
    dimensions = places.shape[1]
    if room == CUBE:
        low, high = np.zeros(dimensions), np.ones(dimensions)
    elif room == BALL:
        low, high = -np.ones(dimensions), np.ones(dimensions)
    else:
        low, high = places.min(axis=0), places.max(axis=0)
        # All directions to one scale, or distances in the picture would mislead.
        half = max((high - low).max() / 2, 1e-6) * (1 + 2 * PAD)
        return np.stack([(low + high) / 2 - half, (low + high) / 2 + half])
    pad = PAD if dimensions == 2 else 0.0
    return np.stack([low - pad * (high - low), high + pad * (high - low)])


def _outline_2d(room: str) -> list[tuple[Sequence[float] | NDArray[np.float64], ...]]:
    if room == CUBE:
        return [((0, 1, 1, 0, 0), (0, 0, 1, 1, 0))]
    angle = np.linspace(0, 2 * np.pi, 181)
    return [(np.cos(angle), np.sin(angle))] if room == BALL else []


def _edges(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """List the twelve edges of a box, each (3, 2)."""
    edges = []
    for axis in range(3):
        for corner in range(4):
            start = low.copy()
            others = [other for other in range(3) if other != axis]
            for bit, other in enumerate(others):
                start[other] = (low, high)[corner >> bit & 1][other]
            end = start.copy()
            end[axis] = high[axis]
            edges.append(np.stack([start, end], axis=1))
    return edges


def _ball() -> list[NDArray[np.float64]]:
    """List three great circles of the unit ball, each (3, places)."""
    angle = np.linspace(0, 2 * np.pi, 121)
    flat, up, nothing = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    circles = ((flat, up, nothing), (flat, nothing, up), (nothing, flat, up))
    return [np.stack(circle) for circle in circles]
