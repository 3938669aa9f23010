"""What can be done to an enrolment, and what of it stays."""

import pytest

from detector.enrolment import Act
from detector.enrolments import EnrolmentsUnavailableError
from tests.fakes import NOON_MS, Clock
from training.enrolling.book import (
    READ_SECONDS,
    done,
    expiring,
    find,
    history,
    listed,
    read_all,
    status_of,
)
from training.enrolling.errors import EnrollingError


def did(what, seconds=1, why="no use"):
    """Make an act of somebody else, later."""
    return Act(at_ms=NOON_MS + seconds * 1000, who="bob", what=what, why=why)


def test_every_act_is_added_to_the_history_and_none_is_lost(show):
    """After a year somebody asks who switched it off, and why."""
    one = done(show(), "disabled", did("disabled"))
    one = done(one, "enabled", did("enabled", 2))
    one = expiring(one, NOON_MS + 9000, did("expires", 3))
    one = done(one, "removed", did("removed", 4))

    assert [act["what"] for act in history(one)] == [
        *("enrolled", "disabled", "enabled", "expires", "removed")
    ]
    assert history(one)[1] == {
        "at": "2023-11-14T22:13:21Z",
        "who": "bob",
        "what": "disabled",
        "why": "no use",
    }


def test_disabled_is_not_used_enabled_is_again_and_removed_never(show):
    """What daemons go by."""
    off = done(show(), "disabled", did("disabled"))
    on = done(off, "enabled", did("enabled"))
    gone = done(on, "removed", did("removed"))

    assert [one.is_used(NOON_MS) for one in (show(), off, on, gone)] == [True, False, True, False]
    assert gone.windows == b""
    assert on.windows == show().windows


@pytest.mark.parametrize("what", ["disabled", "enabled", "removed"])
def test_nothing_can_be_done_to_what_was_removed(show, what):
    """Its windows are gone, so it must be enrolled anew."""
    gone = done(show(), "removed", did("removed"))

    with pytest.raises(EnrollingError, match="was removed"):
        done(gone, what, did(what))
    with pytest.raises(EnrollingError, match="was removed"):
        expiring(gone, NOON_MS, did("expires"))


def test_doing_what_is_done_already_is_said(show):
    """Rather than one more line in the history that changed nothing."""
    with pytest.raises(EnrollingError, match="is enabled already"):
        done(show(), "enabled", did("enabled"))


def test_a_name_or_reason_that_no_daemon_would_read_is_refused(show):
    """Or the change would be written, and every daemon pass it over."""
    with pytest.raises(EnrollingError, match="can't be printed"):
        done(show(), "disabled", did("disabled", why="a\nb"))


def test_how_it_is_with_an_anchor_is_one_word(show):
    """For the list."""
    late = expiring(show(), NOON_MS + 5000, did("expires"))

    assert [status_of(late, NOON_MS + ms) for ms in (4999, 5000)] == ["active", "expired"]
    assert status_of(expiring(late, None, did("expires")), 2**50) == "active"
    assert status_of(done(show(), "disabled", did("disabled")), 0) == "disabled"


def test_the_list_has_the_newest_first_and_who_made_each(show):
    """Whoever imports keeps the name of whoever enrolled it."""
    old, new = show(load=50.0), show(act=Act(at_ms=NOON_MS + 1, who="bob", what="enrolled"))

    rows = listed([old, new], NOON_MS)

    assert [(row["id"], row["who"]) for row in rows] == [(new.id, "bob"), (old.id, "ann")]
    assert rows[1] == {
        "id": old.id,
        "label": "chatter",
        "kind": "",
        "link": "trunk-9",
        "start_ms": NOON_MS,
        "windows": 1,
        "enrolled_ms": NOON_MS,
        "who": "ann",
        "status": "active",
        "expires_ms": None,
    }


def test_an_id_may_be_shortened_as_long_as_only_one_begins_so(show):
    """Twelve digits are too many to type, and the wrong one must not be removed."""
    known = {"abc1": show(), "abd2": show(load=50.0)}

    assert find(known, "abc") is known["abc1"]
    for wrong in ("ab", "x", ""):
        with pytest.raises(EnrollingError, match="enrolled anchors have such an id"):
            find(known, wrong)


class Slow:
    """A topic that takes several goes to read."""

    def __init__(self, times, *found):
        self.times, self.found = times, found

    def poll(self):
        """Give what is there in the end."""
        self.times -= 1
        if self.times > 0:
            raise EnrolmentsUnavailableError("is still being read")
        return self.found


def test_a_topic_that_takes_long_to_read_is_waited_for_but_not_for_ever(show):
    """A tool that acts on half of what is enrolled would enrol it twice."""
    clock = Clock()

    assert read_all(Slow(5, show()), clock, clock.sleep) == {show().id: show()}

    begun = clock.now
    with pytest.raises(EnrolmentsUnavailableError):
        read_all(Slow(10**6), clock, clock.sleep)
    assert READ_SECONDS <= clock.now - begun < READ_SECONDS + 1
