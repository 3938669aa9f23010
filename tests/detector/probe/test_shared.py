"""The same packets as others read them: the shared captures, and tshark."""

import csv
import gzip
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from functools import cache

import dpkt
import numpy as np
import pandas as pd
import pytest

from detector.probe.files import PcapFile

from .make import (
    COLUMNS,
    NS,
    SHARED,
    back,
    make_probe,
    pcap,
    request,
    response,
    there,
)

PCAPS = sorted(SHARED.glob("pcap/*.pcap.gz"))
EDGE_NS = 10**6  # the captures' rows begin at a fraction of a millisecond that they don't tell
# What the captures hold under these names is another thing; see docs/features.md.
OTHER = {"fwd_tcp_payload_segments", "rev_tcp_payload_segments"}
OTHER |= {"fwd_tcp_retransmissions", "rev_tcp_retransmissions"}
OTHER |= {"fwd_response_ms", "rev_response_ms"}
needs_shared = pytest.mark.skipif(not PCAPS, reason=f"needs the shared captures in {SHARED}")
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
each_file = pytest.mark.parametrize("path", PCAPS, ids=lambda path: path.name[:28])


def rows_of_file(path, rule, origin_ms=0):
    """Read a file: start -> features of its one link, and the times of its packets."""
    probe, times = make_probe(rule, origin_ms=origin_ms, partial=True), []
    for packets in PcapFile(path):
        probe.push(packets)
        times.append(packets.time_ns)
    return dict(probe.rows.rest(int(times[-1].max()))), np.concatenate(times)


@cache
def reference():
    """Read the captures."""
    return pd.read_parquet(SHARED / "captures-1s.parquet")


@cache
def rule_of(path):
    """Give the rule of a file's link: what comes from the caller is forward."""
    run = re.match(r"(.*)_(access|core)_", path.name)[1]
    with (SHARED / "runs.csv").open() as file:
        number = next(row["link"] for row in csv.DictReader(file) if row["run"] == run)
    return f"x=10.10{number}.1.2>*"


@cache
def both(path):
    """Give the rows that we and the captures have of a file, by start, and edges to be wary of."""
    run, place = re.match(r"(.*)_(access|core)_", path.name).groups()
    theirs = reference()
    theirs = theirs[theirs.link == f"{run}/{place}"].set_index("t_ms")[list(COLUMNS)]
    origin_ms = int(theirs.index[0])
    ours, times = rows_of_file(path, rule_of(path), origin_ms)
    shared = [start for start in ours if start in theirs.index]
    after = (times - origin_ms * 10**6) % NS
    steps = (times - origin_ms * 10**6) // NS
    near = steps[after < EDGE_NS].tolist() + (steps[after < EDGE_NS] - 1).tolist()
    near += steps[after > NS - EDGE_NS].tolist() + (steps[after > NS - EDGE_NS] + 1).tolist()
    unsure = {int(step) * 1000 + origin_ms for step in near}
    table = pd.DataFrame([ours[start][0] for start in shared], shared, COLUMNS)
    return table, theirs.loc[shared], unsure


@needs_shared
@each_file
def test_rows_are_those_of_the_shared_captures(path):
    """An earlier program made the captures from the same packets, with its own code."""
    ours, theirs, unsure = both(path)
    sure = [start for start in ours.index[1:] if start not in unsure]

    assert len(sure) >= 0.5 * len(ours) - 1
    for name in COLUMNS:
        if name not in OTHER:
            np.testing.assert_allclose(
                ours.loc[sure, name], theirs.loc[sure, name], rtol=1e-4, atol=1e-3, err_msg=name
            )


@needs_shared
@each_file
def test_what_differs_at_the_edges_of_rows_is_in_the_row_beside(path):
    """A packet within a millisecond of an edge is in this row or the next, and in one of them."""
    ours, theirs, unsure = both(path)

    for name in COLUMNS:
        if name in OTHER or "interarrival" in name:
            continue
        change = (ours[name] - theirs[name]).to_numpy()
        assert abs(change.sum()) == 0, name
        assert {int(start) for start in ours.index[change != 0]} <= unsure
        # What one row has too many, its neighbour has too few.
        assert np.abs(np.cumsum(change)).max() <= 4 * 1514


@needs_shared
@each_file
def test_payload_segments_of_the_captures_are_bytes(path):
    """There the name says segments; the bytes are 0 exactly where no segment had any."""
    ours, theirs, unsure = both(path)
    sure = [start for start in ours.index if start not in unsure]

    for name in ("fwd_tcp_payload_segments", "rev_tcp_payload_segments"):
        segments, size = ours.loc[sure, name], theirs.loc[sure, name]
        assert ((segments > 0) == (size > 0)).all()
        assert (size <= segments * 1460).all()


@needs_shared
@each_file
def test_response_times_of_the_captures_run_from_the_latest_copy(path):
    """Theirs time an answered request again when it is repeated; ours the first copy, once.

    Where nothing was repeated both say the same.
    """
    ours, theirs, unsure = both(path)
    repeated = ours["fwd_sip_retransmissions"] + ours["rev_sip_retransmissions"]
    calm = repeated.rolling(40, min_periods=1).sum() == 0
    sure = [start for start in ours.index[calm] if start not in unsure]

    for name in ("fwd_response_ms", "rev_response_ms"):
        np.testing.assert_allclose(
            ours.loc[sure, name], theirs.loc[sure, name], rtol=1e-3, atol=1e-3
        )


