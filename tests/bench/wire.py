"""What links cost on the way to and from Kafka: bytes, processor time, reading states back.

    python -m tests.bench.wire BUNDLE training/captures

A real daemon on a real broker, beside each other on this machine's cores. The windows are of
10,000 links that are well, in the forms in which they can be sent; as fast as the daemon takes
them, and at steady rates, when records come one by one or in clumps. Then what is kept of links
is read back as after a rebalance. Words that daemons tell each other are weighed first.
"""

import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import click
import lz4.frame
import msgspec

from detector.bundle import load
from detector.config import Settings
from detector.encoder import open_encoder
from detector.kafka_sink import KafkaSink
from detector.kafka_states import KafkaStates
from detector.loading import load as load_settings
from detector.oncall.moment import Moment
from detector.oncall.opening import Model, open_duty
from detector.oncall.peers import Peers
from detector.oncall.record import LinkRecord, NoStates, Sighting, Word
from detector.sinks import Outcome
from detector.source import Move
from tests.broker import open_broker
from tests.daemon import Daemon, Reader, Topics, wait_for

from .feed import Traffic, normal_rows
from .judging import best
from .machine import describe

TURNS, PARTITIONS = 4, 4
FORMS = ((1, False, "one"), (1, True, "one"), (100, True, "many"))
STEADY = ((300, 0), (300, 500), (1000, 0), (1000, 500))  # windows/s, the exporter's linger, ms
SETTLE_SECONDS, STEADY_SECONDS = 3, 6
KEPT = (1_000, 10_000, 50_000)  # links of a partition


class Mark(NamedTuple):
    """How far the daemon is."""

    seconds: float
    windows: float
    cpu_seconds: float  # of the daemon, all threads


def sizes(traffic: Traffic) -> None:
    """Print what a window takes in each form."""
    for many, packed in ((1, False), (100, False), (1, True), (100, True)):
        data = traffic.encoded(range(many), 0, packed=packed)
        each, small = len(data) / many, len(lz4.frame.compress(data)) / many
        form = "MessagePack" if packed else "JSON"
        print(f"window, {form}, {many} a message: {each:,.0f} bytes, {small:,.0f} by lz4")


def mark(daemon: Daemon, marks: list[Mark]) -> float:
    """Note how far the daemon is, and give the windows that it judged."""
    done = daemon.metric("anchorwatch_windows_total")
    cpu = daemon.metric("process_cpu_seconds_total")
    marks.append(Mark(time.perf_counter(), done, cpu))
    time.sleep(0.25)  # a page of ten thousand links takes a twentieth of a second to make
    return done


def speed(first: Mark, last: Mark) -> tuple[float, float]:
    """Give windows a second, and cores."""
    seconds = last.seconds - first.seconds
    return (last.windows - first.windows) / seconds, (
        last.cpu_seconds - first.cpu_seconds
    ) / seconds


def fastest(traffic: Traffic, bundle: Path) -> None:
    """Print how many windows the daemon takes, and what of the processor."""
    for many, packed, answer in FORMS:
        topics = Topics().create(traffic.broker, PARTITIONS)
        most = traffic.fill(topics.windows, TURNS, many, packed=packed)
        settings = {"kafka__verdicts_a_message": answer}
        with Daemon(bundle, traffic.broker.bootstrap, topics, **settings) as daemon:
            marks: list[Mark] = []
            wait_for("all judged", lambda: mark(daemon, marks) >= most, 300)  # noqa: B023
            memory = daemon.metric("process_resident_memory_bytes") / 1e6
            assert daemon.terminate() == 0
        inner = [one for one in marks if 0.1 * most <= one.windows <= 0.9 * most]
        rate, cores = speed(inner[0], inner[-1])
        name = f"{many} a message, {'MessagePack' if packed else 'JSON'}, verdicts {answer}"
        print(f"{name}: {rate:,.0f} windows/s, {cores:.2f} cores", end="")
        print(f" ({cores / rate * 1e6:.0f} us a window), {memory:.0f} MB", flush=True)
        weigh_what_came(traffic, topics)


def weigh_what_came(traffic: Traffic, topics: Topics) -> None:
    """Print what the daemon wrote of the links."""
    for last in ("verdicts", "states"):
        records = Reader(traffic.broker.bootstrap, f"{topics.name}.{last}").records()
        data = [record.value or b"" for record in records]
        mean, some = sum(map(len, data)) / len(data), b"".join(data[:1000])
        small = mean * len(lz4.frame.compress(some)) / len(some)
        print(f"  {last}: {len(data):,} records of {mean:.0f} bytes, {small:.0f} by lz4 together")


