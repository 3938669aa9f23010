"""Performing a run: what is done when, and what makes it not count."""

import threading
import time
from collections.abc import Sequence

import pytest

from training.lab.perform import Performance, RunError
from training.lab.plan import Direction, Fault, Kind, Load, Phase, Rate, Run, Traffic
from training.lab.truth import truth

SHAPER = Fault(Kind.SHAPER, Direction.FORWARD, 0.5)
BLOCK = Fault(Kind.BLOCK)


class FakeLink:
    """Notes what it is told; its limiter drops a packet at each look."""

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.told: list[tuple[str, object]] = []
        self._dead, self._dropped = list(dead), 0

    def set_rates(self, elapsed_seconds: float) -> None:
        """Note the time of the run."""
        self.told.append(("rates", elapsed_seconds))

    def apply(self, phase: Phase) -> tuple[int, int]:
        """Take 20 ms to do it."""
        before = time.time_ns() // 10**6
        time.sleep(0.02)
        self.told.append(("apply", phase))
        return before, time.time_ns() // 10**6

    def limiter(self) -> tuple[int, int]:
        """Drop one more."""
        self._dropped += 1
        return self._dropped, 7

    def dead(self) -> list[str]:
        """Name the programs that died."""
        return self._dead


def make_run(*phases: Phase) -> Run:
    """Make a run of these phases."""
    return Run("r", (Load(Traffic.CALL, Rate(5)),), phases, family="A")


def perform(link: FakeLink, run: Run) -> Performance:
    """Prepare a performance that warms up for a moment only."""
    return Performance(link, run, warm_seconds=0.1)  # type: ignore[arg-type]


def test_phases_follow_each_other_and_each_is_timed() -> None:
    """The truth of every row hangs on these times."""
    run = make_run(Phase(0.3), Phase(0.2, (BLOCK,)), Phase(0.2))
    link = FakeLink()

    timeline = perform(link, run).perform(threading.Event())

    assert [phase for what, phase in link.told if what == "apply"] == list(run.phases)
    assert [entry.faults for entry in timeline.entries] == [(), (BLOCK,), ()]
    assert (timeline.run, timeline.family) == ("r", "A")
    for entry, phase in zip(timeline.entries, run.phases, strict=True):
        assert 15 <= entry.start_ms - entry.command_ms < 200
        assert entry.end_ms - entry.command_ms == pytest.approx(1000 * phase.seconds, abs=150)
    ends = [entry.end_ms for entry in timeline.entries[:-1]]
    assert ends == [entry.command_ms for entry in timeline.entries[1:]]


def test_the_load_is_told_the_time_of_the_run_from_its_warming_up_on() -> None:
    """Schedules are drawn for the run; while it warms up, its first second counts."""
    link = FakeLink()

    perform(link, make_run(Phase(0.2))).perform(threading.Event())

    times = [elapsed for what, elapsed in link.told if what == "rates"]
    assert times[0] == 0.0
    assert link.told[0][0] == "rates"
    assert times == sorted(times)


def test_limiters_are_asked_only_while_one_is_in_force() -> None:
    """A limit that never binds is no fault, and only its own counters tell."""
    performance = perform(FakeLink(), make_run(Phase(0.2), Phase(0.3, (SHAPER,)), Phase(0.2)))

    timeline = performance.perform(threading.Event())

    limited = timeline.entries[1]
    assert timeline.polls
    assert all(limited.start_ms - 1 <= poll.at_ms <= limited.end_ms for poll in timeline.polls)
    assert timeline.polls[0].dropped == 1
    assert timeline.polls[0].queued == 7


def test_a_run_in_which_a_program_died_does_not_count() -> None:
    """What looks like a blocked link would be labelled normal."""
    link = FakeLink(dead=["call-caller"])
    performance = Performance(
        link,
        make_run(Phase(30)),
        warm_seconds=0.1,
        look_seconds=0.0,  # type: ignore[arg-type]
    )

    with pytest.raises(RunError, match="call-caller died"):
        performance.perform(threading.Event())


def test_what_died_in_the_last_seconds_counts_too() -> None:
    """A run may end before its next look."""

    class Dying(FakeLink):
        """Lives at the first look only."""

        looks = 0

        def dead(self) -> list[str]:
            """Name the programs that died."""
            self.looks += 1
            return ["caller-call"] if self.looks > 1 else []

    with pytest.raises(RunError, match="caller-call died"):
        perform(Dying(), make_run(Phase(0.2))).perform(threading.Event())


def test_what_died_before_a_fault_that_kills_it_is_seen() -> None:
    """Its silence would be labelled normal, and the fault's own kill would hide it."""

    class Reviving(FakeLink):
        """Forgets who is dead when a fault kills everybody."""

        def apply(self, phase: Phase) -> tuple[int, int]:
            """Kill, and start again."""
            done = super().apply(phase)
            self._dead = ["callee-sip"] if not phase.faults and len(self.told) < 9 else []
            return done

    with pytest.raises(RunError, match="callee-sip died"):
        perform(Reviving(), make_run(Phase(0.2), Phase(0.2, (BLOCK,)))).perform(threading.Event())


def test_a_flaw_makes_a_run_not_count() -> None:
    """Such as a probe that failed in its first second."""
    performance = Performance(
        FakeLink(),  # type: ignore[arg-type]
        make_run(Phase(30)),
        lambda: "the probe failed",
        warm_seconds=0.1,
    )

    with pytest.raises(RunError, match="the probe failed"):
        performance.perform(threading.Event())


def test_told_to_stop_it_stops_at_once() -> None:
    """An operator's interrupt must not wait for the end of a ten-minute fault."""
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    begun = time.monotonic()

    with pytest.raises(RunError, match="told to stop"):
        perform(FakeLink(), make_run(Phase(60))).perform(stopping)

    assert time.monotonic() - begun < 5


def test_a_timeline_of_a_performance_labels_rows() -> None:
    """What is written down is what `truth` reads."""
    import numpy as np

    timeline = perform(FakeLink(), make_run(Phase(0.4), Phase(0.6, (BLOCK,)))).perform(
        threading.Event()
    )
    first, second = timeline.entries
    t_ms = np.array([first.start_ms + 50, first.end_ms - 20, second.start_ms + 50])

    labels, kinds = truth(timeline, t_ms, 100)

    assert labels.tolist() == ["normal", None, "blocked"]
    assert kinds.tolist() == ["normal", "transition", "block_both"]
