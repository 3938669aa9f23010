"""A bundle that tells how far apart windows usually are, and stores with unknowns of two sorts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from detector.bundle import Bundle, load, save
from detector.oncall.strangeness import Calibration, Known, Tail
from tests.fakes import FEATURES, draft_bundle

from .stores import NOON_MS, STEP_MS, capture, life

SCALE = 0.02  # of the embeddings of `draft_bundle`
SORTS = {  # of faults that nothing known is like: requests, answers, retransmissions, response
    "half": (100.0, 55.0, 900.0, 20.0),
    "slow": (100.0, 100.0, 0.0, 9_000.0),
    "normal": (100.0, 100.0, 0.0, 20.0),
}
WEEK_MS = 7 * 24 * 3_600_000


def knowing_bundle(path: Path) -> Bundle:
    """Save a bundle with an untrained encoder that knows its anchors' windows."""
    draft = draft_bundle()
    calibration = Calibration(SCALE, Tail(1.5, 1, 168.0, 0.5), {}, neighbours=2)
    manifest = msgspec.structs.replace(draft.manifest, known=calibration)
    points = draft.anchor_embeddings.copy()
    save(replace(draft, manifest=manifest, known=Known(points, calibration)), path)
    return load(path)


def incident(
    store: Path, sort: str, *, link: str = "trunk-1", start_ms: int = NOON_MS, seed: int = 0
) -> None:
    """Capture a link that was normal, then unknown by one of `SORTS`, then normal."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for row in life(
        [("normal", 60), ("unknown", 40), ("normal", 60)], link=link, start_ms=start_ms
    ):
        number = (row["t_ms"] - start_ms) // STEP_MS
        values = SORTS[sort if 58 <= number < 98 else "normal"]
        noisy = np.array(values) * rng.uniform(0.97, 1.03, len(values))
        rows.append(row | dict(zip(FEATURES, noisy.tolist(), strict=True)))
    capture(rows, store)


def keep_every_tenth(file: Path, link: str) -> None:
    """Take most rows of a link out of a file, so that no whole window is left."""
    table = pd.read_parquet(file)
    is_kept = (table["link"] != link) | (table["t_ms"] // STEP_MS % 10 == 0)
    table[is_kept].to_parquet(file)
