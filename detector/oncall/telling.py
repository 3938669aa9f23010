"""Telling: which events a change makes."""

from detector.events import Event, abated, onset
from detector.state import NORMAL, RETIRED, TELEMETRY_LOST, Turn
from detector.verdict import Verdict


def events_of(turn: Turn, verdict: Verdict | None, reason: str) -> list[Event]:
    """Make the events of a change of state: an end, a beginning, or one after the other.

    A link that is first seen and is well is no news.
    """
    events = []
    if turn.previous is not None and turn.previous != NORMAL:
        events.append(
            abated(
                link=turn.link,
                source=turn.source,
                state=turn.state,
                previous=turn.previous,
                at_ms=turn.at_ms,
                since_ms=turn.since_ms,
                began_ms=turn.began_ms,
                verdict=verdict,
                worst_margin=turn.worst_margin,
                flapping=turn.is_flapping,
            )
        )
    if turn.state not in (NORMAL, RETIRED):
        events.append(
            onset(
                link=turn.link,
                source=turn.source,
                state=turn.state,
                previous=turn.previous,
                at_ms=turn.at_ms,
                since_ms=turn.since_ms,
                verdict=verdict,
                reason=reason,
                flapping=turn.is_flapping,
            )
        )
    return events


def exporter_lost(source: str, at_ms: int, seconds: float) -> Event:
    """Make the event of an exporter of which nothing came for so long."""
    return onset(
        link="",
        source=source,
        state=TELEMETRY_LOST,
        previous=None,
        at_ms=at_ms,
        since_ms=at_ms - round(seconds * 1000),
        reason=f"nothing came of any of its links for {seconds:.0f} s",
    )


def exporter_back(source: str, at_ms: int, began_ms: int, state: str = NORMAL) -> Event:
    """Make the event of an exporter that was lost and reports again, or has left for good."""
    return abated(
        link="",
        source=source,
        state=state,
        previous=TELEMETRY_LOST,
        at_ms=at_ms,
        since_ms=at_ms,
        began_ms=began_ms,
    )
