"""What a person is shown, read from what the sink writes: lines, pictures, the summary."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from detector.capture import LinkCapture
from detector.events import abated, onset
from detector.oncall.gather import Gather
from detector.oncall.groups import Groups
from detector.sinks import Outcome
from detector.state import TELEMETRY_LOST
from detector.terminal import FRAME_SECONDS, MOST_LINKS, TerminalSink
from detector.verdict import Verdict

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
REDRAW = re.compile(r"\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")  # how rich goes back to a picture's top
START_MS = 1_700_000_000_000  # 22:13:20 UTC
SPAN_MS = 5_000


@pytest.fixture(autouse=True)
def _an_ordinary_terminal(monkeypatch):
    """Whatever the tests run in, rich is told of no terminal but ours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


class Clock:
    """A clock that a test sets."""

    seconds = 0.0

    def __call__(self):
        """Give the time that was set."""
        return self.seconds


class Screen:
    """A sink on a made-up terminal, and the pictures that it showed there."""

    def __init__(self, width=140, height=40, **facts):
        self.clock, self.width, self.height = Clock(), width, height
        self._file = io.StringIO()
        console = Console(file=self._file, force_terminal=True, width=width, height=height)
        self.sink = make_sink(console=console, clock=self.clock, **facts)

    def show(self, *outcomes):
        """Send each outcome, a second after the one before, and give the last picture."""
        for outcome in outcomes:
            self.clock.seconds += 1
            self.sink.send(outcome)
        return self.pictures[-1]

    @property
    def written(self):
        """All that went to the terminal, its codes included."""
        return self._file.getvalue()

    @property
    def pictures(self):
        """Every picture so far, each a list of lines."""
        return [CODES.sub("", picture).splitlines() for picture in REDRAW.split(self.written)]


def make_sink(**facts):
    """Make a sink; it knows of no captures unless *facts* say so."""
    return TerminalSink(**{"url": "http://host:9469", "span_ms": SPAN_MS, "bundle": "b1"} | facts)


def capture(link, truth, start_ms=START_MS):
    """Make a link's capture, a row a second: *truth* is (label, rows), one after another."""
    labels = np.array([label for label, rows in truth for _ in range(rows)], object)
    nothing = np.zeros((len(labels), 1), np.float32)
    return LinkCapture(link, start_ms, 1000, nothing, labels, np.full(len(labels), None))


def seen(link, seconds, state="normal", **facts):
    """Give the verdict on the window that ends *seconds* after the start."""
    end_ms = START_MS + round(seconds * 1000)
    more = {"distance": 0.1, "margin": 0.5, "anchor": "an anchor", "distances": {}, "bundle": "b1"}
    return Verdict(link, "x", end_ms - SPAN_MS, end_ms, state or "normal", state, **more | facts)


def outcome(*verdicts):
    """Put verdicts that change nothing into a batch."""
    return Outcome(verdicts=verdicts)


def told(link, seconds, previous, state, source="x", verdict=None):
    """Give the events of a change of state: an end, a beginning, or one after the other."""
    at_ms = START_MS + round(seconds * 1000)
    facts = {"link": link, "source": source, "state": state, "previous": previous}
    facts |= {"at_ms": at_ms, "since_ms": at_ms - 2000, "verdict": verdict}
    ends = [abated(began_ms=0, **facts)] if previous not in (None, "normal") else []
    return ends + ([onset(**facts)] if state not in ("normal", "retired") else [])


def change(link, seconds, previous, state):
    """Give a change of state, with the verdict that brought it."""
    verdict = seen(link, seconds, state)
    return Outcome(
        verdicts=[verdict], events=told(link, seconds, previous, state, verdict=verdict)
    )


def lines(*outcomes, **facts):
    """All that a sink without a terminal writes, its summary included."""
    out = io.StringIO()
    sink = make_sink(out=out, **facts)
    for each in outcomes:
        sink.send(each)
    sink.close()
    return out.getvalue().splitlines()


