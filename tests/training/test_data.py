"""What is learnt from and what is validated on never meet, and both are what was asked for."""

import json
from dataclasses import replace

import numpy as np
import pytest

from detector.capture import CaptureError
from tests.training.captures import LEFT_OUT, TINY, make_table, write
from training.data import UnmatchedError, part, pool, read


def runs_of(windows):
    """Give the runs that windows are from."""
    return {link.run for link in windows.links}


def data_of(table, folder, **changes):
    """Read a capture with the tiny settings but for *changes*."""
    return read([write(table, folder)], replace(TINY, **changes))


def test_runs_that_are_left_out_are_nowhere(tmp_path):
    """What the bundle is judged by later must not have been seen in any way."""
    data = data_of(make_table(), tmp_path)

    sides = [data.rehearsal, data.whole]
    seen = [data.validation, *(s.learning for s in sides), *(s.recorded for s in sides)]
    for windows in seen:
        assert len(windows) > 0
        assert not runs_of(windows) & {*LEFT_OUT}


def test_validation_runs_are_not_rehearsed_with(tmp_path):
    """They tell how good the recipe is, and what was learnt by heart tells nothing."""
    data = data_of(make_table(), tmp_path)

    assert runs_of(data.validation)
    assert not runs_of(data.validation) & runs_of(data.rehearsal.learning)
    assert not runs_of(data.validation) & runs_of(data.rehearsal.recorded)
    assert len(data.validation.links) == 4  # two runs at two places, and nothing made up


def test_the_whole_is_all_runs_that_may_be_learnt_from(tmp_path):
    """Runs are dear, and the last training has them all."""
    data = data_of(make_table(), tmp_path)

    both = runs_of(data.validation) | runs_of(data.rehearsal.recorded)

    assert runs_of(data.whole.learning) == runs_of(data.whole.recorded) == both
    assert both == {f"r{number}" for number in range(6)}


def test_superposed_traffic_is_learnt_from_but_was_never_recorded(tmp_path):
    """An anchor is shown to operators as something that happened."""
    data = data_of(make_table(), tmp_path)

    for side in (data.rehearsal, data.whole):
        made = [link.link for link in side.learning.links if "+" in link.link]
        assert len(made) == len(side.recorded.links)
        assert runs_of(side.learning) == runs_of(side.recorded)
        assert not any("+" in link.link for link in side.recorded.links)


def test_the_other_place_is_superposed_even_if_it_is_not_learnt_from(tmp_path):
    """Encoders for access links are made richer by what the core saw, and by that alone."""
    data = data_of(make_table(), tmp_path, links=("*/access",))

    names = {link.link.partition("/")[2] for link in data.whole.learning.links}

    assert names == {"access", "access+core"}


def test_recorded_windows_are_of_one_label_throughout(tmp_path):
    """Learning windows may contain the change; a reference must not."""
    side = data_of(make_table(), tmp_path, tail_seconds=1.0).rehearsal

    assert len(side.learning) > 2 * len(side.recorded)
    for number in range(len(side.recorded)):
        place = side.recorded.place(number)
        labels = place.link.labels[place.row : place.row + TINY.steps]
        assert set(labels) == {side.recorded.labels[number]}


@pytest.mark.parametrize(("step_ms", "tail_seconds", "rows"), [(1000, 4.0, 4), (2000, 4.0, 2)])
def test_the_tail_is_as_long_as_was_asked_for(tmp_path, step_ms, tail_seconds, rows):
    """A label must mean the same seconds whatever a row is."""
    data = data_of(make_table(), tmp_path, step_ms=step_ms, tail_seconds=tail_seconds, steps=5)

    before = set()
    for number, label in enumerate(data.validation.labels):
        place = data.validation.place(number)
        labels = place.link.labels[place.row : place.row + 5]
        assert set(labels[-rows:]) == {label}
        before.add(labels[-rows - 1])
    assert None in before  # so the tail is no longer than that


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_tail_is_at_least_a_row_and_at_most_the_window(tmp_path, seconds):
    """Whoever asks for none, or for more than there is, gets the nearest that makes sense."""
    data = data_of(make_table(), tmp_path, tail_seconds=seconds)

    assert len(data.validation) == 4 * ((21 + 20) if seconds else (60 - 10 + 1 - 1))


def test_a_feature_that_is_often_missing_becomes_optional(tmp_path):
    """Response times exist only where something was answered; their want is no broken exporter."""
    table = make_table()
    table.loc[table.index % 10 == 0, "rev_response_ms"] = np.nan
    table.loc[table.index % 50 == 0, "fwd_invite"] = np.nan

    data = data_of(table, tmp_path)

    assert data.spec.optional == ("rev_response_ms",)
    assert data_of(make_table(), tmp_path).spec.optional == ()


