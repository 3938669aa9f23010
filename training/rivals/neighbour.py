"""One raw window a label, and no learning."""

from collections.abc import Sequence

import numpy as np

from .rival import Names, Places, Rival, Trained, Windows, scaling

MEDOID_WINDOWS = 1_000  # all pairs of one label are compared


def nearest_neighbour(_features: Sequence[str], seed: int) -> Rival:
    """Name the nearest of one raw window a label, each the medoid of its label (Euclidean)."""

    def learn(windows: Windows, truth: Places) -> Names:
        from sklearn.metrics import pairwise_distances, pairwise_distances_argmin

        scale = scaling(windows)
        points = scale(windows).reshape(len(windows), -1)
        groups = [points[truth == place] for place in range(truth.max() + 1)]
        medoids = np.stack([g[pairwise_distances(g).sum(axis=1).argmin()] for g in groups])
        return lambda tile: pairwise_distances_argmin(scale(tile).reshape(len(tile), -1), medoids)

    return Trained(learn, MEDOID_WINDOWS, seed)
