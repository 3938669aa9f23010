"""Pieces of links as a store gives them, whose truth is known, and one small retraining."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from detector.bundle import Bundle, load, save
from detector.capture import LinkCapture
from detector.state import RESERVED
from detector.window import WindowSpec
from tests.training.captures import ANSWERED, FEATURES, Recorder, make_table, tiny_training, write
from tests.training.naming.stores import save as save_rows
from training.naming.acts import make
from training.naming.acts import write as write_act
from training.naming.pieces import name_of as name_piece
from training.retraining.gathered import Limits, labels_of
from training.retraining.retrain import Retrained, Wanted, retrain
from training.traffic import name_of

HOUR_MS = 3_600_000
DAY_MS = 1_700_006_400_000  # 2023-11-15, midnight
SPEC = WindowSpec(FEATURES, steps=10, step_ms=1000)


def piece(
    hour: int, *labels: str | None, link: str = "trunk-1", rows: int = 40, minute: int = 0
) -> LinkCapture:
    """Make a piece of so many rows of each label, of an hour of that day; None is traffic too."""
    rng = np.random.default_rng((hour, minute, len(link)))
    truth = np.array([label for label in (*labels, "") for _ in range(rows)], object)
    truth = truth[: rows * len(labels)]
    answered = np.array([ANSWERED.get(label or "normal", 0.3) for label in truth])
    requests = rng.poisson(20, len(truth)).astype(float)
    answers = np.round(requests * answered)
    late = np.where(answers > 0, 20 / np.maximum(answered, 0.1), 0)
    columns = (2 * requests, 2 * answers, requests, answers, late)
    start_ms = DAY_MS + hour * HOUR_MS + minute * 60_000
    values = np.stack(columns, axis=1).astype(np.float32)
    return LinkCapture(name_piece(link, start_ms), start_ms, 1000, values, truth, truth)


def hours_of(links: Sequence[LinkCapture], label: str) -> set[str]:
    """Give the hours in which a label is."""
    return {link.run for link in links if label in set(link.labels)}


def week() -> list[LinkCapture]:
    """Make what a store may have: traffic of every hour, a new fault, and what nobody named."""
    links = [piece(hour, "normal") for hour in range(30)]
    links += [piece(hour, "lossy", link="trunk-2", minute=5) for hour in range(0, 30, 3)]
    links += [piece(3, "rare", minute=20), piece(5, "unknown", minute=30)]
    links += [piece(7, None, minute=40)]
    return links


@cache
def running() -> Bundle:
    """Give the bundle that runs, as it is loaded."""
    with TemporaryDirectory() as folder:
        save(tiny_training()[0], Path(folder) / "bundle")
        return load(Path(folder) / "bundle")


def retrained(folder: Path, stored: Sequence[LinkCapture], **wanted: object) -> Retrained:
    """Retrain on the tiny capture and what is *stored*."""
    limits = wanted.pop("limits", Limits(hold_back=0.2))
    chosen = Wanted(limits=limits, **wanted)  # type: ignore[arg-type]
    return retrain(running(), [write(make_table(), folder)], stored, chosen, Recorder())


@cache
def weekly() -> Retrained:
    """Retrain once for all tests of this process, from scratch."""
    with TemporaryDirectory() as folder:
        return retrained(Path(folder), week())


def capture(links: Sequence[LinkCapture], store: Path) -> None:
    """Write pieces as a daemon captures faults, and name each stretch of them by its label."""
    for link in links:
        name, begin = name_of(link), link.start_ms
        rows = [
            {"link": name, "t_ms": begin + 1000 * place, "source": "probe"}
            | dict(zip(FEATURES, row, strict=True))
            for place, row in enumerate(link.values)
        ]
        save_rows(rows, store, kind="fault")
        for label in labels_of(link) - set(RESERVED):
            places = np.flatnonzero(link.labels == label)
            act = make(
                at_ms=DAY_MS,
                who="operator",
                what="rename",
                label=label,
                link=name,
                from_ms=begin + 1000 * int(places[0]),
                to_ms=begin + 1000 * int(places[-1] + 1),
            )
            write_act(act, store)
