"""A crash: what a process leaves that is killed while it captures is whole, and is built upon."""

import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd

from detector.capture import read_links
from detector.store import CaptureStore
from tests.detector.store.capturing import LINKS
from tests.detector.store.judged import SPEC, feed, files_in, judged, quick, stored

ROOT = Path(__file__).parents[3]
LEAST, MOST = 5, 60  # times that it is killed
CAPTURING = [sys.executable, "-m", "tests.detector.store.capturing"]


def test_a_process_that_is_killed_leaves_only_files_that_can_be_read(tmp_path):
    """`kill -9`, a lost power supply and the kernel's out-of-memory killer come at any moment."""
    draw, parts, names, rows = random.Random(0), 0, set(), set()
    for number in range(MOST):
        capture_until_killed(tmp_path, number * 5_000, draw.uniform(0.0, 0.6))
        parts += len(list(tmp_path.rglob("*.part")))
        names |= {file.name for file in files_in(tmp_path)}
        table = pd.concat([pd.read_parquet(file) for file in files_in(tmp_path)])
        before, rows = rows, set(zip(table["link"], table["t_ms"], strict=True))
        assert before < rows  # what was there before the crash is there after it
        assert len(read_links([tmp_path], SPEC)) == LINKS
        # Until some died in the middle of a file, and hours had been put together.
        was_joined = any(name[2:4] == "00" for name in names)
        if number >= LEAST and parts and was_joined:
            break

    with closing(CaptureStore(quick(), SPEC, tmp_path, "a")) as store:
        feed(store, [judged(0, "blocked")])

    assert set(stored(tmp_path, "fault")) >= {-3, -2, -1, 0}
    assert list(tmp_path.rglob("*.part")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a"]  # no lock outlives its process
    assert parts
    assert was_joined


def capture_until_killed(folder, begin, seconds):
    """Let a process capture into a folder, and kill it that long after its first files."""
    command = [*CAPTURING, str(folder), str(begin)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with child:
        assert child.stdout.readline() == "capturing\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
