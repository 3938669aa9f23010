"""A replay judges captures as the daemon would, and gives the same bytes each time."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest

from detector.bundle import load, save
from detector.capture import CaptureError
from detector.config import Reasons, State, Unknown
from detector.encoder import open_encoder
from detector.message import encode
from detector.replay import Replay
from detector.sight import Sight
from tests.fakes import Clock, ListSink, ListSource, make_service
from tests.trained import trained_bundle, unseen_links
from tests.training.captures import START_MS, TINY, make_table, tiny_training, write
from training.replay import cut, judge, judged, told

FIELDS = {
    "link",
    "source",
    "start_ms",
    "end_ms",
    "label",
    "state",
    "distance",
    "margin",
    "anchor",
    "distances",
    "bundle",
}


@cache
def tiny_bundle():
    """Give the tiny training's bundle as it is loaded, with its id."""
    with TemporaryDirectory() as folder:
        save(tiny_training()[0], Path(folder) / "bundle")
        return load(Path(folder) / "bundle")


def replayed(table, folder, *, only=("*",), hop=1.0, rule=None, budget=1.0):
    """Judge a capture and give the verdicts."""
    out = folder / "verdicts"
    windows = cut(tiny_bundle(), [write(table, folder)], only, hop, side_by_side=False)
    count = judge(tiny_bundle(), windows, out, rule or State(), budget)
    verdicts = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert len(verdicts) == count
    return verdicts


def test_a_verdict_has_all_fields_of_the_contract(tmp_path):
    """Dashboards and scripts read them by name."""
    verdicts = replayed(make_table(), tmp_path)

    for verdict in verdicts:
        reason = set() if verdict["label"] == "normal" else {"reason"}
        since = {"since_ms"} if verdict["state"] else set()
        # The tiny bundle has a head, and knows what is known.
        assert set(verdict) == FIELDS | {"opinion", "strangeness"} | reason | since
        assert verdict["opinion"] in tiny_bundle().manifest.head
        assert verdict["bundle"] == tiny_bundle().id != ""
        assert verdict["source"] == "replay"
        assert verdict["anchor"] in {a.name for a in tiny_bundle().manifest.anchors}
        assert verdict["end_ms"] - verdict["start_ms"] == TINY.steps * 1000
    labels = {verdict["label"] for verdict in verdicts}
    assert labels - {"unknown"} == set(tiny_bundle().manifest.labels)


@pytest.mark.parametrize("hop", [1, 3, 60])
def test_every_window_of_every_link_gets_one_verdict_at_the_hop(tmp_path, hop):
    """What is not judged is not watched."""
    table = make_table(runs=3)

    verdicts = replayed(table, tmp_path, hop=float(hop))

    starts = range(0, 60 - TINY.steps + 1, hop)
    expected = {
        (f"r{run}/{where}", START_MS + run * 3_600_000 + start * 1000)
        for run in range(3)
        for where in ("access", "core")
        for start in starts
    }
    found = [(verdict["link"], verdict["start_ms"]) for verdict in verdicts]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_windows_with_too_many_gaps_get_no_verdict(tmp_path):
    """The daemon would refuse them, and a replay says what the daemon would."""
    table = make_table(runs=1)
    lost = (table["link"] == "r0/core") & (table["t_ms"] >= START_MS + 30_000)

    verdicts = replayed(table[~lost], tmp_path)

    latest = {v["link"]: v["end_ms"] - START_MS for v in verdicts}
    assert latest == {"r0/access": 60_000, "r0/core": 30_000}


def test_the_same_captures_give_the_same_bytes(tmp_path):
    """Two replays are compared with diff, before and after a change of the daemon."""
    path = write(make_table(), tmp_path)
    outs = [tmp_path / "first", tmp_path / "again"]

    for out in outs:
        windows = cut(tiny_bundle(), [path], ["*"], 1.0, side_by_side=False)
        judge(tiny_bundle(), windows, out, State(), 1.0)

    assert outs[0].stat().st_size > 10_000
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_verdict_is_the_same_to_the_last_bit_whatever_is_judged_beside_it(size):
    """What an incident looked like is looked up a year later, with other links and batches."""
    bundle, links = trained_bundle(), unseen_links()[:3]
    sight = Sight.of(bundle, open_encoder(bundle, "onnxruntime"))

    def said(some, many):
        windows = Replay(some, bundle.manifest.window, hop_ms=1000)
        lines = [verdict for verdicts, _ in judged(sight, windows, State(), many)
                 for verdict in verdicts]  # fmt: skip
        return {(line.link, line.end_ms): msgspec.json.encode(line) for line in lines}

    together = said(links, 512)

    assert said(links[::-1], size) == together
    for link in links:
        assert said([link], size).items() <= together.items()


def test_verdicts_come_in_the_order_in_which_windows_are_complete(tmp_path):
    """A stream that jumps in time can't be watched."""
    ends = [verdict["end_ms"] for verdict in replayed(make_table(), tmp_path)]

    assert ends == sorted(ends)
    assert ends[0] < ends[-1]


