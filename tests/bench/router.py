"""One reference a label on a network that training never saw: router ports, counters alone.

    python -m tests.bench.router ../shared/data/cisco-router-2019/captures-10s.parquet

An encoder is trained on packets and bytes of the captures that ship, seconds apart, and shown
one window of each label of ports that report every ten seconds. Beside it, with the same
references: the nearest neighbour on the logarithms of the same counters, and on them with the
busier direction first.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.capture import SHIPPED, LinkCapture, links_of, read_table
from detector.window import WindowSpec
from training.data import pool
from training.fitting import fit
from training.labelled import LabelledWindows
from training.settings import Settings

OCTET = 8  # bits
FEATURES = ("fwd_packets", "fwd_bytes", "rev_packets", "rev_bytes")
DRAWS = 200
STEP_MS = 10_000


@click.command()
@click.argument("ports", type=click.Path(exists=True, path_type=Path))
@click.option("--captures", type=click.Path(path_type=Path), multiple=True, default=(SHIPPED,))
@click.option("--seeds", default=3)
def main(ports: Path, captures: Sequence[Path], seeds: int) -> None:
    """Print balanced accuracy over draws of the references."""
    windows = _ports(ports)
    print(f"{len(windows)} windows of {len(windows.links)} ports, {DRAWS} draws of references")
    for name, describe in _described(captures, seeds):
        points = describe(windows.cut(slice(None)))
        scores = _one_shot(points, windows)
        low, middle = np.quantile(scores, (0.05, 0.5))
        print(f"{name:50} mean {np.mean(scores):.3f}  median {middle:.3f}  5 % below {low:.3f}")


def _described(
    captures: Sequence[Path], seeds: int
) -> list[tuple[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]]:
    """List what describes windows: trained encoders and plain numbers."""
    found = []
    variants = {
        "default recipe": {},
        "busier direction first": {"busier_first": True},
        "busier first, ratios alone": {"busier_first": True, "inputs": "ratios"},
        "busier first, loads scaled up to 1000": {"busier_first": True, "load_span": 1000.0},
    }
    for name, changes in variants.items():
        for seed in range(seeds):
            settings = Settings(features=FEATURES, seed=seed, head=False, **changes)
            side = pool(captures, settings)
            fitted = fit(side.side(side.links).learning, settings, lambda *_: None)
            found.append((f"encoder, {name}, seed {seed}", fitted.encoder.embed))
    return [*found, ("logarithms", _logarithms), ("logarithms, busier first", _busier_first)]


def _ports(path: Path) -> LabelledWindows:
    """Read the ports as counts a step, in the words of the captures that ship."""
    table = read_table([path])
    ours = {"in": "fwd", "out": "rev"}
    for theirs, name in ours.items():
        table[f"{name}_packets"] = table[f"{theirs}_packets_per_second"] * STEP_MS / 1000
        table[f"{name}_bytes"] = table[f"{theirs}_bits_per_second"] * STEP_MS / 1000 / OCTET
    # A window is 15 reports in a row, though they lie 11 to 12 s apart.
    table["t_ms"] = table.groupby("link").cumcount() * STEP_MS
    links: list[LinkCapture] = links_of(table, FEATURES, STEP_MS)
    return LabelledWindows(links, WindowSpec(FEATURES, 15, STEP_MS), tail=15)


def _one_shot(points: NDArray[np.float32], windows: LabelledWindows) -> list[float]:
    """Judge with one window of each label drawn as its reference, again and again."""
    rng = np.random.default_rng(0)
    labels = windows.labels.astype(str)
    scores = []
    for _ in range(DRAWS):
        drawn = [int(rng.choice(np.flatnonzero(labels == name))) for name in np.unique(labels)]
        anchors = AnchorSet(points[drawn], labels[drawn].tolist())
        said = np.array(anchors.labels)[anchors.classify(points).label]
        scores.append(float(np.mean([(said == x)[labels == x].mean() for x in np.unique(labels)])))
    return scores


def _logarithms(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log1p(np.nan_to_num(windows)).reshape(len(windows), -1)


def _busier_first(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = np.nansum(windows, axis=1)
    is_other = sums[:, 2] > sums[:, 0]
    return _logarithms(np.where(is_other[:, None, None], windows[..., [2, 3, 0, 1]], windows))


if __name__ == "__main__":
    main()
