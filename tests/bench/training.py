"""What a training spends its time on: drawing and augmenting windows beside the network itself.

    python -m tests.bench.training [CAPTURES...]

The default recipe. The network alone, on batches drawn before, is the ceiling; the generator
must not cost more than it.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from detector.architecture import Architecture
from detector.capture import SHIPPED
from detector.inputs import Inputs
from detector.keras_engine import keras
from training.augment import Augment
from training.batches import Batches
from training.data import pool
from training.fitting import augmentation
from training.model import siamese
from training.recipe import input_spec, scaled
from training.settings import Settings

from .machine import describe

BATCHES = 60
WARM_UP = 5


@click.command()
@click.argument("captures", nargs=-1, type=click.Path(exists=True, path_type=Path))
def main(captures: tuple[Path, ...]) -> None:
    """Print milliseconds a batch, and ratios."""
    settings = Settings()
    found = pool(captures or (SHIPPED,), settings)
    windows = found.side(found.links).learning
    spec = input_spec(windows.spec.features, settings.half_lives_seconds, form=settings.inputs)
    sample = windows.cut(windows.evenly(4000, 0))
    inputs = Inputs(scaled(spec, windows.spec, sample), windows.spec)
    batches = _batches(windows, inputs, settings, augmentation(windows.spec, settings))
    bare = _batches(windows, inputs, settings, None)
    drawn = [batches[place] for place in range(BATCHES)]
    model = _model(inputs, settings)
    network = _milliseconds(lambda n: model.train_on_batch(*drawn[n % BATCHES]))
    print(describe())
    print(f"{len(drawn[0][0])} windows of {settings.steps} rows, {inputs.count} inputs a batch")
    rows = {
        "network alone (ceiling)": network,
        "generator": _milliseconds(lambda n: batches[n]),
        "generator without augmentation": _milliseconds(lambda n: bare[n]),
    }
    for name, cost in rows.items():
        print(f"{name:34} {cost:7.2f} ms a batch, {cost / network:5.2f} of the network")


def _batches(windows: Any, inputs: Inputs, settings: Settings, augment: Augment | None) -> Batches:
    return Batches(
        windows,
        inputs,
        size=settings.batch,
        batches=BATCHES,
        seed=0,
        normal_share=settings.normal_share,
        recovery_share=settings.recovery_share,
        augment=augment,
        drop=settings.drop if augment else 0.0,
    )


def _model(inputs: Inputs, settings: Settings) -> Any:
    keras.utils.set_random_seed(0)
    architecture = Architecture(inputs.count, settings.units, settings.embedding)
    return siamese(
        architecture,
        settings.steps,
        loss=settings.loss,
        miner=settings.miner,
        margin=settings.margin,
        learning_rate=1e-3,
    )[1]


def _milliseconds(work: Callable[[int], Any]) -> float:
    for number in range(WARM_UP):
        work(number)
    begun = time.perf_counter()
    for number in range(BATCHES):
        work(number)
    return (time.perf_counter() - begun) / BATCHES * 1000


if __name__ == "__main__":
    main()