def steady(traffic: Traffic, bundle: Path) -> None:
    """Print what windows at a steady rate take, one a message, JSON."""
    for rate, linger_ms in STEADY:
        topics = Topics().create(traffic.broker, PARTITIONS)
        with Daemon(bundle, traffic.broker.bootstrap, topics) as daemon:
            daemon.ready()
            ended, marks = threading.Event(), list[Mark]()
            arguments = (topics.windows, rate, linger_ms, ended)
            sender = threading.Thread(target=traffic.trickle, args=arguments)
            sender.start()
            for seconds in (SETTLE_SECONDS, STEADY_SECONDS):
                time.sleep(seconds)
                mark(daemon, marks)
            ended.set()
            sender.join()
            assert daemon.terminate() == 0
        found, cores = speed(*marks)
        print(
            f"{found:,.0f} windows/s, steady, linger {linger_ms} ms: {cores:.2f} cores", flush=True
        )


def restoring(traffic: Traffic, bundle: Path) -> None:
    """Print how long reading back takes what is kept of so many links."""
    loaded = load(bundle)
    model = Model(loaded, open_encoder(loaded))
    for links in KEPT:
        topics = Topics().create(traffic.broker)
        settings = load_settings(None, {**topics.settings, **named(traffic, bundle)}).kafka
        stopping = threading.Event()
        states = KafkaStates(settings, stopping, lambda: None)
        duty = open_duty(Settings(bundle=""), model, states)
        move = Move((topics.windows, 0), is_gained=True)
        duty.roster.follow(move, Moment(0.0, 1.7e9))  # makes the topic
        sink = KafkaSink(settings, "plain", stopping, lambda: None)
        sink.send(Outcome(after=[kept(link) for link in range(links)]))
        sink.close()
        begun = time.perf_counter()
        duty.roster.follow(move, Moment(0.0, 1.7e9))
        seconds = time.perf_counter() - begun
        states.close()
        assert len(duty.roster.steady.links) == links
        print(f"{links:,} links' states read back: {seconds:.2f} s", end="")
        print(f" ({seconds / links * 1e6:.0f} us a link)", flush=True)


def named(traffic: Traffic, bundle: Path) -> dict[str, str]:
    """Say by the environment where broker and bundle are."""
    address = traffic.broker.bootstrap
    return {"ANCHORWATCH__BUNDLE": str(bundle), "ANCHORWATCH__KAFKA__BOOTSTRAP": address}


def kept(link: int) -> LinkRecord:
    """Make the record of a link that was heard for a day."""
    return LinkRecord(
        link=f"site-{link // 100:05}/trunk-{link:07}",
        source=f"probe-{link // 100:05}",
        partition=0,
        state="normal",
        since_ms=1_700_000_000_000,
        last_ms=1_700_000_100_000,
        settled_ms=1_700_000_004_000,
        gap=1.003,
        activity=12_345.0,
        hours=tuple(12_345.678 + hour / 7 for hour in range(24)),
    )


def words() -> None:
    """Print what a word takes that daemons tell each other: bytes, and time to hear it."""
    for many in (100, 1_000):
        said = []
        for now in (1_234_567.001, 1_234_569.001):  # two weeks after its start
            exporters = {f"probe-{one:05}": Sighting(now - 0.5, 10.0, 3) for one in range(many)}
            word = Word(daemon="a" * 12, seconds=now, is_behind=False, exporters=exporters)
            said.append(msgspec.json.encode(word))
        data = said[0]
        peers = Peers("b" * 12, Saying(said))
        took = best(lambda: peers.listen(0.0), 9)  # noqa: B023
        print(
            f"a word of {many:,} exporters: {len(data):,} bytes, {took * 1e6:,.0f} us to hear it"
        )


class Saying(NoStates):
    """Somebody who has news whenever one listens."""

    def __init__(self, said: Sequence[bytes]) -> None:
        self._said = cycle(said)

    def words(self) -> Sequence[Word]:
        """Read it as it comes from Kafka."""
        return (msgspec.json.decode(next(self._said), type=Word),)


@click.command()
@click.argument("bundle", type=click.Path(exists=True, path_type=Path))
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(bundle: Path, captures: tuple[Path, ...]) -> None:
    """Print the figures."""
    spec = load(bundle).manifest.window
    print(f"{describe()}; windows of {spec.steps} x {len(spec.features)}")
    words()
    with tempfile.TemporaryDirectory() as folder, open_broker() as broker:
        link = Path(folder) / "bundle"  # beside which the daemons' logs are written
        link.symlink_to(bundle.resolve())
        print(f"broker: {broker.name}")
        traffic = Traffic(broker, spec, normal_rows(captures, spec))
        sizes(traffic)
        for part in (fastest, steady, restoring):
            part(traffic, link)


if __name__ == "__main__":
    main()
