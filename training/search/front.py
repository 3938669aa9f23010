"""A frozen front: the LSTM of a candidate that was trained already, for others with the same.

Candidates with the same bank, LSTM units and statistics may differ in what lies behind: size of
the embedding, outputs, loss, miner, margin. What the first of them made of each window is kept,
and of the others only the dense layer is trained on it. That is an estimate: their own LSTM
would have learnt for their own loss.
"""

from dataclasses import replace

import numpy as np

from detector.encoder import Engine
from training import losses, model
from training.settings import Settings

from . import brief
from .banked import Banked, Sides
from .brief import Brief
from .cache import Cache, code_hash, key_of

SAME = ("units", "statistics")  # what makes a front, besides the bank


class Fronts:
    """Keeps what trained LSTMs say of each fold's windows."""

    def __init__(self, cache: Cache, batches: int, seed: int) -> None:
        self._cache, self._batches, self._seed = cache, batches, seed

    def key(self, bank: str, fold: str, runs: frozenset[str], settings: Settings) -> str:
        """Give what a front is kept under."""
        facts = {name: getattr(settings, name) for name in SAME}
        facts |= {"bank": bank, "fold": fold, "runs": sorted(runs)}
        facts |= {"batches": self._batches, "seed": self._seed}
        return key_of(what="front", code=code_hash((brief, losses, model)), **facts)

    def keep(self, key: str, trained: Brief, sides: Sides) -> None:
        """Keep what a trained candidate says of a fold's windows."""
        named = {"learning": sides.learning, "reference": sides.reference, "judged": sides.judged}
        self._cache.keep(key, {name: trained.states(side) for name, side in named.items()})

    def find(self, key: str, sides: Sides) -> Sides | None:
        """Give a fold's windows as a front sees them, if there is one."""
        found = self._cache.find(key)
        if found is None:
            return None
        return replace(
            sides,
            learning=sides.learning.showing(found["learning"]),
            reference=sides.reference.showing(found["reference"]),
            judged=sides.judged.showing(found["judged"]),
        )


def train_behind(sides: Sides, settings: Settings, batches: int, seed: int) -> Engine:
    """Train the dense layer alone, on windows as a front sees them."""
    return Brief(settings, shape_of(sides.learning), batches, seed, front=True).train(
        sides.learning
    )


def shape_of(side: Banked) -> tuple[int, int]:
    """Give steps and inputs of a bank's windows."""
    _, steps, inputs = np.shape(side.inputs)
    return int(steps), int(inputs)
