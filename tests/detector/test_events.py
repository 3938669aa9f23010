"""Events: their ids, and what each dialect promises to whoever reads it."""

import json
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.events import DIALECTS, LAST_MS, Event, abated, cloudevents, onap, onset, plain
from detector.oncall.gather import Gather
from detector.oncall.groups import Groups
from detector.verdict import Verdict
from detector.window import check_name
from tests.fakes import NOON_MS

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parents[2] / "docs" / "events.md"
VERDICT = Verdict(
    "trunk-7",
    "probe-1",
    NOON_MS,
    NOON_MS + 15_000,
    "blocked",
    "blocked",
    0.25,
    0.5,
    "cable",
    {"blocked": 0.25, "normal": 0.75},
    "b1",
)

# RFC 3986, section 4.1: a relative reference that is an absolute path, percent-encoded.
URI_REFERENCE = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+)+")
NAMES = st.text(
    st.just(" ") | st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=50
).filter(lambda name: len(name.encode()) <= 200)  # what check_name lets in
TIMES = st.integers(0, 2**53)  # what a window may say
MARGINS = st.floats(0, 4)


def make_onset(link="trunk-7", state="blocked", **changes):
    """Make the event of a link's fault, eight seconds before noon or whatever is to differ."""
    usual = {
        "source": "probe-1",
        "previous": "normal",
        "at_ms": NOON_MS + 15_000,
        "since_ms": NOON_MS + 7000,
    }
    return onset(link=link, state=state, **usual | changes)


def make_abated(link="trunk-7", previous="blocked", **changes):
    """Make the event of the end of `make_onset`'s fault, five minutes later."""
    usual = {
        "source": "probe-1",
        "state": "normal",
        "at_ms": NOON_MS + 315_000,
        "since_ms": NOON_MS + 307_000,
        "began_ms": NOON_MS + 7000,
    }
    return abated(link=link, previous=previous, **usual | changes)


def make_gathered(links, make=make_onset, **changes):
    """Make one event of many links."""
    return gather_all([make(link, **changes) for link in links])


def gather_all(events, pattern=""):
    """Make one event of some that differ in their links."""
    groups = Groups(pattern)
    for event in events:
        groups.add(event.link, event.source)
    gather = Gather(groups, links=2)
    for event in events:
        gather.push(event, 0.0)
    (gathered,) = gather.flush()
    return gathered


@st.composite
def events(draw):
    """Draw an event of a link, of an exporter or of many links."""
    make = draw(st.sampled_from([make_onset, make_abated]))
    fault = "state" if make is make_onset else "previous"
    changes = {
        "source": draw(NAMES),
        fault: draw(NAMES),
        "at_ms": draw(TIMES),
        "since_ms": draw(TIMES),
        "reason": draw(NAMES | st.just("")),
        "flapping": draw(st.booleans()),
        "verdict": draw(st.sampled_from([None, VERDICT])),
    }
    if make is make_abated:
        changes |= {"began_ms": draw(TIMES), "worst_margin": draw(st.none() | MARGINS)}
    links = draw(st.lists(NAMES, unique=True, max_size=4))
    if len(links) > 1:
        return make_gathered(links, make, **changes)
    return make(links[0] if links else "", **changes)


def examples():
    """Give an event of each sort, as they are in the golden files."""
    silence = {"state": "silent", "at_ms": NOON_MS + 61_000, "since_ms": NOON_MS + 51_000}
    return [
        make_onset(verdict=VERDICT, reason="no answers to 340 requests"),
        make_abated(worst_margin=0.5),
        make_onset("", "telemetry-lost", previous=None, reason="nothing from probe-1 for 30 s"),
        make_gathered([f"site-7/trunk-{number}" for number in range(1, 6)], **silence),
    ]


