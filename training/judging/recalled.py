"""The settings that a bundle was trained with, recalled from its manifest."""

from dataclasses import fields
from typing import Any

from detector.bundle import Manifest
from training.settings import Settings


def recalled(manifest: Manifest) -> Settings:
    """Give the recipe of a bundle: its settings without the runs that it left out.

    Settings that a bundle of an earlier version doesn't have get their defaults.
    """
    architecture, training = manifest.architecture, manifest.training
    elsewhere: dict[str, Any] = {
        "features": manifest.window.features,
        "steps": manifest.window.steps,
        "step_ms": manifest.window.step_ms,
        "half_lives_seconds": manifest.inputs.half_lives_seconds,
        "links": training.links,
        "seed": training.seed,
        "units": architecture.units,
        "embedding": architecture.embedding,
        "activation": architecture.activation,
        "statistics": architecture.statistics,
        "leave_out": (),
    }
    kept = {
        item.name: _value(item.default, training.settings[item.name])
        for item in fields(Settings)
        if item.name in training.settings and item.name not in elsewhere
    }
    return Settings(**(kept | elsewhere))


def _value(default: Any, kept: str | float | bool) -> Any:
    """Turn what the manifest holds into what the setting is: lists were joined by commas."""
    if isinstance(default, tuple):
        return tuple(part for part in str(kept).split(",") if part)
    return kept
