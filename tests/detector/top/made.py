"""A made-up daemon, for the tests of what shows it: five sorts of trouble among many links."""

from typing import Any

from detector.status import (
    LOST,
    CanaryStatus,
    EventStatus,
    LinkStatus,
    SourceStatus,
    Status,
    UnknownStatus,
    worst_first,
)

NOW_MS = 1_784_000_000_000  # 03:33:20 UTC


def make_link(
    link: str, state: str | None = "normal", seconds: float = 600, **changes: Any
) -> LinkStatus:
    """Make a link that has been in its state for some *seconds*."""
    since_ms = NOW_MS - round(seconds * 1000)
    usual = {"source": "probe-1", "margin": 0.5, "since_ms": since_ms, "last_ms": NOW_MS - 1000}
    return LinkStatus(link, state=state, **usual | changes)


def make_event(seconds: float = 60, **changes: Any) -> EventStatus:
    """Make an event of some *seconds* ago."""
    usual = {"link": "trunk-7", "source": "probe-1", "state": "blocked", "previous": "normal"}
    return EventStatus(NOW_MS - round(seconds * 1000), **usual | changes)


def make_status(**changes: Any) -> Status:
    """Make a daemon that does its work, and has no links unless told otherwise."""
    worst = tuple(changes.get("worst", ()))
    states: dict[str, int] = {}
    for link in worst:
        states[link.state or "unsettled"] = states.get(link.state or "unsettled", 0) + 1
    usual = {
        "version": "0.1.0",
        "bundle": "9f2c1e5a77b0",
        "now_ms": NOW_MS,
        "engine": "onnxruntime",
        "uptime_seconds": 1_300_000.0,
        "ready": True,
        "contact_seconds": 0.4,
        "windows_per_second": 1199.6,
        "links": len(worst),
        "matched": len(worst),
        "searched": len(worst),
        "states": states,
        "canary": {"blocked": CanaryStatus(1.0, 5.2, 24, 0)},
        "unknown": UnknownStatus(1.0, 0.42, 0.11, 1.2, 1_000_000),
    }
    return Status(**usual | changes)


def bad_night() -> Status:
    """Make a daemon that sees a bit of everything."""
    links = [
        make_link(
            "site-12/trunk-7",
            "blocked",
            14,
            source="probe-12",
            margin=0.61,
            strangeness=0.31,
            reason="no 2xx to 118 requests; like d03_peer-dead/access (peer-dead), 0.08 away",
        ),
        make_link(
            "site-03/uplink-frankfurt-primary",
            "capacity-limited",
            742,
            source="probe-03",
            margin=0.12,
            strangeness=0.7,
            reason="half of 900 requests unanswered; like d07_shaped/core (shaped), 0.31 away",
        ),
        make_link("site-44/sip", "unknown", 95, source="probe-44", margin=0.02, strangeness=1.8),
        make_link(
            "site-09/trunk-1",
            "silent",
            4000,
            source="probe-09",
            margin=None,
            last_ms=NOW_MS - 4_000_000,
            reason="nothing for 66 min while probe-09 reports 31 links",
        ),
        make_link("site-20/trunk-2", seconds=33, source="probe-20", margin=0.2, flapping=True),
        make_link("site-31/trunk-1", seconds=90_000, source="probe-31", last_ms=NOW_MS - 190_000),
        *(make_link(f"site-50/trunk-{n}", seconds=100_000 + n) for n in range(40)),
        LinkStatus("site-61/trunk-1", "probe-61", last_ms=NOW_MS, margin=0.1),
    ]
    states = {"blocked": 1, "capacity-limited": 1, "unknown": 1, "silent": 1}
    return make_status(
        lag_messages=12,
        links=1204,
        matched=1204,
        searched=1204,
        states=states | {"normal": 1199, "unsettled": 1},
        flapping=1,
        worst=tuple(worst_first(links, 200)),
        sources_known=62,
        sources_lost=1,
        sources=(SourceStatus("probe-31", 48, LOST, 190), SourceStatus("probe-12", 20)),
        canary={
            "blocked": CanaryStatus(1.0, 5.2, 24, 0),
            "capacity-limited": CanaryStatus(0.75, 9.1, 18, 6),
            "dead-peer": CanaryStatus(),
        },
        events=(
            make_event(14, link="site-12/trunk-7", source="probe-12", reason="no 2xx to 118"),
            make_event(
                190,
                link="",
                source="probe-31",
                state="telemetry-lost",
                previous=None,
                reason="nothing of 48 links for 60 s",
            ),
            make_event(
                742,
                link="site-03/uplink-frankfurt-primary",
                state="capacity-limited",
                previous="blocked",
            ),
            make_event(
                742,
                type="abated",
                link="site-03/uplink-frankfurt-primary",
                state="capacity-limited",
                previous="blocked",
            ),
            make_event(5000, link="", group="site-20", links=30),
            make_event(90_000, type="abated", state="normal", previous="blocked"),
        ),
    )
