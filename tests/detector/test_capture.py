"""Captures: rows on disk become even steps, and a file that can't be read is named."""

import numpy as np
import pandas as pd
import pytest

from detector.capture import (
    SHIPPED,
    CaptureError,
    LinkCapture,
    features_of,
    files_of,
    links_of,
    read_links,
    read_table,
    usual_step_ms,
)
from detector.window import is_count
from tests.fakes import FEATURES, NOON_MS, make_capture, make_spec

SPEC = make_spec(features=("requests",), optional=())


def table_of(times, requests=None, link="trunk-1", **columns):
    """Make a table of one link, *times* in milliseconds after noon."""
    counts = np.arange(1.0, len(times) + 1) if requests is None else requests
    columns = {"label": None, "kind": None} | columns
    return pd.DataFrame(
        {"link": link, "t_ms": NOON_MS + np.array(times), "requests": counts, **columns}
    )


def one_link(table, step_ms=1000, features=("requests",)):
    """Put the only link of a table on the grid."""
    (link,) = links_of(table, features, step_ms)
    return link


def write_csv(tmp_path, text, name="a.csv"):
    """Write a CSV file, from text with blanks at the beginning of lines."""
    file = tmp_path / name
    file.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
    return file


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_parquet_and_csv_say_the_same(tmp_path, name):
    """Whoever has no Parquet writes a spreadsheet, and gets the same answer."""
    labels = ["normal", "normal", None, "blocked", "blocked"]
    file = make_capture(tmp_path / name, {"run-1/access": labels, "run-1/core": ["normal"] * 3})

    access, core = read_links([file], make_spec())

    assert (access.link, core.link) == ("run-1/access", "run-1/core")
    assert (access.run, access.start_ms, access.step_ms) == ("run-1", NOON_MS, 1000)
    assert access.values.dtype == np.float32
    assert access.values.shape == (5, 4)
    assert access.values[:, 1].tolist() == [100, 100, 100, 0, 0]
    assert np.isnan(access.values[:, 3]).tolist() == [False] * 3 + [True] * 2
    assert access.labels.tolist() == access.kinds.tolist() == labels
    assert core.values.shape == (3, 4)