def test_a_feature_that_is_named_twice_is_read_once(tmp_path):
    """A slip on the command line is no reason for a traceback."""
    data = data_of(make_table(), tmp_path, features=("rev_2xx", "fwd_invite", "rev_2xx"))

    assert data.spec.features == ("rev_2xx", "fwd_invite")


def test_captures_are_on_record_by_name_and_content(tmp_path):
    """Years later somebody has a file of that name, and must know whether it is the one."""
    one = data_of(make_table(), tmp_path).captures
    same = data_of(make_table(), tmp_path).captures
    other = data_of(make_table(rows=61), tmp_path).captures

    assert list(one) == ["capture.parquet"]
    assert one == same != other
    assert all(len(digest) == 64 for digest in one.values())


def test_the_order_in_which_captures_are_given_makes_no_difference(tmp_path):
    """A shell lists files as it likes, and the bundle must be the same."""
    table = make_table()
    halves = [write(table[table["link"] < "r4"], tmp_path, "z.parquet"),
              write(table[table["link"] >= "r4"], tmp_path, "a.parquet")]  # fmt: skip

    one, other, folder = (read(paths, TINY) for paths in (halves, halves[::-1], [tmp_path]))

    for data in (other, folder):
        assert json.dumps(data.captures) == json.dumps(one.captures)
        assert list(data.whole.learning.labels) == list(one.whole.learning.labels)
        np.testing.assert_array_equal(data.whole.learning.rows, one.whole.learning.rows)


def relabel(table, rename):
    """Rename the faults of each run; *rename* is given the run and the label."""
    rows = table["label"].notna() & (table["label"] != "normal")
    runs = table["link"].str.partition("/")[0]
    labels = table["label"].copy()
    labels[rows] = [rename(*pair) for pair in zip(runs[rows], labels[rows], strict=True)]
    return table.assign(label=labels)


def test_one_label_is_not_enough_to_learn_from(tmp_path):
    """The message says what there is, so that the operator can record what lacks."""
    table = relabel(make_table(), lambda _run, _label: "normal")

    with pytest.raises(CaptureError, match="learn from need two labels, they have normal"):
        data_of(table, tmp_path)


def test_a_capture_without_labels_is_refused(tmp_path):
    """Traffic that nobody has looked at can't be learnt from."""
    with pytest.raises(CaptureError, match="learn from need two labels, they have none"):
        data_of(make_table().drop(columns=["label", "kind"]), tmp_path)


def test_one_label_is_not_enough_to_validate_on(tmp_path):
    """No triplet can be made of it, and there would be nothing to judge the recipe by."""
    # The only run with a fault is dealt last, and so is learnt from.
    table = relabel(make_table(), lambda run, _label: "odd" if run == "r0" else "normal")

    with pytest.raises(CaptureError, match=r"validate on need two labels .* they have normal:"):
        data_of(table, tmp_path)


def test_a_label_that_is_only_validated_on_is_refused(tmp_path):
    """It would have no anchor, and every window of it would count as wrong."""
    # No two runs have the same fault, so that of the run that is kept is nowhere else.
    table = relabel(make_table(), lambda run, label: f"{label} {run}")

    with pytest.raises(CaptureError, match=r"learnt from too, they have blocked r\d,.* normal:"):
        data_of(table, tmp_path)


def test_a_label_that_never_fills_a_window_is_refused(tmp_path):
    """There is nothing to compare with, and the daemon would never say it."""
    table = make_table()
    for _, rows in table.groupby("link"):
        table.loc[rows.index[-5:], "label"] = "flapping"

    with pytest.raises(CaptureError, match="no window of 'flapping' throughout"):
        data_of(table, tmp_path)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"features": ("fwd_packets", "gone")}, "lacks the feature 'gone'"),
        ({"links": ("r[67]/*",)}, "no link matches, or all runs are left out"),
        ({"leave_out": ("*",)}, "no link matches, or all runs are left out"),
        ({"leave_out": ("r[1-7]",)}, "one run can't be parted"),
        ({"step_ms": 100}, "a row every 1000 ms, the model needs 100"),
        ({"validation_share": 0.7}, "validation share of 0.7"),
    ],
)
def test_what_a_capture_cannot_give_is_said(tmp_path, changes, why):
    """A message that an operator can act on, and no traceback."""
    with pytest.raises(CaptureError, match=why):
        data_of(make_table(), tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"leave_out": ("r6", "r99*")}, "leave_out 'r99*' matches no run; there is r0, r1, r2,"),
        ({"links": ("*", "r1/acess")}, "links 'r1/acess' matches no link; there is r1/access,"),
        (
            {"labels": ("normal", "blokced")},
            "labels 'blokced' matches no label; there is blocked, capacity-limited, normal",
        ),
        (
            {"labels": ("normal", "block*")},
            "labels 'block*' matches no label; there is blocked,",
        ),
        (
            {"leave_kinds": ("normal kind", "bloked*")},
            "leave_kinds 'bloked*' matches no kind; there is blocked kind, ",
        ),
    ],
)
def test_a_name_or_pattern_that_matches_nothing_is_a_slip(tmp_path, changes, why):
    """One that is passed over trains on the very runs that were kept to judge by."""
    with pytest.raises(UnmatchedError) as caught:
        data_of(make_table(), tmp_path, **changes)

    assert str(caught.value).startswith(why)


