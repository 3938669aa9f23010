"""The shelf: a folder of one daemon's own, in which no file is half there."""

from contextlib import closing

import pytest

from detector.store.shelf import Shelf
from tests.fakes import NOON_MS

NOON = NOON_MS / 1000


def put(shelf, kind="fault", data=b"rows", at=NOON):
    """Put a file on the shelf, and give it."""
    file = shelf.draft(kind, at, len(data))
    shelf.put(file, data)
    return file


def test_a_file_lies_under_its_kind_and_day_and_is_known_after_a_restart(tmp_path):
    """Whoever looks for a night looks for a folder of its date."""
    with closing(Shelf.open(tmp_path, "probe 1/a")) as shelf:
        first, second = put(shelf), put(shelf, "normal", b"more rows")

    with closing(Shelf.open(tmp_path, "probe 1/a")) as again:
        assert again.files == [first, second]
        assert again.size == 13
        third = put(again)

    folder = tmp_path / "probe_1_a"
    assert (folder / "fault/2023-11-14/2213-000001.parquet").read_bytes() == b"rows"
    assert (folder / "normal/2023-11-14/2213-000002.parquet").read_bytes() == b"more rows"
    assert third.number == 3


def test_what_a_crash_left_half_written_goes_and_all_else_stays(tmp_path):
    """Parts would pile up, and what others put there is theirs."""
    with closing(Shelf.open(tmp_path, "a")) as shelf:
        put(shelf)
    (tmp_path / "a/fault-000002.part").write_bytes(b"ro")
    (tmp_path / "a/notes.txt").write_text("mine")
    (tmp_path / "a/fault/2023-11-14/mine.parquet").write_text("mine")

    with closing(Shelf.open(tmp_path, "a")) as shelf:
        assert len(shelf.files) == 1

    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {".lock", "2213-000001.parquet", "notes.txt", "mine.parquet"}


def test_two_daemons_of_one_name_have_folders_of_their_own(tmp_path):
    """Or each would write over the other's files, and remove what it is just writing."""
    with closing(Shelf.open(tmp_path, "a")) as one, closing(Shelf.open(tmp_path, "a")) as other:
        put(one)
        put(other)

    assert (one.folder.name, other.folder.name) == ("a", "a-2")
    with closing(Shelf.open(tmp_path, "a")) as later:
        assert later.folder == one.folder


@pytest.mark.parametrize("name", ["labels", "..", ".", "", "../../etc"])
def test_no_name_leads_out_of_the_store_or_into_the_labels(tmp_path, name):
    """A host may be called anything."""
    with closing(Shelf.open(tmp_path / "store", name)) as shelf:
        assert shelf.folder.parent == tmp_path / "store"
        assert shelf.folder.name not in ("labels", "", ".", "..")


def test_a_file_that_cannot_be_written_is_not_there_and_not_counted(tmp_path):
    """What is on the shelf is whole, also after an error in the middle."""
    with closing(Shelf.open(tmp_path, "a")) as shelf:
        (tmp_path / "a/fault").write_text("where the folder would be")

        with pytest.raises(OSError, match="fault"):
            put(shelf)

        assert (shelf.files, shelf.size) == ([], 0)
        assert list((tmp_path / "a").glob("*.part")) == []
        (tmp_path / "a/fault").unlink()
        put(shelf)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_a_day_without_files_goes_but_never_the_newest(tmp_path):
    """A year of empty folders is slow to read; one that comes and goes trips who is reading."""
    with closing(Shelf.open(tmp_path, "a")) as shelf:
        days = [put(shelf, at=NOON + day * 86_400) for day in range(3)]

        shelf.drop([days[0], days[2]])
        shelf.look()

        assert shelf.files == [days[1]]
        assert shelf.size == days[1].size
    names = sorted(path.name for path in (tmp_path / "a/fault").iterdir())
    assert names == ["2023-11-15", "2023-11-16"]


def test_files_that_somebody_removed_no_longer_count(tmp_path):
    """An operator who makes room by hand must not be told that there is none."""
    with closing(Shelf.open(tmp_path, "a")) as shelf:
        first, second = put(shelf), put(shelf)
        shelf.path(first).unlink()

        shelf.look()

        assert shelf.files == [second]
        shelf.path(second).unlink()
        shelf.drop([second])
        assert (shelf.files, shelf.size) == ([], 0)
        assert shelf.draft("fault", NOON, 1).number == 3
