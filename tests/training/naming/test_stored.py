"""Stores as links to learn from: pieces, their names, their features and their grid."""

import os

import numpy as np
import pytest

from detector.capture import CaptureError
from training.naming.pieces import link_of
from training.naming.stored import (
    episodes,
    open_stores,
    stored_features,
    stored_links,
    stored_pieces,
)

from .stores import NOON_MS, STEP_MS, capture, life, save

HOUR_MS = 3_600_000
FULL_MS = NOON_MS // HOUR_MS * HOUR_MS  # a full hour


def test_a_piece_is_named_for_its_hour_its_link_and_its_time(tmp_path):
    """An hour is a run, whatever the link is called: it stays on one side of any split."""
    save(life([("normal", 60)], link="site-7/trunk 2%"), tmp_path)

    (found,) = stored_links([tmp_path], ("packets",), STEP_MS)

    assert found.link == "2023-11-14T22/site-7%2Ftrunk 2%25@13:20"
    assert found.run == "2023-11-14T22"
    assert link_of(found.link) == "site-7/trunk 2%"
    assert found.start_ms == NOON_MS


@pytest.mark.parametrize(("missing", "pieces"), [(5, 1), (6, 2)])
def test_a_link_is_cut_where_rows_are_missing_for_more_than_five_seconds(
    tmp_path, missing, pieces
):
    """Memory has to go with the rows, and no window is to reach over what nobody saw."""
    rows = life([("normal", 60)])
    save(rows[:20] + rows[20 + missing :], tmp_path)

    found = stored_links([tmp_path], ("packets",), STEP_MS)

    assert len(found) == pieces
    assert sum(len(one.values) for one in found) == (60 if pieces == 1 else 60 - missing)
    last = found[0].values[:, 0]
    assert np.isnan(last).sum() == (missing if pieces == 1 else 0)


def test_a_month_between_two_rows_takes_no_memory(tmp_path):
    """A store holds minutes of many days."""
    rows = life([("normal", 30)])
    late = [row | {"t_ms": row["t_ms"] + 30 * 24 * HOUR_MS} for row in rows]
    save([*rows, *late], tmp_path)

    found = stored_links([tmp_path], ("packets",), STEP_MS)

    assert [len(one.values) for one in found] == [30, 30]
    assert [one.run for one in found] == ["2023-11-14T22", "2023-12-14T22"]


def test_calm_is_cut_at_the_full_hour_and_an_episode_is_not(tmp_path):
    """What is normal all day is many runs; an incident is on one side of any split."""
    start_ms = FULL_MS - 300 * STEP_MS
    capture(life([("normal", 600)], link="calm", start_ms=start_ms), tmp_path)
    stretches = [("normal", 200), ("blocked", 200), ("normal", 200)]
    capture(life(stretches, link="faulty", start_ms=start_ms), tmp_path)

    found = stored_links([tmp_path], ("packets",), STEP_MS)

    by_link = {name: [o for o in found if link_of(o.link) == name] for name in ("calm", "faulty")}
    assert [len(one.values) for one in by_link["calm"]] == [300, 300]
    assert len({one.run for one in by_link["calm"]}) == 2
    assert [len(one.values) for one in by_link["faulty"]] == [600]


def test_daemons_with_other_features_give_their_union(tmp_path):
    """A bundle that reads more is rolled out one daemon after the other."""
    old = life([("normal", 40)], link="old")
    new = [row | {"calls": 7.0} for row in life([("normal", 40)], link="new")]
    both = [row | {"calls": 8.0} for row in life([("normal", 40)], link="both")]
    save(old + life([("normal", 40)], link="both"), tmp_path, daemon="a")
    save(new + [{**row, "packets": None} for row in both], tmp_path, daemon="b")

    names = stored_features([tmp_path])
    found = {link_of(o.link): o.values for o in stored_links([tmp_path], names, STEP_MS)}

    assert set(names) == {"packets", "calls"}
    calls, packets = names.index("calls"), names.index("packets")
    assert np.isnan(found["old"][:, calls]).all()
    assert (found["new"][:, calls] == 7).all()
    assert (found["both"][:, calls] == 8).all()
    assert (found["both"][:, packets] == np.arange(40)).all()


def test_a_row_that_was_stored_several_times_is_one(tmp_path):
    """A crash repeats a batch, and two folders of a daemon may hold the same row."""
    rows = life([("normal", 400)])
    save(rows, tmp_path)
    once = stored_links([tmp_path], ("packets",), STEP_MS)
    save(rows[100:300], tmp_path, kind="around")
    save(rows, tmp_path, daemon="b")

    again = stored_links([tmp_path], ("packets",), STEP_MS)

    assert [one.link for one in again] == [one.link for one in once]
    np.testing.assert_array_equal(again[0].values, once[0].values)
    assert again[0].labels.tolist() == once[0].labels.tolist()


def test_only_some_links_and_only_the_last_days_are_given(tmp_path):
    """A preview looks at a week, not at all that was ever kept."""
    for link in ("trunk-1", "trunk-2", "core"):
        save(life([("normal", 100)], link=link), tmp_path)
    since_ms = NOON_MS + 40 * STEP_MS

    found = stored_links([tmp_path], ("packets",), STEP_MS, ("trunk-*",), since_ms)

    assert [link_of(one.link) for one in found] == ["trunk-1", "trunk-2"]
    assert {one.start_ms for one in found} == {since_ms}


