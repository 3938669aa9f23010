"""The Siamese model: one encoder, a batch of windows, one loss over all of them together."""

from typing import Any

from detector.architecture import Architecture
from detector.keras_engine import build, keras

from .losses import LOSSES, Embedded, Tensor, check_loss
from .triplets import MINERS


class Siamese(keras.Model):  # type: ignore[misc]
    """Trains an encoder by how the embeddings of a batch lie to each other.

    Takes windows (batch, steps, inputs) and their classes (batch,). Each window is embedded
    once, however many pairs and triplets it stands in.
    """

    def __init__(self, encoder: Any, *, loss: str, miner: str, margin: float, seed: int) -> None:
        super().__init__(name="siamese")
        self.encoder = encoder
        self._what, self._margin = LOSSES[loss], margin
        self._mine = MINERS[miner](seed)
        self._active = keras.metrics.Mean("active")
        self._head = None
        if self._what.learns:
            # To begin with, the farther two windows lie apart, the less they are of one class.
            self._head = self.add_weight(
                (encoder.output_shape[-1] + 1,), keras.initializers.Constant(1.0), name="head"
            )

    def call(self, windows: Tensor) -> Tensor:
        """Embed: (batch, steps, inputs) to (batch, embedding)."""
        return self.encoder(windows)

    def compute_loss(
        self,
        x: Any = None,  # noqa: ARG002, Keras's names
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,  # noqa: ARG002
        training: bool = True,  # noqa: ARG002
    ) -> Tensor:
        """Give the loss of one embedded batch, and note the share that still costs something."""
        classes = keras.ops.reshape(y, (-1,))
        batch = Embedded(y_pred, classes, self._margin, self._mine, self._head)
        loss, active = self._what.of(batch)
        self._active.update_state(active)
        return loss


def siamese(
    architecture: Architecture,
    steps: int,
    *,
    loss: str,
    miner: str,
    margin: float,
    learning_rate: Any,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Make the encoder and the model that trains it.

    Raises:
        ValueError: if the loss is not defined for what the encoder gives.
    """
    check_loss(loss, architecture.activation)
    encoder = build(architecture, steps)
    model = Siamese(encoder, loss=loss, miner=miner, margin=margin, seed=seed)
    # Gradients of a recurrent net can burst once; a clipped one can't undo an epoch.
    model.compile(keras.optimizers.Adam(learning_rate, clipnorm=1.0), jit_compile=False)
    return encoder, model
