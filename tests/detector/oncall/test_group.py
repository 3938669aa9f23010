"""Daemons of one group over time: partitions move, daemons come, stop and die, exporters too."""

from collections import defaultdict
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.config import Events
from tests.detector.oncall.keeping import Life, Topics
from tests.fakes import WallClock

PARTITIONS = range(3)
# Link to its partition; links of `z` are of the other exporter.
LINKS = {"a0": 0, "a1": 1, "a2": 2, "b1": 1, "z0": 0, "z2": 2}
EXPORTERS = {"probe-1": [link for link in LINKS if link[0] != "z"], "probe-2": ["z0", "z2"]}


class Group:
    """Daemons that share partitions, and links that report to whoever has theirs."""

    def __init__(self, make_service, gather):
        self.topics, self.clock = Topics(), WallClock()
        self._make = make_service
        self._settings = {"events": Events(gather_seconds=gather, gather_links=2)}
        self.lives = [self._begin(PARTITIONS)]
        self.labels = dict.fromkeys(LINKS, "normal")
        self.dead = set()  # exporters of which nothing comes

    def _begin(self, partitions):
        return Life(
            self._make, self.topics, clock=self.clock, partitions=partitions, **self._settings
        )

    def owner(self, partition):
        """Find the daemon that has a partition."""
        return next((life for life in self.lives if life.source.has(partition)), None)

    def seconds(self, count):
        """Let time pass."""
        for _ in range(count):
            quiet = {link for name in self.dead for link in EXPORTERS[name]}
            reports = {link: self.labels[link] for link in LINKS if link not in quiet}
            Life.together(self.lives, reports, LINKS)

    def hold_up(self, place, count):
        """Let words to a daemon lie on their way for a while."""
        life = self.lives[place % len(self.lives)]
        life.kept.is_held_up = True
        self.seconds(count)
        life.kept.is_held_up = False

    def join(self):
        """Start another daemon, which takes a partition of somebody who has most."""
        if len(self.lives) < 3:
            self.lives.append(self._begin(()))
            self.seconds(1)
            busiest = max(self.lives, key=lambda one: sum(map(one.source.has, PARTITIONS)))
            number = next(one for one in PARTITIONS if busiest.source.has(one))
            self.move(number, len(self.lives) - 1)

    def move(self, partition, place):
        """Let a partition go to another daemon."""
        old, new = self.owner(partition), self.lives[place % len(self.lives)]
        if old is not new:
            old.source.move(partition, is_gained=False)
            new.source.move(partition, is_gained=True)

    def leave(self, place, *, dies):
        """Stop or kill a daemon; others take what it had, or the next one does."""
        life = self.lives.pop(place % len(self.lives))
        mine = [number for number in PARTITIONS if life.source.has(number)]
        if not dies:
            life.service.stop()
            with suppress(StopIteration):
                life.service.run(0)
        if not self.lives:
            self.lives.append(self._begin(()))
        for number in mine:
            self.lives[number % len(self.lives)].source.move(number, is_gained=True)


PLACE = st.integers(0, 2)
ACTS = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 30)),
    st.tuples(
        st.just("label"), st.sampled_from(list(LINKS)), st.sampled_from(["normal", "blocked"])
    ),
    st.tuples(st.just("exporter"), st.sampled_from(list(EXPORTERS)), st.booleans()),
    st.tuples(st.just("late"), PLACE, st.integers(1, 5)),
    st.tuples(st.just("join")),
    st.tuples(st.just("move"), st.sampled_from(PARTITIONS), PLACE),
    st.tuples(st.just("leave"), PLACE, st.booleans()),
)


def act(group, what, *how):
    """Let something happen."""
    if what == "pass":
        group.seconds(*how)
    elif what == "label":
        group.labels[how[0]] = how[1]
    elif what == "exporter":
        (group.dead.add if how[1] else group.dead.discard)(how[0])
    elif what == "late":
        group.hold_up(*how)
    elif what == "join":
        group.join()
    elif what == "move":
        group.move(*how)
    else:
        group.leave(how[0], dies=how[1])
    group.seconds(1)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=40,
)
@given(st.lists(ACTS, max_size=25), st.sampled_from([0.0, 3.0]))
def test_whatever_daemons_do_each_fault_has_one_beginning_and_one_end(make_service, acts, gather):
    """A pager that rings twice, or never stops, is turned off by whoever has it."""
    group = Group(make_service, gather)
    group.seconds(20)
    for one in acts:
        act(group, *one)
    group.dead.clear()
    group.labels = dict.fromkeys(LINKS, "normal")
    group.seconds(60)

    told = defaultdict(list)
    for kind, who, state in group.topics.told:
        told[who].append((kind, state))
    for who, some in told.items():
        kinds = ["onset", "abated"] * (len(some) // 2)
        assert [kind for kind, _ in some] == kinds, (who, some)
        assert [state for _, state in some[::2]] == [state for _, state in some[1::2]], who
        assert {state for _, state in some} <= {"blocked", "telemetry-lost"}, (who, some)
