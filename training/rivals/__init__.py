"""The plain methods that are trained and scored beside the encoder.

A network that does not beat them on the same windows has no argument. To add one, write a
function that learns from windows and gives back a function that names windows, wrap it in
`Trained` and list it in `RIVALS`; the contract test runs over every entry. Features and labels
may have any names. Counters go through a logarithm, since links' loads differ by magnitudes, or
into ratios, which have no load.
"""

from collections.abc import Callable, Sequence
from functools import partial as with_choice

from training.labelled import LabelledWindows

from .linear import linear_discriminant, logistic_regression, ratio_regression
from .neighbour import nearest_neighbour
from .rival import Rival, RivalUnavailable
from .rocket import minirocket
from .rule import answer_rule

__all__ = ["RIVALS", "Rival", "RivalUnavailable", "taught"]

MOST_WINDOWS = 20_000  # that a rival is given; it may thin them further

RIVALS: dict[str, Callable[[Sequence[str], int], Rival]] = {
    "answer-ratio rule": answer_rule,
    "nearest neighbour (one reference)": nearest_neighbour,
    "logistic regression": logistic_regression,
    "MiniRocket + ridge": minirocket,
    "logistic regression, with changes": with_choice(logistic_regression, partial=True),
    "logistic regression on ratios": ratio_regression,
    "logistic regression on ratios, with changes": with_choice(ratio_regression, partial=True),
    "linear discriminant on ratios": linear_discriminant,
}


def taught(name: str, pure: LabelledWindows, partial: LabelledWindows, seed: int) -> Rival:
    """Train a rival on windows of one label throughout, or on those with the change in them.

    Raises:
        ValueError: if it can't learn from these windows.
        ImportError: if it needs a library that is not installed.
    """
    rival = RIVALS[name](pure.spec.features, seed)
    windows = partial if rival.partial else pure
    places = windows.evenly(MOST_WINDOWS, seed)
    labels, runs = windows.labels[places], windows.runs[places]
    rival.fit(windows.cut(places), labels.tolist(), runs.tolist())
    return rival
