"""Anchors in files of the bundle store: whole, noticed, and never in the way."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.enrolments import EnrolmentsUnavailableError, FolderEnrolments

from .samples import an_enrolment, changed, ids


def file_of(bundles, enrolment):
    """Give where an enrolment lies."""
    return bundles / "anchors" / f"{enrolment.id}.msgpack"


def test_a_store_in_which_nobody_enrolled_anything_has_nothing(tmp_path):
    """A daemon must not wait for a folder that is made with the first anchor."""
    kept = FolderEnrolments(tmp_path)

    assert kept.poll() == ()
    assert kept.poll() is None


def test_what_one_writes_another_reads_and_hears_of_once(tmp_path):
    """The tool and the daemons are several programs."""
    tool, daemon = FolderEnrolments(tmp_path), FolderEnrolments(tmp_path)
    daemon.poll()

    tool.write(an_enrolment(windows=2, kind="bent"))

    assert daemon.poll() == (an_enrolment(windows=2, kind="bent"),)
    assert daemon.poll() is None


def test_a_change_is_noticed_even_if_size_and_time_are_the_same(tmp_path):
    """A file system may keep time by the second."""
    kept, one = FolderEnrolments(tmp_path), an_enrolment(kind="bent")
    kept.write(one)
    kept.poll()
    before = file_of(tmp_path, one).stat()

    kept.write(an_enrolment(kind="torn"))
    os.utime(file_of(tmp_path, one), ns=(before.st_atime_ns, before.st_mtime_ns))

    assert file_of(tmp_path, one).stat().st_size == before.st_size
    (found,) = kept.poll()
    assert found.kind == "torn"


def test_a_file_that_is_deleted_takes_its_anchor_away(tmp_path):
    """Somebody tidies up by hand."""
    kept = FolderEnrolments(tmp_path)
    for load in (50.0, 100.0):
        kept.write(an_enrolment(load))
    assert len(kept.poll()) == 2

    file_of(tmp_path, an_enrolment(50.0)).unlink()

    assert ids(kept.poll()) == {an_enrolment(100.0).id}


def test_a_damaged_file_is_counted_once_and_the_others_are_used(tmp_path, caplog):
    """One file must not cost a site all its anchors."""
    kept, bad = FolderEnrolments(tmp_path), an_enrolment(50.0)
    kept.write(an_enrolment())
    kept.write(bad)
    file = file_of(tmp_path, bad)
    file.write_bytes(file.read_bytes()[:-3])

    found = kept.poll()
    (tmp_path / "anchors" / "more.txt").write_text("not of ours")
    kept.write(an_enrolment(25.0))
    kept.poll()

    assert ids(found) == {an_enrolment().id}
    assert kept.unreadable == 1
    assert [str(file) in record.where for record in caplog.records] == [True]


def test_one_that_became_unreadable_is_not_used_as_it_was(tmp_path):
    """Nobody knows whether the newest version was to disable it."""
    kept, one = FolderEnrolments(tmp_path), an_enrolment()
    kept.write(one)
    kept.poll()

    file_of(tmp_path, one).write_bytes(b"x")

    assert kept.poll() == ()
    assert kept.unreadable == 1


def test_a_file_under_another_name_is_none(tmp_path):
    """A copy would go on being used after its original was removed."""
    kept, one = FolderEnrolments(tmp_path), an_enrolment()
    kept.write(one)
    file_of(tmp_path, one).rename(tmp_path / "anchors" / "copy.msgpack")

    assert kept.poll() == ()
    assert kept.unreadable == 1


def test_what_is_being_written_is_never_read(tmp_path):
    """Nor is what a tool left behind that was killed while it wrote."""
    kept = FolderEnrolments(tmp_path)
    kept.write(an_enrolment())
    (tmp_path / "anchors" / ".abc.part").write_bytes(b"half")
    (tmp_path / "anchors" / ".abc.msgpack").write_bytes(b"half")

    assert len(kept.poll()) == 1
    assert kept.unreadable == 0
    assert [one.name for one in (tmp_path / "anchors").glob("*.part")] == [".abc.part"]


def test_a_huge_file_is_not_read_into_memory(tmp_path):
    """Whoever may write there must not be able to end the daemon."""
    kept = FolderEnrolments(tmp_path)
    kept.poll()
    (tmp_path / "anchors").mkdir()
    with file_of(tmp_path, an_enrolment()).open("wb") as file:
        file.truncate(2**34)

    assert kept.poll() == ()
    assert kept.unreadable == 1


def test_where_nothing_can_be_read_or_written_that_is_said(tmp_path):
    """A path that is no folder is a mistake that somebody has to hear of."""
    (tmp_path / "anchors").write_text("a file")
    kept = FolderEnrolments(tmp_path)

    with pytest.raises(EnrolmentsUnavailableError, match="anchors"):
        kept.poll()
    with pytest.raises(EnrolmentsUnavailableError, match="anchors"):
        kept.write(an_enrolment())


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([25.0, 50.0, 100.0]), st.booleans()), max_size=12))
def test_a_reader_always_has_the_last_version_of_each(tmp_path_factory, writes):
    """Whatever is written in whatever order, and however often one looks."""
    bundles = tmp_path_factory.mktemp("bundles")
    tool, daemon = FolderEnrolments(bundles), FolderEnrolments(bundles)
    expected, seen = {}, ()
    for load, is_looking in writes:
        one = expected.get(load, an_enrolment(load))
        expected[load] = changed(one, "disabled" if one.status == "active" else "enabled")
        tool.write(expected[load])
        if is_looking and (found := daemon.poll()) is not None:
            seen = found
    last = daemon.poll()

    assert {one.id: one for one in (seen if last is None else last)} == {
        one.id: one for one in expected.values()
    }
