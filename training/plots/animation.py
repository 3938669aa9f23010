"""Animations: a training as a film, an embedding that turns."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from detector import durable
from training.trace import Trace

from . import loss
from .embedding import TURN, Cloud, add_axes, add_legend, cloud_at, draw, embedding_figure, heading
from .projection import Projection
from .style import in_style

Progress = Callable[[int, int], None]  # frames done, of how many

BETWEEN = 10  # frames from one epoch to the next, at most
MOST = 240  # frames of a film, at most, whatever its epochs
DELAY_MS = 60  # from a frame to the next
STAY_MS = 1200  # on the first frame and on the last
DEGREES = 0.8  # that a film turns by with each frame
TURNING = 36  # frames in which the end of a film turns on
ROUND = 90  # frames of one whole turn of an embedding
COLOURS = 160  # in a GIF; fewer make rings around points


def moments(trace: Trace) -> list[float]:
    """List the moments of a film, from 0 to the last epoch; 1.5 is halfway from 1 to 2."""
    last = trace.epochs - 1
    if last == 0:
        return [0.0]
    between = min(BETWEEN, max(1, MOST // last))
    count = min(last * between, MOST) + 1
    # Rounded, or an epoch could be missed by a hair and be taken for the one before.
    return [round(float(moment), 9) for moment in np.linspace(0, last, count)]


def training_frames(trace: Trace, projection: Projection) -> "Frames":
    """Give the frames of a training: the embedding above, the loss so far below."""
    shown = moments(trace)
    if projection.dimensions == 3 and len(shown) > 1:
        shown = [*shown, *[shown[-1]] * TURNING]

    def frame(place: int) -> Figure:
        return _training_figure(trace, projection, shown[place], TURN + DEGREES * place)

    return Frames(len(shown), frame)


def turning_frames(cloud: Cloud, projection: Projection, title: str) -> "Frames":
    """Give the frames of one whole turn around an embedding of three dimensions."""

    def frame(place: int) -> Figure:
        return embedding_figure(cloud, projection, title, TURN + 360 / ROUND * place)

    return Frames(ROUND, frame, stay_ms=DELAY_MS)


class Frames(Sequence[Figure]):
    """The figures of a film, each drawn when it is asked for."""

    def __init__(
        self, count: int, frame: Callable[[int], Figure], *, stay_ms: int = STAY_MS
    ) -> None:
        self.stay_ms = stay_ms
        self._count, self._frame = count, frame

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Figure:  # type: ignore[override]  # never a slice
        if not 0 <= place < self._count:
            raise IndexError(place)
        return self._frame(place)


def save(frames: Frames, path: Path, progress: Progress) -> None:
    """Write a GIF that plays for ever.

    Raises:
        OSError: if it can't be written.
    """
    palette = _palette(frames)
    times = [DELAY_MS] * len(frames)
    times[0] = times[-1] = frames.stay_ms

    def images() -> Iterator[Image.Image]:
        for place in range(len(frames)):
            yield _image(frames[place]).quantize(palette=palette, dither=Image.Dither.NONE)
            progress(place + 1, len(frames))

    made = images()
    first = next(made)
    data = io.BytesIO()
    first.save(
        data, "GIF", save_all=True, append_images=made, duration=times, loop=0, optimize=False
    )
    durable.write(path, data.getvalue())


def _palette(frames: Frames) -> Image.Image:
    """Choose one palette for the whole film, or flat colours would flicker."""
    last = len(frames) - 1
    some = [np.asarray(_image(frames[place])) for place in (0, last // 2, last)]
    joined = Image.fromarray(np.concatenate(some))
    return joined.quantize(COLOURS, dither=Image.Dither.NONE)


def _image(figure: Figure) -> Image.Image:
    with in_style():
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _training_figure(trace: Trace, projection: Projection, moment: float, turn: float) -> Figure:
    cloud = cloud_at(trace, moment)
    with in_style():
        figure = Figure(figsize=(8, 9), dpi=90)
        axes = add_axes(figure, projection, (0.1, 0.215, 0.84, 0.665))
        draw(axes, cloud, projection, turn)
        figure.text(0.04, 0.958, heading(trace, int(moment)), size=15, weight="bold", va="center")
        add_legend(figure, cloud, 0.915)
        loss.draw_so_far(figure.add_axes((0.1, 0.055, 0.84, 0.075)), trace, moment)
    return figure
