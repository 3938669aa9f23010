"""The daemon from Kafka: windows a second, delay at a steady rate, start-up and memory.

    python -m tests.bench.daemon [--windows N]

Broker, daemon and this program share the machine's cores, so the encoder alone is measured in the
same run and the daemon's rate is given as a share of it.
"""

import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detector.encoder import Encoder
from detector.inputs import Inputs
from detector.message import encode
from detector.onnx_engine import OnnxEngine
from detector.window import Window
from tests.broker import Broker, open_broker
from tests.daemon import Daemon, Topics, wait_for

from . import reference
from .machine import describe, matrix_flops, rate, window_flops

LINKS = 400
PARTITIONS = 4
FORMS = (  # windows a message, MessagePack or JSON, verdicts a message
    (100, True, "many"),
    (100, True, "one"),
    (1, True, "one"),
    (40, False, "one"),
    (1, False, "one"),
)


@click.command()
@click.option("--windows", default=100_000, help="Windows in each throughput run")
@click.option("--seconds", default=15, help="How long windows come at the steady rate")
def main(windows: int, seconds: int) -> None:
    """Print the figures."""
    print(describe())
    alone = _encoder_alone()
    ceiling = matrix_flops() / window_flops(reference.ARCHITECTURE, reference.SPEC.steps)
    print(f"encoder alone, batches of 1,024: {alone:,.0f} windows/s", end="")
    print(f" ({alone / ceiling:.0%} of the matrix-product ceiling)")
    with tempfile.TemporaryDirectory() as folder, open_broker() as broker:
        bundle = reference.bundle(Path(folder) / "bundle")
        print(f"broker: {broker.name}")
        for many, packed, answer in FORMS:
            count = windows if packed else windows // 4
            speed = _throughput(broker, bundle, count, many, packed=packed, answer=answer)
            form = f"{many} windows a message, {'MessagePack' if packed else 'JSON'}"
            print(f"daemon, {form}, verdicts {answer} a message: {speed:,.0f} windows/s", end="")
            print(f" ({speed / alone:.0%} of the encoder alone)", flush=True)
        _delay(broker, bundle, seconds)


def _encoder_alone() -> float:
    engine = OnnxEngine(reference.ARCHITECTURE, reference.weights(), reference.SPEC.steps)
    inputs = Inputs(reference.INPUTS, reference.SPEC)
    encoder = Encoder(inputs, engine, reference.ARCHITECTURE.embedding)
    batch = np.random.default_rng(0).uniform(0, 100, (1024, *reference.SPEC.shape))
    raw = batch.astype(np.float32)
    return rate(lambda: encoder.embed(raw), len(raw), 4)


def _window(number: int) -> Window:
    values = np.random.default_rng(number % 97).uniform(0, 100, reference.SPEC.shape)
    start_ms = 1_700_000_000_000 + number // LINKS * 1000
    end_ms = start_ms + reference.SPEC.span_ms
    return Window(f"link-{number % LINKS}", "bench", start_ms, end_ms, values.astype(np.float32))


def _throughput(
    broker: Broker, bundle: Path, count: int, many: int, *, packed: bool, answer: str
) -> float:
    """Fill a topic, start the daemon on it, and time it between its first and last tenth."""
    topics = Topics().create(broker, PARTITIONS)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=20, batch_size=2**20)
    for start in range(0, count, many):
        some = [_window(number) for number in range(start, min(start + many, count))]
        producer.send(topics.windows, encode(some, reference.SPEC, packed=packed))
    producer.close()
    settings = {"kafka__verdicts_a_message": answer}
    with Daemon(bundle, broker.bootstrap, topics, **settings) as daemon:
        marks: list[tuple[float, float]] = []
        wait_for("all judged", lambda: _note(daemon, marks) >= count, 300)
        assert daemon.terminate() == 0
    inner = [mark for mark in marks if 0.1 * count <= mark[1] <= 0.9 * count]
    (begun, first), (ended, last) = inner[0], inner[-1]
    return (last - first) / (ended - begun)


def _note(daemon: Daemon, marks: list[tuple[float, float]]) -> float:
    done = daemon.metric("anchorwatch_windows_total")
    marks.append((time.perf_counter(), done))
    time.sleep(0.1)  # a scrape costs the daemon a few milliseconds
    return done


def _delay(broker: Broker, bundle: Path, seconds: int, a_second: int = 1000) -> None:
    """Send single windows at a steady rate, and time each from its sending to its verdict."""
    topics = Topics().create(broker, PARTITIONS)
    with Daemon(bundle, broker.bootstrap, topics) as daemon:
        daemon.ready()
        started = re.findall(r"seconds=([\d.]+)", daemon.log())[-1]
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=0)
        arrivals: dict[tuple[str, int], float] = {}
        done = threading.Event()
        listener = threading.Thread(target=_listen, args=(broker, topics, arrivals, done))
        listener.start()
        sent: dict[tuple[str, int], float] = {}
        begun = time.perf_counter()
        for number in range(a_second * seconds):
            time.sleep(max(0.0, begun + number / a_second - time.perf_counter()))
            window = _window(number)
            value = encode([window], reference.SPEC)
            sent[window.link, window.start_ms] = time.perf_counter()
            producer.send(topics.windows, value, window.link.encode())
        wait_for("verdicts", lambda: len(arrivals) >= len(sent), 60)
        done.set()
        listener.join()
        memory = daemon.metric("process_resident_memory_bytes") / 2**20
        producer.close()
        assert daemon.terminate() == 0
    # The first tenth is the broker's and the clients' own warming up.
    late = sorted(sent, key=sent.__getitem__)[len(sent) // 10 :]
    delays = [1000 * (arrivals[one] - sent[one]) for one in late]
    cuts = statistics.quantiles(delays, n=100)
    print(f"\n{a_second:,} windows/s, one a message, from produce to verdict read back:", end="")
    print(f" p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms (target: below 100 ms)")
    print(f"ready after {started} s (target: 3 s), {memory:.0f} MiB resident (target: 250 MB)")


def _listen(
    broker: Broker, topics: Topics, arrivals: dict[Any, float], done: threading.Event
) -> None:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, fetch_max_wait_ms=50)
    consumer.assign([TopicPartition(f"{topics.name}.verdicts", 0)])
    while not done.is_set():
        for records in consumer.poll(100).values():
            now = time.perf_counter()
            for record in records:
                one = msgspec.json.decode(record.value)
                arrivals[one["link"], one["start_ms"]] = now
    consumer.close()


if __name__ == "__main__":
    main()
