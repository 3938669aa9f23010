"""The plain methods that are trained and scored beside the encoder.

A network that does not beat them on the same windows has no argument. To add one, write a
function that learns from windows and gives back a function that names windows, wrap it in
`_Trained` and list it in `RIVALS`; the contract test runs over every entry. Features and labels
may have any names. Counters go through a logarithm, since links' loads differ by magnitudes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]  # (windows, steps, features), raw counters, NaN = not observed
Places = NDArray[np.intp]  # (windows,), places among the sorted labels
Names = Callable[[Windows], Places]
Floats = NDArray[np.floating[Any]]

TILE = 1_024  # windows worked on at once, to bound memory
# Most windows that a rival learns from; of more, `_thin` draws as many.
MEDOID_WINDOWS = 1_000  # all pairs of one label are compared
ROCKET_WINDOWS = 2_000  # time grows with the cube
OTHER_WINDOWS = 10_000

QUESTIONS = ("invite", "bye", "register", "options", "cancel", "other_requests")  # none for ACK
WAYS = ("fwd_", "rev_")
ANSWERS = ("2xx", "3xx", "4xx", "5xx", "6xx")
SIP = (*QUESTIONS, *ANSWERS, "sip_retransmissions", "packets")
TCP = ("tcp_syn", "tcp_retransmissions", "packets")


class Rival(Protocol):
    """A plain method that is trained and scored beside the encoder."""

    def fit(self, windows: Windows, labels: Sequence[str], runs: Sequence[str]) -> None:
        """Learn from labelled windows; *runs* says which run each was cut from.

        Raises ValueError if there are fewer than two labels, or if the lengths differ.
        """

    def predict(self, windows: Windows) -> list[str]:
        """Give each window one of the labels that `fit` saw."""


class RivalUnavailable(ValueError):  # noqa: N818, it is no error of the caller's
    """The capture lacks features that this rival needs: the message names them."""


def answer_rule(features: Sequence[str], seed: int) -> Rival:
    """Few questions answered, else many packets sent again, else neither: two thresholds.

    The thresholds and what the three sides mean are those with the best macro-F1 in training.
    Counts whole protocols only: RivalUnavailable unless all of `SIP` or all of `TCP` is there.
    """
    needed = [{way + name for way in WAYS for name in names} for names in (SIP, TCP)]
    whole = set[str]().union(*(names for names in needed if names <= {*features}))
    if not whole:
        sip, tcp = (", ".join(sorted(names - {*features})) for names in needed)
        raise RivalUnavailable(f"answer-ratio rule: SIP lacks {sip}; TCP lacks {tcp}")
    columns = {name: place for place, name in enumerate(features) if name in whole}

    def learn(windows: Windows, truth: Places) -> Names:
        few, many, meaning = _best_pair(*_answers(windows, columns), truth)
        return lambda tile: meaning[_sides(*_answers(tile, columns), few, many)]

    return _Trained(learn, OTHER_WINDOWS, seed)


def nearest_neighbour(_features: Sequence[str], seed: int) -> Rival:
    """Name the nearest of one raw window a label, each the medoid of its label (Euclidean)."""

    def learn(windows: Windows, truth: Places) -> Names:
        from sklearn.metrics import pairwise_distances, pairwise_distances_argmin

        scale = _scaling(windows)
        points = scale(windows).reshape(len(windows), -1)
        groups = [points[truth == place] for place in range(truth.max() + 1)]
        medoids = np.stack([g[pairwise_distances(g).sum(axis=1).argmin()] for g in groups])
        return lambda tile: pairwise_distances_argmin(scale(tile).reshape(len(tile), -1), medoids)

    return _Trained(learn, MEDOID_WINDOWS, seed)


def logistic_regression(_features: Sequence[str], seed: int) -> Rival:
    """Weigh plain numbers of each feature's logarithm over the window (see `_statistics`)."""

    def learn(windows: Windows, truth: Places) -> Names:
        from sklearn.linear_model import LogisticRegression

        head = LogisticRegression(class_weight="balanced", max_iter=10_000)
        return _weigh(_statistics, head, windows, truth)

    return _Trained(learn, OTHER_WINDOWS, seed)