def test_the_label_is_that_of_the_nearest_anchor(tmp_path):
    """Distances that don't belong to their labels would send an engineer to the wrong fault."""
    bundle, table = tiny_bundle(), make_table(runs=2)
    encoder = open_encoder(bundle, "onnxruntime")

    verdicts = replayed(table, tmp_path, hop=7.0, budget=1e-6)

    for verdict in verdicts:
        rows = table[(table["link"] == verdict["link"]) & (table["t_ms"] >= verdict["start_ms"])]
        window = rows[list(bundle.manifest.window.features)].to_numpy(np.float32)[: TINY.steps]
        point = encoder.embed(window[None])[0]
        away = np.linalg.norm(point - bundle.anchor_embeddings, axis=-1)
        plain = dict(zip(bundle.labels, away, strict=True))
        assert verdict["distances"] == pytest.approx(plain, abs=2e-3)
        assert verdict["distance"] == min(verdict["distances"].values())
        assert verdict["distance"] == verdict["distances"][verdict["label"]]
        first, second, _ = sorted(verdict["distances"].values())
        assert verdict["margin"] == pytest.approx(second - first, abs=1e-6)


def daemons(table, folder, rule, budget):
    """Let the daemon itself judge a capture's windows, and give its verdicts."""
    bundle, sink = tiny_bundle(), ListSink()
    windows = cut(bundle, [write(table, folder)], ["*"], 1.0, side_by_side=False)
    source = ListSource([encode([window], bundle.manifest.window) for window in windows])
    settings = {
        "state": rule,
        "unknown": Unknown(false_alarms_a_link_week=budget),
        "reasons": Reasons(seconds=0),
    }
    encoder = open_encoder(bundle, "onnxruntime")
    make_service(bundle, encoder, source, sink, settings=settings, windows=100).run(0)
    return [msgspec.to_builtins(verdict) for verdict in sink.verdicts]


@pytest.mark.parametrize(
    ("rule", "budget"),
    [
        (State(), 1.0),
        (State(evidence=30.0, doubt=0.3), 1.0),
        (State(hold_seconds=20.0), 1e-6),
        (State(), 1e6),
    ],
)
def test_verdicts_are_those_of_the_daemon_by_the_same_rule(tmp_path, rule, budget):
    """A rule is tried on captures before it is trusted with a pager; here it must do the same."""
    table = make_table(runs=3)

    verdicts = replayed(table, tmp_path, rule=rule, budget=budget)
    live = daemons(table, tmp_path, rule, budget)

    assert len(verdicts) == len(live) > 300
    for one, other in zip(verdicts, live, strict=True):
        for name in ("distance", "margin", "strangeness"):  # a batch of another size rounds so
            assert one.pop(name) == pytest.approx(other.pop(name), abs=1e-4)
        assert one.pop("distances") == pytest.approx(other.pop("distances"), abs=1e-4)
        one.pop("reason", ""), other.pop("reason", "")
        assert one == other


def test_the_state_needs_the_evidence_that_was_asked_for(tmp_path):
    """An alarm after two windows and an alarm after ten are two different tools."""
    waits = []

    for evidence in (1.0, 10.0, 30.0):
        verdicts = replayed(
            make_table(runs=2), tmp_path, rule=State(evidence=evidence), budget=1e-6
        )
        states = [verdict["state"] for verdict in verdicts if verdict["link"] == "r1/core"]
        waits.append(states.index("blocked") + TINY.steps - 30)  # seconds since it is blocked

    assert 2 <= waits[0] < waits[1] < waits[2] <= 30


def test_how_often_something_may_be_unknown_is_what_was_asked_for(tmp_path):
    """A budget is chosen by looking at what it would have meant last week."""
    unknown = []

    for budget in (1e-6, 1.0, 1e9):
        verdicts = replayed(make_table(faults=["lossy"] * 8), tmp_path, budget=budget)
        for verdict in verdicts:
            assert (verdict["label"] == "unknown") == (verdict["strangeness"] > 1)
        unknown.append(sum(verdict["label"] == "unknown" for verdict in verdicts))

    assert unknown == sorted(unknown)
    assert unknown[0] < unknown[-1]


def test_links_can_be_chosen(tmp_path):
    """One link of a large capture is enough to look at one incident."""
    verdicts = replayed(make_table(), tmp_path, only=["r5/*"])

    assert {verdict["link"] for verdict in verdicts} == {"r5/access", "r5/core"}


def test_runs_can_be_laid_side_by_side(tmp_path):
    """Runs recorded one after another become a live network of many links."""
    path = write(make_table(runs=3), tmp_path)

    apart, beside = (
        cut(tiny_bundle(), [path], ["*"], 1.0, side_by_side=flag) for flag in (False, True)
    )

    assert np.ptp(apart.due_ms) == 2 * 3_600_000 + 50_000
    assert np.ptp(beside.due_ms) == 50_000
    assert len(apart) == len(beside)


def test_more_windows_than_fit_into_a_batch_are_all_judged_in_order(tmp_path):
    """A long capture is judged in parts, and the parts must join."""
    table = make_table(runs=2, rows=400)

    verdicts = replayed(table, tmp_path)

    assert len(verdicts) == 4 * 391 > 1024
    for link in ("r0/access", "r1/core"):
        starts = [verdict["start_ms"] for verdict in verdicts if verdict["link"] == link]
        assert np.diff(starts).tolist() == [1000] * 390


def test_a_capture_that_lacks_a_feature_is_refused(tmp_path):
    """What isn't there can't be taken for zero."""
    with pytest.raises(CaptureError, match="lacks the feature 'fwd_invite'"):
        replayed(make_table().drop(columns="fwd_invite"), tmp_path)


def test_every_ten_seconds_it_says_how_much_of_all_was_sent():
    """At life's speed a day of captures takes a day, and a silent command looks stuck."""
    clock, said = Clock(), []

    for _ in told([["window"] * 2] * 8, 16, said.append, clock):
        clock.sleep(4)

    assert said == ["6 of 16 windows sent", "12 of 16 windows sent"]
