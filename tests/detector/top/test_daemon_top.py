"""`anchorwatch top` in front of the real program, on a real broker."""

import re

from tests.daemon import Daemon, Producer, wait_for
from tests.detector.top.test_cli import run


def test_a_daemon_that_can_use_nothing_does_not_look_well(broker, bundle_path, topics, spec):
    """It is ready, has no lag, and tells of no link: only this line says why."""
    windows = topics.windows
    with (
        Daemon(bundle_path, broker.bootstrap, topics) as daemon,
        Producer(broker.direct, windows, spec) as producer,
    ):
        daemon.ready()
        before = run("--once", "--url", daemon.address).stdout
        for value in (b"rubbish", b"more rubbish", b'{"v": 9, "link": "a", "source": "b"}'):
            producer.send_raw(value)
        shown = wait_for("refusals", lambda: _refusals(daemon, 3))

    assert "REJECTED" not in before
    assert shown == "REJECTED 3 in 10 min (undecodable 2, version 1)"
    said = "warning detector.service: rejected to the dead letters rejected="
    assert re.findall(rf"{said}.*topic={windows}", daemon.log())
    assert "rubbish" not in daemon.log()


def _refusals(daemon: Daemon, count: int) -> str:
    lines = run("--once", "--url", daemon.address).stdout.splitlines()
    return next((line for line in lines if line.startswith(f"REJECTED {count} ")), "")
