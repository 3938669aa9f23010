"""A window: one link's traffic over one stretch of time, and the shape that a model needs.

`WindowSpec` is the part of a bundle that says which windows its encoder reads;
everything that cuts, sends or judges windows agrees through it.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

LINK_BYTES = 200  # a link's name goes into metric labels, Kafka keys and log lines
LARGEST = 1e30  # far above any counter; sums of larger ones would leave float32
DIRECTIONS = (("fwd_", "rev_"), ("in_", "out_"), ("rx_", "tx_"))  # how features name the two


class WindowError(ValueError):
    """Something is not a window that this model can read; `reason` is one of a fixed few."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WindowSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which windows an encoder reads.

    >>> spec = WindowSpec(features=("requests", "answers"), steps=3, step_ms=1000)
    >>> spec.shape, spec.span_ms
    ((3, 2), 3000)
    """

    features: tuple[str, ...]
    steps: int
    step_ms: int
    optional: tuple[str, ...] = ()  # may be absent, or not observed in any step
    min_observed: float = 0.5  # share of the steps in which each other feature must be observed

    def __post_init__(self) -> None:
        if self.steps < 1 or self.step_ms < 1 or not self.features:
            raise ValueError("a window needs at least one step, one millisecond and one feature")
        if len(set(self.features)) != len(self.features):
            raise ValueError("a feature is named twice")
        if not set(self.optional) <= set(self.features):
            raise ValueError("an optional feature is not among the features")
        if not 0 <= self.min_observed <= 1:
            raise ValueError("min_observed is a share, from 0 to 1")

    @property
    def shape(self) -> tuple[int, int]:
        """`(steps, features)`."""
        return self.steps, len(self.features)

    @property
    def span_ms(self) -> int:
        """How much time a window covers, milliseconds."""
        return self.steps * self.step_ms

    def is_short(self, observed: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which required features are observed too little: (..., features) to the same.

        *observed* is the share of a window's steps in which each feature was.
        """
        return (observed < self.min_observed) & self.required

    @property
    def required(self) -> NDArray[np.bool_]:
        """Which features have to be observed: `(features,)`."""
        return np.array([name not in self.optional for name in self.features])


class Window(msgspec.Struct, frozen=True, eq=False):
    """One link's traffic over one stretch of time.

    A struct, since one is made for each window judged, in a fifth of a data class's time.
    """

    link: str
    source: str  # the exporter that reported it
    start_ms: int  # Unix time of the start of the first step, milliseconds
    end_ms: int  # Unix time of the end of the last step, milliseconds
    values: NDArray[np.float32]  # (steps, features) in the spec's order; NaN = not observed


def is_count(name: str) -> bool:
    """Whether a feature is a counter, which adds up, and not a mean or maximum, which doesn't.

    >>> is_count("fwd_packets"), is_count("rev_response_ms")
    (True, False)
    """
    return not name.endswith(("_ms", "_per_second", "_ratio", "_max"))


def check_name(what: str, name: str) -> None:
    r"""Refuse a name that could break a metric page, a log line or a Kafka key.

    Raises:
        WindowError: if *name* is empty, longer than 200 bytes, or holds a character that
            isn't printable (line ends, control characters, lone surrogates).

    >>> check_name("link", "site-7/trunk 2")
    >>> check_name("link", "a\nb")
    Traceback (most recent call last):
        ...
    detector.window.WindowError: link 'a\nb' holds a character that can't be printed
    """
    if not name:
        raise WindowError("name", f"{what} is empty")
    if not name.isprintable():
        shown = ascii(name[:LINK_BYTES])
        raise WindowError("name", f"{what} {shown} holds a character that can't be printed")
    if len(name) > LINK_BYTES or len(name.encode()) > LINK_BYTES:
        raise WindowError("name", f"{what} {name[:40]!r}... is longer than {LINK_BYTES} bytes")
