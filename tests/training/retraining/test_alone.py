"""Two retrainings of one store at once would both be late, and learn the same."""

import subprocess
import sys

import pytest

from training.retraining.alone import BusyError, alone


def held_by_another(folder):
    """Start a process that holds a folder until its input ends."""
    code = (
        "import sys; from pathlib import Path; from training.retraining.alone import alone\n"
        "with alone([Path(sys.argv[1])]): print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_while_one_is_at_work_another_is_refused(tmp_path):
    """The message names the store: several may be given."""
    (tmp_path / "store").mkdir()
    (tmp_path / "other").mkdir()

    with alone([tmp_path / "store"]):
        with (
            pytest.raises(BusyError, match=f"at work on {tmp_path}/store"),
            alone([tmp_path / "other", tmp_path / "store"]),
        ):
            pass
        with alone([tmp_path / "other"]):  # what was half held is free again
            pass
    with alone([tmp_path / "store"]):
        pass


def test_one_store_by_two_names_is_one_store(tmp_path):
    """A link to it, or its path with a detour; and given twice it is held once."""
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    detour = tmp_path / "store" / ".." / "store"

    with (
        alone([tmp_path / "store", detour, tmp_path / "link"]),
        pytest.raises(BusyError),
        alone([tmp_path / "link"]),
    ):
        pass


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_process_that_ends_lets_go(tmp_path, is_killed):
    """A lock that outlives a kill -9 stops the timer until somebody looks."""
    process = held_by_another(tmp_path)
    with pytest.raises(BusyError), alone([tmp_path]):
        pass

    if is_killed:
        process.kill()
    process.communicate("")

    with alone([tmp_path]):
        pass


def test_nothing_is_written(tmp_path):
    """The store may be another machine's, mounted for reading."""
    with alone([tmp_path]):
        assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_not_there_is_an_error(tmp_path):
    """Nothing is made by accident where a path is wrong."""
    with pytest.raises(FileNotFoundError), alone([tmp_path / "gone"]):
        pass
