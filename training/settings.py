"""What can be chosen about a training, and what is chosen when nobody does.

A setting is one line here: its default, what it means, and its bounds.
The options of `anchorwatch train` are made from these lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any


def _setting(
    default: Any,
    meaning: str,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """Declare a setting; a number is to be at least *least* and at most *most*."""
    facts = {"help": meaning, "least": least, "most": most, "choices": tuple(choices)}
    return field(default=default, metadata=facts)


def _share(default: float, meaning: str, most: float = 1.0) -> Any:
    return _setting(default, meaning, 0, most)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen about a training."""

    # What is learnt from.
    links: tuple[str, ...] = _setting(("*",), "Links to learn from (patterns)")
    leave_out: tuple[str, ...] = _setting((), "Runs to keep for evaluation (patterns)")
    labels: tuple[str, ...] = _setting((), "Labels to learn; none given = all")
    leave_kinds: tuple[str, ...] = _setting((), "Kinds whose rows are not learnt from (patterns)")
    kinds: bool = _setting(False, "Tell the kinds of a label apart, with an anchor for each")
    features: tuple[str, ...] = _setting((), "Features to read; none given = all")
    steps: int = _setting(15, "Rows in a window", 1)
    step_ms: int = _setting(1000, "Milliseconds of a row", 1)
    tail_seconds: float = _setting(3.0, "Last seconds that give a window its label", 0)
    # What the encoder is shown of it.
    inputs: str = _setting(
        "both",
        "Ratios of outcome to attempt, counts, or both",
        choices=("ratios", "counts", "both"),
    )
    half_lives_seconds: tuple[float, ...] = _setting((2.0, 10.0), "Smoothing of the inputs", 0)
    masks: bool = _setting(False, "Show which features were observed")
    busier_first: bool = _setting(False, "Put each window's busier direction first")
    # Traffic that could have been.
    superpose: bool = _setting(True, "Make two-way traffic of what both ends of a link saw")
    load_span: float = _setting(8.0, "Scale the load of half of the windows up to this; 1 = no", 1)
    thin: float = _share(0.0, "Share of the windows that lose events by chance")
    shift: float = _share(0.0, "Share of the windows whose steps begin elsewhere")
    average: float = _share(0.0, "Share of the windows measured less often than reported")
    missing: float = _share(0.0, "Share of the windows that lack rows")
    mirror: float = _share(0.0, "Share of the windows with exchanged directions")
    drop: float = _share(0.3, "Share of a window's inputs hidden while learning", 0.9)
    # The network.
    units: tuple[int, ...] = _setting((64,), "LSTM units, once for each layer", 1, 4096)
    statistics: bool = _setting(False, "Show the embedding each input's mean, maximum and minimum")
    embedding: int = _setting(8, "Numbers in an embedding", 1, 4096)
    activation: str = _setting("sigmoid", "Outputs of the encoder", choices=("sigmoid", "unit"))
    head: bool = _setting(True, "Train a second opinion on the finished encoder")
    # How it learns.
    loss: str = _setting(
        "triplet",
        "What costs",
        choices=(
            *("triplet", "lossless", "contrastive", "logistic"),
            *("supervised-contrastive", "multi-similarity"),
        ),
    )
    miner: str = _setting(
        "batch-all",
        "Which triplets of a batch count, where the loss is one on triplets",
        choices=("batch-all", "batch-hard", "semi-hard", "random"),
    )
    margin: float = _setting(0.5, "Margin of the loss (its temperature, its lambda)", 1e-6)
    normal_share: float = _share(0.6, "Share of a batch that is normal; 0 = as each label", 0.9)
    recovery_share: float = _share(0.3, "Share of that from just after a fault; 0 = as it comes")
    learning_rate: float = _setting(2e-3, "First step size of the optimizer; falls to none", 1e-9)
    batch: int = _setting(96, "Windows in a batch", 4, 512)
    batches: int = _setting(50, "Batches in an epoch", 1)
    epochs: int = _setting(12, "Epochs", 1)
    validation_share: float = _setting(0.2, "Share of the runs to validate on", 0.01, 0.5)
    refit: bool = _setting(True, "Learn once more from all runs, those to validate on included")
    seed: int = _setting(0, "Same captures, same seed: same bundle", 0, 2**32 - 1)
    anchors: dict[str, str] = field(
        default_factory=dict
    )  # class to LINK@START_MS; else the medoid


def plain(settings: Settings) -> dict[str, Any]:
    """Give all settings as JSON has them, lists joined by commas."""
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    values["anchors"] = tuple(f"{name}={where}" for name, where in settings.anchors.items())
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # The telecom team's encoder that the project comes from: a cube with a corner for each label.
    "origin": {
        "inputs": "counts",
        "embedding": 3,
        "margin": 0.2,
        "miner": "random",
        "superpose": False,
        "load_span": 1.0,
        "drop": 0.0,
        "normal_share": 0.0,
        "recovery_share": 0.0,
        "head": False,
    },
}