FAULT_AT_10 = (("normal", 10), ("blocked", 20), ("normal", 30))


def test_a_change_is_one_line_beside_the_truth():
    """Who has no terminal reads the same words, and sees at once what was right and what not."""
    written = lines(
        change("run/a", 16, "normal", "blocked"),
        change("run/a", 29, "blocked", "normal"),
        change("run/a", 29.5, "normal", "blocked"),
        change("run/a", 33, "blocked", "normal"),
        change("run/a", 34, "normal", "blocked"),
        links=[capture("run/a", FAULT_AT_10)],
    )

    assert written[0] == "anchorwatch   bundle b1   status page http://host:9469/"
    assert [" ".join(line.split()) for line in written[1:6]] == [
        "+ 16 s run/a normal -> blocked truth: blocked since 10 s, found after 6.0 s",
        "+ 29 s run/a blocked -> normal truth: blocked since 10 s, false",
        "+ 29.5 s run/a normal -> blocked truth: blocked since 10 s, agrees",
        "+ 33 s run/a blocked -> normal truth: normal since 30 s, found after 3.0 s",
        "+ 34 s run/a normal -> blocked truth: normal since 30 s, late",
    ]
    assert "\x1b" not in "".join(written)


def test_from_one_fault_to_another_is_one_line():
    """The topic has an end and a beginning; for a person it is one change, and counts as one."""
    handover = change("run/a", 16, "blocked", "capacity-limited")

    written = lines(handover)

    assert len(handover.events) == 2
    assert [line.split()[2:] for line in written[1:-2]] == [
        ["run/a", "blocked", "->", "capacity-limited"],
    ]
    assert written[-1] == "changes of state: 1"


def test_one_event_of_many_links_is_a_line_for_each():
    """Each has a truth of its own to stand beside, and a place of its own in the table."""
    links = [capture(f"run/{name}", FAULT_AT_10) for name in "abc"]
    groups = Groups()
    for name in "abc":
        groups.add(f"run/{name}", "x")
    gather = Gather(groups, links=3)
    for name in "bca":
        (one,) = told(f"run/{name}", 16, "normal", "blocked")
        gather.push(one, 0.0)
    (event,) = gather.flush()

    written = lines(Outcome(events=[event]), links=links)

    truth = "truth: blocked since 10 s, found after 6.0 s"
    assert len(event.links) == 3
    assert [" ".join(line.split()) for line in written[1:4]] == [
        f"+ 16 s run/{name} normal -> blocked {truth}" for name in "abc"
    ]


def test_an_exporter_is_shown_under_its_own_name():
    """Its event is about no link, and an empty name says nothing."""
    events = told("", 16, None, TELEMETRY_LOST, "probe-1")

    written = lines(Outcome(events=events + told("", 20, TELEMETRY_LOST, "normal", "probe-1")))

    assert [line.split()[2:] for line in written[1:3]] == [
        ["probe-1", "unsettled", "->", "telemetry-lost"],
        ["probe-1", "telemetry-lost", "->", "normal"],
    ]


def test_a_link_that_retired_with_a_fault_is_told():
    """Its alarm is over, and whoever looks at it wants to know why."""
    written = lines(Outcome(events=told("a", 16, "silent", "retired")))

    assert written[1].split()[2:] == ["a", "silent", "->", "retired"]


def test_runs_side_by_side_have_a_clock_each():
    """Captures of different days are replayed at once: a time counts from its own run's start."""
    hour_ms = 3_600_000
    links = [capture("old/a", FAULT_AT_10, START_MS - hour_ms), capture("new/a", FAULT_AT_10)]
    links.append(capture("old/b", FAULT_AT_10, START_MS - hour_ms + 4000))

    written = lines(
        change("new/a", 16, "normal", "blocked"),
        change("old/a", 17 - 3600, "normal", "blocked"),
        change("old/b", 20 - 3600, "normal", "blocked"),
        links=links,
    )

    assert [line.split("  ")[0].strip() for line in written[1:4]] == ["+ 16 s", "+ 17 s", "+ 20 s"]
    assert "truth: blocked since 14 s, found after 6.0 s" in written[3]


