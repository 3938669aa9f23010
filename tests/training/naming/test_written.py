"""What a daemon writes is what is read here: the two sides of the store's files."""

import numpy as np

from detector.config import Store
from detector.events import identify
from detector.store.choice import Choice
from detector.store.table import packed, table_of
from detector.verdict import Verdict
from detector.window import Window
from tests.fakes import NOON_MS, make_spec
from training.naming.acts import make, write
from training.naming.stored import episodes, stored_features, stored_links

SPEC = make_spec()
FAULT = (300, 400)  # seconds


def written(store, seconds=700, normal_share=1.0):
    """Let a daemon capture a link that has a window each second and one fault."""
    choice = Choice(Store(normal_share=normal_share), SPEC)
    for second in range(seconds):
        is_fault = FAULT[0] <= second < FAULT[1]
        state = "blocked" if is_fault else "normal"
        since = max(start for start in (0, *FAULT) if start <= second)
        start_ms = NOON_MS + second * 1000
        rows = np.arange(second, second + SPEC.steps, dtype=np.float32)
        window = Window(
            *("trunk-1", "probe-1", start_ms, start_ms + SPEC.span_ms),
            np.repeat(rows[:, None], len(SPEC.features), axis=1),
        )
        verdict = Verdict(
            *("trunk-1", "probe-1", start_ms, window.end_ms, state, state, 0.1, 0.2, "a"),
            distances={state: 0.1},
            bundle="b1",
            reason="no answers" if is_fault else "",
        )
        choice.push(window, verdict, NOON_MS + since * 1000 + SPEC.span_ms)
    choice.finish()
    for number, (kind, some) in enumerate(choice.take_fresh().items()):
        folder = store / "host-a" / kind / "2023-11-14"
        folder.mkdir(parents=True)
        if some:
            (folder / f"2213-{number:06}.parquet").write_bytes(packed(table_of(some, SPEC)))


def test_what_a_daemon_captured_is_read_with_its_episodes_and_its_normal_rows(tmp_path):
    """Nobody tests it otherwise: each side is made with a maker of its own."""
    written(tmp_path)

    (found,) = episodes([tmp_path])
    (link,) = stored_links([tmp_path], SPEC.features, SPEC.step_ms)

    assert set(stored_features([tmp_path])) == set(SPEC.features)
    since_ms = NOON_MS + FAULT[0] * 1000 + SPEC.span_ms
    assert (found.id, found.since_ms) == (identify("trunk-1", "blocked", since_ms), since_ms)
    assert (found.reason, found.bundle, found.source) == ("no answers", "b1", "probe-1")
    assert not found.is_open
    assert link.link == "2023-11-14T22/trunk-1@13:20"
    assert link.values[:, 0].tolist() == list(range(700 + SPEC.steps - 1))
    normal = np.flatnonzero(link.labels == "normal")
    assert len(normal) > 200
    assert not set(normal.tolist()) & set(range(FAULT[0] - 60, FAULT[1] + 60))


def test_a_fault_that_a_daemon_captured_can_be_named(tmp_path):
    """From the daemon's file to a training's label."""
    written(tmp_path)
    (found,) = episodes([tmp_path])

    write(
        make(
            at_ms=1,
            who="anna",
            what="rename",
            label="cable",
            link="trunk-1",
            from_ms=found.sure_ms[0],
            to_ms=found.sure_ms[1],
        ),
        tmp_path,
    )

    (link,) = stored_links([tmp_path], SPEC.features, SPEC.step_ms)
    named = np.flatnonzero(link.labels == "cable")
    assert named.min() == FAULT[0] + SPEC.steps - 1
    assert named.max() <= FAULT[1] + SPEC.steps - 1
    assert len(named) > 90
    (after,) = episodes([tmp_path])
    assert after.is_named
