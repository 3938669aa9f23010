"""Assembly: every setting reaches the part that it is about, and changes what happens."""

import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest

from detector.assembly import SINKS, SOURCES, assemble, open_model, open_web
from detector.bundle import BundleError
from detector.config import ConfigError, Settings, load
from detector.metrics import Metrics
from detector.source import Vitals
from tests.fakes import NOON_MS, ListSink, make_bundle, make_capture

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

    def give(**environ):
        chosen = settings(**environ)
        model = open_model(chosen)
        metrics = Metrics(model.bundle.manifest.labels, chosen.http.max_links)
        made = assemble(chosen, model, metrics, threading.Event(), URL)
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


@pytest.mark.parametrize(("head", "opinions"), [(False, {""}), (True, {"blocked"})])
def test_the_bundle_decides_whether_there_is_a_second_opinion(service, tmp_path, head, opinions):
    """What belongs to the model is in the bundle, and no setting can lose it."""
    make_bundle(tmp_path / "b", head=head)

    sink = run(service(BUNDLE=str(tmp_path / "b")))

    assert {verdict.opinion for verdict in sink.verdicts} == opinions


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


@pytest.mark.parametrize(("agree", "of", "delay_ms"), [(1, 1, 0), (3, 5, 2000), (5, 5, 4000)])
def test_agree_and_of_decide_when_a_state_changes(service, agree, of, delay_ms):
    """They are how an operator trades false alarms for delay."""
    sink = run(service(STATE__AGREE=str(agree), STATE__OF=str(of), CAPTURES__LINKS="run-1/core"))

    event = sink.events[0]

    assert event.at_ms - event.since_ms == delay_ms


def test_of_allows_for_windows_that_disagree(service):
    """Three of three never forgives one window; three of five forgives two."""
    labels = ["blocked", "normal", "blocked", "normal", "blocked"]
    strict = service(STATE__AGREE="3", STATE__OF="3").judge.steady
    patient = service(STATE__AGREE="3", STATE__OF="5").judge.steady

    for end_ms, label in enumerate(labels):
        states = [steady.push("t", end_ms, label).label for steady in (strict, patient)]

    assert states == [None, "blocked"]


@pytest.mark.parametrize(("seconds", "state"), [("60", "blocked"), ("600", "normal")])
def test_restart_seconds_decides_what_is_a_clock_set_back(service, seconds, state):
    """Where exporters replay their last ten minutes after a restart, it must be longer."""
    steady = service(STATE__AGREE="1", STATE__OF="1", STATE__RESTART_SECONDS=seconds).judge.steady

    steady.push("t", NOON_MS, "normal")
    steady.push("t", NOON_MS - 300_000, "blocked")

    assert steady.links["t"].label == state


@pytest.mark.parametrize(("seconds", "links"), [("3600", 3), ("1e-9", 0)])
def test_forget_seconds_decides_how_long_a_quiet_link_is_kept(service, seconds, links):
    """Short-lived tunnels would fill the page of metrics; yearly ones must not be lost."""
    made = service(STATE__FORGET_SECONDS=seconds)

    run(made)

    assert len(made.judge.steady.links) == links


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

    def give(metrics, path, **environ):
        with closing(open_web(settings(**environ), metrics)) as web:
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
def test_stalled_seconds_decides_when_the_daemon_counts_as_hung(ask, seconds, status):
    """A probe restarts the daemon on this word."""
    metrics = Metrics(("normal",), 10)
    metrics.progress_time = time.time() - 300

    answer = ask(metrics, "/healthz", HTTP__STALLED_SECONDS=seconds)

    assert answer[0] == status


def test_readiness_is_that_there_is_something_to_read_from(ask):
    """Who waits for the daemon waits for its partitions, not for its process."""
    metrics = Metrics(("normal",), 10)

    before = ask(metrics, "/readyz")[0]
    metrics.progress(Vitals(is_assigned=True))
    after = ask(metrics, "/readyz")[0]

    assert (before, after) == (503, 200)


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
