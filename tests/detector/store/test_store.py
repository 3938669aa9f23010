"""The store as the daemon has it: nobody waits for it, and what it says it kept is there."""

import os
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detector.capture import read_links, read_table
from detector.config import Store
from detector.store import CaptureStore, store_folder
from detector.store.choice import FORGET_SECONDS
from detector.store.store import MOST_WINDOWS
from tests.detector.store.judged import (
    LAST,
    SPEC,
    dealt,
    feed,
    figures,
    files_in,
    judged,
    poll,
    quick,
    stored,
    tables_in,
    values_at,
)
from tests.fakes import NOON_MS, WallClock, make_spec

OUTCOMES = ("kept", "passed", "skipped", "lost")


def open_store(folder, daemon="a", clock=None, **changes):
    """Open a store that writes soon, and tries again soon."""
    settings, more = quick(**changes), {} if clock is None else {"clock": clock}
    return closing(CaptureStore(settings, SPEC, folder, daemon, retry_seconds=0.05, **more))


def a_fault(seconds=range(10, 15)):
    """Make windows of a link that is blocked for some seconds of thirty."""
    start, end = seconds[0], seconds[-1] + 1
    for second in range(30):
        is_bad = start <= second < end
        state = "blocked" if is_bad else "normal"
        since = -10_000 if second < start else start if is_bad else end
        yield judged(second, state, state, since)


def test_a_fault_is_in_the_store_with_what_was_around_it(tmp_path):
    """Just what the store is for."""
    with open_store(tmp_path, normal_share=0.0) as store:
        for each in a_fault():
            feed(store, [each])

    assert stored(tmp_path, "fault") == list(range(10 - LAST, 15))
    # The change back was noticed with the window that ends at 16.
    assert stored(tmp_path, "around") == [*range(15, 18)]
    assert stored(tmp_path, "normal") == []
    table = next(tables_in(tmp_path, "fault"))
    said = table.set_index("t_ms").loc[NOON_MS + 12_000]
    assert said["verdict_label"] == said["verdict_state"] == "blocked"
    assert said["verdict_since_ms"] == NOON_MS + 10_000
    assert said["verdict_start_ms"] == NOON_MS + (12 - LAST) * 1000
    assert (said["verdict_bundle"], said["source"]) == ("bundle-1", "probe-1")
    assert said["verdict_reason"] == "half of the requests are answered"


def test_figures_are_there_from_the_start_and_add_up_to_what_was_taken(tmp_path):
    """A figure that is absent is no zero to who watches it, and one that leaks no figure."""
    with open_store(tmp_path, normal_share=0.0) as store:
        before = figures(store)
        for each in a_fault():
            feed(store, [each])
    after = figures(store)

    names = {"bytes", "files", "failing", "reach_seconds", "memory_bytes"}
    assert names <= set(before)
    assert {name for name in before if name.startswith("windows.")} == {
        f"windows.{outcome}" for outcome in OUTCOMES
    }
    assert not any(value for name, value in before.items() if name != "reach_seconds")
    assert [after[f"windows.{outcome}"] for outcome in OUTCOMES] == [11, 19, 0, 0]
    assert [after[f"rows.{kind}"] for kind in ("fault", "around", "normal")] == [8, 3, 0]
    assert after["files"] == len(files_in(tmp_path)) == 2
    assert after["bytes"] == sum(file.stat().st_size for file in files_in(tmp_path))
    assert after["memory_bytes"] == 0


def test_a_link_that_fell_silent_is_kept(tmp_path):
    """No window says so, and the last rows are all that there is."""
    with open_store(tmp_path, normal_share=0.0, around_seconds=5.0) as store:
        feed(store, [judged(second) for second in range(30)])
        store.changed("trunk-1", NOON_MS + 45_000)

    assert stored(tmp_path, "around") == [25, 26, 27, 28, 29]


def test_rows_of_a_link_that_left_are_not_held_back_for_ever(tmp_path):
    """It says nothing any more, so no change can come that they would be around of."""
    clock = WallClock()
    with open_store(tmp_path, clock=clock) as store:
        feed(store, [judged(0)])
        poll(lambda: figures(store)["memory_bytes"])
        clock.sleep(FORGET_SECONDS + 10)
        poll(lambda: clock.sleep(1.0) or figures(store)["rows.normal"] == 4)


