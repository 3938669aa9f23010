"""Assembly: every setting reaches the part that it is about, and changes what happens."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from detector.assembly import SINKS, SOURCES, STATES, assemble, open_board, open_web
from detector.board import StatusBoard
from detector.bundle import BundleError, save
from detector.config import ConfigError, Settings
from detector.loading import load
from detector.metrics import Metrics
from detector.oncall.difference import Canary, Recorded
from detector.oncall.moment import Moment
from detector.oncall.opening import open_model
from detector.oncall.silence import Heard
from detector.oncall.strangeness import Calibration, Known, Tail
from detector.source import Vitals
from detector.state import Said
from detector.status import Status
from tests.fakes import (
    NOON_MS,
    ListSink,
    WallClock,
    draft_bundle,
    make_bundle,
    make_capture,
    make_rows,
)

URL = "http://127.0.0.1:9469"
LABELS = ["normal"] * 8 + ["blocked"] * 8
LINKS = {"run-1/access": LABELS, "run-1/core": LABELS, "run-2/access": LABELS}


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Give a capture of three links, each well for eight seconds and then blocked."""
    return make_capture(tmp_path_factory.mktemp("captures") / "a.parquet", LINKS)


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory):
    """Give the directory of a bundle that fits the capture."""
    path = tmp_path_factory.mktemp("bundles") / "b"
    make_bundle(path)
    return path


@pytest.fixture
def settings(bundle_dir, capture):
    """Load settings as the environment gives them, for a quick replay of the capture."""

    def give(**environ):
        usual = {
            "BUNDLE": str(bundle_dir),
            "SOURCE": "captures",
            "SINKS": "kafka",
            "CAPTURES__PATHS": str(capture),
            "CAPTURES__SPEED": "1000000",
            "ENGINE__NAME": "onnxruntime",
            "ENGINE__THREADS": "1",
            "HTTP__PORT": "0",
        }
        return load(None, {f"ANCHORWATCH__{k}": v for k, v in (usual | environ).items()})

    return give


@pytest.fixture
def service(settings):
    """Assemble services from settings, with a list where the sink would be."""

    def give(board=None, **environ):
        chosen = settings(**environ)
        model = open_model(chosen)
        metrics = Metrics(model.bundle.manifest.labels, chosen.http.max_links)
        made = assemble(chosen, model, metrics, threading.Event(), URL, board)
        return replace(made, sinks=[ListSink()])

    return give


def run(service):
    """Run a replay to its end, and give what the sink has."""
    service.run(poll_seconds=0.1)
    (sink,) = service.sinks
    return sink


def test_settings_become_a_service_that_finds_the_fault(service):
    """The daemon without its command line has to do all that the daemon does."""
    sink = run(service())

    states = {event.link: event.state for event in sink.events}
    assert len(sink.verdicts) == 3 * 13
    assert states == dict.fromkeys(LINKS, "blocked")
    assert {event.type for event in sink.events if event.state == "blocked"} >= {"onset"}


@pytest.mark.parametrize(("head", "opinions"), [(False, {""}), (True, {"blocked"})])
def test_the_bundle_decides_whether_there_is_a_second_opinion(service, tmp_path, head, opinions):
    """What belongs to the model is in the bundle, and no setting can lose it."""
    make_bundle(tmp_path / "b", head=head)

    sink = run(service(BUNDLE=str(tmp_path / "b")))

    assert {verdict.opinion for verdict in sink.verdicts} == opinions


@pytest.mark.parametrize("most", [0, 2])
def test_as_many_links_as_the_settings_say_are_shown_in_depth(service, settings, most):
    """Each costs a handful of series, and each of those costs money somewhere."""
    board = open_board(open_model(settings()), Metrics((), 0))

    made = service(board, HTTP__IN_DEPTH=str(most))
    run(made)

    made.clock = lambda: Moment(1e9, 1e9)
    made.step(0)
    page = made.metrics.text().decode()
    assert page.count("anchorwatch_link_strangeness{") == most
    assert page.count("anchorwatch_anchor_point{") > 0
    assert json.loads(board.space_page().body)["most"] == most