def test_onset_and_end_of_a_fault_share_their_episode_and_not_their_id():
    """Who opens an alarm at the one has to find it again at the other."""
    began, ended = make_onset(), make_abated()

    assert began.episode == ended.episode
    assert began.id != ended.id
    assert re.fullmatch("[0-9a-f]{16}", began.id)
    assert re.fullmatch("[0-9a-f]{16}", began.episode)


def test_the_same_event_judged_again_has_the_same_id():
    """After a crash a batch is judged twice, and a pager must not ring twice.

    What was seen of it may differ, and so may when it was sure; a literal, for the same must hold
    in another process and in another version.
    """
    again = make_onset(at_ms=NOON_MS + 16_000, reason="another one", previous=None)

    assert (make_onset().id, make_onset().episode) == ("ec065b848d5b4702", "a6c3734ab8d7eaab")
    assert (again.id, again.episode) == ("ec065b848d5b4702", "a6c3734ab8d7eaab")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (make_onset("trunk-8"), "another link"),
        (make_onset(state="capacity-limited"), "another fault"),
        (make_onset(since_ms=NOON_MS + 8000), "another time"),
        (make_onset("trunk-7b", "locked"), "the same letters"),
    ],
)
def test_another_fault_is_another_episode(other, why):
    """Two alarms under one id are one alarm that nobody sees."""
    assert other.episode != make_onset().episode, why
    assert other.id != make_onset().id, why


def test_an_exporters_event_is_about_the_exporter():
    """All exporters have the same empty link."""
    one, other = (make_onset("", "telemetry-lost", source=name) for name in ("probe-1", "probe-2"))

    assert one.link == other.link == ""
    assert one.episode != other.episode


def test_an_abated_event_says_how_long_the_fault_lasted():
    """It is the first thing asked afterwards."""
    event = make_abated()

    assert event.duration_ms == 300_000
    assert event.began_ms == make_onset().since_ms == make_onset().began_ms
    assert (event.fault, make_onset().fault) == ("blocked", "blocked")


def test_a_clock_that_was_set_back_makes_no_negative_duration():
    """A dashboard that adds durations up would lose hours."""
    event = make_abated(began_ms=NOON_MS + 400_000)

    assert event.duration_ms == 0
    assert event.episode == make_onset(since_ms=NOON_MS + 400_000).episode


@given(events())
def test_what_is_told_is_one_event_for_each_link(event):
    """Whoever keeps alarms by link reads a list as if it had been told singly."""
    parts = event.each()

    assert [part.id for part in parts] == event.told
    assert [part.link for part in parts] == list(event.links or [event.link])
    assert all(part.each() == [part] for part in parts)
    for part in parts:
        assert (part.links, part.episodes) == ((), ())
        assert (part.type, part.fault, part.state) == (event.type, event.fault, event.state)
        assert (part.at_ms, part.since_ms) == (event.at_ms, event.since_ms)
    if not event.links:
        assert parts == [event]


def test_the_parts_of_a_list_are_known_by_the_ids_that_they_have_alone():
    """After a restart an event may be told singly that went out in a list: the same, by its id."""
    singles = [make_onset(f"trunk-{n}", since_ms=NOON_MS + n) for n in range(3)]

    gathered = gather_all(singles)

    assert gathered.told == [single.id for single in singles]
    assert [part.episode for part in gathered.each()] == [single.episode for single in singles]
    assert gathered.id not in gathered.told
    assert {part.group for part in gathered.each()} == {""}


@pytest.mark.parametrize(
    ("event", "is_handover"),
    [
        (make_onset(), False),
        (make_onset(previous="capacity-limited"), False),
        (make_abated(), False),
        (make_abated(state="retired"), False),
        (make_abated(state="capacity-limited"), True),
        (make_abated(previous="silent", state="blocked"), True),
        (make_abated("", "telemetry-lost"), False),
    ],
)
def test_the_end_of_a_fault_in_another_is_told_by_the_onset_that_follows(event, is_handover):
    """Whoever counts changes must not count two where there was one."""
    assert event.is_handover is is_handover