def test_two_daemons_stores_are_one_capture(tmp_path):
    """A link moves from one daemon to the other, and its capture must not end there."""
    with open_store(tmp_path, "east") as east, open_store(tmp_path, "west") as west:
        feed(east, [judged(second) for second in range(20)])
        feed(west, [judged(second) for second in range(20, 40)])
        feed(west, [judged(second, link="trunk-2") for second in range(10)])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/1-a.json").write_text("{}")

    one, two = read_links([tmp_path], SPEC)

    assert (one.link, one.start_ms) == ("trunk-1", NOON_MS - LAST * 1000)
    expected = [values_at("trunk-1", NOON_MS + second * 1000)[0] for second in range(-LAST, 40)]
    np.testing.assert_array_equal(one.values, expected)
    assert (two.link, len(two.values)) == ("trunk-2", 10 + LAST)


def test_after_a_reload_rows_have_the_new_features_in_files_of_their_own(tmp_path):
    """A bundle may watch other things, and no file holds two kinds of rows."""
    other = make_spec(features=("requests", "busy"), optional=())
    with open_store(tmp_path) as store:
        feed(store, [judged(second) for second in range(5)])
        store.use(SPEC)  # the same windows: nothing happens
        feed(store, [judged(second) for second in range(5, 10)])
        store.use(other)
        feed(store, [judged(second, spec=other) for second in range(10, 20)])

    assert stored(tmp_path, "normal") == list(range(-LAST, 20))
    by_features = {tuple(table.columns[2:4]): len(table) for table in tables_in(tmp_path)}
    assert by_features == {("requests", "answers"): 10 + LAST, ("requests", "busy"): 10}


def test_rows_are_in_a_file_soon_and_hours_become_one_file(tmp_path):
    """Thousands of files of a minute each are slow to read."""
    clock = WallClock()  # begins at 22:13
    with open_store(tmp_path, clock=clock, flush_seconds=60.0) as store:
        for minute in range(3):
            feed(store, [judged(60 * minute, "blocked")])
            poll(lambda: figures(store)["memory_bytes"])
            clock.sleep(61.0)
            poll(lambda minute=minute: figures(store)["files"] == minute + 1)
        before = [file.name for file in files_in(tmp_path)]
        clock.sleep(3600.0)
        poll(lambda: figures(store)["files"] == 1)

    assert before == ["2214-000001.parquet", "2215-000002.parquet", "2216-000003.parquet"]
    assert [file.name for file in files_in(tmp_path)] == ["2200-000004.parquet"]
    assert stored(tmp_path) == [60 * minute + n for minute in range(3) for n in range(-LAST, 1)]


def test_hours_that_a_crash_left_apart_are_put_together_at_the_next_start(tmp_path):
    """A daemon that is restarted each night would leave a thousand files a day."""
    for second in (0, 20):
        with open_store(tmp_path, clock=WallClock()) as store:
            feed(store, [judged(second)])
    assert len(files_in(tmp_path)) == 2

    with open_store(tmp_path, clock=WallClock(wall=NOON_MS / 1000 + 3600)) as store:
        poll(lambda: figures(store)["files"] == 1)

    assert stored(tmp_path) == [-3, -2, -1, 0, 17, 18, 19, 20]


def test_a_damaged_file_stops_nobody(tmp_path):
    """Disks forget, and the hour that can't be put together is left as it is."""
    for second in (0, 20):
        with open_store(tmp_path, clock=WallClock()) as store:
            feed(store, [judged(second)])
    damaged, _ = files_in(tmp_path)
    damaged.write_bytes(b"PAR1 what was this?")

    with open_store(tmp_path, clock=WallClock(wall=NOON_MS / 1000 + 3600)) as store:
        feed(store, [judged(40, "blocked")])

    assert damaged.exists()
    assert stored(tmp_path, "fault") == [37, 38, 39, 40]


