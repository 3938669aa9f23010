"""Milliseconds that the reason of one fault takes, beside embedding a batch of 1,024 windows.

    python -m tests.bench.reason [--bundle BUNDLE]

Without a bundle: the small one that tests train, in ten seconds. The faults are those of the
links that it hasn't learnt from, each explained by what was usual before it; then the same
with every feature changed, which is the worst that can come.
"""

import math
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet
from detector.bundle import Bundle, load
from detector.capture import SHIPPED, read_links
from detector.encoder import Encoder, open_encoder
from detector.oncall.change import changes, noise_of
from detector.oncall.explainer import Explainer, likeness
from tests.trained import LEFT_OUT, trained_bundle

from .machine import describe, rate

BATCH = 1024  # windows that a daemon embeds at once
COUNTS = (1, 8, 64)  # windows explained at once
BEFORE = 60  # normal rows before a fault that tell what is usual


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Encoder to explain")
def main(bundle: Path | None) -> None:
    """Print the table."""
    made = load(bundle) if bundle else trained_bundle()
    spec, encoder = made.manifest.window, open_encoder(made)
    anchors = AnchorSet(made.anchor_embeddings, made.labels)
    normal = made.anchor_windows[[label == "normal" for label in made.labels]]
    explainer = Explainer(spec=spec, embed=encoder.embed, normal=normal, seconds=math.inf)
    windows, usual, labels = _faults(made, encoder, anchors)
    scores = [likeness(anchors, label) for label in labels]
    changed = changes(windows, usual, noise_of(spec.features, normal)).changed.sum(axis=1)
    batch = np.resize(windows, (BATCH, *spec.shape))
    embedding = 1000 / rate(lambda: encoder.embed(batch), 1)
    print(describe())
    print(f"{len(windows)} windows of faults, {spec.steps} steps x {len(spec.features)} features;")
    print(f"{np.median(changed):.0f} features changed in the middle one, {changed.max()} at most")
    print(f"embedding {BATCH:,} windows: {embedding:.1f} ms\n")
    print(f"{'ms for one reason (share of it)':34}" + "".join(f"{n:>7} at once" for n in COUNTS))
    worst = 1000 * (1 + np.nan_to_num(windows))
    for name, values in {"faults": windows, "every feature changed": worst}.items():
        row = ""
        for count in COUNTS:
            some, mine = (values[:count], usual[:count]), scores[:count]
            speed = rate(lambda some=some, mine=mine: explainer.explain(*some, mine), count)
            row += f"{1000 / speed:>10.2f} {1000 / speed / embedding:>3.0%}"
        print(f"{name:34}{row}")


def _faults(
    bundle: Bundle, encoder: Encoder, anchors: AnchorSet
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[str]]:
    """Give windows that are rightly named a fault, what was usual before, and their labels."""
    spec = bundle.manifest.window
    windows, usual, labels = [], [], []
    for link in read_links([SHIPPED], spec, [f"{LEFT_OUT}/access"]):
        named = anchors.classify(encoder.embed(link.windows(spec.steps))).label
        normal = np.flatnonzero(link.labels == "normal")
        for start, place in enumerate(named):
            label, before = anchors.labels[place], normal[normal < start][-BEFORE:]
            is_right = label == link.labels[start + spec.steps - 1]
            if is_right and label != "normal" and len(before) == BEFORE:
                windows.append(link.values[start : start + spec.steps])
                usual.append(np.median(link.values[before], axis=0))
                labels.append(label)
    order = np.random.default_rng(0).permutation(len(labels))
    return np.stack(windows)[order], np.stack(usual)[order], [labels[place] for place in order]


if __name__ == "__main__":
    main()