def test_without_truth_there_is_none_to_show():
    """On Kafka nobody knows what is true: times are UTC and the end only counts."""
    calm = outcome(*(seen(link, 15) for link in "abc"))

    written = lines(calm, change("d", 16, None, "blocked"))

    assert written[1].split() == ["22:13:36", "UTC", "d", "unsettled", "->", "blocked"]
    assert written[2:] == ["links: 1 blocked, 3 normal", "changes of state: 1"]


def test_the_summary_counts_what_was_found_missed_and_false():
    """The end of a demo must say how good the daemon was, faults that it missed included."""
    links = [capture("one/a", FAULT_AT_10), capture("two/a", FAULT_AT_10)]
    links.append(capture("three/a", [("normal", 60)]))

    written = lines(
        change("one/a", 14, "normal", "blocked"),
        change("two/a", 18, "normal", "blocked"),
        change("one/a", 33, "blocked", "normal"),
        change("three/a", 50, "normal", "blocked"),
        outcome(seen("three/a", 60)),
        links=links,
    )

    assert written[5:] == [
        "links watched: 3, until + 60 s, 2.8 link-minutes together",
        "true changes found: 3 of 4",
        "  blocked             2 of 2    median delay 6.0 s, worst 8.0 s",
        "  normal              1 of 2    median delay 3.0 s, worst 3.0 s",
        "  missed  + 30 s  two/a  normal",
        "false changes: 1",
        "  false   + 50 s  three/a  blocked   truth: normal since 0 s",
    ]


def test_runs_that_training_used_are_shown_but_not_counted():
    """What a model has learnt by heart says nothing about how good it is."""
    links = [capture(f"{run}/a", FAULT_AT_10) for run in ("learnt", "fresh")]

    written = lines(
        change("learnt/a", 16, "normal", "blocked"),
        change("learnt/a", 50, "blocked", "capacity-limited"),
        outcome(seen("fresh/a", 60)),
        links=links,
        seen_runs=["learnt"],
    )

    assert written[1].endswith("found after 6.0 s, training")
    assert written[2].endswith("false, training")
    assert written[3].startswith("links watched: 1, ")
    assert written[4:6] == [
        "links shown but not counted: 1, of runs that training or validation used",
        "true changes found: 0 of 2",
    ]
    assert written[-1] == "false changes: 0"