@pytest.mark.parametrize("name", SINKS)
def test_every_sink_can_be_chosen_by_name(settings, name):
    """What the settings allow has to be there."""
    chosen = settings(SINKS=name)
    model = open_model(chosen)
    metrics = Metrics(model.bundle.manifest.labels, 10)

    made = assemble(chosen, model, metrics, threading.Event(), URL)

    (sink,) = made.sinks
    sink.close()
    sink.close()


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_can_be_chosen_by_name(service, name):
    """What the settings allow has to be there, and nothing connects before it is asked."""
    made = service(SOURCE=name)

    assert isinstance(made.source.vitals, Vitals)
    made.source.close()
    made.source.close()


def test_names_in_the_settings_and_in_the_lists_are_the_same():
    """A source that can't be chosen, or a choice that leads nowhere, is a slip."""
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]

    assert set(schema["source"]["enum"]) == set(SOURCES)
    assert set(schema["sinks"]["items"]["enum"]) == set(SINKS)
    assert set(SOURCES) == set(STATES)


@pytest.mark.parametrize(("evidence", "delay_ms"), [("1", 1000), ("10", 2000), ("13", 3000)])
def test_evidence_decides_when_a_state_changes(service, evidence, delay_ms):
    """It is how an operator trades false alarms for delay."""
    sink = run(service(STATE__EVIDENCE=evidence, CAPTURES__LINKS="run-1/core"))

    event = sink.events[-1]

    assert (event.state, event.at_ms - event.since_ms) == ("blocked", delay_ms)


@pytest.mark.parametrize(("doubt", "delays_ms"), [("0", [2000]), ("0.3", [3000]), ("0.9", [])])
def test_doubt_decides_how_clear_a_window_has_to_be(service, doubt, delays_ms):
    """On traffic that is always a little odd, what is vague must not add up."""
    sink = run(service(STATE__EVIDENCE="10", STATE__DOUBT=doubt, CAPTURES__LINKS="run-1/core"))

    assert [event.at_ms - event.since_ms for event in sink.events] == delays_ms


class Spoken:
    """The states of one link by a service's rule, from what windows say, a second apart."""

    def __init__(self, made):
        self.steady, self.second = made.duty.roster.steady, 0
        self.turns = []

    def say(self, label, seconds=1):
        """Let windows say a label for so long, and give how long it took to be the state."""
        place = self.steady.labels.index(label)
        shares = [0.1 if one == place else 0.9 for one in range(len(self.steady.labels) - 1)]
        took = None
        for passed in range(1, seconds + 1):
            said = Said(NOON_MS + self.second * 1000, 4000, place, shares)
            if self.steady.push("t", said).label == label and took is None:
                took = passed
            self.second += 1
        self.turns += [turn.state for turn in self.steady.take_turns()]
        return took


@pytest.mark.parametrize(("seconds", "took"), [("0", 2), ("7", 7)])
def test_hold_seconds_decides_how_long_a_state_lasts_at_least(service, seconds, took):
    """Nobody can look at a state that is over before the page has loaded."""
    spoken = Spoken(service(STATE__HOLD_SECONDS=seconds))
    spoken.say("normal", 60)
    spoken.say("blocked", 2)  # settled by the second of two

    assert spoken.say("normal", 30) == took


