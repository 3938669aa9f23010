"""Windows out of a bank, and how a fold parts them into those learnt from and those judged."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from detector.inputs import CLIP, Inputs
from training.batches import Batches
from training.labelled import LabelledWindows
from training.settings import Settings

from .folds import Fold


@dataclass(frozen=True)
class Banked:
    """Windows that are inputs already, with what is known of each; `Batches` draws from them."""

    inputs: NDArray[np.floating]  # (windows, steps, inputs)
    labels: NDArray[np.str_]  # (windows,)
    kinds: NDArray[np.str_]  # (windows,); "" for none
    runs: NDArray[np.str_]  # (windows,)
    recovering: NDArray[np.bool_]  # (windows,), normal again since a short while
    weights: NDArray[np.float32]  # (windows,), how many recorded windows each stands for

    def __len__(self) -> int:
        return len(self.labels)

    def cut(self, which: NDArray[np.intp]) -> NDArray[np.float32]:
        """Give inputs: (windows, steps, inputs)."""
        return self.inputs[which].astype(np.float32)

    def after_fault(self, _seconds: float) -> NDArray[np.bool_]:
        """Tell which windows end while a link is `normal` again since a short while."""
        return self.recovering

    def only(self, which: NDArray[np.bool_]) -> "Banked":
        """Give the windows that are marked."""
        return Banked(
            self.inputs[which],
            self.labels[which],
            self.kinds[which],
            self.runs[which],
            self.recovering[which],
            self.weights[which],
        )

    def showing(self, inputs: NDArray[np.float32]) -> "Banked":
        """Give the same windows with other inputs."""
        return replace(self, inputs=inputs)

    def batches(self, settings: Settings, count: int, seed: int, drop: float) -> Batches:
        """Draw batches to learn from, as a training does."""
        return Batches(
            cast("LabelledWindows", self),  # it has all that is asked of them
            cast("Inputs", as_is),
            size=settings.batch,
            batches=count,
            seed=seed,
            normal_share=settings.normal_share,
            recovery_share=settings.recovery_share,
            kinds=settings.kinds,
            drop=drop,
        )


@dataclass(frozen=True)
class Sides:
    """A bank as one fold parts it."""

    learning: Banked
    reference: Banked  # what anchors are chosen from
    judged: Banked  # windows of the runs left out, of labels that were learnt


def parted(learning: Banked, pure: Banked, fold: Fold) -> Sides:
    """Leave out a fold's runs, and scale the inputs by what is left, as a training would."""
    runs = sorted(fold.runs)
    out = np.isin(pure.runs, runs)
    learnt, reference = learning.only(~np.isin(learning.runs, runs)), pure.only(~out)
    judged = pure.only(out & np.isin(pure.labels, np.unique(learnt.labels)))
    rows = reference.inputs.astype(np.float64)
    share = (reference.weights / reference.weights.sum() / rows.shape[1])[:, None, None]
    centre = (rows * share).sum(axis=(0, 1))
    spread = np.sqrt((np.square(rows - centre) * share).sum(axis=(0, 1)))
    spread[spread < 1e-3] = 1.0  # constant in what is left: its noise must not be blown up

    def again(side: Banked) -> Banked:
        inputs = (side.inputs.astype(np.float32) - centre) / spread
        return side.showing(inputs.clip(-CLIP, CLIP).astype(np.float32))

    return Sides(again(learnt), again(reference), again(judged))


def as_is(values: Any) -> Any:
    """Give inputs that are made already."""
    return values