@pytest.mark.parametrize("name", DIALECTS)
def test_the_text_of_each_dialect_is_the_agreed_one(name):
    """An alert is made from it by somebody else's program.

    Where this fails and the change is meant, put the new text into the golden file, and the change
    into the changelog.
    """
    text = [DIALECTS[name](event)[0].decode() for event in examples()]

    assert text == (GOLDEN / f"events-{name}.jsonl").read_text().splitlines()


@pytest.mark.parametrize("name", DIALECTS)
@given(event=events())
def test_every_dialect_is_json_that_holds_all_names(name, event):
    """A link's name is whatever people called it, in any script."""
    value, headers = DIALECTS[name](event)

    text = json.dumps(json.loads(value), ensure_ascii=False)
    for part in (event.link, event.fault, *event.links, event.source):
        assert json.dumps(part, ensure_ascii=False)[1:-1] in text
    assert all(isinstance(key, str) and isinstance(what, bytes) for key, what in headers)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_event_of_the_most_and_longest_links_fits_into_a_record(name):
    """A broker refuses more than 1 MB, and the daemon would try for ever."""
    links = [f"{number:04}{chr(34) * 196}" for number in range(1000)]
    check_name("link", links[0])

    value, _ = DIALECTS[name](make_gathered(links, verdict=VERDICT))

    assert len(value) < 900_000


@given(events())
def test_plain_is_the_event_and_nothing_else(event):
    """Whoever has this class needs no other documentation."""
    value, headers = plain(event)

    assert msgspec.json.decode(value, type=Event) == event
    assert headers == ()


def test_plain_leaves_out_what_has_nothing_to_say():
    """Fifteen fields, of which nine say nothing, are read by nobody."""
    tree = json.loads(plain(make_onset())[0])

    names = ["id", "type", "episode", "link", "source", "state", "previous", "at_ms", "since_ms"]
    assert list(tree) == names


@given(events())
def test_cloudevents_keep_the_rules_of_their_specification(event):
    """A router that checks drops what does not, and nobody hears of it.

    CloudEvents 1.0: names of lower-case letters and digits, at most 20; nothing empty; `source` a
    URI-reference, `time` of RFC 3339; the media type in the header.
    """
    value, headers = cloudevents(event)
    tree = json.loads(value)
    data = tree.pop("data")

    assert headers == (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in tree)
    assert all(isinstance(what, str) and what for what in tree.values())
    assert {"specversion", "id", "source", "type", "datacontenttype"} <= set(tree)
    assert (tree["specversion"], tree["datacontenttype"]) == ("1.0", "application/json")
    assert URI_REFERENCE.fullmatch(tree["source"])
    assert unquote(tree["source"]) == f"/anchorwatch/{event.source}"
    assert msgspec.convert(data, Event) == event
    if event.at_ms <= LAST_MS:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", tree["time"])


