"""The settings of the store: each changes what is kept."""

from contextlib import closing

import pytest

from detector.config import ConfigError, Store
from detector.loading import load
from detector.store import CaptureStore, store_folder
from tests.detector.store.judged import (
    LAST,
    SPEC,
    feed,
    figures,
    files_in,
    judged,
    poll,
    stored,
)
from tests.fakes import WallClock


def store_settings(**environ):
    """Load the settings of a store as the environment gives them."""
    usual = {"NORMAL_SHARE": "1", "AROUND_SECONDS": "2", "FLUSH_SECONDS": "0.05"}
    every = {f"ANCHORWATCH__STORE__{k}": v for k, v in (usual | environ).items()}
    return load(None, {"ANCHORWATCH__BUNDLE": "b", **every}).store


def open_store(folder, clock=None, **environ):
    """Open a store with settings from the environment."""
    more = {} if clock is None else {"clock": clock}
    settings = store_settings(**environ)
    return closing(CaptureStore(settings, SPEC, folder, "a", retry_seconds=0.05, **more))


def an_hour_with_a_fault():
    """Make windows of a link that is blocked for a second in the middle."""
    calm = [judged(second) for second in range(300)]
    after = [judged(second, since=301) for second in range(301, 600)]
    return [*calm, judged(300, "blocked", "blocked", 300), *after]


def test_path_says_where(tmp_path):
    """`store.path`: the disk with room on it is not always systemd's."""
    settings = store_settings(PATH=str(tmp_path / "here"))

    folder = store_folder(settings, {"STATE_DIRECTORY": str(tmp_path / "there")})

    assert folder == tmp_path / "here"


@pytest.mark.parametrize(("share", "least", "most"), [("0", 0, 0), ("0.5", 100, 500)])
def test_normal_share_says_how_much_of_the_normal_traffic(tmp_path, share, least, most):
    """`store.normal_share`: from nothing to all of it."""
    with open_store(tmp_path, NORMAL_SHARE=share) as store:
        feed(store, an_hour_with_a_fault())

    assert least <= len(stored(tmp_path, "normal")) <= most
    assert stored(tmp_path, "fault")


@pytest.mark.parametrize("around", [0, 60])
def test_around_seconds_says_how_much_before_and_after_a_change(tmp_path, around):
    """`store.around_seconds`: slow faults begin long before they are one."""
    with open_store(tmp_path, NORMAL_SHARE="0", AROUND_SECONDS=str(around)) as store:
        feed(store, an_hour_with_a_fault())

    before, after = range(300 - around, 300 - LAST), range(301, 302 + around)
    assert stored(tmp_path, "around") == [*before, *after]


def test_flush_seconds_says_how_soon_rows_are_in_a_file(tmp_path):
    """`store.flush_seconds`: what a crash may cost."""
    clock = WallClock()
    with open_store(tmp_path, clock, FLUSH_SECONDS="100") as store:
        feed(store, [judged(0, "blocked")])
        poll(lambda: figures(store)["memory_bytes"])
        clock.sleep(99.0)
        first = figures(store)["memory_bytes"]
        feed(store, [judged(1, "blocked")])
        poll(lambda: figures(store)["memory_bytes"] > first)
        before = figures(store)["files"]
        clock.sleep(2.0)
        poll(lambda: figures(store)["files"] == 1)

    assert before == 0


def test_most_gb_says_how_much_the_disk_may_hold(tmp_path):
    """`store.most_gb`: the oldest normal traffic goes first."""
    with open_store(tmp_path, MOST_GB="0.000015", AROUND_SECONDS="0") as store:
        feed(store, [judged(0, "blocked")])
        poll(lambda: figures(store)["files"] == 1)
        for number in range(1, 9):
            feed(store, [judged(100 * number), judged(100 * number + 50)])
            poll(lambda number=number: figures(store)["rows.normal"] >= 8 * number - 4)

    assert sum(file.stat().st_size for file in files_in(tmp_path)) <= 15_000
    assert stored(tmp_path, "fault") == [-3, -2, -1, 0]
    assert stored(tmp_path, "normal")[0] > 500
    assert stored(tmp_path, "normal")[-1] == 850


def test_days_says_for_how_long(tmp_path):
    """`store.days`: then it goes, also when nothing new comes."""
    clock = WallClock()
    with open_store(tmp_path, clock, DAYS="0.5", FLUSH_SECONDS="1") as store:
        feed(store, [judged(0, "blocked")])
        poll(lambda: figures(store)["memory_bytes"])
        clock.sleep(2.0)
        poll(lambda: figures(store)["files"] == 1)
        clock.sleep(11 * 3600)
        feed(store, [judged(11 * 3600, "blocked")])
        poll(lambda: figures(store)["memory_bytes"])
        clock.sleep(2.0)
        poll(lambda: figures(store)["files"] == 2)
        clock.sleep(2 * 3600)
        poll(lambda: figures(store)["files"] == 1)

    assert stored(tmp_path) == [11 * 3600 + n for n in range(-LAST, 1)]


@pytest.mark.parametrize(("memory", "is_short"), [("1", True), ("200", False)])
def test_memory_mb_says_how_much_may_wait_for_a_change(tmp_path, memory, is_short):
    """`store.memory_mb`: with too little the way into a fault is cut short, and it is told."""
    links = [f"trunk-{number}" for number in range(100)]
    with open_store(tmp_path, NORMAL_SHARE="0", AROUND_SECONDS="60", MEMORY_MB=memory) as store:
        for second in range(80):
            feed(store, [judged(second, link=link) for link in links])
        feed(store, [judged(80, "blocked", "blocked", 80, link=links[0])])
        poll(lambda: figures(store)["rows.fault"])
        reach = figures(store)["reach_seconds"]

    kept = stored(tmp_path, "around", links[0])
    assert (reach < 60) == is_short
    assert (kept[0] > 30) == is_short
    assert kept[-1] == 80 - LAST - 1


def test_shares_beyond_all_are_refused():
    """A slip of the finger is told, and not taken for everything."""
    with pytest.raises(ConfigError, match="normal_share"):
        store_settings(NORMAL_SHARE="2")
    assert 0 < Store().normal_share < 1