def test_what_a_stopped_replay_did_not_reach_is_not_missed():
    """Ctrl-C half-way must not make a good model look bad."""
    links = [capture("run/a", FAULT_AT_10)]

    written = lines(change("run/a", 16, "normal", "blocked"), links=links)

    assert written[2] == "links watched: 1, until + 16 s, 0.2 link-minutes together"
    assert written[3] == "true changes found: 1 of 1"


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", ":warning:", "λink", "[link=http://x]y"])
def test_names_are_shown_as_they_are(name):
    """A link can be named anything printable; that must not style, hide or break a line."""
    blocked = change(name, 16, None, "blocked")
    screen = Screen()

    picture = screen.show(blocked)

    assert sum(name in line for line in picture) == 2  # in the table, and among the changes
    assert f"  {name}  unsettled -> blocked" in lines(blocked)[1]


def test_a_name_that_the_terminal_has_no_letters_for_is_escaped():
    """The network chooses names and the operator the encoding; neither may end the daemon."""
    raw = io.BytesIO()
    sink = make_sink(out=io.TextIOWrapper(raw, encoding="ascii"))

    sink.send(change("λ", 16, None, "blocked"))
    sink.close()

    assert b"  \\u03bb  unsettled -> blocked" in raw.getvalue()


def test_faults_come_first_then_what_changed_last():
    """What an operator looks for is at the top, whatever the order in which it came."""
    screen = Screen(links=[capture(f"run/{name}", FAULT_AT_10) for name in "abcd"])

    picture = screen.show(
        outcome(*(seen(f"run/{name}", 8) for name in "abcd")),
        change("run/b", 16, "normal", "blocked"),
        change("run/c", 17, "normal", "blocked"),
        change("run/d", 18, "normal", "capacity-limited"),
        change("run/c", 19, "blocked", "normal"),
        outcome(seen("run/b", 58, "blocked")),
    )

    rows = [" ".join(line.split()) for line in picture[:5]]
    assert rows[0] == "link state for nearest anchor margin true now"
    assert rows[1] == "run/d capacity-limited 2 s an anchor 0.50 blocked"
    assert rows[2] == "run/b blocked 44 s an anchor 0.50 normal"
    assert [row.split()[0] for row in rows[3:]] == ["run/c", "run/a"]
    assert "+ 58 s   4 links: 1 blocked, 1 capacity-limited, 2 normal" in picture
    assert picture[-1] == "bundle b1   status page http://host:9469/"


def test_links_that_training_has_seen_are_marked():
    """Nobody should admire a verdict on a run that the model was trained on."""
    links = [capture(f"{run}/a", FAULT_AT_10) for run in ("learnt", "fresh")]
    screen = Screen(links=links, seen_runs=["learnt"])

    picture = screen.show(outcome(seen("learnt/a", 8), seen("fresh/a", 8)))

    assert ["training" in line for line in picture[1:3]] == [True, False]


def test_a_live_table_without_truth_has_no_column_for_it():
    """An empty column would look like a broken one."""
    picture = Screen().show(outcome(seen("a", 8)))

    assert " ".join(picture[0].split()) == "link state for nearest anchor margin"
    assert "22:13:28 UTC   1 link: 1 normal" in picture


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (140, 50), (200, 60), (20, 9)])
def test_every_picture_fits_its_terminal(width, height):
    """A picture that is taller or wider than its terminal leaves torn lines behind."""
    names = [f"a_rather_long_run_{number}/link" for number in range(100)]
    screen = Screen(width, height, links=[capture(name, FAULT_AT_10) for name in names])

    screen.show(outcome(*(seen(name, 8) for name in names)))
    screen.show(*(change(name, 16, "normal", "capacity-limited") for name in names[:70]))

    assert len(screen.pictures) == 71
    for picture in screen.pictures:
        assert len(picture) <= height
        assert all(cell_len(line) <= width for line in picture)


def test_what_does_not_fit_is_counted():
    """A short terminal must not hide that there are more faults than it shows."""
    names = [f"link-{number}" for number in range(50)]
    screen = Screen(height=20)

    calm = screen.show(outcome(*(seen(name, 8) for name in names)))
    torn = screen.show(*(change(name, 9, "normal", "blocked") for name in names[:30]))

    assert "and 37 more, all normal" in calm
    assert "and 41 more: 21 blocked, 20 normal" in torn


def test_pictures_are_made_only_so_often():
    """A terminal over a slow line, or a fast replay, must not hold the daemon up."""
    screen = Screen()

    for _ in range(200):
        screen.clock.seconds += 0.01
        screen.sink.send(outcome(seen("a", 8)))

    assert 2 <= len(screen.pictures) <= 2 / FRAME_SECONDS


def test_nothing_is_drawn_before_the_daemon_runs():
    """What it logs as it starts would tear the picture."""
    screen = Screen()
    assert screen.written == ""

    screen.show(Outcome())

    assert "nothing yet   0 links: " in CODES.sub("", screen.written)


def test_what_is_logged_stays_on_stderr(capsys):
    """Rich would take stderr over, also where it goes into a file."""
    screen = Screen()
    screen.show(outcome(seen("a", 8)))

    sys.stderr.write("a warning\n")

    assert capsys.readouterr().err == "a warning\n"
    screen.sink.close()