@pytest.mark.parametrize(
    ("seconds", "evidence", "took"), [("0", "3", 4), ("60", "3", 12), ("60", "1", 4)]
)
def test_recovery_decides_how_sure_the_next_fault_has_to_be(service, seconds, evidence, took):
    """What was held back comes at once, and looks like a fault."""
    rule = {"STATE__RECOVERY_SECONDS": seconds, "STATE__RECOVERY_EVIDENCE": evidence}
    spoken = Spoken(service(STATE__EVIDENCE="10", STATE__HOLD_SECONDS="0", **rule))
    spoken.say("normal", 60)
    spoken.say("blocked", 20)
    spoken.say("normal", 10)

    assert spoken.say("capacity-limited", 30) == took


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ({}, 7),
        ({"STATE__FLAP_CHANGES": "100"}, 12),
        ({"STATE__FLAP_SECONDS": "20"}, 12),
        ({"STATE__FLAP_CALM_SECONDS": "0"}, 12),
    ],
)
def test_what_flaps_is_a_setting(service, rule, changes):
    """A link that is rerouted every minute by design is no fault, and one by accident is one."""
    usual = {"STATE__FLAP_CHANGES": "6", "STATE__FLAP_SECONDS": "600"}
    spoken = Spoken(service(**usual | {"STATE__FLAP_CALM_SECONDS": "30"} | rule))
    spoken.say("normal", 60)

    for _ in range(6):
        spoken.say("blocked", 10)
        spoken.say("normal", 10)

    assert len(spoken.turns) == 1 + changes


@pytest.mark.parametrize(("seconds", "state"), [("60", "blocked"), ("600", "normal")])
def test_restart_seconds_decides_what_is_a_clock_set_back(service, seconds, state):
    """Where exporters replay their last ten minutes after a restart, it must be longer."""
    spoken = Spoken(service(STATE__RESTART_SECONDS=seconds))
    spoken.say("normal", 2)

    spoken.second -= 300
    spoken.say("blocked", 10)

    assert spoken.steady.links["t"].label == state


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """Give the directory of a bundle that knows no traffic but normal's.

    What is blocked is 3.1 times as far as usual from that; one false alarm in a link's week
    allows for 4.7 times, and 4.7 of them for once.
    """
    draft = draft_bundle()
    is_normal = [label == "normal" for label in draft.labels]
    calibration = Calibration(0.1, Tail(1.0, 1, 168.0, 1.0), {}, neighbours=1)
    manifest = msgspec.structs.replace(draft.manifest, known=calibration)
    points = draft.anchor_embeddings[is_normal]
    path = tmp_path_factory.mktemp("bundles") / "knowing"
    save(replace(draft, manifest=manifest, known=Known(points, calibration)), path)
    return path


@pytest.mark.parametrize(
    ("enabled", "budget", "state"),
    [("true", "4", "unknown"), ("true", "1", "blocked"), ("false", "4", "blocked")],
)
def test_unknown_is_what_the_settings_allow_to_be(service, knowing, enabled, budget, state):
    """An operator says how often a link that is well may be called unknown, and may say never."""
    rule = {"UNKNOWN__ENABLED": enabled, "UNKNOWN__FALSE_ALARMS_A_LINK_WEEK": budget}

    sink = run(service(BUNDLE=str(knowing), CAPTURES__LINKS="run-1/core", **rule))

    newest = sink.verdicts[-1]
    assert (sink.events[-1].state, newest.state, newest.label) == (state, state, state)
    assert (newest.strangeness > 0) == (enabled == "true")
    assert (newest.strangeness > 1) == (state == "unknown")


def test_the_budget_of_unknowns_is_shown_and_without_unknowns_there_is_none(service, knowing):
    """Beside the rate that came of it, where the operator looks for both."""
    budgets = []
    for enabled in ("true", "false"):
        made = service(
            BUNDLE=str(knowing), UNKNOWN__ENABLED=enabled, UNKNOWN__FALSE_ALARMS_A_LINK_WEEK="4"
        )
        run(made)
        name = "anchorwatch_unknown_budget_per_link_week"
        budgets.append(made.metrics.registry.get_sample_value(name))

    assert budgets == [4.0, None]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"EVENTS__GATHER_LINKS": "2"}, [tuple(sorted(LINKS))]),
        ({"EVENTS__GATHER_LINKS": "4"}, sorted(LINKS)),
        ({"EVENTS__GATHER_LINKS": "2", "EVENTS__GATHER_SECONDS": "0"}, sorted(LINKS)),
        (
            {"EVENTS__GATHER_LINKS": "2", "EVENTS__GROUP": "^([^/]+)/"},
            [("run-1/access", "run-1/core"), "run-2/access"],
        ),
    ],
)
def test_what_is_gathered_into_one_event_is_a_setting(service, rule, told):
    """Two hundred calls for one router, or one call for two hundred unlike links: both are bad."""
    sink = run(service(STATE__EVIDENCE="10", **rule))

    assert sorted((event.links or event.link for event in sink.events), key=str) == sorted(
        told, key=str
    )


