"""Reading stores: all of them, or the newest days that fit into memory."""

import pytest

from detector.capture import CaptureError
from tests.training.retraining.pieces import DAY_MS, SPEC, capture, piece
from training.retraining.reading import BESIDE_BYTES, COPIES, beginning, read_stores

A_DAY_MS = 86_400_000
ROW_BYTES = COPIES * 4 * len(SPEC.features) + BESIDE_BYTES


@pytest.fixture
def store(tmp_path):
    """Give a store of three days, forty rows each."""
    for day in range(3):
        links = [piece(10 + 24 * day, "normal")]
        capture(links, tmp_path / "all")
        # The files' folders say when they were written, as daemons do.
        folder = tmp_path / "all" / "host-a" / "fault"
        (folder / "2023-11-14").rename(folder / f"2023-11-{15 + day}")
    return tmp_path / "all"


def read(store, **options):
    """Read a store, and give the links with what was told."""
    told = []
    chosen = {"only": ("*",), "since_ms": None, "most_bytes": 1e9} | options
    links = read_stores([store], SPEC, **chosen, tell=told.append)
    return links, told


def test_what_people_named_is_read_with_its_labels(store):
    """As pieces, each of an hour."""
    links, told = read(store)

    assert [link.run for link in links] == ["2023-11-15T10", "2023-11-16T10", "2023-11-17T10"]
    assert all(set(link.labels) == {"normal"} for link in links)
    assert links[0].values.tobytes() == piece(10, "normal").values.tobytes()
    assert told == ["reading 120 rows of the store"]


def test_only_as_much_is_read_as_fits_and_the_newest(store):
    """A month of a thousand links is more than a small machine has; what is old can wait."""
    links, told = read(store, most_bytes=ROW_BYTES * 90)

    assert [link.run for link in links] == ["2023-11-17T10"]
    assert told[0].startswith("only what was captured since 2023-11-17 fits into")


@pytest.mark.parametrize(
    ("rows", "day"), [(10, 2), (39, 2), (80, 2), (119, 2), (120, None), (1000, None)]
)
def test_the_day_before_the_first_takes_room_too(store, rows, day):
    """It is read to see what was going on at midnight, though nothing is learnt of it."""
    begin_ms, _ = beginning([store], SPEC, None, ROW_BYTES * rows)

    assert begin_ms == (None if day is None else DAY_MS + day * A_DAY_MS)


def test_whoever_asks_for_fewer_days_gets_those(store):
    """Also where all would fit."""
    links, told = read(store, since_ms=DAY_MS + A_DAY_MS)

    assert [link.run for link in links] == ["2023-11-16T10", "2023-11-17T10"]
    assert len(told) == 1


def test_links_can_be_chosen(store):
    """By the names that they have on the network."""
    assert read(store, only=("trunk-1",))[0]
    assert read(store, only=("trunk-2",))[0] == []


def test_damage_is_named(store):
    """Before anything is learnt: a file, and a word of it."""
    file = next(store.rglob("*.parquet"))
    file.write_bytes(b"PAR1 and nothing of it")

    with pytest.raises(CaptureError, match=str(file)):
        read(store)


def test_an_act_that_can_not_be_read_stops_it(store):
    """What it took back would be learnt otherwise."""
    act = next((store / "labels").iterdir())
    act.write_bytes(b"{")

    with pytest.raises(CaptureError, match=act.name):
        read(store)