def test_rows_that_jitter_lie_on_the_nearest_step():
    """No exporter reports on the very millisecond."""
    link = one_link(table_of([0, 1100, 1930, 3049, 3960]))

    assert link.start_ms == NOON_MS
    assert link.values[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_a_missing_row_is_not_observed_rather_than_zero():
    """A second that nobody counted looks like an outage if it is taken for zero."""
    labels = ["normal", "normal", "blocked", "blocked"]

    link = one_link(table_of([0, 1000, 4000, 5000], label=labels))

    np.testing.assert_array_equal(link.values[:, 0], [1, 2, np.nan, np.nan, 3, 4])
    assert link.labels.tolist() == ["normal", "normal", None, None, "blocked", "blocked"]


def test_rows_need_not_be_in_order():
    """Files are put together from parts, and a collector writes links in turn."""
    link = one_link(table_of([3000, 0, 2000, 1000]))

    assert link.start_ms == NOON_MS
    assert link.values[:, 0].tolist() == [2, 4, 3, 1]


def test_of_two_rows_for_one_step_the_later_one_counts():
    """A row that was written twice must not be two steps, nor count double."""
    link = one_link(table_of([0, 1000, 1100, 2000, 3000], [1, 2, 7, 3, 4]))

    assert link.values[:, 0].tolist() == [1, 7, 3, 4]


def test_finer_rows_are_added_up_or_averaged_by_name():
    """Counters add up over a second; a mean response time and a maximum don't."""
    names = [
        "requests",
        "response_ms",
        "calls_per_second",
        "loss_ratio",
        "gap_max_ms",
        "queue_max",
    ]
    values = np.array([[1, 10, 4, 0.2, 3, 5], [3, 30, 6, 0.4, 9, 2]] * 3, float)
    table = table_of(np.arange(6) * 500).drop(columns="requests")
    table[names] = values

    link = one_link(table, features=names)

    assert link.values.shape == (3, 6)
    np.testing.assert_allclose(link.values, [[4, 20, 5, 0.3, 9, 5]] * 3, rtol=1e-6)
    assert [name for name in names if is_count(name)] == ["requests"]


def test_of_finer_rows_only_what_was_observed_counts():
    """A step is unknown only if all of it is."""
    table = table_of(np.arange(8) * 500, [1, np.nan, np.nan, np.nan, 5, 6, np.nan, 8])

    link = one_link(table)

    np.testing.assert_array_equal(link.values[:, 0], [1, np.nan, 11, 8])


def test_a_step_whose_rows_disagree_has_no_label():
    """Nothing is to be learnt from a second that was half well and half blocked."""
    labels = ["normal", "normal", "normal", "blocked", "blocked", None, None, None]
    table = table_of(np.arange(8) * 500, label=labels, kind=labels)

    link = one_link(table)

    assert link.labels.tolist() == link.kinds.tolist() == ["normal", None, None, None]


def test_coarser_rows_are_refused(tmp_path):
    """A minute's mean can't say what happened in a second, and must not pretend to."""
    file = make_capture(tmp_path / "a.csv", {"trunk-1": ["normal"] * 5}, step_ms=2000)

    with pytest.raises(
        CaptureError, match=r"a\.csv: .* a row every 2000 ms, the model needs 1000"
    ):
        read_links([file], make_spec())


def test_the_usual_step_is_the_median_within_links():
    """Neither a gap nor a repeat nor a second link changes what the step is."""
    first = table_of([0] * 9 + [1000, 2000, 3000, 60_000])  # a row was written nine times
    table = pd.concat([first, table_of([500, 1500], link="trunk-2")])

    assert usual_step_ms(table) == 1000


def test_files_and_folders_are_read_together(tmp_path):
    """A campaign is a folder of runs, and one more that came later."""
    monday = tmp_path / "monday"
    (monday / "deep").mkdir(parents=True)
    make_capture(monday / "a.parquet", {"run-1/access": ["normal"] * 2})
    make_capture(monday / "deep" / "b.csv", {"run-2/access": ["normal"] * 2})
    (monday / "notes.txt").write_text("rained all day")
    late = make_capture(tmp_path / "late.csv", {"run-3/access": ["normal"] * 2})

    links = read_links([monday, late], make_spec())

    assert [link.run for link in links] == ["run-1", "run-2", "run-3"]
    assert [file.name for file in files_of(monday)] == ["a.parquet", "b.csv"]


def test_a_link_may_go_on_in_another_file(tmp_path):
    """Collectors begin a new file every hour."""
    make_capture(tmp_path / "a.csv", {"trunk-1": ["normal"] * 2})
    make_capture(tmp_path / "b.csv", {"trunk-1": ["blocked"] * 2}, start_ms=NOON_MS + 2000)

    (link,) = read_links([tmp_path], make_spec())

    assert link.labels.tolist() == ["normal", "normal", "blocked", "blocked"]


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (("*",), ["run-1/access", "run-1/core", "run-2/access"]),
        (("*/access",), ["run-1/access", "run-2/access"]),
        (("run-2/*", "*/core"), ["run-1/core", "run-2/access"]),
    ],
)
def test_only_the_links_that_match_a_pattern_are_taken(tmp_path, only, found):
    """One capture holds many probes, and a model is of one kind of them."""
    links = dict.fromkeys(["run-1/access", "run-1/core", "run-2/access"], ["normal"] * 2)
    file = make_capture(tmp_path / "a.parquet", links)

    assert [link.link for link in read_links([file], make_spec(), only)] == found


def test_optional_features_may_be_absent(tmp_path):
    """A link without that counter can still be learnt from, and watched."""
    file = write_csv(tmp_path, "link,t_ms,requests\n a,0,1\n a,1000,2")
    spec = make_spec(features=("requests", "jitter"), optional=("jitter",))

    (link,) = read_links([file], spec)

    np.testing.assert_array_equal(link.values, [[1, np.nan], [2, np.nan]])


def test_numbers_for_names_are_names(tmp_path):
    """Links called 7 and labels called 1 are text, whatever a spreadsheet thinks of them."""
    file = write_csv(tmp_path, "link,t_ms,requests,label\n 7,0,1,1\n 7,1000,2,1\n 7,2000,2,")
    table = pd.DataFrame({"link": [8, 8], "t_ms": [0, 1000], "requests": [1.0, 2.0], "label": 0})
    table.to_parquet(tmp_path / "b.parquet")

    seven, eight = read_links([file, tmp_path / "b.parquet"], SPEC)

    assert (seven.link, eight.link) == ("7", "8")
    assert seven.labels.tolist() == ["1", "1", None]
    assert eight.labels.tolist() == ["0", "0"]


def test_windows_are_views_of_every_stretch_of_rows():
    """Training cuts millions of windows; a copy of each would not fit into memory."""
    link = one_link(table_of(np.arange(5) * 1000))

    windows = link.windows(3)

    assert windows[:, :, 0].tolist() == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert np.shares_memory(windows, link.values)
    assert link.windows(6).shape == (0, 6, 1)


