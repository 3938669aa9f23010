"""Watching: what is drawn from one second to the next, by a clock of the test's own."""

import io

import pytest
from rich.console import Console

from detector.board import Wanted
from detector.top.asking import NoStatusError
from detector.top.watching import Screen, watch
from tests.detector.top.made import bad_night, make_status

GONE = NoStatusError("no daemon answers at URL: connection refused")


class Clock:
    """A clock that goes on when somebody sleeps by it, and interrupts him at a given time."""

    def __init__(self, until):
        self.now, self._until = 0.0, until

    def __call__(self):
        """Tell the time."""
        return self.now

    def sleep(self, seconds):
        """Let *seconds* pass."""
        self.now += seconds
        if self.now >= self._until:
            raise KeyboardInterrupt


def drawn(answers, every_seconds=1.0, asking_seconds=0.0):
    """Watch a daemon that gives these answers, and give what was drawn."""
    clock, left, pictures = Clock(every_seconds * len(answers)), iter(answers), []

    def ask():
        clock.now += asking_seconds
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises((KeyboardInterrupt, StopIteration)):
        watch(
            ask,
            lambda status, trouble: pictures.append((status.version, *trouble)),
            every_seconds,
            clock=clock,
            sleep=clock.sleep,
        )
    return pictures


def test_every_answer_is_drawn():
    """Live means that nothing newer is known."""
    statuses = [make_status(version=str(n)) for n in range(4)]

    assert drawn(statuses) == [("0",), ("1",), ("2",), ("3",)]


def test_a_daemon_that_goes_away_is_said_in_place_and_may_come_back():
    """The last picture stays, and nobody takes it for a new one."""
    first, last = make_status(version="before"), make_status(version="after")

    pictures = drawn([first, GONE, GONE, GONE, last, last], every_seconds=4)

    assert pictures == [
        ("before",),
        ("before", "NO ANSWER for 4 s, all below is older", str(GONE)),
        ("before", "NO ANSWER for 8 s, all below is older", str(GONE)),
        ("before", "NO ANSWER for 12 s, all below is older", str(GONE)),
        ("after",),
        ("after",),
    ]


def test_the_time_that_asking_takes_counts():
    """A daemon that hangs makes every attempt last as long as one waits for it."""
    pictures = drawn([make_status(), GONE, GONE], every_seconds=2, asking_seconds=3)

    assert [words[1].split(",")[0] for words in pictures[1:]] == ["NO ANSWER for 5 s"]


def test_a_new_silence_is_counted_anew():
    """Twelve seconds are twelve seconds since the last answer."""
    status = make_status()

    pictures = drawn([status, GONE, status, GONE])

    assert pictures[1] == pictures[3]


def test_without_a_daemon_to_begin_with_there_is_nothing_to_watch():
    """An error at the start is the caller's to say, before the terminal is taken."""
    pictures = []

    def ask():
        raise GONE

    with pytest.raises(NoStatusError):
        watch(ask, lambda *picture: pictures.append(picture), 1.0, clock=Clock(9))
    assert not pictures


def screen(width=80, height=24):
    """Make a screen on a made-up terminal, and give what is written to it."""
    file = io.StringIO()
    terminal = {"force_terminal": True, "legacy_windows": False, "_environ": {"TERM": "xterm"}}
    return Screen(Console(file=file, width=width, height=height, **terminal), Wanted()), file


def test_a_terminal_is_taken_for_the_pictures_and_given_back():
    """What was on it before is there again, with the last picture below, and the cursor."""
    shown, file = screen()
    shown.draw(make_status(version="1"), ())
    shown.draw(make_status(version="2"), ("NO ANSWER",))
    during = file.getvalue()
    assert during.count("\x1b[?1049h") == 1
    assert "\x1b[?1049l" not in during

    shown.close()
    shown.close()

    after = file.getvalue()[len(during) :]
    before, left, last = after.partition("\x1b[?1049l")
    assert left
    assert "\x1b[?25h" in before + last
    assert last.count("v2") == 1
    assert "NO ANSWER" in last
    assert "v1" not in last


def test_a_screen_on_which_nothing_was_drawn_leaves_nothing():
    """An error at the start is alone on the terminal."""
    shown, file = screen()

    shown.close()

    assert file.getvalue() == ""


def test_a_terminal_may_change_its_size():
    """The next picture fits what is there by then."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=140, height=40)
    shown = Screen(console, Wanted())
    shown.draw(bad_night(), ())
    console.width, console.height = 80, 24

    shown.draw(bad_night(), ())

    assert "site-03/uplink-frankfurt-primary" in file.getvalue()
    assert "site-03/…t-primary" in file.getvalue()
    shown.close()