def test_rows_that_jitter_lie_on_the_grid(tmp_path):
    """Exporters' clocks are never even."""
    rng = np.random.default_rng(0)
    rows = life([("normal", 100)])
    save([r | {"t_ms": r["t_ms"] + int(rng.integers(0, 400))} for r in rows], tmp_path)

    (found,) = stored_links([tmp_path], ("packets",), STEP_MS)

    assert found.values[:, 0].tolist() == list(range(100))


def test_finer_rows_are_added_up(tmp_path):
    """A bundle of longer steps can be trained from what one of shorter ones captured."""
    rows = [
        row | {"response_ms": float(place % 5), "wait_max_ms": float(place % 5), "calls": None}
        for place, row in enumerate(life([("normal", 100)]))
    ]
    rows[0]["calls"] = 3.0
    rows[1] |= {"response_ms": None}
    save(rows, tmp_path)
    names = ("packets", "response_ms", "wait_max_ms", "calls")

    (found,) = stored_links([tmp_path], names, 5 * STEP_MS)

    assert found.values.shape == (20, 4)
    assert found.values[0].tolist() == [0 + 1 + 2 + 3 + 4, (0 + 2 + 3 + 4) / 4, 4, 3]
    assert found.values[1, :3].tolist() == [5 + 6 + 7 + 8 + 9, 2, 4]
    assert np.isnan(found.values[1:, 3]).all()


def test_coarser_rows_than_are_needed_are_an_error_that_names_the_link(tmp_path):
    """Rows every five seconds can't make windows of seconds."""
    save(life([("normal", 60)], step_ms=5000), tmp_path)

    with pytest.raises(CaptureError, match=r"'trunk-1': .* a row every 5000 ms, 1000 are"):
        stored_links([tmp_path], ("packets",), STEP_MS)


def test_what_is_being_written_is_not_read(tmp_path):
    """A half of a file is none."""
    file = save(life([("normal", 60)]), tmp_path)
    file.rename(file.with_suffix(".parquet.part"))

    assert stored_links([tmp_path], ("packets",), STEP_MS) == []


def test_files_that_no_daemon_put_there_are_not_read(tmp_path):
    """Somebody keeps an export beside the store."""
    save(life([("normal", 60)]), tmp_path)
    save(life([("normal", 60)], link="exported"), tmp_path, kind="exports")

    (found,) = stored_links([tmp_path], ("packets",), STEP_MS)

    assert link_of(found.link) == "trunk-1"


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    """Who trains on half of the rows should know."""
    file = save(life([("normal", 60)]), tmp_path)
    os.truncate(file, file.stat().st_size // 2)

    with pytest.raises(CaptureError, match=file.name):
        stored_links([tmp_path], ("packets",), STEP_MS)


def test_episodes_are_listed_with_what_was_recorded_of_them(tmp_path):
    """Whoever names them has to find them in the events and on the dashboard."""
    capture(life([("normal", 100), ("blocked", 50), ("unknown", 30)]), tmp_path, daemon="a")
    capture(life([("normal", 100), ("blocked", 50), ("unknown", 30)]), tmp_path, daemon="b")

    blocked, unknown = episodes([tmp_path])

    assert (blocked.state, unknown.state) == ("blocked", "unknown")
    assert blocked.since_ms == NOON_MS + 100 * STEP_MS
    assert blocked.until_ms == unknown.since_ms == NOON_MS + 150 * STEP_MS
    assert (blocked.reason, blocked.bundle, blocked.source) == ("like blocked", "b1", "probe-1")
    assert blocked.rows == 50 + 14  # from the first window that said so, each row once
    assert blocked.is_open
    assert blocked.naming is None


@pytest.mark.parametrize(("missing", "reason"), [(0, "rose 35 times; like b"), (1, "like b, 1")])
def test_the_reason_is_of_the_window_that_changed_the_state(tmp_path, missing, reason):
    """It has the counters; a later one may speak for the next state, and contradict this one."""
    rows = life([("normal", 100), ("blocked", 50), ("capacity-limited", 30)])
    for place, row in enumerate(rows[100:150]):
        row["verdict_reason"] = f"like b, {place}" if place else "rose 35 times; like b"
    for row in rows[140:150]:
        row |= {"verdict_label": "capacity-limited", "verdict_reason": "like c"}
    capture(rows[:100] + rows[100 + missing :], tmp_path)

    blocked, limited = episodes([tmp_path])

    assert blocked.reason == reason
    assert limited.reason == "like capacity-limited"


def test_an_episode_that_no_window_spoke_for_has_no_reason(tmp_path):
    """Nothing came of a silent link; what its first window is like is no reason for that."""
    rows = life([("normal", 100), ("silent", 3)])
    for row in rows[100:]:
        row |= {"verdict_label": "blocked", "verdict_reason": "like b"}
    capture(rows, tmp_path)

    (silent,) = episodes([tmp_path])

    assert (silent.state, silent.reason) == ("silent", "")


def test_pieces_tell_what_was_judged_then(tmp_path):
    """A preview compares with it, row by row."""
    capture(life([("normal", 100), ("blocked", 50)]), tmp_path)
    store = open_stores([tmp_path], ("packets",))

    (piece,) = stored_pieces(store, STEP_MS)

    assert piece.link == "trunk-1"
    assert piece.states.tolist() == [None] * 14 + ["normal"] * 86 + ["blocked"] * 50
    assert piece.said.tolist() == piece.states.tolist()
    assert piece.capture.kinds.tolist() == piece.capture.labels.tolist()
