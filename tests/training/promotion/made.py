"""A store with a live bundle and candidates, captures to judge them on, and reports of daemons."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from detector.bundle import Bundle
from detector.bundles import BundleStore
from detector.inputs import Inputs
from detector.shadow.report import CanaryPair, Onsets, ShadowReport, encode
from tests.fakes import FEATURES, make_capture, make_rows, plain_embed
from tests.training.naming.stores import capture, life
from training.naming import acts
from training.promotion.unseen import HeldBack, Side

BY = {"who": "me", "why": "a test", "now_ms": 1}
SPELL = 15  # rows of one label
START_MS = 1_700_001_000_000  # in 2023-11-14T22
HOUR_MS = 3_600_000
WEEK_SECONDS = 604_800.0


def make_store(path: Path, *bundles: Bundle) -> tuple[BundleStore, list[str]]:
    """Make a store of some bundles, the first of which is current, and give their ids."""
    store = BundleStore(path)
    store.create()
    ids = [store.add(bundle, **BY) for bundle in bundles]
    store.switch(ids[0], action="promoted", **BY)
    return store, ids


def relearnt(bundle: Bundle, seed: int = 9, **changes: Any) -> Bundle:
    """Give the same bundle as another training would have made it: only its id differs."""
    training = msgspec.structs.replace(bundle.manifest.training, seed=seed, **changes)
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, training=training))


def confused(bundle: Bundle) -> Bundle:
    """Give a bundle that takes normal for blocked, and blocked for normal."""
    other = {"normal": "blocked", "blocked": "normal"}
    anchors = tuple(
        msgspec.structs.replace(anchor, label=other.get(anchor.label, anchor.label))
        for anchor in bundle.manifest.anchors
    )
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, anchors=anchors))


def disturbed(bundle: Bundle, noise: float, seed: int = 0) -> Bundle:
    """Give a bundle with noise on its weights, which embeds as its golden windows say."""
    rng, manifest = np.random.default_rng(seed), bundle.manifest
    weights = {
        name: (array + rng.normal(0, noise, array.shape)).astype(np.float32)
        for name, array in bundle.weights.items()
    }
    inputs = Inputs(manifest.inputs, manifest.window)
    return replace(
        bundle,
        weights=weights,
        anchor_embeddings=plain_embed(
            manifest.architecture, weights, inputs(bundle.anchor_windows)
        ),
        golden_embeddings=plain_embed(
            manifest.architecture, weights, inputs(bundle.golden_windows)
        ),
    )


def make_captures(folder: Path, runs: int = 6, first: int = 4) -> Path:
    """Write captures of some runs, in each of which both faults come and go."""
    folder.mkdir(exist_ok=True)
    spells = ["normal", "blocked", "normal", "capacity-limited", "normal"]
    labels = [label for label in spells for _ in range(SPELL)]
    links = {f"lab-{run}/access": labels for run in range(first, first + runs)}
    make_capture(folder / "lab.parquet", links)
    return folder


def make_capture_store(folder: Path, hours: int) -> Path:
    """Write what a daemon captured of one link: each hour a link that is blocked for a while."""
    for hour in range(hours):
        start_ms = HOUR_MS * hour + START_MS
        rows = life([("normal", 60), ("blocked", 40), ("normal", 60)], start_ms=start_ms)
        for row in rows:
            del row["packets"]
            is_blocked = 60 <= (row["t_ms"] - start_ms) // 1000 < 100
            values = make_rows("blocked" if is_blocked else "normal", 1)[0]
            row.update(zip(FEATURES, values, strict=True))
        capture(rows, folder)
        for what, label, begin, end in (
            ("rename", "normal", 0, 160),
            ("rename", "blocked", 60, 100),
        ):
            act = acts.make(
                at_ms=start_ms + begin,  # the second is the newer
                who="me",
                what=what,
                link="trunk-1",
                from_ms=start_ms + begin * 1000,
                to_ms=start_ms + end * 1000,
                label=label,
            )
            acts.write(act, folder)
    return folder


def make_report(**changes: Any) -> ShadowReport:
    """Make a report of a week that is as good as it can be."""
    usual = {
        "candidate": "c" * 12,
        "live": "a" * 12,
        "daemon": "host-1",
        "since_ms": 0,
        "until_ms": 604_800_000,
        "link_seconds": WEEK_SECONDS,
        "windows": 1000,
        "states": {"normal": {"normal": 900}, "blocked": {"blocked": 100}},
        "onsets": {"blocked": Onsets(20, 20, 20)},
        "unknown": Onsets(3, 3, 3),
        "delays_ms": (0,) * 20,
        "canaries": {"blocked": CanaryPair(90, 100, 90, 100)},
    }
    return ShadowReport(**usual | changes)


def report(store: BundleStore, candidate: str, daemon: str = "host-1", **changes: Any) -> None:
    """Let a daemon report of a candidate beside the current version."""
    facts = {"candidate": candidate, "live": store.current, "daemon": daemon} | changes
    store.write_report(candidate, daemon, encode(make_report(**facts)))


def make_held_back(candidate: dict[str, Any] | None = None, **changes: Any) -> HeldBack:
    """Make what came of two equal bundles, with changes in the second."""
    side = Side(macro_f1=0.9, found=90, delay_seconds=5.0, false=3)
    usual = {
        "runs": 20,
        "labels": ("blocked", "normal"),
        "onsets": 100,
        "hours": 24.0,
        "live": side,
        "candidate": msgspec.structs.replace(side, **candidate or {}),
        "lead": 0.0,
        "lead_low": 0.0,
        "lead_high": 0.0,
    }
    return HeldBack(**usual | changes)
