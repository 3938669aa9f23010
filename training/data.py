"""What a training learns from: captures, parted by runs and cut into labelled windows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path

import numpy as np

from detector.capture import (
    CaptureError,
    LinkCapture,
    features_of,
    files_of,
    links_of,
    read_table,
)
from detector.state import RESERVED
from detector.window import WindowSpec

from .augment import superposed
from .failing import offered
from .labelled import LabelledWindows
from .settings import Settings
from .split import split_runs

SPARSE = 0.05  # a feature that more of the rows lack is optional


class UnmatchedError(CaptureError):
    """A setting asks for what the captures don't have: most likely a slip of the pen."""

    def __init__(self, setting: str, why: str) -> None:
        super().__init__(f"{setting} {why}")
        self.option = f"--{setting.replace('_', '-')}"  # of `anchorwatch train`
        self.why = why


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


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All links of some captures, and those that a training may learn from."""

    spec: WindowSpec
    settings: Settings
    everywhere: Sequence[LinkCapture]
    links: Sequence[LinkCapture]  # wanted, with the labels that are to be learnt
    captures: dict[str, str]  # file name to SHA-256

    @property
    def tail(self) -> int:
        """How many last rows of a window give it its label."""
        rows = round(self.settings.tail_seconds * 1000 / self.settings.step_ms)
        return min(self.settings.steps, max(1, rows))

    def side(self, links: Sequence[LinkCapture]) -> Side:
        """Cut some of the links into windows."""
        wanted = self.settings.superpose
        more = superposed(links, self.everywhere, self.spec.features) if wanted else []
        return Side(
            LabelledWindows([*links, *more], self.spec, tail=self.tail),
            LabelledWindows(links, self.spec, tail=self.spec.steps),
        )


def pool(paths: Sequence[Path], settings: Settings, *, strict: bool = False) -> Pool:
    """Read captures; *strict* is for settings of somebody who has just chosen them.

    Those of a bundle may name runs that these captures never had, or have no more.

    Raises:
        CaptureError: if they can't be read, or nothing in them is wanted.
        UnmatchedError: with *strict*, if a name or pattern in the settings matches nothing.
    """
    table = read_table(paths)
    features = tuple(dict.fromkeys(settings.features)) or features_of(table)
    everywhere = links_of(table, features, settings.step_ms)
    if strict:
        _check(everywhere, settings)
    links = [link for link in everywhere if _is_wanted(link, settings)]
    if not links:
        raise CaptureError("no link matches, or all runs are left out")
    if taken := {str(label) for link in links for label in set(link.labels)} & set(RESERVED):
        raise CaptureError(f"the label {min(taken)!r} means something else to the daemon: rename")
    if settings.labels:
        links = [link.only(settings.labels) for link in links]
    lacking = table[list(features)].isna().mean()
    optional = tuple(name for name in features if lacking[name] > SPARSE)
    return Pool(
        spec=WindowSpec(tuple(features), settings.steps, settings.step_ms, optional),
        settings=settings,
        everywhere=everywhere,
        links=[without_kinds(link, settings.leave_kinds) for link in links],
        captures=dict(
            sorted((file.name, _hash(file)) for path in paths for file in files_of(path))
        ),
    )


def read(paths: Sequence[Path], settings: Settings) -> Data:
    """Read captures and part their runs into those to learn from and those to validate on.

    Raises:
        CaptureError: if they can't be read or parted, or one side has too few labels.
        UnmatchedError: if a name or pattern in the settings matches nothing.
    """
    found = pool(paths, settings, strict=True)
    return part(found, split_runs(found.links, settings.validation_share, settings.seed))


def part(found: Pool, sides: tuple[Sequence[LinkCapture], Sequence[LinkCapture]]) -> Data:
    """Cut what is learnt from and what is validated on, the two *sides*, into windows.

    Raises:
        CaptureError: if one of them has too few labels.
    """
    rest, kept = sides
    rehearsal = found.side(rest)
    validation = LabelledWindows(kept, found.spec, tail=found.tail)
    known = set(rehearsal.learning.labels)
    if len(labels := set(validation.labels)) < 2 or not labels <= known:
        names = ", ".join(sorted(labels)) or "none"
        raise CaptureError(
            f"the runs to validate on need two labels that others are learnt from too, they have "
            f"{names}: record more runs, or choose another seed or share"
        )
    return Data(
        spec=found.spec,
        rehearsal=rehearsal,
        validation=validation,
        whole=found.side(found.links),
        captures=found.captures,
    )


def _check(everywhere: Sequence[LinkCapture], settings: Settings) -> None:
    """Refuse a name or pattern that matches nothing.

    Others beside it may match, and nobody would notice: with a slip in *leave_out* an encoder
    learns from the very runs that were kept to judge it by.
    """
    for name, (what, there) in _there(everywhere).items():
        is_it = str.__eq__ if name == "labels" else fnmatchcase  # labels are no patterns
        for asked in getattr(settings, name):
            if not any(is_it(one, asked) for one in there):
                others = offered(asked, sorted(there))
                raise UnmatchedError(name, f"{asked!r} matches no {what}; there is {others}")


def _there(everywhere: Sequence[LinkCapture]) -> dict[str, tuple[str, set[str]]]:
    """Give what each setting can ask for: what that is, and all that there are."""
    labels, kinds = (
        {str(one) for link in everywhere for one in set(rows(link)) if one is not None}
        for rows in (attrgetter("labels"), attrgetter("kinds"))
    )
    return {
        "links": ("link", {link.link for link in everywhere}),
        "leave_out": ("run", {link.run for link in everywhere}),
        "labels": ("label", labels),
        "leave_kinds": ("kind", kinds),
    }


def _is_wanted(link: LinkCapture, settings: Settings) -> bool:
    is_out = any(fnmatchcase(link.run, pattern) for pattern in settings.leave_out)
    return not is_out and any(fnmatchcase(link.link, pattern) for pattern in settings.links)


def without_kinds(link: LinkCapture, patterns: Sequence[str]) -> LinkCapture:
    """Take the label from the rows whose kind matches one of *patterns*."""
    out = {
        kind for kind in set(link.kinds) if kind and any(fnmatchcase(kind, p) for p in patterns)
    }
    if not out:
        return link
    labels = link.labels.copy()
    labels[np.isin(link.kinds.astype(str), list(out))] = None
    return replace(link, labels=labels)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
