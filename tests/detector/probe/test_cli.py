"""`anchorwatch capture` as a process: packets in, a capture out, and errors in a line."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detector.message import decode
from detector.probe.features import COUNTER_FEATURES, names
from detector.window import WindowSpec
from tests.daemon import Reader, Topics, wait_for

from .make import COLUMNS, NS, T0, packet, pcap, request, there, udp

PROGRAM = Path(sys.executable).with_name("anchorwatch")
FRAMES = [there(request(call=f"{number}@a")) for number in range(30)]
TIMES = [T0 + number * NS // 10 for number in range(30)]
LINK = ("--link", "x=10.1.0.0/16>*")


def capture(*arguments):
    """Run the program to its end."""
    command = [PROGRAM, "capture", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def recorded(tmp_path):
    """Give a file of three seconds with ten calls each."""
    path = tmp_path / "eth3.pcap"
    path.write_bytes(pcap(FRAMES, TIMES))
    return path


def test_a_file_becomes_a_capture(tmp_path, recorded):
    """The way of a packet file into training."""
    out = tmp_path / "a.parquet"

    done = capture(recorded, *LINK, "--partial", "--out", out)

    table = pd.read_parquet(out)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "3 rows of 30 packets\n"
    assert list(table.columns) == ["link", "t_ms", *COLUMNS]
    assert table.link.tolist() == ["x"] * 3
    assert table.t_ms.tolist() == [T0 // 10**6 + n * 1000 for n in range(3)]
    assert table.fwd_new_calls.tolist() == [10, 10, 10]


def test_settings_of_the_rows_change_the_rows(tmp_path, recorded):
    """Step, offset and partial rows are the operator's choice."""
    out = tmp_path / "a.csv"
    options = ("--step", 0.5, "--offset", 0.25)

    capture(recorded, *LINK, *options, "--out", out)

    table = pd.read_csv(out)
    assert set(table.t_ms % 500) == {250}
    assert set(table.fwd_packets) == {5}
    assert len(table) == 5


def test_rules_may_come_from_a_file_and_name_what_the_file_is_called(tmp_path, recorded):
    """Packets of a pcap file belong to an interface named like the file."""
    rules, out = tmp_path / "links", tmp_path / "a.csv"
    rules.write_text("# trunks\n\nnowhere=10.1.0.0/16>*@eth9\nhere=10.1.0.0/16>*@eth3\n")

    capture(recorded, "--links", rules, "--partial", "--out", out)

    totals = pd.read_csv(out).groupby("link").fwd_packets.sum()
    assert totals.to_dict() == {"nowhere": 0, "here": 30}


def test_rules_that_fit_no_packet_are_told(tmp_path, recorded):
    """A pcap file knows no direction, so a rule about an interface alone never fits."""
    done = capture(recorded, "--link", "x=@eth3", "--partial", "--out", tmp_path / "a.csv")

    assert done.returncode == 1
    assert "no link rule fits any packet" in done.stderr.splitlines()[-1]


def test_files_that_overlap_are_read_side_by_side(tmp_path, recorded):
    """Both ports of a router, recorded into a file each."""
    other, out = tmp_path / "other.pcap", tmp_path / "a.csv"
    frames = [packet(udp(b"x"), source="10.7.0.1")] * 30
    other.write_bytes(pcap(frames, [time + NS // 20 for time in TIMES]))

    capture(recorded, other, *LINK, "--link", "y=10.7.0.0/16>*", "--partial", "--out", out)

    table = pd.read_csv(out)
    assert table.groupby("link").fwd_packets.apply(list).to_dict() == {
        "x": [10] * 3,
        "y": [10] * 3,
    }


def test_what_was_passed_over_is_told(tmp_path, recorded):
    """Rows can only be trusted by who knows what isn't in them."""
    recorded.write_bytes(pcap([*FRAMES, packet(udp(b"x"), source="10.9.9.9")], [*TIMES, T0 + 9]))

    done = capture(recorded, "--link", "x=10.1.0.5>*", "--partial", "--out", tmp_path / "a.csv")

    assert done.stderr == "3 rows of 31 packets (1 on no link)\n"


def test_a_damaged_file_gives_its_rows_and_exit_code_1(tmp_path, recorded):
    """A script must notice; what could be read is there all the same."""
    data = bytearray(recorded.read_bytes())
    at = len(pcap(FRAMES[:25]))
    data[at + 8 : at + 12] = b"\xff" * 4
    recorded.write_bytes(data)

    done = capture(recorded, *LINK, "--partial", "--out", tmp_path / "a.csv")

    assert done.returncode == 1
    assert f"{recorded}: damaged at byte {at}: " in done.stderr
    assert "; 25 packets before it\n3 rows of 25 packets\n" in done.stderr
    assert pd.read_csv(tmp_path / "a.csv").fwd_packets.tolist() == [10, 10, 5]


def test_a_file_that_was_cut_short_is_told_and_no_error(tmp_path, recorded):
    """That is how a capture ends that was killed."""
    recorded.write_bytes(recorded.read_bytes()[:-5])

    done = capture(recorded, *LINK, "--partial", "--out", tmp_path / "a.csv")

    assert done.returncode == 0
    assert "cut short at byte" in done.stderr
    assert len(pd.read_csv(tmp_path / "a.csv")) == 3


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["FILE"], "give one of --out and --kafka"),
        (["--out", "a.csv", *LINK], "give files, or interfaces with -i"),
        (["FILE", "-i", "lo", "--out", "a.csv"], "give files, or interfaces with -i"),
        (["FILE", "--counters", "--out", "a.csv"], "--counters is for interfaces"),
        (["FILE", *LINK, "--kafka", "a:1"], "files go to --out; anchorwatch replay"),
        (["FILE", *LINK, "--out", "a.pcap"], "give a name that ends in .parquet or .csv"),
        (["FILE", *LINK, "--out", "a.csv", "--step", "0"], "--step"),
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path, recorded, arguments, why):
    """As of every program."""
    given = [str(recorded) if word == "FILE" else word for word in arguments]
    if "--out" in given:
        given[given.index("--out") + 1] = str(tmp_path / given[given.index("--out") + 1])

    done = capture(*given)

    assert (done.returncode, why in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["FILE"], "say which packets are forward: --link NAME=PREFIX>PREFIX"),
        (["FILE", "--link", "x=10.1"], "link rule 'x=10.1': give NAME=@INTERFACE or"),
        (["FILE", "--links", "FILE"], "can't decode|link rule"),
        (["BAD", *LINK], "bad.pcap: neither pcap nor pcapng"),
        (["FILE", *LINK, "--step", "3600"], "no row: --partial keeps"),
        (["-i", "awprobe9"], "awprobe9: (can't listen: no interface|listening needs CAP_NET_RAW)"),
        (["-i", "lo", "--link", "x=@eth9"], "link 'x': nobody listens to 'eth9': -i eth9"),
        (["-i", "lo", "--counters", *LINK], "link 'x': counters know interfaces, no addresses"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(tmp_path, recorded, arguments, why):
    """No traceback; and no capture that looks like one of silence."""
    (tmp_path / "bad.pcap").write_bytes(b"nothing of the kind")
    paths = {"FILE": str(recorded), "BAD": str(tmp_path / "bad.pcap")}
    given = [paths.get(word, word) for word in arguments]

    done = capture(*given, "--out", tmp_path / "a.parquet")

    assert done.returncode == 1
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("anchorwatch: ")]
    assert re.search(why, line)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("a.parquet*"))


