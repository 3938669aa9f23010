"""Durable: a file, link or folder is what it was before or what it is to be, and never half."""

import os
import threading

import pytest

from detector import durable


def test_a_file_that_can_not_be_written_stays_as_it_was(tmp_path):
    """A full disk must not cost the report that was there."""
    file = tmp_path / "report.json"
    durable.write(file, b"old")
    (tmp_path / f".report.json.{os.getpid()}.part").mkdir()  # so the new one can't be written

    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        durable.write(file, b"new")

    assert file.read_bytes() == b"old"


def test_a_write_leaves_nothing_beside_the_file(tmp_path):
    """Folders that daemons look into must not fill up."""
    for data in (b"one", b"two"):
        durable.write(tmp_path / "file", data)

    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"two"


def test_a_link_leads_on_when_the_folder_is_moved(tmp_path):
    """A store is copied to another machine, or mounted elsewhere in a container."""
    (tmp_path / "store" / "versions" / "a").mkdir(parents=True)
    durable.point(tmp_path / "store" / "current", tmp_path / "store" / "versions" / "a")

    (tmp_path / "store").rename(tmp_path / "moved")

    assert (tmp_path / "moved" / "current").readlink().as_posix() == "versions/a"
    assert (tmp_path / "moved" / "current").is_dir()


def test_a_link_that_is_replaced_leads_somewhere_all_the_time(tmp_path):
    """A daemon may look at any moment."""
    for name in "ab":
        (tmp_path / name).mkdir()
    link, seen, over = tmp_path / "current", set(), threading.Event()
    durable.point(link, tmp_path / "a")

    def look():
        while not over.is_set():
            seen.add(link.resolve(strict=True).name)

    looking = threading.Thread(target=look)
    looking.start()
    for turn in range(300):
        durable.point(link, tmp_path / "ba"[turn % 2])
    over.set()
    looking.join()

    assert seen <= {"a", "b"}
    assert seen


def test_half_a_line_stays_by_itself(tmp_path):
    """What is added after a torn line is a line of its own."""
    file = tmp_path / "lines"
    durable.append(file, b"one")
    file.write_bytes(file.read_bytes() + b"tw")

    durable.append(file, b"three")
    durable.append(file, b"four")

    assert file.read_bytes() == b"one\ntw\nthree\nfour\n"


def test_only_one_at_a_time_holds_a_lock(tmp_path):
    """Two tools that change a store at once would lose each other's work."""
    inside, most = [], []

    def work():
        for _ in range(50):
            with durable.locked(tmp_path / ".lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(most) == 200
    assert max(most) == 1


def test_a_lock_ends_with_what_went_wrong_inside(tmp_path):
    """The next one gets its turn."""
    with pytest.raises(RuntimeError), durable.locked(tmp_path / ".lock"):
        raise RuntimeError

    with durable.locked(tmp_path / ".lock"):
        pass