HEAD = "link,t_ms,requests"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not readable as a capture"),
        ('link,t_ms,requests\n"a,0,1', "not readable as a capture"),
        ("lnk,t_ms,requests\na,0,1", "has no column 'link'"),
        ("link,t,requests\na,0,1", "has no column 't_ms'"),
        ("link,t_ms,label\na,0,normal", "has no features"),
        (f"{HEAD}\na,0,many", "something else than numbers"),
        (f"{HEAD}\na,noon,1", "something else than numbers"),
        (f"{HEAD}\na,,1", "something else than numbers"),
        (f"{HEAD}\na,-1,1", "a t_ms is no Unix time"),
        (f"{HEAD}\na,1e300,1", "a t_ms is no Unix time"),
        (f"{HEAD}\na,0,inf", "'requests' is infinite"),
        (f"{HEAD}\na,0,-1e39", "'requests' is infinite"),
        (f"{HEAD}\n,0,1", "a row has no link"),
        (f"{HEAD}", "no link has two rows"),
        (f"{HEAD}\na,0,1", "no link has two rows"),
        (f'{HEAD}\n"a\tb",0,1\n"a\tb",1000,1', "can't be printed"),
        ("link,t_ms,answers\na,0,1\na,1000,1", "lacks the feature 'requests'"),
    ],
)
def test_what_is_wrong_with_a_capture_is_said_with_its_file(tmp_path, text, why):
    """Of forty files in a folder somebody has to find the one."""
    file = tmp_path / "monday.csv"
    file.write_text(text)

    with pytest.raises(CaptureError) as caught:
        read_links([file], SPEC)

    assert "monday.csv: " in str(caught.value)
    assert why in str(caught.value)


def test_a_damaged_or_missing_file_is_named(tmp_path):
    """A copy that broke off, a wrong path and an empty folder are the usual causes."""
    good = make_capture(tmp_path / "good.parquet", {"trunk-1": ["normal"] * 9}).read_bytes()
    for name, data in {
        "cut.parquet": good[:-40],
        "text.parquet": b"hello",
        "latin.csv": b"link,t_ms,requests\n\xe9,0,1\n",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "empty").mkdir()

    for name in ("cut.parquet", "text.parquet", "latin.csv", "gone.csv", "gone"):
        with pytest.raises(CaptureError, match=f"{name}: not readable as a capture"):
            read_table([tmp_path / name])
    with pytest.raises(CaptureError, match=r"empty: no \.parquet or \.csv file"):
        read_table([tmp_path / "empty"])
    with pytest.raises(CaptureError, match="no capture is named"):
        read_table([])


def test_captures_of_different_features_are_not_mixed(tmp_path):
    """A column that is missing in half of the rows would be learnt as a fault."""
    one = write_csv(tmp_path, f"{HEAD}\n a,0,1", "one.csv")
    two = write_csv(tmp_path, f"{HEAD},jitter\n a,0,1,1", "two.csv")

    with pytest.raises(CaptureError, match=r"two\.csv: .*one\.csv: jitter"):
        read_table([one, two])


def test_a_pattern_that_matches_nothing_is_named(tmp_path):
    """A misspelt pattern must not end as a replay of nothing."""
    file = make_capture(tmp_path / "a.csv", {"trunk-1": ["normal"] * 2})

    with pytest.raises(CaptureError, match=r"a\.csv: no link matches trnk-\*"):
        read_links([file], make_spec(), ["trnk-*"])


def test_the_capture_that_ships_is_one():
    """The first thing that anybody does is to replay it."""
    table = read_table([SHIPPED])

    assert len(features_of(table)) > 40
    assert set(table["label"].dropna()) == {"normal", "blocked", "capacity-limited"}
    assert usual_step_ms(table) == 1000


def test_features_are_listed_in_the_captures_own_order(tmp_path):
    """The order of a model's columns is that of the capture it was trained on."""
    file = make_capture(tmp_path / "a.csv", {"trunk-1": ["normal"] * 2})

    assert features_of(read_table([file])) == FEATURES


def test_labels_that_are_not_wanted_leave_rows_without_one():
    """A model is held against what it has names for; kinds still say what was done."""
    labels = np.array(["normal", "lossy", None, "blocked"], object)
    kinds = np.array(["a", "b", "c", "d"], object)
    link = LinkCapture("trunk-1", NOON_MS, 1000, np.zeros((4, 1), np.float32), labels, kinds)

    kept = link.only(("normal", "blocked"))

    assert kept.labels.tolist() == ["normal", None, None, "blocked"]
    assert kept.kinds.tolist() == ["a", "b", "c", "d"]
    assert link.labels.tolist() == ["normal", "lossy", None, "blocked"]


def test_a_file_that_is_gone_since_its_folder_was_listed_is_passed_over(tmp_path):
    """A daemon that captures puts an hour's files together, and deletes what its quota forgets."""
    make_capture(tmp_path / "here.parquet", {"trunk-1": ["normal"] * 3})
    (tmp_path / "gone.parquet").symlink_to(tmp_path / "elsewhere")

    assert len(read_table([tmp_path])) == 3
    with pytest.raises(CaptureError, match=r"gone\.parquet"):
        read_table([tmp_path / "gone.parquet"])
