"""Logs: one line for each fact, whatever the facts are, and never a flood."""

import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.logs import CONNECTING, Logfmt, OneASecond, Seldom, set_up
from tests.fakes import Clock


def make_record(message="label changed", level=logging.INFO, **facts):
    """Make a record as `log.info(message, extra=facts)` does."""
    fields = {"name": "detector.service", "msg": message, "levelno": level, "created": 0.0}
    return logging.makeLogRecord(
        fields | {"levelname": logging.getLevelName(level), "msecs": 7.0} | facts
    )


@pytest.fixture
def logs_as_before():
    """Put the root logger back as the test runner had it."""
    root = logging.getLogger()
    kafka = [logging.getLogger(name) for name in ("kafka", *CONNECTING)]
    before = root.handlers[:], [one.level for one in (root, *kafka)]
    yield
    root.handlers[:] = before[0]
    for one, level in zip((root, *kafka), before[1], strict=True):
        one.setLevel(level)


def test_a_line_says_when_how_bad_who_and_what():
    """Machines and people read the same line."""
    line = Logfmt().format(make_record(link="trunk-1", was="normal", now="blocked", seconds=1.5))

    assert line == (
        "1970-01-01T00:00:00.007Z info detector.service: label changed "
        "link=trunk-1 was=normal now=blocked seconds=1.5"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "''"),
        ("two words", "'two words'"),
        ("a=b", "'a=b'"),
        ("a\nb", r"'a\nb'"),
        ('say "hi"', "'say \"hi\"'"),
        ("it's", '"it\'s"'),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("\ud800", r"'\ud800'"),
        ("Zürich", "Zürich"),
        (None, "None"),
    ],
)
def test_a_value_is_quoted_where_it_would_be_misread(value, shown):
    """Whoever cuts lines at blanks and equals signs must get the facts back."""
    assert Logfmt().format(make_record(link=value)).endswith(f" link={shown}")


@given(st.text())
def test_no_value_can_begin_a_line_of_its_own(value):
    """A link's name comes off the network, and must not forge what an operator reads."""
    line = Logfmt().format(make_record(link=value))

    assert line.isprintable()
    line.encode()


def test_a_traceback_follows_the_line():
    """What was not expected has to be found in the log, not only by its name."""
    try:
        raise RuntimeError("no such luck")
    except RuntimeError:
        record = make_record("page failed", logging.ERROR, exc_info=sys.exc_info())

    first, *rest = Logfmt().format(record).splitlines()

    assert first.endswith("error detector.service: page failed")
    assert rest[0].startswith("Traceback")
    assert rest[-1] == "RuntimeError: no such luck"


def test_a_warning_is_repeated_once_a_second_and_says_how_many_were_left_out():
    """A broken exporter may send ten thousand bad windows a second."""
    clock = Clock()
    once = OneASecond(clock)
    written = []
    for _ in range(10):
        record = make_record("delivery failed", logging.WARNING)
        if once.filter(record):
            written.append((clock() - 1000, Logfmt().format(record)))
        clock.sleep(0.25)

    assert [when for when, _ in written] == [0, 1, 2]
    assert [line.partition("failed")[2] for _, line in written] == [
        "",
        " (and 3 like it)",
        " (and 3 like it)",
    ]


def test_other_warnings_and_all_else_are_not_held_back():
    """A flood of one kind must not hide the one line that explains it."""
    once = OneASecond(Clock())
    records = [
        make_record("delivery failed", logging.WARNING),
        make_record("commit failed", logging.WARNING),
        *[make_record("label changed", logging.INFO)] * 2,
        *[make_record("page failed", logging.ERROR)] * 2,
    ]

    assert [once.filter(record) for record in records] == [True] * 6


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("debug", ["fine", "news", "odd", "bad"]),
        ("info", ["news", "odd", "bad"]),
        ("warning", ["odd", "bad"]),
        ("error", ["bad"]),
    ],
)
@pytest.mark.usefixtures("logs_as_before")
def test_the_level_is_the_least_that_is_written_and_it_goes_to_stderr(capsys, level, words):
    """Stdout is for data; how much goes beside it is the operator's choice."""
    set_up(level)
    log = logging.getLogger("detector.test")

    log.debug("fine")
    log.info("news")
    log.warning("odd")
    log.error("bad")

    out, err = capsys.readouterr()
    assert out == ""
    assert [line.rpartition(" ")[2] for line in err.splitlines()] == words


def test_a_library_speaks_of_trouble_twice_a_minute_and_without_its_stack():
    """A broker that is away is thirty lines a second to the Kafka client."""
    clock = Clock()
    seldom = Seldom("kafka", clock)

    def make(name, message):
        return logging.makeLogRecord(
            {"name": name, "msg": message, "levelno": logging.ERROR, "exc_info": (1, 2, 3)}
        )

    written = []
    for second in range(40):
        for name in ("kafka.net.manager", "kafka.coordinator", "kafkaesque"):
            record = make(name, f"no {second}")
            if seldom.filter(record):
                written.append((second, name, getattr(record, "left_out", 0), record.exc_info))
        clock.now += 1

    assert [one for one in written if one[1] != "kafkaesque"] == [
        *[(0, name, 0, None) for name in ("kafka.net.manager", "kafka.coordinator")],
        *[(30, name, 29, None) for name in ("kafka.net.manager", "kafka.coordinator")],
    ]
    assert sum(one[1] == "kafkaesque" and one[3] is not None for one in written) == 40


@pytest.mark.parametrize(
    ("level", "names"),
    [("debug", ["kafka.coordinator", *CONNECTING]), ("info", ["kafka.coordinator"])],
)
@pytest.mark.usefixtures("logs_as_before")
def test_what_the_kafka_client_says_of_connecting_is_for_whoever_looks_for_bugs(
    capsys, level, names
):
    """Ours say it once and in plain words; and its own debug lines have passwords in them."""
    set_up(level, kafka="debug")

    for name in ("kafka.coordinator", *CONNECTING):
        for part in (name, f"{name}.part"):
            logging.getLogger(part).debug("password")
            logging.getLogger(part).info("password")
        logging.getLogger(name).error("trouble")

    err = capsys.readouterr().err
    assert "password" not in err
    assert [line.split()[2].rstrip(":") for line in err.splitlines()] == names


@pytest.mark.usefixtures("logs_as_before")
def test_a_flood_is_held_back_and_the_kafka_client_speaks_only_of_trouble(capsys):
    """What `set_up` promises is in force without anybody asking for it."""
    set_up("debug")

    for _ in range(3):
        logging.getLogger("detector.test").warning("delivery failed")
    logging.getLogger("kafka.conn").info("connecting")
    logging.getLogger("kafka.conn").warning("refused")

    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["delivery failed", "refused"]


def test_what_one_filter_left_out_the_next_does_not_forget():
    """The number that is left out says how bad it is."""
    clock = Clock()
    seldom, once = Seldom("kafka", clock), OneASecond(clock)
    for _ in range(4):
        record = logging.makeLogRecord({"name": "kafka.x", "levelno": logging.WARNING, "msg": "m"})
        _ = seldom.filter(record) and once.filter(record)
    clock.sleep(60)
    last = logging.makeLogRecord({"name": "kafka.x", "levelno": logging.WARNING, "msg": "m"})

    assert seldom.filter(last)
    assert once.filter(last)
    assert last.left_out == 3
