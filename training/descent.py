"""Descent: what a bundle that is trained anew comes of, and what it takes over from there."""

from dataclasses import dataclass, replace

import msgspec

from detector.bundle import Bundle
from detector.oncall.strangeness import Calibration

from .settings import Settings

SCRATCH, PARENT = "scratch", "parent"  # what a manifest says a training began from


@dataclass(frozen=True, kw_only=True)
class Descent:
    """Where a training comes from."""

    parent: Bundle  # whose recipe it has
    epochs: int = 0  # to go on learning from its weights; 0 = from scratch
    learning_rate: float = 0.0  # to begin with, when going on

    @property
    def start(self) -> Bundle | None:
        """Whose encoder it goes on from; None where it begins from scratch."""
        return self.parent if self.epochs else None

    def shortened(self, settings: Settings) -> Settings:
        """Give the settings of a training that begins here."""
        if not self.epochs:
            return settings
        return replace(settings, epochs=self.epochs, learning_rate=self.learning_rate)

    def noted(self, bundle: Bundle) -> Bundle:
        """Say in a bundle what it comes of; what its parent's weights learnt from, it has too."""
        training, before = bundle.manifest.training, self.parent.manifest.training
        if self.start:
            training = msgspec.structs.replace(
                training,
                captures=before.captures | training.captures,
                runs=tuple(sorted({*training.runs, *before.runs})),
            )
        begun = PARENT if self.start else SCRATCH
        training = msgspec.structs.replace(training, parent=self.parent.id, start=begun)
        manifest = msgspec.structs.replace(bundle.manifest, training=training)
        return replace(bundle, manifest=manifest)


def surer(start: Bundle | None, found: Calibration | None) -> Calibration | None:
    """Choose between a calibration that was *found* and that of the encoder gone on from.

    The one that was found is on the few runs that are new to both. That of the parent is on
    more, and in units of how far known windows usually are, so it holds as it does from a
    rehearsal to the bundle.
    """
    before = start.known.calibration if start and start.known else None
    if found is None or before is None:
        return found or before
    most = max(found, before, key=lambda one: one.tail.hours)
    return msgspec.structs.replace(most, faults=before.faults | found.faults)