def test_what_a_bundle_left_out_may_be_gone(tmp_path):
    """A retraining takes its patterns from the bundle, and captures come and go."""
    capture = write(make_table(), tmp_path)

    found = pool([capture], replace(TINY, leave_out=("r6", "r99*"), leave_kinds=("odd*",)))

    assert {link.run for link in found.links} == {f"r{run}" for run in range(8)} - {"r6"}


def test_only_the_labels_that_were_asked_for_are_learnt(tmp_path):
    """A recording may hold faults that are to stay unknown."""
    data = data_of(make_table(), tmp_path, labels=("normal", "blocked"))

    everything = data_of(make_table(), tmp_path)
    assert "capacity-limited" in set(everything.whole.learning.labels)
    for windows in (data.validation, data.whole.learning, data.whole.recorded):
        assert set(windows.labels) == {"normal", "blocked"}


def rows_of(windows, kind):
    """Count the learnt windows whose newest row is of a kind."""
    return (windows.kinds == kind).sum()


def test_rows_of_the_kinds_that_are_left_out_have_no_label(tmp_path):
    """A mechanism that is to stay unknown must be in no window that is learnt from."""
    table = make_table(12, faults=["blocked", "capacity-limited"] * 6)
    is_odd = (table["label"] == "blocked") & table["link"].str.startswith(("r0", "r4"))
    table.loc[is_odd, "kind"] = "cable cut"

    everything = data_of(table, tmp_path)
    data = data_of(table, tmp_path, leave_kinds=("cable*",))

    assert rows_of(everything.whole.learning, "cable cut") > 0
    for windows in (data.whole.learning, data.whole.recorded, data.validation):
        assert rows_of(windows, "cable cut") == 0
    # The other kinds of that label stay, and so does what else was seen in those runs.
    assert rows_of(data.whole.recorded, "blocked kind") > 0
    assert {"r0", "r4"} <= runs_of(data.whole.recorded)
    assert "normal" in set(data.whole.recorded.labels)


def test_a_pattern_that_no_kind_fits_leaves_nothing_out(tmp_path):
    """Rows without a kind are of no kind, and `*` must not hit what lacks one."""
    table = make_table()
    table.loc[table["label"] == "normal", "kind"] = None
    capture = write(table, tmp_path)

    all_of_it = pool([capture], TINY)
    none_left_out = pool([capture], replace(TINY, leave_kinds=("gone*",)))
    without = pool([capture], replace(TINY, leave_kinds=("*normal*", "capacity*")))

    for link, same in zip(none_left_out.links, all_of_it.links, strict=True):
        np.testing.assert_array_equal(link.labels, same.labels)
    left = {label for link in without.links for label in link.labels if label is not None}
    assert left == {"normal", "blocked"}


def test_all_kinds_of_a_label_left_out_leave_too_few_labels(tmp_path):
    """The message says what is left, as if the label had never been recorded."""
    with pytest.raises(CaptureError, match="learn from need two labels, they have normal"):
        data_of(make_table(), tmp_path, leave_kinds=("blocked*", "capacity*"))


def test_a_label_that_the_daemon_itself_gives_is_refused_before_the_work(tmp_path):
    """A training of minutes must not end in a bundle that nobody can load."""
    table = make_table().replace({"label": {"blocked": "unknown"}})
    path = tmp_path / "named.parquet"
    table.to_parquet(path)

    with pytest.raises(CaptureError, match="'unknown' means something else"):
        read([path], TINY)


def test_sides_can_be_chosen_by_the_caller(tmp_path):
    """A retraining parts its runs by more than chance; the same checks hold for it."""
    found = pool([write(make_table(), tmp_path)], TINY)
    kept = [link for link in found.links if link.run in ("r0", "r1")]
    rest = [link for link in found.links if link.run not in ("r0", "r1")]

    data = part(found, (rest, kept))

    assert runs_of(data.validation) == {"r0", "r1"}
    assert runs_of(data.rehearsal.recorded).isdisjoint({"r0", "r1"})
    assert runs_of(data.whole.recorded) == {link.run for link in found.links}
    assert data.captures == found.captures
    with pytest.raises(CaptureError, match="validate on need two labels"):
        part(found, (rest, [link.only(["normal"]) for link in kept]))
