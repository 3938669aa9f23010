"""A brief training: one candidate learns from some batches of a bank, and is judged.

The network is built and compiled once for all folds of a candidate, which takes as long as the
batches themselves; each fold begins at the same weights.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from detector.anchors import AnchorSet
from detector.architecture import Architecture
from detector.encoder import Engine
from detector.keras_engine import get_weights, keras
from detector.onnx_engine import OnnxEngine
from training.batches import classes_of, label_of
from training.labelled import LabelledWindows
from training.model import siamese
from training.settings import Settings

from .banked import Banked, Sides

Points = NDArray[np.float32]  # (windows, embedding)
MEDOID_WINDOWS = 600  # of each class, to choose its anchor from


class Brief:
    """A candidate's network, trained anew on each fold."""

    def __init__(
        self, settings: Settings, shape: tuple[int, int], batches: int, seed: int, *, front: bool
    ) -> None:
        """Build it for inputs of *shape* (steps, inputs).

        With *front* the inputs are the states of an LSTM that has learnt already, and there is
        nothing but the dense layer to train on them.
        """
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        units, statistics = ((), False) if front else (settings.units, settings.statistics)
        size, activation = settings.embedding, settings.activation
        self.architecture = Architecture(shape[1], units, size, statistics, activation)
        self._settings, self._steps, self._batches = settings, shape[0], batches
        self._drop = 0.0 if front else settings.drop  # the front has been taught that
        self._seed = seed
        self.model, self._trained = siamese(
            self.architecture,
            shape[0],
            loss=settings.loss,
            miner=settings.miner,
            margin=settings.margin,
            learning_rate=keras.optimizers.schedules.CosineDecay(
                settings.learning_rate, batches, alpha=0.02
            ),
            seed=seed,
        )
        self._trained.optimizer.build(self._trained.trainable_variables)
        self._state = [*self._trained.variables, *self._trained.optimizer.variables]
        self._beginning = [keras.ops.copy(variable) for variable in self._state]

    def train(self, learning: Banked) -> Engine:
        """Learn from a bank, and give the engine that embeds by it."""
        for variable, value in zip(self._state, self._beginning, strict=True):
            variable.assign(value)
        keras.utils.set_random_seed(self._seed)
        batches = learning.batches(self._settings, self._batches, self._seed, self._drop)
        self._trained.fit(batches, epochs=1, shuffle=False, verbose=0)
        return OnnxEngine(self.architecture, get_weights(self.model), self._steps)

    def states(self, side: Banked) -> NDArray[np.float32]:
        """Give what the dense layer sees of windows: (windows, 1, states)."""
        front = keras.Model(self.model.input, self.model.get_layer("dense").input)
        tiles = range(0, len(side), 1024)
        to_numpy = keras.ops.convert_to_numpy
        made = [to_numpy(front(side.inputs[first : first + 1024])) for first in tiles]
        states: NDArray[np.float32] = np.concatenate(made)[:, None].astype(np.float32)
        return states


def embed(engine: Engine, side: Banked) -> Points:
    """Embed a bank's windows."""
    tiles = range(0, len(side), engine.tile)
    inputs = np.ascontiguousarray(side.inputs, np.float32)
    return np.concatenate([engine.embed(inputs[first : first + engine.tile]) for first in tiles])


def judge(engine: Engine, sides: Sides, *, kinds: bool) -> float:
    """Give the macro-F1 of naming each window left out by the nearest medoid.

    Each window counts as often as windows of its label and run were recorded.
    """
    anchors = medoids(embed(engine, sides.reference), sides.reference, kinds=kinds)
    said = anchors.classify(embed(engine, sides.judged)).label
    names = np.array(anchors.labels)[said]
    return macro_f1(sides.judged.labels, names, sides.judged.weights)


def medoids(points: Points, side: Banked, *, kinds: bool) -> AnchorSet:
    """Choose each class's anchor: the window that is nearest to all others of the class."""
    classes = _classes(side, kinds=kinds)
    chosen = []
    for name in np.unique(classes):
        places = np.flatnonzero(classes == name)
        if len(places) > MEDOID_WINDOWS:  # they lie run by run, each run has its share
            places = places[np.linspace(0, len(places) - 1, MEDOID_WINDOWS).astype(int)]
        own = points[places].astype(np.float64)
        distances = np.linalg.norm(own[:, None] - own[None], axis=-1)
        chosen.append(places[distances.sum(axis=1).argmin()])
    return AnchorSet(points[chosen], [label_of(str(classes[one])) for one in chosen])


def macro_f1(
    truth: NDArray[np.str_], said: NDArray[np.str_], weights: NDArray[np.float32] | None = None
) -> float:
    """Give the mean F1 of the labels that are true of some window.

    >>> round(macro_f1(np.array(["a", "a", "b", "b"]), np.array(["a", "a", "b", "a"])), 4)
    0.7333
    """
    labels, average = sorted(set(truth)), "macro"
    score = f1_score(
        truth, said, labels=labels, average=average, sample_weight=weights, zero_division=0.0
    )
    return float(score)


def _classes(side: Banked, *, kinds: bool) -> NDArray[np.str_]:
    return classes_of(cast("LabelledWindows", side), kinds=kinds)  # it has what is asked of them