@pytest.mark.parametrize(("seconds", "told"), [("2", [0, 0, 1]), ("5", [0, 0, 0])])
def test_gather_seconds_decides_how_long_an_event_waits_for_company(service, seconds, told):
    """A pager is as late as this, and as quiet."""
    clock = WallClock()
    made = replace(
        service(STATE__EVIDENCE="10", EVENTS__GATHER_LINKS="2", EVENTS__GATHER_SECONDS=seconds),
        clock=clock,
    )

    counts = []
    for _ in range(3):
        made.step(0.1)
        counts.append(len(made.sinks[0].events))
        clock.sleep(1.2)

    assert counts == told


@pytest.mark.parametrize(
    ("seconds", "words", "skipped"), [("10", "answers", 0), ("0", "", 0), ("1e-9", "", 3)]
)
def test_reasons_are_given_as_far_as_their_time_goes(service, seconds, words, skipped):
    """Where every millisecond counts an operator does without, or with some of them."""
    made = service(REASONS__SECONDS=seconds, STATE__EVIDENCE="10")

    sink = run(made)

    for event in sink.events:
        # What it resembles is said in any case, and costs nothing.
        explained, _, _ = event.reason.partition("like blocked")
        assert words in explained
        assert bool(explained) == bool(words)
    assert len(sink.events) == 3
    name = "anchorwatch_reasons_skipped_total"
    assert made.metrics.registry.get_sample_value(name) == skipped


@pytest.fixture(scope="module")
def planting(tmp_path_factory):
    """Give settings of a bundle with a recorded fault, and of three links that are well."""
    draft = draft_bundle()
    recorded = (Canary("blocked", "a kind", "lab-1/access", NOON_MS),)
    before, after = make_rows("normal", 1), make_rows("blocked", 4)[None]
    manifest = msgspec.structs.replace(draft.manifest, canaries=recorded)
    path = tmp_path_factory.mktemp("planting")
    save(replace(draft, manifest=manifest, canaries=Recorded(recorded, before, after)), path / "b")
    capture = make_capture(path / "a.parquet", dict.fromkeys(LINKS, ["normal"] * 64))
    return {
        "BUNDLE": str(path / "b"),
        "CAPTURES__PATHS": str(capture),
        "STATE__RECOVERY_SECONDS": "10",
        "BATCH__WINDOWS": "3",  # one of each link
    }


def planted(made):
    """Let a minute pass by a clock of our own; give how many were planted, and most at once."""
    clock, most = WallClock(), 0
    made = replace(made, clock=clock)
    for _ in range(61):
        made.step(0.1)
        clock.sleep(1)
        most = max(most, len(made.duty.canaries))
    scores = made.duty.canaries.recall.scores()
    return sum(sum(one.outcomes.values()) for one in scores.values()), most


@pytest.mark.parametrize(("seconds", "fewest", "most"), [("1", 20, 60), ("20", 2, 3)])
def test_every_seconds_decides_how_often_a_fault_is_planted(
    service, planting, seconds, fewest, most
):
    """Often is soon to be sure that nothing is blind, and more work."""
    count, _ = planted(service(**planting, CANARY__EVERY_SECONDS=seconds))

    assert fewest <= count <= most


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_at_once_bounds_the_faults_that_are_planted(service, planting, at_once):
    """A machine that is nearly too small can afford one copy, not one of each link."""
    settings = {"CANARY__EVERY_SECONDS": "1", "CANARY__AT_ONCE": at_once}

    _, most = planted(service(**planting, **settings))

    assert most == int(at_once)


def test_planted_faults_are_judged_by_the_rule_of_the_settings(service, planting):
    """A self-test by another rule than the links' would be a test of something else."""
    delays = []
    for evidence in ("1", "10"):
        made = service(**planting, CANARY__EVERY_SECONDS="1", STATE__EVIDENCE=evidence)
        planted(made)
        delays.append(made.duty.canaries.recall.scores()["blocked"].delay_seconds)

    assert 0 < delays[0] < delays[1]