def minirocket(_features: Sequence[str], seed: int) -> Rival:
    """Weigh MiniRocket's 10,000 outputs by ridge regression (Dempster et al. 2021).

    An output is the share of steps at which a kernel of nine steps, over up to nine features
    together, exceeds a bias. `fit` raises ValueError if the windows have fewer than nine steps.
    """

    def learn(windows: Windows, truth: Places) -> Names:
        from aeon.transformations.collection.convolution_based import MiniRocket
        from sklearn.linear_model import RidgeClassifierCV

        if windows.shape[1] < 9:
            raise ValueError(f"MiniRocket needs 9 steps or more, got {windows.shape[1]}")
        scale = _scaling(windows)
        # It reads (windows, features, steps), and is compiled anew for any other layout: copies.
        rocket = MiniRocket(random_state=seed, n_jobs=1)
        before = np.random.get_state()  # noqa: NPY002, aeon seeds this generator, which is global
        rocket.fit(scale(windows).swapaxes(1, 2).copy())
        np.random.set_state(before)  # noqa: NPY002
        head = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10), class_weight="balanced")
        return _weigh(
            lambda tile: rocket.transform(scale(tile).swapaxes(1, 2).copy()), head, windows, truth
        )

    return _Trained(learn, ROCKET_WINDOWS, seed)


RIVALS: dict[str, Callable[[Sequence[str], int], Rival]] = {
    "answer-ratio rule": answer_rule,
    "nearest neighbour (one reference)": nearest_neighbour,
    "logistic regression": logistic_regression,
    "MiniRocket + ridge": minirocket,
}


@dataclass
class _Trained:
    """What all rivals share: names of labels, fewer windows to train on, tiles."""

    learn: Callable[[Windows, Places], Names]
    most: int  # windows to train on
    seed: int

    def fit(self, windows: Windows, labels: Sequence[str], runs: Sequence[str]) -> None:
        if not len(windows) == len(labels) == len(runs):
            raise ValueError(f"{len(windows)} windows, {len(labels)} labels, {len(runs)} runs")
        self._labels, truth = np.unique(labels, return_inverse=True)
        if len(self._labels) < 2:
            raise ValueError(f"two labels or more are needed, got {self._labels.tolist()}")
        rows = _thin(labels, runs, self.most, self.seed)
        self._name = self.learn(windows[rows], truth[rows])

    def predict(self, windows: Windows) -> list[str]:
        return self._labels[_in_tiles(self._name, windows)].tolist() if len(windows) else []


def _thin(labels: Sequence[str], runs: Sequence[str], most: int, seed: int) -> Places:
    """Draw rows of at most *most* windows, evenly over labels and, within each, over runs."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    drawn = pd.DataFrame({"label": labels, "run": runs}).sample(frac=1, random_state=rng)
    for keys in (["label", "run"], ["label"]):
        drawn = drawn.iloc[np.argsort(drawn.groupby(keys).cumcount(), kind="stable")]
    return np.sort(drawn.index.to_numpy()[:most])


def _weigh(describe: Callable[..., Any], head: Any, windows: Windows, truth: Places) -> Names:
    """Fit the linear model *head* to what *describe* makes of windows: (windows, numbers)."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), head).fit(_in_tiles(describe, windows), truth)
    return lambda tile: model.predict(describe(tile))


def _in_tiles(work: Callable[[Windows], Any], windows: Windows) -> Any:
    tiles = np.split(windows, range(TILE, len(windows), TILE))
    return np.concatenate([work(tile) for tile in tiles])


def _logs(windows: Windows) -> Any:
    """Give log(1 + count), mirrored below zero; masked where nothing finite was observed."""
    mask: Callable[..., Any] = np.ma.masked_invalid  # which NumPy has no types for
    return mask(np.copysign(np.log1p(np.abs(windows)), windows))


