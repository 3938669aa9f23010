"""A cell: what one training was worth on what its fold left out, as counts that can be pooled."""

import msgspec

from .study import Enrolment, Rejection
from .watching import Findings


class Cell(msgspec.Struct):
    """What one training was worth on what its fold left out."""

    validation: str
    fold: str
    seed: int
    seconds: float  # that the encoder's training took
    findings: dict[str, Findings] = {}  # by method
    unavailable: dict[str, str] = {}  # methods that can't do it, and why
    rejections: dict[str, list[Rejection]] = {}  # by method
    enrolments: list[Enrolment] = []
    other_references: list[float] = []  # macro-F1 of the encoder with other anchors
