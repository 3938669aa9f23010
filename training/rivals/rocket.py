"""MiniRocket, the strongest plain classifier of time series for its cost."""

from collections.abc import Sequence

import numpy as np

from .rival import Names, Places, Rival, Trained, Windows, scaling, weigh

ROCKET_WINDOWS = 2_000  # time grows with the cube


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
        scale = scaling(windows)
        # It reads (windows, features, steps), and is compiled anew for any other layout: copies.
        rocket = MiniRocket(random_state=seed, n_jobs=1)
        before = np.random.get_state()  # noqa: NPY002, aeon seeds this generator, which is global
        rocket.fit(scale(windows).swapaxes(1, 2).copy())
        np.random.set_state(before)  # noqa: NPY002
        head = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10), class_weight="balanced")
        return weigh(
            lambda tile: rocket.transform(scale(tile).swapaxes(1, 2).copy()), head, windows, truth
        )

    return Trained(learn, ROCKET_WINDOWS, seed)