def latest_copy(path):
    """Give step -> mean response time as the captures take it, from a plain loop."""
    run = re.match(r"(.*)_(access|core)_", path.name)
    origin = int(reference().query(f"link == '{run[1]}/{run[2]}'").t_ms.iloc[0])
    caller = bytes(map(int, rule_of(path)[2:-2].split(".")))
    asked, waits = {}, defaultdict(list)
    with gzip.open(path) as file:
        for time, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            text = bytes(ip.data.data) if isinstance(ip, dpkt.ip.IP) else b""
            call = re.search(rb"\r\nCall-ID: ([^\r]*).*\r\nCSeq: ([^\r]*)", text, re.S)
            if call is None:
                continue
            if text.startswith(b"SIP/"):
                begun = asked.pop(call.groups(), None) if ip.src != caller else None
                if begun is not None:
                    waits[(float(time) * 1000 - origin) // 1000].append(float(time) - begun)
            elif ip.src == caller and not text.startswith(b"ACK"):
                asked[call.groups()] = float(time)
    return {origin + 1000 * step: 1000 * np.mean(found) for step, found in waits.items()}


@needs_shared
def test_the_rule_of_the_captures_response_times_is_known():
    """With their rule a plain loop gives their numbers: nothing else is behind the difference."""
    (path,) = SHARED.glob("pcap/d29_*_core_*")
    ours, theirs, unsure = both(path)
    expected = latest_copy(path)

    sure = [s for s in ours.index if s not in unsure and not np.isnan(theirs.fwd_response_ms[s])]

    assert len(sure) > 40
    np.testing.assert_allclose(
        theirs.fwd_response_ms[sure], [expected[start] for start in sure], rtol=1e-3, atol=1e-3
    )
    assert not np.allclose(ours.fwd_response_ms[sure], theirs.fwd_response_ms[sure], rtol=1e-3)


@needs_shared
def test_the_captures_count_fewer_segments_sent_again():
    """By how much is written down; that ours are right is tshark's word, below."""
    (path,) = SHARED.glob("pcap/d39_*")
    ours, theirs, _ = both(path)

    names = ["fwd_tcp_retransmissions", "rev_tcp_retransmissions"]
    assert ours[names].sum().tolist() == [61, 566]
    assert theirs[names].sum().tolist() == [55, 460]


FIELDS = (
    "frame.time_epoch",
    "frame.len",
    "ip.src",
    "sip.Method",
    "sip.Status-Code",
    "tcp.analysis.retransmission",
    "tcp.analysis.out_of_order",
    "tcp.len",
    "icmp.type",
)


def tshark(path):
    """Read a file with tshark: (second, values of FIELDS) of each packet."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=f"]
    for name in FIELDS:
        command += ["-e", name]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [(int(float(line.split("\t")[0])), *line.split("\t")[1:]) for line in text.splitlines()]


def by_second(rows, name):
    """Give second -> count of a feature, where it isn't 0."""
    place = COLUMNS.index(name)
    return Counter({t // 1000: int(v[0, place]) for t, v in rows.items() if v[0, place]})


@needs_tshark
@needs_shared
@each_file
def test_counts_of_each_second_are_those_of_tshark(path):
    """Packets, bytes and what was sent again, by the program that everybody trusts."""
    rows, _ = rows_of_file(path, rule_of(path))
    caller = rule_of(path)[2:-2]
    expected = defaultdict(Counter)
    for second, length, source, method, code, again, overtaken, size, icmp in tshark(path):
        if not source:
            continue  # ARP
        way = "fwd_" if source == caller else "rev_"
        found = {"packets": 1, "bytes": int(length)}
        found["tcp_payload_segments"] = bool(size) and int(size) > 0
        found["tcp_retransmissions"] = again != "" or overtaken != ""
        found["icmp_errors"] = icmp in ("3", "11", "12")
        if not icmp:  # an error quotes the message that it is about
            found[method.lower() or (code and f"{code[0]}xx") or ""] = 1
        for name, value in found.items():
            expected[way + name][second] += value

    # Messages with a body are cut in these files, and those tshark leaves out.
    whole = ("ack", "bye", "register", "options", "1xx", "4xx")
    plain = ("packets", "bytes", "tcp_payload_segments", "tcp_retransmissions", "icmp_errors")
    for way in ("fwd_", "rev_"):
        for name in plain + whole:
            assert by_second(rows, way + name) == +expected[way + name], way + name


@needs_tshark
def test_messages_are_those_that_tshark_sees(tmp_path):
    """Whole messages of every method and class, with bodies."""
    body, path = b"v=0\r\no=- 1 1 IN IP4 10.1.0.5\r\ns=-\r\n", tmp_path / "a.pcap"
    methods = ["INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "CANCEL", "INFO", "PRACK", "UPDATE"]
    methods += ["SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH"]
    frames = [there(request(m, f"{m}@a", body=body if m == "INVITE" else b"")) for m in methods]
    frames += [
        back(response(code, call="INVITE@a")) for code in (100, 183, 200, 302, 404, 503, 603)
    ]
    path.write_bytes(pcap(frames))

    seen = Counter(one[3].lower() or f"{one[4][0]}xx" for one in tshark(path))

    (values,) = rows_of_file(path, "x=10.1.0.0/16>*")[0].values()
    for name, count in seen.items():
        way = "rev_" if name.endswith("xx") else "fwd_"
        known = name if way + name in COLUMNS else "other_requests"
        expected = count if known == name else 8
        assert values[0, COLUMNS.index(way + known)] == expected, name
    assert sum(seen.values()) == len(frames)
