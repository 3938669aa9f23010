"""The candidate beside the running bundle, on runs that neither has seen."""

from collections.abc import Collection, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.bundle import Bundle
from detector.capture import LinkCapture
from detector.encoder import open_encoder
from detector.sight import Sight
from detector.window import WindowSpec
from training.labelled import LabelledWindows

MOST_WINDOWS = 6000  # judged, evenly over labels and runs
SEED = 1


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How much of some windows a bundle names right."""

    balanced: float  # mean over labels
    by_label: dict[str, float]  # share of the windows; 0 where it can't say the label at all


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What two bundles make of the same runs."""

    runs: int
    windows: int
    running: Scores
    candidate: Scores


def beside(running: Bundle, candidate: Bundle, held: Sequence[LinkCapture]) -> Beside | None:
    """Judge runs with both; None where there is none that neither has seen."""
    trainings = [bundle.manifest.training for bundle in (running, candidate)]
    seen = {run for one in trainings for run in (*one.runs, *one.validation_runs)}
    spec, labels = candidate.manifest.window, candidate.manifest.labels
    windows = _windows([link for link in held if link.run not in seen], spec, labels)
    if windows is None:
        return None
    places = windows.evenly(MOST_WINDOWS, SEED)
    values, truth = windows.cut(places), windows.labels[places].astype(str)
    return Beside(
        runs=len(set(windows.runs[places])),
        windows=len(places),
        running=_scores(running, values, truth),
        candidate=_scores(candidate, values, truth),
    )


def _windows(
    links: Sequence[LinkCapture], spec: WindowSpec, labels: Collection[str]
) -> LabelledWindows | None:
    """Cut windows of one label throughout, of labels that the candidate has."""
    if not links:
        return None
    windows = LabelledWindows([link.only(labels) for link in links], spec, tail=spec.steps)
    return windows if len(windows) else None


def _scores(bundle: Bundle, values: NDArray[np.float32], truth: NDArray[np.str_]) -> Scores:
    sight = Sight.of(bundle, open_encoder(bundle), budget_a_week=None)
    said = np.array(sight.labels)[sight.see(values).nearest.label]
    shares = {str(label): float((said[truth == label] == label).mean()) for label in set(truth)}
    return Scores(
        balanced=round(float(np.mean([*shares.values()])), 4),
        by_label={label: round(share, 4) for label, share in sorted(shares.items())},
    )