def test_without_seconds_between_them_no_fault_is_planted(service, planting):
    """Somebody who wants no made-up traffic beside the real one has none."""
    made = service(**planting, CANARY__EVERY_SECONDS="0")

    run(made)

    assert made.duty.canaries is None
    name = "anchorwatch_canaries_enabled"
    assert made.metrics.registry.get_sample_value(name) == 0


def unheard(made, pace=1.0, hour=10, activities=(100.0, 100.0), most=300):
    """Give what is noticed of a link that stops after a minute, and after how many seconds.

    Another link of the exporter reports on. *pace* is seconds from one window to the next;
    *activities* are the link's traffic until then, at 9 and at *hour*.
    """
    silence = made.duty.roster.silence
    place, found = ("windows", 0), {}

    def hear(second, activity, *names):
        end_ms = (NOON_MS // 86_400_000 * 24 + (9 if second < 0 else hour)) * 3_600_000 + second
        heard = [Heard(name, "probe-1", place, end_ms, activity) for name in names]
        silence.hear(heard, 600 + second)

    for second in range(-300, most):
        if second % pace == 0:
            names = ["stops", "goes on"] if second <= 60 else ["goes on"]
            hear(second, activities[second >= 0], *names)
        for noticed in silence.tick(600.0 + second, hour, lambda places: places):
            found.setdefault((noticed.what, noticed.link), second - 60)
    return {what: seconds for (what, link), seconds in found.items() if link == "stops"}


@pytest.mark.parametrize(
    ("rule", "pace", "within"),
    [
        ({"SILENCE__MISSED_WINDOWS": "5"}, 4, (20, 26)),
        ({"SILENCE__MISSED_WINDOWS": "20"}, 4, (80, 86)),
        ({"SILENCE__LEAST_SECONDS": "10"}, 1, (10, 14)),
        ({"SILENCE__LEAST_SECONDS": "90"}, 1, (90, 94)),
    ],
)
def test_how_long_nothing_has_to_come_of_a_link_is_a_setting(service, rule, pace, within):
    """Sooner is a false alarm for each hiccup of an exporter, later is later."""
    found = unheard(service(**rule), pace)

    assert within[0] <= found["silent"] <= within[1]


def test_silence_can_be_turned_off(service):
    """Where links come and go by design nobody wants to hear of each."""
    assert "silent" in unheard(service())
    assert unheard(service(SILENCE__ENABLED="false")) == {}


@pytest.mark.parametrize(("share", "is_told"), [("0.01", True), ("0.05", False)])
def test_idle_share_decides_which_silence_is_excused(service, share, is_told):
    """Of an office's trunk nothing comes at night, and nobody is to be woken by that."""
    found = unheard(service(SILENCE__IDLE_SHARE=share), hour=22, activities=(100.0, 3.0))

    assert ("silent" in found) == is_told


@pytest.mark.parametrize(("seconds", "is_retired"), [("150", True), ("86400", False)])
def test_retire_seconds_decides_how_long_a_quiet_link_is_kept(service, seconds, is_retired):
    """Short-lived tunnels would fill the page of metrics; yearly ones must not be lost."""
    made = service(SILENCE__RETIRE_SECONDS=seconds)

    found = unheard(made)

    assert ("retired" in found) == is_retired
    assert found.get("retired", 150) == pytest.approx(150, abs=5)
    assert ("stops" in made.duty.roster.silence.links) != is_retired


@pytest.mark.parametrize(("seconds", "counted"), [("15", 10.0), ("5", 0.0)])
def test_contact_seconds_decides_when_the_broker_counts_as_away(service, seconds, counted):
    """With one that answers seldom, silence would else never be noticed."""
    attention = service(SILENCE__CONTACT_SECONDS=seconds).duty.roster.attention

    for wall in (1000.0, 1010.0):
        attention.advance(wall, Vitals(is_assigned=True, contact=wall))

    assert attention.seconds == counted


@pytest.mark.parametrize(("windows", "size"), [("1", 1), ("4", 4), ("1000", 39)])
def test_batch_windows_bounds_a_batch(service, windows, size):
    """A small machine bounds its memory with it."""
    made = service(BATCH__WINDOWS=windows, BATCH__WAIT_SECONDS="60")

    batch = made.batches.next(1.0)

    assert len(batch.windows) == size


@pytest.mark.parametrize(("seconds", "size"), [("0", 3), ("60", 39)])
def test_wait_seconds_decides_how_long_a_batch_gathers(service, seconds, size):
    """Longer is more windows at once and a later verdict."""
    made = service(BATCH__WAIT_SECONDS=seconds, CAPTURES__SPEED="100")

    batch = made.batches.next(1.0)

    assert len(batch.windows) == size


def test_links_decides_which_links_are_replayed(service):
    """A demonstration shows one trunk, not eighty."""
    sink = run(service(CAPTURES__LINKS="*/core,run-2/*"))

    assert {verdict.link for verdict in sink.verdicts} == {"run-1/core", "run-2/access"}


@pytest.mark.parametrize(("seconds", "count"), [("1", 13), ("4", 4), ("0.1", 13)])
def test_hop_seconds_decides_how_many_windows_a_link_gives(service, seconds, count):
    """A longer hop is less work for the same hours."""
    sink = run(service(CAPTURES__HOP_SECONDS=seconds, CAPTURES__LINKS="run-1/core"))

    assert len(sink.verdicts) == count


@pytest.mark.parametrize(("speed", "wait", "size"), [("0.01", "0.05", 3), ("1e6", "60", 39)])
def test_speed_decides_how_soon_a_replay_goes_on(service, speed, wait, size):
    """A rehearsal is to be as slow as life, and a first look as quick as it can be."""
    made = service(CAPTURES__SPEED=speed, BATCH__WAIT_SECONDS=wait)

    batch = made.batches.next(1.0)

    assert len(batch.windows) == size


def test_runs_of_different_days_are_replayed_side_by_side(service, tmp_path):
    """Nobody waits a day for the second run of a demonstration."""
    make_capture(tmp_path / "mon.csv", {"mon/access": LABELS})
    make_capture(tmp_path / "tue.csv", {"tue/access": LABELS}, start_ms=NOON_MS + 86_400_000)
    made = service(CAPTURES__PATHS=str(tmp_path), CAPTURES__SPEED="1", BATCH__WAIT_SECONDS="0")

    batch = made.batches.next(1.0)

    assert {window.link for window in batch.windows} == {"mon/access", "tue/access"}


def test_paths_decides_what_is_replayed(service, tmp_path):
    """Own captures are what the daemon is tried on first."""
    mine = make_capture(tmp_path / "mine.csv", {"mine": LABELS})

    sink = run(service(CAPTURES__PATHS=str(mine)))

    assert {verdict.link for verdict in sink.verdicts} == {"mine"}


def test_the_bundle_decides_what_is_judged_with(settings, tmp_path):
    """A path that leads nowhere ends the daemon before it reads anything."""
    with pytest.raises(BundleError, match="gone"):
        open_model(settings(BUNDLE=str(tmp_path / "gone")))


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"CAPTURES__PATHS": "/nowhere.csv"}, r"\[captures\] /nowhere\.csv: not readable"),
        ({"CAPTURES__LINKS": "trnk-*"}, r"\[captures\] .*no link matches trnk-\*"),
    ],
)
def test_captures_that_can_not_be_replayed_are_a_mistake_in_the_settings(service, environ, why):
    """It ends with 78, and a restart would not mend it."""
    with pytest.raises(ConfigError, match=why):
        service(**environ)


