"""Where windows lie in the embedding, and where the anchors are among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from training.trace import Trace

from . import names
from .projection import Projection
from .style import INK, UNLABELLED, Look, in_order, in_style, looks, shown

TILT = 20.0  # of the view on three dimensions, degrees
TURN = 35.0  # where it starts to turn, degrees
PANELS = 3  # small multiples of a training


@dataclass(frozen=True, slots=True)
class Cloud:
    """Windows and anchors as they lie at one moment."""

    points: NDArray[np.float32]  # (points, size)
    labels: Sequence[str]  # (points,); "" = none is known
    anchors: NDArray[np.float32]  # (anchors, size)
    anchor_labels: Sequence[str]  # (anchors,)

    @property
    def looks(self) -> dict[str, Look]:
        """How each of its labels is drawn."""
        return looks({*map(str, self.labels), *map(str, self.anchor_labels)})


def cloud_at(trace: Trace, moment: float) -> Cloud:
    """Give a training's cloud at a moment, which may lie between two epochs.

    It leaves an epoch and comes to the next slowly, so that each one is seen.
    """
    before = int(moment)
    after = min(before + 1, trace.epochs - 1)
    gone = moment - before
    share = np.float32(gone * gone * (3 - 2 * gone))

    def between(places: NDArray[np.float32]) -> NDArray[np.float32]:
        way: NDArray[np.float32] = places[before] + share * (places[after] - places[before])
        return way

    return Cloud(
        between(trace.points),
        list(map(str, trace.labels)),
        between(trace.anchors),
        list(map(str, trace.anchor_labels)),
    )


def embedding_figure(
    cloud: Cloud, projection: Projection, title: str, turn: float = TURN
) -> Figure:
    """Draw one cloud, seen from *turn* degrees where it has three dimensions."""
    with in_style():
        figure = Figure(figsize=(8, 8))
        axes = add_axes(figure, projection, (0.1, 0.08, 0.84, 0.8))
        draw(axes, cloud, projection, turn)
        figure.text(0.04, 0.955, title, size=14, weight="bold", va="center")
        add_legend(figure, cloud, 0.915)
    return figure


def stages_figure(trace: Trace, projection: Projection) -> Figure:
    """Draw a training as small multiples: before learning, halfway, and at the end."""
    last = trace.epochs - 1
    epochs = sorted({0, last // 2, last})[-PANELS:]
    with in_style():
        figure = Figure(figsize=(5.2 * len(epochs) + 0.4, 6.3))
        width = 1 / len(epochs)
        for place, epoch in enumerate(epochs):
            box = (width * (place + 0.11), 0.09, width * 0.84, 0.69)
            axes = add_axes(figure, projection, box)
            draw(axes, cloud_at(trace, epoch), projection, TURN)
            figure.text(box[0], 0.815, heading(trace, epoch), size=11, weight="bold")
        figure.text(width * 0.11, 0.94, "The embedding through training", size=15, weight="bold")
        add_legend(figure, cloud_at(trace, last), 0.9, left=width * 0.07)
    return figure


def heading(trace: Trace, epoch: int) -> str:
    """Say which epoch it is, and its losses as far as they are known.

    Epoch 0 is the one before anything is learnt.
    """
    name = f"Epoch {epoch} of {trace.epochs - 1}" if epoch else "Before learning"
    known = [
        f"{what} {values[epoch]:.3f}"
        for what, values in (("loss", trace.loss), ("validation", trace.validation_loss))
        if np.isfinite(values[epoch])
    ]
    return "   ".join([name, ", ".join(known)]) if known else name


def add_axes(
    figure: Figure, projection: Projection, box: tuple[float, float, float, float]
) -> Any:
    """Add axes for a cloud: (left, bottom, width, height), shares of the figure."""
    if projection.dimensions == 3:
        axes: Any = figure.add_axes(box, projection="3d", computed_zorder=False)
        axes.set_box_aspect((1, 1, 1), zoom=1.0)
        axes.set_axis_off()
        return axes
    return figure.add_axes(box, aspect="equal")


def draw(axes: Any, cloud: Cloud, projection: Projection, turn: float) -> None:
    """Draw a cloud's windows and anchors, and the room that they are in."""
    if projection.dimensions == 3:
        axes.view_init(TILT, turn)
    projection.draw_room(axes)
    labels = np.array(cloud.labels, object)
    points, anchors = projection(cloud.points), projection(cloud.anchors)
    size = 26 if len(points) <= 400 else 16
    # Shading by depth would make far windows too pale to tell their labels.
    flat = {"depthshade": False} if projection.dimensions == 3 else {}
    for label in in_order(cloud.looks):
        look, mine = cloud.looks[label], points[labels == label]
        axes.scatter(
            *mine.T,
            s=size,
            c=look.colour,
            marker=look.marker,
            alpha=0.55 if label != UNLABELLED else 0.4,
            linewidths=0,
            zorder=3,
            rasterized=True,  # or an SVG of thousands of windows opens slowly
            label=label,
            gid=f"windows {label}",
            **flat,
        )
    for anchor, label in zip(anchors, cloud.anchor_labels, strict=True):
        axes.scatter(
            *anchor[:, None],
            s=190,
            c=cloud.looks[label].colour,
            marker="*",
            edgecolors=INK,
            linewidths=1.0,
            zorder=6,
            gid=f"anchor {label}",
            **flat,
        )
    names.write(axes, anchors, [shown(label, 24) for label in cloud.anchor_labels])


def add_legend(figure: Figure, cloud: Cloud, top: float, left: float = 0.02) -> None:
    """List the labels with how many windows each has, and what a star is."""
    labels = list(cloud.labels)
    handles = [
        _handle(cloud.looks[label], f"{shown(label, 24)} ({labels.count(label)})")
        for label in in_order(cloud.looks)
        if label in labels
    ]
    star = Line2D([], [], ls="", marker="*", ms=12, mfc="white", mec=INK, label="anchor")
    figure.legend(
        handles=[*handles, star],
        loc="center left",
        bbox_to_anchor=(left, top),
        ncols=min(4, len(handles) + 1),
        borderpad=0,
        handletextpad=0.1,
        columnspacing=1.4,
    )


def _handle(look: Look, text: str) -> Line2D:
    return Line2D([], [], ls="", marker=look.marker, ms=7, mfc=look.colour, mec="none", label=text)
