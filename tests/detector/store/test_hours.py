"""Hours: many small files become one, and no row is lost or said twice."""

import numpy as np
import pandas as pd
import pytest

from detector.store import hours
from detector.store.hours import FAILURES, groups, joined, over
from detector.store.row import Row
from detector.store.shelf import File
from detector.store.table import packed, table_of
from tests.fakes import NOON_MS, make_spec

SPEC = make_spec(features=("requests",), optional=())


def make_file(path, seconds, spec=SPEC, link="a"):
    """Write a file with a row for each second."""
    values = np.ones(len(spec.features), np.float32).tobytes()
    rows = [Row(link, "p", NOON_MS + second * 1000, values) for second in seconds]
    path.write_bytes(packed(table_of(rows, spec)))
    return path


def test_only_hours_that_are_over_and_have_several_files_are_put_together():
    """A file that is put together while more come would be written again each minute."""
    files = [
        File("fault", "2026-11-24", "0959", 1, 1),
        File("fault", "2026-11-24", "1000", 2, 1),
        File("fault", "2026-11-24", "1059", 3, 1),
        File("normal", "2026-11-24", "1030", 4, 1),
        File("fault", "2026-11-24", "1100", 5, 1),
        File("fault", "2026-11-24", "1101", 6, 1),
    ]

    assert over(files, "2026-11-24 11") == {("2026-11-24 10", "fault"): files[1:3]}


def test_files_become_one_with_each_row_once(tmp_path):
    """What a crash left twice is mended by the next time."""
    paths = [
        make_file(tmp_path / "1.parquet", [0, 1, 2]),
        make_file(tmp_path / "2.parquet", [2, 3]),
        make_file(tmp_path / "3.parquet", [0], link="b"),
    ]

    (tmp_path / "all.parquet").write_bytes(joined(paths))

    table = pd.read_parquet(tmp_path / "all.parquet")
    seconds = (table["t_ms"] - NOON_MS) // 1000
    assert list(zip(table["link"], seconds, strict=True)) == [
        *(("a", second) for second in range(4)),
        ("b", 0),
    ]


def test_files_of_other_features_stay_apart(tmp_path):
    """A reload changes what is watched, and a column that was never there is no zero."""
    other = make_spec(features=("requests", "busy"), optional=())
    paths = [
        make_file(tmp_path / "1.parquet", [0]),
        make_file(tmp_path / "2.parquet", [1], other),
        make_file(tmp_path / "3.parquet", [2]),
    ]

    assert list(groups(paths)) == [[0, 2], [1]]


def test_an_incident_of_many_links_is_put_together_in_pieces(tmp_path):
    """An hour of ten thousand links doesn't fit the memory."""
    paths = [make_file(tmp_path / f"{n}.parquet", range(40_000)) for n in range(13)]

    found = list(groups(paths))

    assert found == [list(range(6)), list(range(6, 12)), [12]]
    assert hours.MOST_ROWS // 40_000 == 6


def test_a_damaged_file_is_told_apart_from_a_mistake_of_ours(tmp_path):
    """A disk that forgets must not end the daemon."""
    good, bad = make_file(tmp_path / "1.parquet", [0]), tmp_path / "2.parquet"
    bad.write_bytes(good.read_bytes()[:-9])

    with pytest.raises(FAILURES):
        list(groups([good, bad]))
