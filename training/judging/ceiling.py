"""The ceiling: what could be had of a kind at most, if it had been learnt with labels.

What a few windows of an incident are worth is judged against this, and not against 1: where the
counters hardly hold a mechanism, nobody can find it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.inputs import Inputs
from detector.state import NORMAL
from training.labelled import LabelledWindows

from .episodes import EpisodeError, others, share
from .methods import Summary
from .scores import rounded

CEILING_WINDOWS = 4_000  # that are not of the kind


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a classifier makes of a kind that it has learnt from all runs but the judged ones."""

    windows: int  # of the kind
    runs: int
    recall: float
    captured_faults: float
    captured_normal: float
    balanced_accuracy: float  # the kind against all the rest

    def as_json(self) -> dict[str, Any]:
        """Give plain data."""
        shares = ("recall", "captured_faults", "captured_normal", "balanced_accuracy")
        plain = {name: rounded(getattr(self, name)) for name in shares}
        return {"windows": self.windows, "runs": self.runs} | plain


def find_ceiling(
    windows: LabelledWindows,
    is_new: NDArray[np.bool_],
    inputs: Inputs,
    *,
    folds: int = 5,
    seed: int = 0,
) -> Ceiling:
    """Learn to tell what *is_new* from all the rest, with labels: what could be had at most.

    Logistic regression on the statistics of *inputs*, each run judged by what was learnt from
    others. It is no strict bound, but who is far above it has made a mistake, and where it is
    low the counters hardly hold what is asked for.

    Raises:
        EpisodeError: if what is new is not in two runs.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rest = others(windows, is_new, seed, CEILING_WINDOWS)
    places = np.concatenate([np.flatnonzero(is_new), rest])
    runs, new = windows.runs[places].astype(str), is_new[places]
    count = len(set(runs[new]))
    if count < 2:
        raise EpisodeError("it is not in two runs, one to learn from and one to judge on")
    model = make_pipeline(
        StandardScaler(), LogisticRegression(solver="newton-cholesky", class_weight="balanced")
    )
    split = StratifiedGroupKFold(min(folds, count), shuffle=True, random_state=seed)
    points = Summary(inputs)(windows.cut(places))
    said = cross_val_predict(model, points, new, groups=runs, cv=split)
    normal = windows.labels[places] == NORMAL
    recall, kept = share(said, new), share(~said, ~new)
    return Ceiling(
        windows=int(new.sum()),
        runs=count,
        recall=recall,
        captured_faults=share(said, ~new & ~normal),
        captured_normal=share(said, ~new & normal),
        balanced_accuracy=(recall + kept) / 2,
    )
