"""Differences: which faults two bundles judge differently on the same traffic.

Both judge by the daemon's own rule, each in windows of its own; `faults` says which of their
faults are one event.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from detector.bundle import Bundle
from detector.capture import LinkCapture
from detector.config import State, Unknown
from detector.encoder import open_encoder
from detector.replay import Replay
from detector.sight import Sight
from detector.state import NORMAL, Turn

from .faults import Fault, Pair, What, faults_of, pairs
from .replay import judged
from .traffic import name_of, read

ALIKE = ("same", "later", "sooner")  # both gave it one name
STATE, UNKNOWN = State(), Unknown()  # where the defaults come from
Tell = Callable[[str], None]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that two bundles judge differently."""

    link: str
    what: What
    old: Fault | None
    new: Fault | None
    delay_ms: int | None = None  # by how much NEW noticed it later, where both did
    truth: str = ""  # what most of its rows are labelled; "" = nobody said
    learnt: tuple[str, ...] = ()  # "old", "new": whose training saw this run

    @property
    def is_better(self) -> bool | None:
        """Whether NEW is nearer to the truth; None where that is not known, or both are alike."""
        if not self.truth or self.what in ("joined", "split"):
            return None
        if self.what in ALIKE:
            is_right = self.old is not None and self.old.state == self.truth
            return (self.delay_ms or 0) < 0 if is_right else None
        # What is no fault to a bundle is normal to it.
        old, new = (one.state if one else NORMAL for one in (self.old, self.new))
        return None if (old == self.truth) == (new == self.truth) else new == self.truth


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What two bundles judged of the same traffic."""

    old: str  # bundle ids
    new: str
    links: int
    windows: tuple[int, int]  # judged by OLD and by NEW
    faults: tuple[int, int]
    same: int  # of the same name, and noticed at about the same time
    totals: dict[str, int]  # by `What`
    better: int  # where the truth is known
    worse: int
    median_delay_ms: float | None  # by how much NEW noticed later what both named alike
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """How two bundles are compared."""

    only: tuple[str, ...] = ("*",)  # patterns of links
    hop_seconds: float = 1.0
    rule: State = STATE
    budget_a_week: float = UNKNOWN.false_alarms_a_link_week
    least_delay_ms: int = 3000  # a smaller difference of when a fault was noticed is none


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one bundle made of some links."""

    links: dict[str, LinkCapture]
    windows: int
    faults: dict[str, list[Fault]]  # by link, in time


def compare(
    old: Bundle,
    new: Bundle,
    paths: Sequence[Path],
    how: Comparing = Comparing(),
    tell: Tell = lambda _: None,
) -> Differences:
    """Judge captures and stores with two bundles, and find where they differ.

    Raises:
        CaptureError: if one of them can't read the captures.
    """
    sides = []
    for name, bundle in (("old", old), ("new", new)):
        tell(f"judging with the {name} bundle {bundle.id}")
        sides.append(judgement(bundle, read(paths, bundle.manifest.window, how.only), how))
    return differences(old, new, (sides[0], sides[1]), how)


def judgement(bundle: Bundle, links: Sequence[LinkCapture], how: Comparing) -> Judgement:
    """Let a bundle judge links as a daemon does."""
    sight = Sight.of(bundle, open_encoder(bundle), budget_a_week=how.budget_a_week)
    hop_ms = round(how.hop_seconds * 1000)
    windows = Replay(links, bundle.manifest.window, hop_ms=hop_ms)
    turns: dict[str, list[Turn]] = {}
    ends_ms: dict[str, int] = {}
    for verdicts, changed in judged(sight, windows, how.rule):
        ends_ms |= {verdict.link: verdict.end_ms for verdict in verdicts}
        for turn in (turn for some in changed.values() for turn in some):
            turns.setdefault(turn.link, []).append(turn)
    found = {link: faults_of(turns.get(link, ()), end_ms) for link, end_ms in ends_ms.items()}
    return Judgement({link.link: link for link in links}, len(windows), found)


def differences(
    old: Bundle, new: Bundle, sides: tuple[Judgement, Judgement], how: Comparing
) -> Differences:
    """Set two bundles' faults side by side, link by link."""
    links = sides[0].links | sides[1].links
    listed: list[Difference] = []
    delays: list[int] = []
    for name in sorted(links):
        mine, other = (side.faults.get(name, []) for side in sides)
        for pair in pairs(mine, other, how.least_delay_ms):
            if pair.what in ALIKE and pair.delay_ms is not None:
                delays.append(pair.delay_ms)
            if pair.what != "same":
                learnt = _learnt(links[name].run, old, new)
                listed.append(_difference(links[name], pair, learnt))
    return _summed(old, new, sides, listed, delays)


def _difference(link: LinkCapture, pair: Pair, learnt: tuple[str, ...]) -> Difference:
    return Difference(
        link=name_of(link),
        what=pair.what,
        old=pair.old,
        new=pair.new,
        delay_ms=pair.delay_ms,
        truth=_truth(link, [fault for fault in (pair.old, pair.new) if fault]),
        learnt=learnt,
    )


def _summed(
    old: Bundle,
    new: Bundle,
    sides: tuple[Judgement, Judgement],
    listed: Sequence[Difference],
    delays: Sequence[int],
) -> Differences:
    faults = [sum(map(len, side.faults.values())) for side in sides]
    late = sum(one.what in ALIKE for one in listed)
    return Differences(
        old=old.id,
        new=new.id,
        links=len({name_of(link) for side in sides for link in side.links.values()}),
        windows=(sides[0].windows, sides[1].windows),
        faults=(faults[0], faults[1]),
        same=len(delays) - late,
        totals=dict(sorted(Counter(one.what for one in listed).items())),
        better=sum(one.is_better is True for one in listed),
        worse=sum(one.is_better is False for one in listed),
        median_delay_ms=median(delays) if delays else None,
        differences=tuple(listed),
    )


def _truth(link: LinkCapture, faults: Sequence[Fault]) -> str:
    """Give the label that most of the rows between the faults' beginning and end have."""
    since, until = (
        (edge - link.start_ms) // link.step_ms
        for edge in (min(f.since_ms for f in faults), max(f.until_ms for f in faults))
    )
    labels = [label for label in link.labels[max(0, since - 1) : until] if label is not None]
    if not labels:
        return ""
    names, counts = np.unique(np.array(labels, str), return_counts=True)
    return str(names[counts.argmax()])


def _learnt(run: str, old: Bundle, new: Bundle) -> tuple[str, ...]:
    sides = (("old", old), ("new", new))
    return tuple(name for name, bundle in sides if run in bundle.manifest.training.runs)
