"""A trace: what a training looked like as it went, to be drawn afterwards.

The same windows are embedded before the first epoch and after each one, so a picture can show
how the encoder learns to part them. A trace is one .npz file without anything pickled in it.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import durable

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # windows to embeddings
UNKNOWN = float("nan")  # what was not measured


class TraceError(ValueError):
    """The file is no trace; the message says which file and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a training looked like; epoch 0 is before anything was learnt."""

    points: NDArray[np.float32]  # (epochs, points, size), the same windows in every epoch
    labels: NDArray[np.str_]  # (points,)
    anchors: NDArray[np.float32]  # (epochs, anchors, size)
    anchor_labels: NDArray[np.str_]  # (anchors,)
    loss: NDArray[np.float64]  # (epochs,); this and those below NaN where not measured
    validation_loss: NDArray[np.float64]  # (epochs,)
    active: NDArray[np.float64]  # (epochs,), share of the triplets that still cost something

    def __post_init__(self) -> None:
        for name, kind, axes in _FORM:
            array = getattr(self, name)
            if array.dtype.kind != kind or array.ndim != axes:
                raise TraceError(
                    f"{name} is {array.dtype} with {array.ndim} axes, not {kind!r} with {axes}"
                )
        epochs, points, size = self.points.shape
        wanted = {
            "labels": (points,),
            "anchors": (epochs, len(self.anchor_labels), size),
            **dict.fromkeys(MEASURED, (epochs,)),
        }
        for name, shape in wanted.items():
            if (found := getattr(self, name).shape) != shape:
                raise TraceError(f"{name} has the shape {found}, beside the points {shape} is due")
        if not self.points.size or not self.anchors.size:
            raise TraceError("there is no epoch, no point, no anchor or no dimension")
        if not (np.isfinite(self.points).all() and np.isfinite(self.anchors).all()):
            raise TraceError("a point or an anchor is not finite")

    @property
    def epochs(self) -> int:
        """How many epochs were recorded, the one before learning included."""
        return len(self.points)

    @property
    def size(self) -> int:
        """How many numbers an embedding has."""
        return int(self.points.shape[2])

    def save(self, path: Path) -> None:
        """Write the trace, or replace the file that is there; never half of one."""
        data = io.BytesIO()
        arrays: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(self)}
        np.savez_compressed(data, **arrays)
        durable.write(path, data.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Trace":
        """Read a trace.

        Raises:
            TraceError: if the file can't be read, or is anything else.
        """
        try:
            return cls(**_read(path))
        except (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as e:
            raise TraceError(f"{path}: not a trace: {e}") from e
        except (OSError, NotImplementedError, RuntimeError) as e:  # the latter: odd zip files
            raise TraceError(f"{path}: not readable: {e}") from e


MEASURED = ("loss", "validation_loss", "active")
_FORM = (  # name, kind of dtype, axes
    ("points", "f", 3),
    ("labels", "U", 1),
    ("anchors", "f", 3),
    ("anchor_labels", "U", 1),
    *((name, "f", 1) for name in MEASURED),
)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):  # or NumPy talks of pickles
            raise ValueError("it is no .npz file")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            missing = [name for name, *_ in _FORM if name not in arrays]
            if missing:
                raise ValueError(f"it lacks {missing[0]!r}")
            return {name: arrays[name] for name, *_ in _FORM}


class Tracer:
    """Notes how the same windows are embedded as a training goes on.

    The anchor of a label is its medoid among these windows, as far as the encoder has learnt.
    """

    def __init__(self, values: NDArray[np.float32], labels: NDArray[Any]) -> None:
        """Take the windows to watch: (points, steps, features), and (points,) labels."""
        if len(values) != len(labels) or not len(labels):
            raise ValueError(f"{len(values)} windows but {len(labels)} labels, or none")
        self._values = values
        self._labels = np.array(labels, str)
        self._names = np.unique(self._labels)
        self._points: list[NDArray[np.float32]] = []
        self._anchors: list[NDArray[np.float32]] = []
        self._measured: list[tuple[float, float, float]] = []

    def record(
        self,
        embed: Embed,
        *,
        loss: float = UNKNOWN,
        validation_loss: float = UNKNOWN,
        active: float = UNKNOWN,
    ) -> None:
        """Note where the windows lie now: once before learning, and after each epoch."""
        points = np.array(embed(self._values), np.float32)
        medoids = [_medoid(points[self._labels == name]) for name in self._names]
        self._points.append(points)
        self._anchors.append(np.stack(medoids))
        self._measured.append((loss, validation_loss, active))

    def trace(self) -> Trace:
        """Give what was recorded.

        Raises:
            TraceError: if nothing was, or an embedding was not finite.
        """
        if not self._points:
            raise TraceError("nothing was recorded")
        loss, validation_loss, active = np.array(self._measured, np.float64).T
        return Trace(
            points=np.stack(self._points),
            labels=self._labels,
            anchors=np.stack(self._anchors),
            anchor_labels=self._names,
            loss=loss,
            validation_loss=validation_loss,
            active=active,
        )


def _medoid(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the point that is nearest to all others: (points, size) to (size,)."""
    wide = points.astype(np.float64)
    squares = np.square(wide).sum(axis=1)
    squared = squares[:, None] + squares - 2 * wide @ wide.T
    distances = np.sqrt(squared.clip(min=0))  # rounding leaves -1e-8 where 0 is meant
    medoid: NDArray[np.float32] = points[distances.sum(axis=1).argmin()]
    return medoid