def test_links_whose_capture_has_ended_make_room():
    """A run that ended blocked is no fault of now."""
    short, long = capture("short/a", [("blocked", 10)]), capture("long/a", FAULT_AT_10)
    screen = Screen(links=[short, long])
    both = outcome(seen("short/a", 10, "blocked"), seen("long/a", 10))

    before, after = screen.show(both), screen.show(outcome(seen("long/a", 11)))

    assert any(line.startswith("short/a ") for line in before)
    assert not any(line.startswith("short/a ") for line in after)
    assert "+ 11 s   1 link: 1 normal; 1 ended" in after


def test_a_link_that_fell_silent_is_marked_and_in_the_end_dropped():
    """A state of an hour ago must not pass for one of now."""
    screen = Screen()
    screen.show(change("gone", 8, None, "blocked"))

    screen.clock.seconds += 100
    marked = screen.show(outcome(seen("a", 108)))
    screen.clock.seconds += 3600
    dropped = screen.show(outcome(seen("a", 3708)))

    assert marked[1].split()[:3] == ["gone", "blocked", "quiet"]
    assert "22:14:08" not in dropped[1]
    assert dropped[1].split()[:4] == ["a", "normal", "60", "min"]


def test_more_links_than_are_kept_push_out_the_longest_unheard_of():
    """A stream of made-up names must not eat the memory, nor push out links that report."""
    out, clock = io.StringIO(), Clock()
    sink = make_sink(out=out, clock=clock)

    for first in range(0, MOST_LINKS, 1000):
        clock.seconds += 0.01
        sink.send(outcome(*(seen(f"link-{first + more}", 8) for more in range(1000))))
    sink.send(change("link-0", 9, "normal", "blocked"))
    sink.send(outcome(seen("one more", 9)))
    sink.close()

    counts = re.search(r"links: 1 blocked, (\d+) normal", out.getvalue())
    assert counts is not None
    assert 0.8 * MOST_LINKS < int(counts[1]) < MOST_LINKS


@pytest.mark.parametrize("on_screen", [True, False])
def test_closing_twice_says_things_once(on_screen):
    """The service closes what it opened, whoever closed it before."""
    out = io.StringIO()
    sink = make_sink(console=Console(file=out, force_terminal=on_screen, width=80, height=24))
    sink.send(change("a", 8, None, "blocked"))

    sink.close()
    sink.close()

    assert out.getvalue().count("changes of state: 1") == 1
    assert out.getvalue().count("\x1b[?25h") == on_screen  # the cursor is back


def test_a_sink_that_never_got_anything_closes_quietly():
    """The daemon may fail between making its sinks and its first batch."""
    screen = Screen(links=[capture("run/a", FAULT_AT_10)])

    screen.sink.close()

    assert "true changes found: 0 of 0" in screen.written
    assert "\x1b[?25l" not in screen.written


def test_the_last_picture_stays_above_the_summary():
    """After a demo one looks at what it ended with."""
    screen = Screen()
    screen.show(outcome(seen("a", 8)))

    screen.sink.send(change("a", 9, "normal", "blocked"))  # too soon for a picture of its own
    screen.sink.close()

    last = screen.pictures[-1]
    assert last[1].split()[:2] == ["a", "blocked"]
    assert last[-2:] == ["links: 1 blocked", "changes of state: 1"]


def test_a_terminal_that_can_not_redraw_gets_lines(monkeypatch):
    """Editors and build logs call themselves dumb; control codes would fill them with rubbish."""
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()

    screen.sink.send(change("a", 8, None, "blocked"))

    assert "unsettled -> blocked" in screen.written
    assert "\x1b[1A" not in screen.written


def test_without_captures_nothing_that_reads_them_is_loaded():
    """A daemon on Kafka must not carry pandas for the sake of this sink."""
    code = (
        "import sys; from detector.terminal import TerminalSink as T;"
        "T(url='', span_ms=1, bundle='').close(); sys.exit('detector.truth' in sys.modules)"
    )

    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)

    assert (ended.returncode, ended.stderr) == (0, b"")
