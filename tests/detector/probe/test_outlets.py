"""Outlets: rows get to a capture or to Kafka, and what doesn't is counted."""

import logging
import time

import numpy as np
import pandas as pd
import pytest

from detector.capture import links_of, read_table
from detector.config import Kafka
from detector.message import decode
from detector.probe.outlets import CLOSE_SECONDS, WAITING, CaptureFile, KafkaWindows
from detector.window import WindowSpec
from tests.daemon import Reader, Topics, wait_for

LINKS, FEATURES = ("north", "south"), ("fwd_packets", "rev_response_ms")
SPEC = WindowSpec(FEATURES, 3, 1000)


def row(number):
    """Make a row of both links, one number now and then not observed."""
    return np.array([[number, np.nan if number == 1 else 7], [10 * number, 0.5]], np.float32)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_capture_reads_back_as_it_was_written(tmp_path, name):
    """Training and replay read what the probe writes."""
    outlet = CaptureFile(tmp_path / name, LINKS, FEATURES)
    for step in range(5):
        outlet.write(step * 1000, row(step))
    outlet.close()
    outlet.close()

    north, south = links_of(read_table([tmp_path / name]), FEATURES, 1000)

    assert (north.link, south.link, north.start_ms) == ("north", "south", 0)
    np.testing.assert_array_equal(north.values, [row(step)[0] for step in range(5)])
    np.testing.assert_array_equal(south.values, [row(step)[1] for step in range(5)])


def test_columns_have_the_types_of_a_capture(tmp_path):
    """As the design says: string, int64, float32."""
    path = tmp_path / "a.parquet"
    outlet = CaptureFile(path, LINKS, FEATURES)
    outlet.write(0, row(1))
    outlet.close()

    types = pd.read_parquet(path).dtypes.astype(str).to_dict()

    assert types.pop("link") in ("object", "str", "string")
    assert types == {"t_ms": "int64", "fwd_packets": "float32", "rev_response_ms": "float32"}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_capture_has_its_name_only_when_it_is_whole(tmp_path, name):
    """Whoever watches the folder must not read half a file; an older one stays until then."""
    path = tmp_path / name
    path.write_text("older")
    outlet = CaptureFile(path, LINKS, FEATURES)
    outlet.write(0, row(1))

    assert path.read_text() == "older"
    assert [one.name for one in tmp_path.iterdir() if one != path] == [name + ".part"]
    outlet.close()
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert len(read_table([path])) == 2


def test_without_a_row_there_is_no_capture(tmp_path):
    """An empty file would only be an error later."""
    CaptureFile(tmp_path / "a.parquet", LINKS, FEATURES).close()

    assert list(tmp_path.iterdir()) == []


def test_many_rows_are_written_before_the_end(tmp_path):
    """Memory holds seconds of rows, not days."""
    path = tmp_path / "a.csv"
    outlet = CaptureFile(path, LINKS, FEATURES)
    for step in range(25_000):
        outlet.write(step * 1000, row(step % 9))

    assert (tmp_path / "a.csv.part").stat().st_size > 100_000
    outlet.close()
    assert len(read_table([path])) == 50_000


@pytest.fixture
def topics(broker):
    """Give topics of the test's own."""
    return Topics().create(broker)


def kafka(bootstrap, topics, spec=SPEC, **more):
    """Make an outlet to a broker."""
    settings = Kafka(bootstrap=bootstrap, windows=topics.windows, **more)
    return KafkaWindows(settings, LINKS, spec, "probe-9")


def test_each_row_sends_every_links_window(broker, topics):
    """A verdict a second needs a window a second."""
    outlet = kafka(broker.direct, topics)
    for step in range(5):
        outlet.write(step * 1000, row(step))
    outlet.close()

    records = Reader(broker.direct, topics.windows).records()
    windows = [one for record in records for one in decode(record.value, SPEC)[0]]

    assert [(w.link, w.start_ms, w.end_ms) for w in windows] == [
        (link, start, start + 3000) for start in (0, 1000, 2000) for link in LINKS
    ]
    assert {(w.source, record.key) for w, record in zip(windows, records, strict=True)} == {
        ("probe-9", b"north"),
        ("probe-9", b"south"),
    }
    np.testing.assert_array_equal(windows[0].values, [row(step)[0] for step in range(3)])
    assert (outlet.sent, outlet.lost) == (6, 0)


def test_rows_with_a_hole_between_make_no_window(broker, topics):
    """A window is of steps that follow each other."""
    outlet = kafka(broker.direct, topics)
    for step in (0, 1, 3, 4, 5):
        outlet.write(step * 1000, row(step))
    outlet.close()

    records = Reader(broker.direct, topics.windows).records()

    assert [decode(record.value, SPEC)[0][0].start_ms for record in records] == [3000, 3000]


def test_a_broker_that_comes_late_gets_what_waited(broker, proxy, topics):
    """The probe starts before the broker, and nothing is lost."""
    proxy.cut()
    outlet = kafka(broker.bootstrap, topics)
    for step in range(4):
        outlet.write(step * 1000, row(step))
    assert outlet.sent == 0

    proxy.resume()

    wait_for("windows", lambda: outlet.sent == 4)
    outlet.close()
    assert len(Reader(broker.direct, topics.windows).records()) == 4
    assert outlet.lost == 0


NOBODY = "127.0.0.1:9"  # discard: nothing listens there


def test_a_broker_that_stays_away_costs_windows_and_never_time(caplog):
    """Packets go on being read; what doesn't fit any more is counted, and said."""
    spec = WindowSpec(FEATURES, 1, 1000)
    outlet = kafka(NOBODY, Topics(), spec)
    count = WAITING // len(LINKS) + 500

    begun = time.monotonic()
    for step in range(count):
        outlet.write(step * 1000, row(1))
    written = time.monotonic() - begun

    assert outlet.lost == 1000
    assert written < 10
    with caplog.at_level(logging.INFO):
        begun = time.monotonic()
        outlet.close()
        assert time.monotonic() - begun < 2 * CLOSE_SECONDS + 5
    assert (outlet.sent, outlet.lost) == (0, 2 * count)
    assert {"window lost", "stopped sending"} <= {record.message for record in caplog.records}


def test_windows_that_a_broker_never_took_are_lost_and_counted(broker, proxy, topics):
    """It was there, and went away for longer than is waited."""
    outlet = kafka(broker.bootstrap, topics, WindowSpec(FEATURES, 1, 1000), delivery_seconds=1)
    outlet.write(0, row(1))
    wait_for("the first windows", lambda: outlet.sent == 2)

    proxy.stall()
    outlet.write(1000, row(2))

    wait_for("lost ones", lambda: outlet.lost == 2)
    proxy.resume()
    outlet.close()
    assert outlet.sent == 2