def test_taking_costs_the_loop_nothing_while_the_disk_hangs(tmp_path):
    """A dead disk must not be felt by anyone who waits for a verdict."""
    with open_store(tmp_path) as store:
        poll((tmp_path / "a/.lock").exists)
        poll(lambda: not list(tmp_path.glob("a/*.part")))
        part = tmp_path / "a/fault-000001.part"
        os.mkfifo(part)  # to write into it waits for a reader, who never comes
        begun = time.perf_counter()
        for number in range(20):
            feed(store, [judged(number, "blocked", link=f"trunk-{n}") for n in range(100)])
        seconds = time.perf_counter() - begun
        poll(lambda: not figures(store)["queue_windows"])
        time.sleep(0.2)
        during = figures(store)
        poll(lambda: _read_a_little(part) or figures(store)["windows.kept"] == 2000)

    assert seconds < 0.5
    assert during["windows.kept"] == 0
    assert during["memory_bytes"] > 100_000
    assert figures(store)["windows.lost"] == figures(store)["windows.skipped"] == 0
    assert stored(tmp_path) == list(range(-LAST, 20))


def _read_a_little(pipe):
    """Let whoever waits for a reader go on, to find that there is none."""
    with suppress(FileNotFoundError):
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))


def test_what_the_queue_has_no_room_for_is_skipped_and_counted(tmp_path):
    """A bounded loss that is known, instead of memory without bounds."""
    batch = [judged(second, "blocked") for second in range(1024)]
    with open_store(tmp_path) as store:
        count = 0
        while not figures(store)["windows.skipped"]:
            feed(store, batch)
            count += 1024
            assert count < 100 * MOST_WINDOWS
        poll(lambda: dealt(store) >= count - 1024)
    after = figures(store)

    assert dealt(store) == count
    assert after["windows.lost"] == 0


def test_after_the_end_nothing_is_taken_and_nothing_is_raised(tmp_path):
    """The last batches of a daemon that stops must not make it fail."""
    with open_store(tmp_path) as store:
        feed(store, [judged(0)])
    feed(store, [judged(1)])
    store.changed("trunk-1", NOON_MS)
    store.use(make_spec(steps=2))
    store.take([], [], [])
    store.close()

    assert figures(store)["windows.skipped"] == 1
    assert stored(tmp_path) == [-3, -2, -1, 0]


def test_the_quota_holds_while_far_more_than_it_is_written(tmp_path):
    """A store that fills the disk stops more than capture."""
    most_bytes, seen, links = 60_000, [], [f"trunk-{number}" for number in range(40)]
    rng = np.random.default_rng(0)
    with open_store(tmp_path, most_gb=most_bytes / 1e9, flush_seconds=0.01) as store:
        second = 0
        while figures(store)["rows.normal"] < 30_000:
            label = "blocked" if second in (50, 100) else "normal"
            batch = [judged(second, label, link=link) for link in links]
            for window, _, _ in batch:
                window.values[:] = rng.random(SPEC.shape)  # what can't be packed
            feed(store, batch)
            second += 1
            if second % 20 == 0:
                seen.append(sum(_size(file) for file in tmp_path.rglob("*")))
                wanted = 40 * (second - 100)
                poll(lambda wanted=wanted: dealt(store) >= wanted)
    after = figures(store)

    assert after["rows.normal"] * 16 > 5 * most_bytes  # rows of 16 bytes of noise each
    assert len(seen) > 20
    assert max(seen) <= 1.5 * most_bytes  # files come and go while they are counted
    assert sum(file.stat().st_size for file in files_in(tmp_path)) == after["bytes"]
    # Not one fault had to go while there was normal traffic.
    kept = [len(stored(tmp_path, "fault", link)) for link in links]
    assert after["rows.fault"] == sum(kept) > 0
    assert dealt(store) == second * len(links)


def _size(file):
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:
        return 0


