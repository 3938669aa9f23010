"""What can be chosen about a training, and what is chosen when nobody does.

A setting is one line here: its default, what it means, and its bounds.
The options of `anchorwatch train` are made from these lines.
"""

from dataclasses import dataclass, field
from typing import Any


def _setting(
    default: Any, meaning: str, least: float | None = None, most: float | None = None
) -> Any:
    """Declare a setting; a number is to be at least *least* and at most *most*."""
    return field(default=default, metadata={"help": meaning, "least": least, "most": most})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen about a training."""

    links: tuple[str, ...] = _setting(("*",), "Links to learn from (patterns)")
    leave_out: tuple[str, ...] = _setting((), "Runs to keep for evaluation (patterns)")
    labels: tuple[str, ...] = _setting((), "Labels to learn; none given = all")
    features: tuple[str, ...] = _setting((), "Features to read; none given = all")
    steps: int = _setting(15, "Rows in a window", 1)
    step_ms: int = _setting(1000, "Milliseconds of a row", 1)
    tail_seconds: float = _setting(3.0, "Last seconds that give a window its label", 0)
    half_lives_seconds: tuple[float, ...] = _setting((2.0, 10.0), "Smoothing of the inputs", 0)
    superpose: bool = _setting(True, "Make two-way traffic of what both ends of a link saw")
    load_span: float = _setting(8.0, "Scale the load of half of the windows up to this; 1 = no", 1)
    drop: float = _setting(0.3, "Share of a window's inputs hidden while learning", 0, 0.9)
    units: tuple[int, ...] = _setting((64,), "LSTM units, once for each layer", 1, 4096)
    statistics: bool = _setting(False, "Show the embedding each input's mean, maximum and minimum")
    embedding: int = _setting(8, "Numbers in an embedding", 1, 4096)
    margin: float = _setting(0.5, "Margin of the loss, squared distance", 1e-6)
    loss: str = "triplet"  # one of losses.LOSSES
    learning_rate: float = _setting(1e-3, "Step size of the optimizer", 1e-9)
    batch: int = _setting(64, "Triplets in a batch", 1)
    batches: int = _setting(50, "Batches in an epoch", 1)
    epochs: int = _setting(12, "Epochs at most", 1)
    patience: int = _setting(5, "Epochs without improvement on the validation runs, then stop", 1)
    validation_share: float = _setting(0.2, "Share of the runs to validate on", 0.01, 0.5)
    refit: bool = _setting(True, "Learn once more from all runs, as long as was best without some")
    seed: int = _setting(0, "Same captures, same seed: same bundle", 0, 2**32 - 1)
    anchors: dict[str, str] = field(
        default_factory=dict
    )  # label to LINK@START_MS; else the medoid
