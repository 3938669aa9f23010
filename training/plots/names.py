"""Names beside points, kept apart so that all can be read."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import proj3d  # type: ignore[import-untyped]  # no stubs
from numpy.typing import NDArray

from .style import INK

ASIDE = 14.0  # from the point to its name, in points of 1/72 inch
HEIGHT = 15.0  # of a line, in the same
WIDTH = 6.6  # of a letter
ROUNDS = 60


def write(axes: Any, places: NDArray[np.float64], names: Sequence[str]) -> None:
    """Write *names* beside *places* (places, 2 or 3); those that have to give way get a line."""
    flat = _flat(axes, places)
    pixels = axes.transData.transform(flat) * 72 / axes.figure.dpi
    box = axes.get_window_extent()
    middle = (box.x0 + box.x1) / 2 * 72 / axes.figure.dpi
    widths = np.array([WIDTH * len(name) for name in names])
    is_left = pixels[:, 0] > middle  # names of the right half are written inwards
    wanted = pixels[:, 0] + np.where(is_left, -ASIDE - widths / 2, ASIDE + widths / 2)
    heights = _apart(wanted, pixels[:, 1], widths)
    for place, name, left, height, pixel in zip(
        flat, names, is_left, heights, pixels, strict=True
    ):
        up = height - pixel[1]
        axes.annotate(
            name,
            place,
            (-ASIDE if left else ASIDE, up),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            weight="bold",
            zorder=7,
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.7} if abs(up) > 3 else None,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def _flat(axes: Any, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give places on the picture's plane, in the axes' own coordinates: (places, 2)."""
    if places.shape[1] == 2:
        return places
    x, y, _ = proj3d.proj_transform(*places.T, axes.get_proj())
    return np.stack([x, y], axis=1)


def _apart(
    across: NDArray[np.float64], heights: NDArray[np.float64], widths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Push texts that would overlap up and down until they don't: (texts,) heights."""
    heights = heights.copy()
    order = np.argsort(heights, kind="stable")  # which it keeps, so that no name jumps
    beside = np.abs(across[:, None] - across) >= (widths[:, None] + widths) / 2
    for _ in range(ROUNDS):
        moved = False
        for low, high in itertools.combinations(order, 2):
            short = HEIGHT - (heights[high] - heights[low])
            if short > 0.1 and not beside[low, high]:
                heights[low] -= short / 2
                heights[high] += short / 2
                moved = True
        if not moved:
            break
    return heights