@contextmanager
def full_disk(folder, blocks):
    """Give a folder on a disk of so many KiB, which is full but for what the test leaves."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={blocks}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_capture_and_not_judging(tmp_path, caplog):
    """And when there is room again, capture goes on by itself, with all that memory kept."""
    with full_disk(tmp_path / "disk", 256) as disk, open_store(disk) as store:
        feed(store, [judged(0, "blocked")])
        poll(lambda: figures(store)["files"] == 1)
        ballast = disk / "ballast"
        _fill(ballast)
        feed(store, [judged(second, "blocked") for second in range(1, 50)])
        poll(lambda: figures(store)["failing"])
        time.sleep(0.2)  # several more attempts
        during = figures(store)
        readable = [pd.read_parquet(file) for file in files_in(disk)]
        ballast.unlink()
        poll(lambda: not figures(store)["failing"])
        poll(lambda: figures(store)["windows.kept"] == 50)

        assert during["windows.kept"] == 1
        assert len(readable) == 1
        assert stored(disk, "fault") == list(range(-LAST, 50))
        assert figures(store)["windows.lost"] == 0
        assert list(disk.rglob("*.part")) == []
    lines = [record.message for record in caplog.records]
    assert lines.count("captures can't be written") == 1


def _fill(file):
    with file.open("wb", buffering=0) as opened:
        try:
            while True:
                opened.write(bytes(4096))
        except OSError:
            pass


def test_a_store_that_cannot_be_made_is_tried_again(tmp_path):
    """A disk that is mounted late is not a daemon that has to be restarted."""
    place = tmp_path / "store"
    place.write_text("what is this doing here?")

    with open_store(place) as store:
        feed(store, [judged(0, "blocked")])
        poll(lambda: figures(store)["failing"])
        place.unlink()
        poll(lambda: not figures(store)["failing"])
        poll(lambda: figures(store)["windows.kept"] == 1)

    assert stored(place) == [-3, -2, -1, 0]


def test_what_never_could_be_written_is_lost_and_counted(tmp_path):
    """Memory is bounded too, and a stop waits for no disk."""
    place = tmp_path / "store"
    place.write_text("what is this doing here?")
    with open_store(place, memory_mb=1) as store:
        count = 0
        while not figures(store)["windows.lost"]:
            feed(store, [judged(count + n, "blocked") for n in range(100)])
            count += 100
            poll(lambda: dealt(store) or figures(store)["memory_bytes"])
            assert figures(store)["memory_bytes"] < 2_000_000
        begun = time.monotonic()
    after = figures(store)

    assert time.monotonic() - begun < 5
    assert after["failing"]
    assert after["windows.lost"] == count - after["windows.skipped"] > 1000
    assert after["windows.kept"] == 0


def test_two_stores_of_one_name_do_not_write_over_each_other(tmp_path):
    """Two daemons on one host have the same name unless somebody gave them another."""
    with open_store(tmp_path, "host") as one, open_store(tmp_path, "host") as other:
        feed(one, [judged(0)])
        feed(other, [judged(0, link="trunk-2")])
        poll(lambda: {path.name for path in tmp_path.iterdir()} == {"host", "host-2"})

    assert stored(tmp_path) == stored(tmp_path, link="trunk-2") == [-3, -2, -1, 0]


def test_without_a_name_the_folder_is_called_as_the_host(tmp_path):
    """Whoever looks into the shared folder wants to know whose is whose."""
    with closing(CaptureStore(Store(normal_share=1.0), SPEC, tmp_path)) as store:
        feed(store, [judged(0)])

    (folder,) = tmp_path.iterdir()
    assert folder.name
    assert folder.name.split(".")[0] == os.uname().nodename.split(".")[0]


def test_all_that_the_store_wrote_is_one_table(tmp_path):
    """Files of all kinds, also those with nothing but gaps in a column, go together."""
    spec_features = set(SPEC.features)
    with open_store(tmp_path) as store:
        for each in a_fault():
            each[0].values[:, 3] = np.nan
            feed(store, [each])

    table = read_table([tmp_path])

    assert spec_features <= set(table.columns)
    assert len(table) == 30 + LAST
    assert table["response_ms"].isna().all()


@pytest.mark.parametrize(
    ("path", "environ", "folder"),
    [
        ("", {}, None),
        ("", {"STATE_DIRECTORY": ""}, None),
        ("", {"STATE_DIRECTORY": "/var/lib/a"}, Path("/var/lib/a/captures")),
        ("", {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, Path("/var/lib/a/captures")),
        ("/srv/captures", {"STATE_DIRECTORY": "/var/lib/a"}, Path("/srv/captures")),
    ],
)
def test_the_store_is_where_the_settings_or_systemd_say(path, environ, folder):
    """A daemon that was told neither keeps nothing, and writes nowhere."""
    assert store_folder(Store(path=path), environ) == folder
