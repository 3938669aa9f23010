"""A live bundle at work, and candidates that are as good, blind, slow or broken."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from detector.oncall.canary import Canaries
from detector.oncall.difference import difference
from detector.shadow.trial import Shown, Trial
from detector.sight import Sight
from detector.state import NORMAL, Turn
from detector.window import Window
from tests.fakes import ANSWERED, NOON_MS, draft_bundle, make_rows, make_spec

SPEC = make_spec()  # four steps of a second
FAULTS = ("blocked", "capacity-limited")


class Knowing:
    """An encoder that sees three labels apart, by the share of the newest requests answered."""

    size = 3

    def embed(self, values):
        """Give a corner of a cube for each label."""
        requests, answers = values[:, -1, 0], values[:, -1, 1]
        share = answers / np.maximum(requests, 1)
        near = [min(ANSWERED, key=lambda label: abs(ANSWERED[label] - one)) for one in share]
        return np.eye(3, dtype=np.float32)[[sorted(ANSWERED).index(label) for label in near]]


class Blind(Knowing):
    """An encoder to which everything is normal."""

    def embed(self, values):
        """Give the corner of normal."""
        place = sorted(ANSWERED).index(NORMAL)
        return np.eye(3, dtype=np.float32)[[place] * len(values)]


class Counting(Knowing):
    """An encoder that also sees when there is more traffic than there ever was."""

    def embed(self, values):
        """Give the far corner for that."""
        found = super().embed(values)
        found[values[:, -1, 0] > 1000] = 1.0
        return found


class Late(Knowing):
    """An encoder that sees everything some steps later."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def embed(self, values):
        """Look at an older row than the newest."""
        return super().embed(values[:, : values.shape[1] - self._steps])


class Waiting(Knowing):
    """An encoder that takes as long as a test wants."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.is_busy = threading.Event()

    def embed(self, values):
        """Wait, then see."""
        self.is_busy.set()
        self.may_go.wait(30)
        return super().embed(values)


class Broken(Knowing):
    """An encoder that can't."""

    def embed(self, values):
        """Fail."""
        raise RuntimeError("no such weights")


def sight(encoder=None, spec=SPEC) -> Sight:
    """Look through an encoder of three corners, with its own embeddings of the anchors."""
    encoder, bundle = encoder or Knowing(), draft_bundle(spec=spec)
    points = Knowing().embed(bundle.anchor_windows)
    bundle = replace(bundle, anchor_embeddings=points)
    return Sight.of(bundle, encoder)


def canaries(of: Sight, **changes) -> Canaries:
    """Plant both faults, one a second."""
    normal = make_rows(NORMAL, 1)[0]
    differences = [
        difference(label, normal, make_rows(label, SPEC.steps), SPEC) for label in FAULTS
    ]
    usual = {"every_seconds": 1.0, "most": 8}
    return Canaries(differences, SPEC, of.steady(), **usual | changes)


class Live:
    """What the loop does: a second at a time, a window of each link, judged by the live bundle."""

    def __init__(self, links: Mapping[str, str] | int = 5, encoder=None, rule=None) -> None:
        names = (
            {f"trunk-{number}": NORMAL for number in range(links)}
            if isinstance(links, int)
            else links
        )
        self.is_now = dict(names)  # what every link has
        self.sight = sight(encoder)
        self.steady = self.sight.steady(rule)
        self.judge = self.sight.judge(self.steady)
        self.second = 0
        self.load = 100.0  # requests a second
        self._rows = {name: make_rows(label, SPEC.steps) for name, label in names.items()}

    def step(self) -> Shown:
        """Let a second pass, and judge."""
        self.second += 1
        end_ms = NOON_MS + self.second * 1000
        windows = []
        for name, label in self.is_now.items():
            rows = self._rows.get(name, make_rows(label, SPEC.steps, self.load))
            self._rows[name] = np.concatenate([rows[1:], make_rows(label, 1, self.load)])
            start_ms = end_ms - SPEC.span_ms
            windows.append(Window(name, "probe-1", start_ms, end_ms, self._rows[name]))
        seen = self.sight.see(np.stack([window.values for window in windows]))
        verdicts, turns = self.judge.judge(windows, *seen)
        return Shown(windows, verdicts, [turn for some in turns.values() for turn in some])

    def steps(self, seconds: int) -> Iterator[Shown]:
        """Let some seconds pass."""
        for _ in range(seconds):
            yield self.step()

    def day(self, faults: int = 4) -> Iterator[Shown]:
        """Let faults come and go, one link after the other."""
        yield from self.steps(20)
        for number, name in enumerate(list(self.is_now)[:faults]):
            self.is_now[name] = FAULTS[number % 2]
            yield from self.steps(20)
            self.is_now[name] = NORMAL
            yield from self.steps(50)


def make_trial(encoder=None, spec=SPEC, **changes) -> Trial:
    """Try a candidate beside `Live`."""
    return Trial(sight(encoder, spec), SPEC, **changes)


def facts() -> dict[str, object]:
    """Give what a report has from elsewhere."""
    return {"candidate": "c", "live": "l", "daemon": "d", "since_ms": 0, "until_ms": 1}


def turn(at_ms: int, **changes) -> Turn:
    """Make a change of state."""
    usual = {"link": "trunk-1", "source": "", "previous": NORMAL, "state": "blocked"}
    usual |= {"at_ms": at_ms, "since_ms": at_ms - 3000, "began_ms": 0}
    return Turn(**usual | {"worst_margin": 0.0, "is_flapping": False} | changes)
