"""The table: rows become a file that is a capture, and come back as they were."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from detector.capture import features_of, read_links
from detector.store.row import Row
from detector.store.table import packed, table_of, tidied
from tests.fakes import NOON_MS, make_spec

SPEC = make_spec(features=("requests", "answers"), optional=())
FLOATS = st.floats(width=32, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def rows(draw):
    """Draw rows of a few links, no two of the same link and time."""
    places = draw(st.sets(st.tuples(TEXTS, st.integers(0, 2**41)), min_size=1, max_size=12))
    made = []
    for link, t_ms in places:
        values = np.array(draw(st.tuples(FLOATS, FLOATS)), np.float32).tobytes()
        said = draw(
            st.none()
            | st.tuples(TEXTS, st.none() | TEXTS, st.integers(0, 2**41), TEXTS, TEXTS).map(
                lambda texts: (*texts, 0.5, 0.25, 2.0, "normal-1")
            )
        )
        made.append(Row(link, "probe-1", t_ms, values, *(said or ())))
    return made


def read(data):
    """Read a file's bytes as anybody would."""
    return pd.read_parquet(io.BytesIO(data))


@given(rows())
def test_rows_come_back_as_they_were(some):
    """What is written today has to be what is learnt from in a year."""
    table = read(packed(table_of(some, SPEC)))

    expected = sorted(some, key=lambda row: (row.link.encode(), row.t_ms))
    assert list(table["link"]) == [row.link for row in expected]
    assert list(table["t_ms"]) == [row.t_ms for row in expected]
    values = np.frombuffer(b"".join(row.values for row in expected), np.float32)
    np.testing.assert_array_equal(table[["requests", "answers"]].to_numpy().ravel(), values)
    for name in ("label", "state", "since_ms", "reason", "strangeness", "margin", "anchor"):
        found = table[f"verdict_{name}"].astype(object)
        assert list(found.where(found.notna(), None)) == [getattr(row, name) for row in expected]
    starts = table["verdict_start_ms"]
    is_there = np.array([row.label is not None for row in expected])
    assert list(starts.notna()) == list(is_there)
    assert list(starts[is_there]) == [
        row.t_ms - SPEC.span_ms + SPEC.step_ms for row in expected if row.label is not None
    ]


def test_the_columns_are_those_of_a_capture_with_the_verdict_beside_them():
    """Other tools read these files, and the names are a promise to them."""
    row = Row("a", "p", NOON_MS, np.ones(2, np.float32).tobytes(), "normal", None, 5)

    table = read(packed(table_of([row], SPEC)))

    said = ["label", "state", "reason", "bundle", "anchor", "since_ms", "start_ms"]
    numbers = ["strangeness", "margin", "distance"]
    columns = [f"verdict_{name}" for name in said + numbers]
    assert list(table.columns) == ["link", "t_ms", "requests", "answers", "source", *columns]
    assert features_of(table) == ("requests", "answers")
    assert {str(table[name].dtype) for name in SPEC.features} == {"float32"}
    assert table["t_ms"].dtype == np.int64


def test_a_file_is_a_capture(tmp_path):
    """Training and evaluation read what the daemon kept, without a step between."""
    some = [
        Row("a", "p", NOON_MS + second * 1000, np.float32([second, np.nan]).tobytes())
        for second in (0, 1, 3)
    ]
    (tmp_path / "1030-000001.parquet").write_bytes(packed(table_of(some, SPEC)))
    (tmp_path / "1031-000002.parquet.part").write_bytes(b"half a file")

    (link,) = read_links([tmp_path], SPEC)

    assert (link.link, link.start_ms) == ("a", NOON_MS)
    np.testing.assert_array_equal(link.values[:, 0], np.float32([0, 1, np.nan, 3]))
    assert np.isnan(link.values[:, 1]).all()


def test_of_rows_that_are_the_same_the_one_with_a_verdict_stays():
    """A crash may leave rows twice, and one of them says more."""
    values = np.ones(2, np.float32).tobytes()
    bare = [Row("a", "p", NOON_MS + second * 1000, values) for second in (0, 1, 2)]
    said = Row("a", "p", NOON_MS + 1000, values, "blocked", "normal", 0)

    table = tidied(table_of([*bare, said], SPEC)).to_pydict()

    assert table["t_ms"] == [NOON_MS, NOON_MS + 1000, NOON_MS + 2000]
    assert table["verdict_label"] == [None, "blocked", None]


def test_a_daemon_that_keeps_captures_has_no_use_for_pandas(tmp_path):
    """It takes a second to import and 50 MB, and pyarrow imports it at every opportunity."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import detector.store\n"
        "assert 'pyarrow' not in sys.modules\n"
        "from detector.store.hours import joined\n"
        "from detector.store.row import Row\n"
        "from detector.store.table import packed, table_of\n"
        "from detector.window import WindowSpec\n"
        "row, file = Row('a', 'p', 0, bytes(4)), Path(sys.argv[1])\n"
        "spec = WindowSpec(features=('x',), steps=1, step_ms=1)\n"
        "file.write_bytes(packed(table_of([row, row], spec)))\n"
        "joined([file, file])\n"
        "print('pandas' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.parquet")]

    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("False\n", "")
