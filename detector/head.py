"""The second opinion: a layer on the embedding that was trained to name it, without any anchor.

Training freezes the encoder and fits this head by cross-entropy. It knows only the labels that
training knew, and nothing of anchors enrolled since; where both answer, that they agree says
more than either alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .product import product


@dataclass(frozen=True)
class Head:
    """A dense layer and a softmax: embeddings to labels."""

    labels: tuple[str, ...]
    kernel: NDArray[np.float32]  # (embedding, labels)
    bias: NDArray[np.float32]  # (labels,)

    def check(self, size: int) -> None:
        """Refuse weights that can't name embeddings of *size* numbers.

        Raises:
            ValueError: if a shape is off, or a number isn't finite.
        """
        shapes = (self.kernel.shape, self.bias.shape)
        if shapes != ((size, len(self.labels)), (len(self.labels),)):
            raise ValueError(f"the head's weights have the shapes {shapes}")
        for value in (self.kernel, self.bias):
            if value.dtype != np.float32 or not np.isfinite(value).all():
                raise ValueError("the head's weights are not finite float32")

    def shares(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give how much each label is believed, each window's sum 1: (batch, labels)."""
        scores = product(embeddings, self.kernel) + self.bias
        scores -= scores.max(axis=1, keepdims=True)
        shares: NDArray[np.float32] = np.exp(scores, out=scores)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares

    def name(self, embeddings: NDArray[np.float32]) -> list[str]:
        """Name each window by the label that is believed most."""
        return [self.labels[place] for place in self.shares(embeddings).argmax(axis=1)]
