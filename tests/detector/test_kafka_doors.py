"""Doors: a broker that refuses us is asked ever more seldom, and never by two at once."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from detector.kafka_doors import FIRST_SECONDS, MOST_SECONDS, STALE_SECONDS, Doors

ONE, OTHER = "kafka-1:9092", "kafka-2:9092"


def attempts(doors, seconds, step=0.25):
    """Knock all the time, be refused each time, and give when an attempt was made."""
    made = []
    for tick in range(int(seconds / step)):
        if doors.knock(ONE, tick * step):
            made.append(tick * step)
            doors.refuse(ONE, "no", tick * step)
    return made


def test_pauses_grow_up_to_half_a_minute():
    """An account that gets locked by our retries is a second incident, and ours."""
    made = attempts(Doors(), 200)

    pauses = [later - sooner for sooner, later in itertools.pairwise(made)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert (FIRST_SECONDS, MOST_SECONDS) == (1, 30)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_many_clients_together_ask_no_more_often_than_one(waits):
    """A daemon has five connections, and a lock-out counts them all."""
    doors, now, made = Doors(), 0.0, []
    doors.refuse(ONE, "no", now)

    for wait in waits:
        now += wait
        made += [now] * sum(doors.knock(ONE, now) for _ in range(5))
        doors.refuse(ONE, "no", now)  # also of those that had begun before

    pauses = [later - sooner for sooner, later in zip([0.0, *made], made, strict=False)]
    floors = [min(MOST_SECONDS, FIRST_SECONDS * 2**number) for number in range(len(pauses))]
    exact = 1e-6  # seconds; times are added up
    assert all(pause >= floor - exact for pause, floor in zip(pauses, floors, strict=True))


def test_whoever_lets_us_in_is_free_to_connect_to_at_once():
    """After a renewed password everything goes on as if nothing had been."""
    doors = Doors()
    attempts(doors, 100)

    assert doors.welcome(ONE)
    assert not doors.welcome(ONE)  # which is no news
    assert all(doors.knock(ONE, 100.0) for _ in range(5))
    assert (doors.why(100.0), doors.seconds(100.0), doors.was_in) == ("", 0.0, True)


def test_each_broker_has_a_door_of_its_own():
    """One broker with an old certificate must not keep us from the others."""
    doors = Doors()
    doors.refuse(ONE, "expired", 0.0)

    assert doors.knock(OTHER, 0.5)
    assert not doors.knock(ONE, 0.5)
    assert (doors.wait(ONE, 0.5), doors.wait(OTHER, 0.5)) == (0.5, 0.0)


def test_why_says_each_reason_once_and_forgets_brokers_that_nobody_asks():
    """A broker that only the first connection needed is not refusing us for ever."""
    doors = Doors()
    doors.refuse(ONE, "expired", 0.0)
    doors.refuse(OTHER, "expired", 0.0)
    assert doors.why(1.0) == "expired"
    doors.refuse(OTHER, "wrong password", 2.0)

    assert doors.why(3.0) == "expired; wrong password"
    assert doors.why(FIRST_SECONDS + STALE_SECONDS) == ""


def test_only_another_reason_is_news():
    """The log is for what changes; how long it lasts is a metric's."""
    doors = Doors()

    news = [doors.refuse(ONE, why, now) for now, why in enumerate(["a", "a", "b", "b", "a"])]

    assert news == [True, False, True, False, True]


def test_how_long_counts_from_the_first_refusal_until_nobody_refuses():
    """A daemon gives up by this, and must not for a broker that was merely away between."""
    doors = Doors()
    doors.refuse(ONE, "no", 10.0)
    doors.refuse(ONE, "no", 20.0)
    assert doors.seconds(25.0) == 15.0

    doors.clear(ONE)
    assert doors.seconds(30.0) == 0.0
    doors.refuse(ONE, "no", 40.0)

    assert doors.seconds(45.0) == 5.0
    assert not doors.was_in
