"""What a training learns from: captures, parted by runs and cut into labelled windows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from detector.capture import (
    CaptureError,
    LinkCapture,
    features_of,
    files_of,
    links_of,
    read_table,
)
from detector.window import WindowSpec

from .augment import superposed
from .labelled import LabelledWindows
from .settings import Settings
from .split import split_runs

SPARSE = 0.05  # a feature that more of the rows lack is optional


@dataclass(frozen=True, slots=True)
class Side:
    """The windows of some runs, as a training needs them."""

    learning: LabelledWindows  # superposed traffic included
    recorded: LabelledWindows  # what was really recorded of it, windows of one label throughout

    def __post_init__(self) -> None:
        labels = sorted(set(self.learning.labels))
        if len(labels) < 2:
            found = ", ".join(labels) or "none"
            raise CaptureError(f"the runs to learn from need two labels, they have {found}")
        if bare := sorted(set(labels) - set(self.recorded.labels)):
            raise CaptureError(
                f"the runs to learn from have no window of {bare[0]!r} throughout, to be its "
                "anchor: record more runs of it, or choose fewer steps"
            )


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a training learns from and validates on."""

    spec: WindowSpec
    rehearsal: Side  # all runs but those to validate on
    validation: LabelledWindows
    whole: Side  # all runs
    captures: dict[str, str]  # file name to SHA-256


def read(paths: Sequence[Path], settings: Settings) -> Data:
    """Read captures and part their runs into those to learn from and those to validate on.

    Raises:
        CaptureError: if they can't be read or parted, or one side has too few labels.
    """
    table = read_table(paths)
    features = tuple(dict.fromkeys(settings.features)) or features_of(table)
    everywhere = links_of(table, features, settings.step_ms)
    links = [link for link in everywhere if _is_wanted(link, settings)]
    if not links:
        raise CaptureError("no link matches, or all runs are left out")
    if settings.labels:
        links = [link.only(settings.labels) for link in links]
    lacking = table[list(features)].isna().mean()
    optional = tuple(name for name in features if lacking[name] > SPARSE)
    spec = WindowSpec(tuple(features), settings.steps, settings.step_ms, optional)
    tail = min(settings.steps, max(1, round(settings.tail_seconds * 1000 / settings.step_ms)))

    def side(some: Sequence[LinkCapture]) -> Side:
        more = superposed(some, everywhere, features) if settings.superpose else []
        return Side(
            LabelledWindows([*some, *more], spec, tail=tail),
            LabelledWindows(some, spec, tail=spec.steps),
        )

    rest, kept = split_runs(links, settings.validation_share, settings.seed)
    rehearsal, validation = side(rest), LabelledWindows(kept, spec, tail=tail)
    known = set(rehearsal.learning.labels)
    if len(labels := set(validation.labels)) < 2 or not labels <= known:
        found = ", ".join(sorted(labels)) or "none"
        raise CaptureError(
            f"the runs to validate on need two labels that others are learnt from too, they have "
            f"{found}: record more runs, or choose another seed or share"
        )
    return Data(
        spec=spec,
        rehearsal=rehearsal,
        validation=validation,
        whole=side(links),
        captures=dict(
            sorted((file.name, _hash(file)) for path in paths for file in files_of(path))
        ),
    )


def _is_wanted(link: LinkCapture, settings: Settings) -> bool:
    is_out = any(fnmatchcase(link.run, pattern) for pattern in settings.leave_out)
    return not is_out and any(fnmatchcase(link.link, pattern) for pattern in settings.links)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