def test_captures_without_a_whole_window_are_a_mistake_in_the_settings(service, tmp_path):
    """A daemon that ends at once, with success and without a verdict, explains nothing."""
    file = make_capture(tmp_path / "short.csv", {"run-1/core": ["normal"] * 3})

    with pytest.raises(ConfigError, match="no link has a whole window"):
        service(CAPTURES__PATHS=str(file))


@pytest.mark.parametrize("name", ["onnxruntime", "keras"])
def test_the_engine_is_the_one_that_was_chosen(settings, name):
    """Who has a GPU wants it used, and who shares one doesn't."""
    if name == "keras":
        pytest.importorskip("keras", reason="the keras engine needs the train extra")

    facts = open_model(settings(ENGINE__NAME=name)).facts

    assert facts["engine"] == name


def test_threads_is_how_many_the_engine_runs_on(settings):
    """Whoever shares a machine with the daemon decides how much of it that takes."""
    models = [open_model(settings(ENGINE__THREADS=threads)) for threads in ("1", "3")]

    assert [model.encoder.engine.workers for model in models] == [1, 3]


@pytest.fixture
def ask(settings):
    """Serve pages as settings say, and ask for one: status and text."""

    def give(metrics, path, board=None, **environ):
        board = board or StatusBoard(Status(version="0", bundle="b1", now_ms=0))
        with closing(open_web(settings(**environ), metrics, board)) as web:
            web.start()
            try:
                with urllib.request.urlopen(f"{web.url}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode(), web.url
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode(), web.url

    return give


@pytest.mark.parametrize(("max_links", "listed"), [("2", 2), ("10", 3)])
def test_max_links_bounds_the_series_on_the_page(service, ask, max_links, listed):
    """It is what stands between a noisy exporter and Prometheus's memory."""
    made = service(HTTP__MAX_LINKS=max_links)
    run(made)

    status, text, _ = ask(made.metrics, "/metrics")

    assert status == 200
    assert text.count("anchorwatch_link_state{") == listed


@pytest.mark.parametrize(("seconds", "status"), [("60", 503), ("600", 200)])
def test_stalled_seconds_decides_when_the_daemon_counts_as_hung(ask, monkeypatch, seconds, status):
    """A probe restarts the daemon on this word."""
    metrics = Metrics(("normal",), 10)
    started = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: started + 300)

    answer = ask(metrics, "/healthz", HTTP__STALLED_SECONDS=seconds)

    assert answer[0] == status


