"""What was done to runs is kept whole, and a file that says nonsense is refused."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.lab.timelines import make_timelines, phases
from training.lab.plan import Direction, Fault, Kind
from training.lab.timeline import Entry, Poll, Timeline, TimelineError, read, write

ENTRY = {"phase": 0, "command_ms": 10, "start_ms": 20, "end_ms": 30}
RUN = {"run": "a", "entries": [ENTRY]}


@given(st.lists(make_timelines(), max_size=3))
def test_what_is_written_is_read(tmp_path_factory, timelines):
    """Truth is worked out long after the recording."""
    path = tmp_path_factory.mktemp("timelines") / "timeline.json"
    named = [msgspec.structs.replace(t, run=str(place)) for place, t in enumerate(timelines)]

    write(named, path)

    assert read(path) == named


def test_the_file_reads_well(tmp_path):
    """People look into it when a row's truth surprises them."""
    fault = Fault(Kind.SHAPER, Direction.FORWARD, 0.5)
    entries = (Entry(0, 0, 5, 60_000), Entry(1, 60_000, 60_140, 99_000, (fault,), restart=True))

    write([Timeline("a", entries, "D", (Poll(61_000, 7, 3),))], tmp_path / "timeline.json")

    assert json.loads((tmp_path / "timeline.json").read_text()) == [
        {
            "run": "a",
            "family": "D",
            "entries": [
                {"phase": 0, "command_ms": 0, "start_ms": 5, "end_ms": 60_000},
                {
                    "phase": 1,
                    "command_ms": 60_000,
                    "start_ms": 60_140,
                    "end_ms": 99_000,
                    "faults": [{"kind": "shaper", "direction": "forward", "level": 0.5}],
                    "restart": True,
                },
            ],
            "polls": [{"at_ms": 61_000, "dropped": 7, "queued": 3}],
        }
    ]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("[", "truncated"),
        (json.dumps(RUN), "Expected `array`"),
        (json.dumps([RUN | {"ran": "b"}]), "unknown field `ran`"),
        (json.dumps([{"run": "a"}]), "missing required field `entries`"),
        (json.dumps([RUN | {"entries": [ENTRY | {"start_ms": 9}]}]), "out of order"),
        (json.dumps([RUN | {"entries": [ENTRY | {"end_ms": 19}]}]), "out of order"),
        (json.dumps([RUN | {"entries": [ENTRY, ENTRY | {"phase": 1}]}]), "phase 1 begins too"),
        (
            json.dumps(
                [RUN | {"polls": [{"at_ms": at, "dropped": 0, "queued": 0} for at in (2, 1)]}]
            ),
            "polls are out of order",
        ),
        (json.dumps([RUN, RUN]), "run 'a' is there twice"),
        (json.dumps([RUN | {"entries": [ENTRY | {"faults": [{"kind": "fire"}]}]}]), "fire"),
    ],
)
def test_a_file_that_says_nonsense_is_refused(tmp_path, written, why):
    """Truth made from it would be wrong in silence."""
    path = tmp_path / "timeline.json"
    path.write_text(written)

    with pytest.raises(TimelineError, match=why) as caught:
        read(path)

    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(TimelineError, match="No such file"):
        read(tmp_path / "timeline.json")


def test_phases_may_follow_each_other_without_a_gap():
    """The end of one is the command of the next."""
    timeline = phases((60, ()), (40, (Fault(Kind.BLOCK),)))

    assert [entry.command_ms for entry in timeline.entries] == [0, 60_000]
