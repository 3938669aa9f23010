"""The reference: what normal traffic was like to the encoder when it learnt.

Of each of the encoder's inputs it is the range that the mean over a window is in, 19 times in 20,
with as many below as above; of the embedding the score that 39 in 40 windows stay below, of runs
that the encoder had not learnt from. So on traffic as in training no more than one window in
twenty is outside of either, and where links differ as they do, about one in forty.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from detector.bundle import Manifest

OUTSIDE = 0.05  # share of the training's windows that may be


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the reference was taken from."""

    windows: int  # normal and recorded, one length of a window apart
    links: int
    score: float | None = None  # of `Known.scores`; None where nothing is known

    def __post_init__(self) -> None:
        if self.windows < 1 or self.links < 1:
            raise ValueError("the drift's reference is of no window or link")
        if self.score is not None and not 0 < self.score < np.inf:
            raise ValueError("the drift's score is not above 0")


@dataclass(frozen=True)
class Reference:
    """Where normal windows are."""

    sample: Sample
    low: NDArray[np.float32]  # (inputs,), of the mean over a window
    high: NDArray[np.float32]  # (inputs,)

    def check(self, manifest: "Manifest") -> None:
        """Refuse what windows can't be held against.

        Raises:
            ValueError: if a shape is off, a number isn't finite, or a range is none.
        """
        shape = (len(manifest.inputs.names),)
        for value in (self.low, self.high):
            if value.shape != shape or value.dtype != np.float32 or not np.isfinite(value).all():
                raise ValueError("the drift's ranges are not finite float32, one for each input")
        if (self.low > self.high).any():
            raise ValueError("a range of the drift ends before it begins")
        if self.sample.score is not None and manifest.known is None:
            raise ValueError("the drift has a score, and nothing is known to score by")

    def outside(self, means: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which inputs' means are out of their range: (windows, inputs)."""
        return (means < self.low) | (means > self.high)