def test_readiness_is_that_there_is_something_to_read_from(ask):
    """Who waits for the daemon waits for its partitions, not for its process."""
    metrics = Metrics(("normal",), 10)

    before = ask(metrics, "/readyz")[0]
    metrics.see(Vitals(is_assigned=True, contact=time.time()))
    after = ask(metrics, "/readyz")[0]

    assert (before, after) == (503, 200)


def test_a_broker_that_refuses_us_is_told_of_everywhere_alike(service, settings, ask):
    """A page that says ready and a probe that says no send somebody to the wrong place."""
    board = open_board(open_model(settings()), Metrics((), 0))
    made = service(board)
    run(made)
    made.clock = lambda: Moment(1e9, 1e9)

    made.metrics.refusal = lambda: "broker a:1 refuses user 'b'"
    made.step(0)
    status, words, _ = ask(made.metrics, "/readyz")

    assert (status, words.strip()) == (503, "broker a:1 refuses user 'b'")
    assert b"anchorwatch_ready 0.0" in made.metrics.text()
    shown = msgspec.json.decode(board.page().body, type=Status)
    assert (shown.ready, shown.refused) == (False, "broker a:1 refuses user 'b'")


def test_how_everything_stands_is_a_page_from_the_start(settings, ask):
    """`anchorwatch top` finds the daemon while that is still waiting for its broker."""
    model = open_model(settings())

    status, text, _ = ask(Metrics(("normal",), 10), "/status", open_board(model, Metrics((), 0)))

    shown = msgspec.json.decode(text)
    assert (status, shown["bundle"], shown["ready"]) == (200, model.bundle.id, False)
    assert shown["engine"] == "onnxruntime"