def test_a_folder_that_is_not_there_is_named(tmp_path, recorded):
    """Before hours of packets are read into nowhere."""
    done = capture(recorded, *LINK, "--out", tmp_path / "none" / "a.parquet")

    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


class Live:
    """The program at a live interface."""

    def __init__(self, network, *arguments):
        inside = ["ip", "netns", "exec", network.near] if network else []
        self.process = subprocess.Popen(
            [*inside, PROGRAM, "capture", *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self, number=signal.SIGINT):
        """Tell it to stop: exit code and what it said."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def when_open(path):
    """Wait until a capture is being written."""
    wait_for("a capture begun", path.with_name(path.name + ".part").exists)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_live_packets_become_a_capture_until_it_is_told_to_stop(network, tmp_path, number):
    """Listening to a link, as an operator does it."""
    out = tmp_path / "a.parquet"
    with Live(network, "-i", "eth0", "--step", 0.1, "--out", out) as live:
        when_open(out)
        time.sleep(0.15)  # into the first whole step
        network.send(network.far, 500)
        network.send(network.near, 50)
        time.sleep(0.25)  # past the end of the step

        code, said = live.stop(number)

    table = pd.read_parquet(out)
    assert code == 0, said
    assert (table.fwd_packets.sum(), table.rev_packets.sum()) == (500, 50)
    assert set(table.link) == {"eth0"}
    assert f"{len(table)} rows of 550 packets\n" in said


def test_it_stops_by_itself_after_the_seconds_it_was_given(network, tmp_path):
    """For a measurement from a script."""
    out = tmp_path / "a.csv"
    with Live(network, "-i", "eth0", "--step", 0.1, "--seconds", 1, "--out", out) as live:
        assert live.process.wait(20) == 0

    assert 8 <= len(pd.read_csv(out)) <= 10


def test_live_rows_reach_kafka_as_windows(broker):
    """The daemon's own input."""
    topics = Topics().create(broker)
    spec = WindowSpec(names(COUNTER_FEATURES), 3, 100)
    options = ("--steps", 3, "--step", 0.1, "--source", "probe-4", "--topic", topics.windows)
    with Live(None, "-i", "lo", "--counters", "--kafka", broker.direct, *options) as live:
        reader = Reader(broker.direct, topics.windows)
        wait_for("windows", lambda: len(reader.records()) > 2)
        code, said = live.stop()

    records = reader.records()
    windows = [one for record in records for one in decode(record.value, spec)[0]]
    assert code == 0, said
    assert len(windows) == len(records)
    assert {(w.link, w.source) for w in windows} == {("lo", "probe-4")}
    assert f"sent={len(records)} lost=0" in said


def test_counters_need_no_right_and_become_a_capture(tmp_path):
    """Where nobody may read packets."""
    out = tmp_path / "a.parquet"

    done = capture("-i", "lo", "--counters", "--step", 0.1, "--seconds", 0.8, "--out", out)

    table = pd.read_parquet(out)
    assert done.returncode == 0, done.stderr
    assert list(table.columns) == ["link", "t_ms", *names(COUNTER_FEATURES)]
    assert 4 <= len(table) <= 8
    assert np.isfinite(table.fwd_packets).sum() >= len(table) - 2