@pytest.mark.parametrize(
    ("at_ms", "time"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (NOON_MS + 1, "2023-11-14T22:13:20.001Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
        (LAST_MS + 1, None),
        (2**53, None),
    ],
)
def test_a_cloud_event_has_a_time_unless_it_is_beyond_all_calendars(at_ms, time):
    """An exporter with a broken clock must not end the daemon, and RFC 3339 ends in 9999."""
    value, _ = cloudevents(make_onset(at_ms=at_ms))

    assert json.loads(value).get("time") == time


@given(st.integers(0, LAST_MS))
def test_the_time_of_a_cloud_event_loses_no_millisecond(at_ms):
    """Two events are put in order by it."""
    time = json.loads(cloudevents(make_onset(at_ms=at_ms))[0])["time"]

    read = datetime.fromisoformat(time) - datetime.fromisoformat("1970-01-01T00:00:00Z")
    assert (read.days * 86_400 + read.seconds) * 1000 + read.microseconds // 1000 == at_ms


def test_the_type_of_a_cloud_event_says_what_it_is_about():
    """A router sends the one to the pager and the other to whoever runs the collectors."""
    trees = [json.loads(cloudevents(event)[0]) for event in examples()]

    assert [(tree["type"], tree.get("subject")) for tree in trees] == [
        ("anchorwatch.link.onset", "trunk-7"),
        ("anchorwatch.link.abated", "trunk-7"),
        ("anchorwatch.source.onset", None),
        ("anchorwatch.group.onset", "probe-1"),
    ]


def test_a_cloud_event_of_links_of_several_exporters_has_a_source_still():
    """It is a required attribute, and must not be empty."""
    events = [make_onset(f"site-7/{number}", source=f"probe-{number}") for number in "12"]
    event = gather_all(events, "^([^/]+)/")

    tree = json.loads(cloudevents(event)[0])

    assert event.source == ""
    assert (tree["source"], tree["subject"]) == ("/anchorwatch", "site-7")


@given(events())
def test_onaps_policy_engine_would_take_every_event(event):
    """What it refuses closes no loop.

    The rules are those of its `checkEventSyntax` and of the types that it reads into.
    """
    tree = json.loads(onap(event)[0])

    assert tree["closedLoopControlName"].strip()
    assert str(UUID(tree["requestID"])) == tree["requestID"]
    assert tree["closedLoopEventStatus"] in ("ONSET", "ABATED")
    assert (tree["target_type"], tree["target"]) == ("VNF", "generic-vnf.vnf-name")
    assert tree["AAI"][tree["target"]] == event.source
    assert all(isinstance(what, str) for what in tree["AAI"].values())
    assert isinstance(tree["closedLoopAlarmStart"], int)
    assert (tree["version"], tree["from"]) == ("1.0.2", "anchorwatch")


def test_onap_finds_the_alarm_that_an_abated_event_ends():
    """It looks by name and request; of another name the loop stays open for ever."""
    began, ended = (json.loads(onap(event)[0]) for event in (make_onset(), make_abated()))

    for name in ("closedLoopControlName", "requestID", "closedLoopAlarmStart", "AAI"):
        assert began[name] == ended[name]
    assert began["closedLoopControlName"] == "ControlLoop-anchorwatch-blocked"
    assert "closedLoopAlarmEnd" not in began
    assert ended["closedLoopAlarmStart"] == NOON_MS + 7000
    assert ended["closedLoopAlarmEnd"] == NOON_MS + 307_000


def test_onap_sees_two_links_of_one_exporter_as_two_alarms():
    """It takes an onset for a repeat if nothing but request and times differs."""
    one, other = (json.loads(onap(make_onset(link))[0]) for link in ("trunk-7", "trunk-8"))

    assert one["AAI"] != other["AAI"]
    assert one["requestID"] != other["requestID"]


def test_onap_is_told_of_a_group_without_an_exporter_by_its_name():
    """The value that `target` points at is required."""
    event = msgspec.structs.replace(make_gathered(["a", "b"]), source="", group="site-7")

    tree = json.loads(onap(event)[0])

    assert tree["AAI"] == {"generic-vnf.vnf-name": "site-7"}
    assert tree["links"] == ["a", "b"]


def test_the_examples_in_the_documentation_are_what_is_sent():
    """A receiver is written from that page."""
    text = DOCS.read_text()
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]

    sent = [
        json.loads(line)
        for name in DIALECTS
        for line in (GOLDEN / f"events-{name}.jsonl").read_text().splitlines()
    ]
    assert len(shown) >= len(DIALECTS)
    assert [tree for tree in shown if tree not in sent] == []


def test_the_documentation_names_every_field_and_every_dialect():
    """What it lacks is found by reading our source, or not at all."""
    text = DOCS.read_text()

    assert [
        name for name in (*Event.__struct_fields__, *DIALECTS) if f"`{name}`" not in text
    ] == []
