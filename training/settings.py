"""What can be chosen about a training, and what is chosen when nobody does."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen about a training."""

    steps: int = 30  # rows in a window
    step_ms: int = 1000
    features: tuple[str, ...] = ()  # none = all that the capture has
    links: tuple[str, ...] = ("*",)  # patterns of the links to learn from
    leave_out: tuple[str, ...] = ()  # patterns of the runs to keep for later
    validation_share: float = 0.2  # of the runs
    tail_seconds: float = 3.0  # a window's label is that of its last seconds
    superpose: bool = True  # add two-way traffic made of what both ends of a link saw
    load_span: float = 8.0  # scale counters of half of the windows by 1/8 to 8; 1 = never
    drop: float = 0.3  # share of a window's inputs that are hidden while learning
    half_lives_seconds: tuple[float, ...] = (2.0, 10.0)  # of the smoothing of the inputs
    units: tuple[int, ...] = (64,)  # of each LSTM layer
    statistics: bool = True  # the embedding also sees each input's mean, maximum and minimum
    embedding: int = 8
    loss: str = "triplet"
    margin: float = 0.5
    learning_rate: float = 1e-3
    batch: int = 64  # triplets
    batches: int = 50  # in an epoch
    epochs: int = 20
    patience: int = 6  # epochs without a better validation, then stop
    seed: int = 0
    anchors: dict[str, str] = field(
        default_factory=dict
    )  # label to LINK@start_ms; else the medoid