def test_a_delivery_that_is_tried_again_is_no_standstill(settings, monkeypatch):
    """The page and `top` say which of the two it is; only one is mended by a restart."""
    metrics = Metrics(("normal",), 10)
    board = open_board(open_model(settings()), metrics)
    started = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: started + 300)
    shown = [msgspec.json.decode(board.page().body, type=Status)]
    metrics.beat()
    shown.append(msgspec.json.decode(board.page().body, type=Status))

    assert [round(one.idle_seconds / 100) for one in shown] == [3, 0]


def test_the_status_page_answers_for_the_links_that_are_asked_for(service, settings, ask):
    """With ten thousand links nobody looks for one by reading."""
    board = open_board(open_model(settings()), Metrics((), 0))
    made = service(board)
    run(made)

    _, text, _ = ask(made.metrics, "/status?state=blocked&link=*/core", board)

    assert [one["link"] for one in msgspec.json.decode(text)["worst"]] == ["run-1/core"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_host_is_where_it_listens(ask, host):
    """Nothing is to be had from outside unless somebody says so."""
    _, _, url = ask(Metrics(("normal",), 10), "/healthz", HTTP__HOST=host)

    assert url.startswith(f"http://{host}:")


def test_port_is_where_it_listens(ask):
    """Prometheus is told a port once, and for years."""
    _, _, url = ask(Metrics(("normal",), 10), "/healthz")
    port = url.rpartition(":")[2]

    _, _, again = ask(Metrics(("normal",), 10), "/healthz", HTTP__PORT=port)

    assert port != "0"
    assert again.endswith(f":{port}")


# Settings that are turned elsewhere, because it takes a broker or the program itself.
ELSEWHERE = {
    "test_cli.py": ("log.level",),
    "test_daemon.py": ("kafka.verdicts_a_message",),
    "test_daemon_oncall.py": ("events.dialect",),
    "../daemon.py": (  # whose every daemon has topics and a group of its own
        *("kafka.bootstrap", "kafka.group", "kafka.windows", "kafka.verdicts", "kafka.events"),
        *("kafka.states", "kafka.sightings", "kafka.dead_letters", "kafka.session_seconds"),
    ),
    "test_kafka_sink.py": ("kafka.delivery_seconds",),
    "secure.py": (  # for test_kafka_security.py
        *("kafka.tls.enabled", "kafka.tls.ca", "kafka.tls.certificate", "kafka.tls.key"),
        *("kafka.sasl.mechanism", "kafka.sasl.username", "kafka.sasl.password"),
        "kafka.sasl.password_file",
    ),
    "test_kafka_security.py": ("kafka.refused_seconds", "kafka.tls.key_password_file"),
    "test_kafka_client.py": ("kafka.tls.check_hostname",),
    "enrolments/test_kafka.py": ("kafka.anchors",),
    "store/test_store_settings.py": (
        *("store.path", "store.normal_share", "store.around_seconds", "store.flush_seconds"),
        *("store.most_gb", "store.days", "store.memory_mb"),
    ),
    "shadow/test_shadow.py": ("shadow.links", "shadow.time_share"),
    "drift/test_drift.py": ("drift.hours", "drift.times"),
    "test_reload.py": ("reload.look_seconds",),
}


def names_of(schema, prefix=""):
    """List the settings of a class, those of its tables with the table's name before them."""
    for one in msgspec.structs.fields(schema):
        if isinstance(one.type, type) and issubclass(one.type, msgspec.Struct):
            yield from names_of(one.type, f"{prefix}{one.name}.")
        else:
            yield prefix + one.name


def test_every_setting_is_turned_by_some_test():
    """One that is forgotten could stop working, and nobody would know until it is needed."""
    here = Path(__file__)
    turned = set(re.findall(r"\b(?:[A-Z]+__[A-Z_]+|BUNDLE|SOURCE|SINKS)\b", here.read_text()))
    elsewhere = {name for names in ELSEWHERE.values() for name in names}

    for file, names in ELSEWHERE.items():
        text = (here.parent / file).read_text().lower()
        assert [name for name in names if name.partition(".")[2] not in text] == []
    by_name = {name.replace(".", "__").upper(): name for name in names_of(Settings)}
    assert {name for word, name in by_name.items() if word not in turned} == elsewhere