def _scaling(windows: Windows) -> Callable[[Windows], Floats]:
    """Scale logarithms by each feature's mean and deviation here; not observed is the mean."""
    rows = _logs(windows).astype(np.float64).reshape(-1, windows.shape[2])
    mean, deviation = rows.mean(axis=0).filled(0), rows.std(axis=0).filled(0)
    deviation[deviation < 1e-6] = np.inf  # constant here (but for rounding), so left out
    return lambda tile: np.ma.filled((_logs(tile) - mean) / deviation, 0)


def _statistics(windows: Windows) -> Floats:
    """Mean, deviation, least, most, last, last third less first; share observed: 7 a feature."""
    logs = _logs(windows)
    third = -(-logs.shape[1] // 3)
    trend = logs[:, -third:].mean(axis=1) - logs[:, :third].mean(axis=1)
    span = [logs.mean(axis=1), logs.std(axis=1), logs.min(axis=1), logs.max(axis=1)]
    numbers = [np.ma.filled(number, 0) for number in (*span, logs[:, -1], trend)]
    return np.hstack([*numbers, np.isfinite(windows).mean(axis=1)])


def _answers(windows: Windows, columns: dict[str, int]) -> tuple[Floats, Floats]:
    """Measure the answered share of questions, and the retransmitted share of packets: (windows,).

    Questions are SIP requests, answered by final responses, and TCP's SYN, answered by the other
    side's SYN: links without SIP are judged by their handshakes. Both directions are added. If
    nobody asked, it is whether packets are answered by packets; silence is no answer.
    """
    totals = np.where(np.isfinite(windows), windows, 0).sum(axis=1, dtype=np.float64)

    def count(*names: str) -> Floats:  # (directions, windows)
        there = [[columns[way + n] for n in names if way + n in columns] for way in WAYS]
        return np.stack([totals[:, places].sum(axis=1) for places in there])

    packets, syns = np.sort([count("packets"), count("tcp_syn")], axis=1)  # quieter way first
    asked, answered = np.sum([count(*QUESTIONS), count(*ANSWERS)], axis=1) + syns[::-1]
    answered, asked = np.where(asked > 0, [answered, asked], packets)
    again = count("sip_retransmissions", "tcp_retransmissions").sum(axis=0)
    return answered / np.maximum(asked, 1), again / np.maximum(packets.sum(axis=0), 1)


def _sides(ratio: Floats, share: Floats, few: float, many: float) -> Places:
    return np.where(ratio < few, 0, np.where(share > many, 1, 2))


def _best_pair(ratio: Floats, share: Floats, truth: Places) -> tuple[float, float, Places]:
    """Find the two thresholds, and the label that each of their three sides means."""
    total = np.bincount(truth)
    tried = []
    for few, many in product(_cuts(ratio, truth), _cuts(share, truth)):
        places = _sides(ratio, share, few, many) * len(total) + truth
        counts = np.bincount(places, minlength=3 * len(total)).reshape(3, -1)
        meaning = (counts / total).argmax(axis=1)  # the label with most of its windows there
        hits = np.bincount(meaning, counts[range(3), meaning], len(total))
        claimed = np.bincount(meaning, counts.sum(axis=1), len(total))
        tried.append((float(np.mean(2 * hits / (claimed + total))), few, many, meaning))
    # Of equals the first, so that a threshold that isn't needed has everything on one side.
    return max(tried, key=lambda found: found[0])[1:]


def _cuts(values: Floats, truth: Places) -> list[float]:
    """Give thresholds between neighbouring quantiles of any label, and one beyond either end."""
    count = truth.max() + 1
    levels = np.linspace(0, 1, max(5, 100 // count))
    marks = np.unique([np.quantile(values[truth == label], levels) for label in range(count)])
    return [-1.0, *(marks[1:] + marks[:-1]) / 2, np.inf]
