"""Events: what is told to others when a fault begins or ends, and the dialects it is told in.

A receiver knows an event it has seen by its id and an episode's two ends by their episode, so
both are made of nothing but what the event is about: judged again after a crash, the same event
has the same id. A new dialect is a function from an event to a record, and a line in `DIALECTS`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from typing import Literal
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

from .state import NORMAL, RETIRED
from .verdict import Verdict

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOLD = "anchorwatch-events"  # header of a record: the ids of all that it tells
LAST_MS = 253_402_300_799_999  # the end of the year 9999, where RFC 3339 ends

Record = tuple[bytes, tuple[tuple[str, bytes], ...]]  # a Kafka record's value and headers


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fault of a link, an exporter or many links at once began or ended."""

    id: str  # 16 hexadecimal digits; the same event judged again has the same
    type: Literal["onset", "abated"]
    episode: str  # 16 hexadecimal digits; onset and abated of one fault share it
    link: str  # "" when it is about an exporter or about `links`
    source: str  # the exporter; "" when `links` have several
    state: str  # from now on; of an abated event what follows, usually `normal`
    previous: str | None  # None: not known, or not the same for all `links`
    at_ms: int  # end of the window that settled it, or when silence was noticed
    since_ms: int  # when `state` began; of an abated event when the fault ended
    verdict: Verdict | None = None  # of the window that settled it; None for silence
    reason: str = ""
    duration_ms: int | None = None  # of an abated event: how long the fault lasted
    worst_margin: float | None = None  # of an abated event: of the clearest window of the fault
    flapping: bool = False
    links: tuple[str, ...] = ()  # when one event stands for many
    group: str = ""  # what `links` have in common
    episodes: tuple[str, ...] = ()  # of each of `links`, as its own events have it

    @property
    def fault(self) -> str:
        """The state that began or ended."""
        return self.state if self.type == "onset" else self.previous or ""

    @property
    def is_handover(self) -> bool:
        """Whether one fault ended in another: the onset that follows tells that too."""
        return self.type == "abated" and self.state not in (NORMAL, RETIRED)

    def each(self) -> "list[Event]":
        """Give an event for each link that this one stands for; itself where it is about one."""
        if not self.links:
            return [self]
        nobody = {"links": (), "episodes": (), "group": ""}
        return [
            msgspec.structs.replace(
                self, link=link, episode=episode, id=identify(episode, self.type), **nobody
            )
            for link, episode in zip(self.links, self.episodes, strict=True)
        ]

    @property
    def told(self) -> list[str]:
        """The ids of all that is told with this."""
        return [event.id for event in self.each()]

    @property
    def began_ms(self) -> int:
        """When the fault began, Unix milliseconds."""
        return self.since_ms - (self.duration_ms or 0)


def onset(
    *,
    link: str,
    source: str,
    state: str,
    previous: str | None,
    at_ms: int,
    since_ms: int,
    verdict: Verdict | None = None,
    reason: str = "",
    flapping: bool = False,
) -> Event:
    """Make the event of a fault that began at *since_ms*; *link* is "" for an exporter's."""
    episode = identify(link or source, state, since_ms)
    return Event(
        id=identify(episode, "onset"),
        type="onset",
        episode=episode,
        link=link,
        source=source,
        state=state,
        previous=previous,
        at_ms=at_ms,
        since_ms=since_ms,
        verdict=verdict,
        reason=reason,
        flapping=flapping,
    )


def abated(
    *,
    link: str,
    source: str,
    state: str,
    previous: str,
    at_ms: int,
    since_ms: int,
    began_ms: int,
    verdict: Verdict | None = None,
    reason: str = "",
    worst_margin: float | None = None,
    flapping: bool = False,
) -> Event:
    """Make the event of fault *previous* that ended at *since_ms*; *state* is what follows.

    *began_ms* is the `since_ms` of its onset: with it both have the same episode.
    """
    episode = identify(link or source, previous, began_ms)
    return Event(
        id=identify(episode, "abated"),
        type="abated",
        episode=episode,
        link=link,
        source=source,
        state=state,
        previous=previous,
        at_ms=at_ms,
        since_ms=since_ms,
        verdict=verdict,
        reason=reason,
        duration_ms=max(0, since_ms - began_ms),
        worst_margin=worst_margin,
        flapping=flapping,
    )


def identify(*parts: str | int) -> str:
    """Give 16 hexadecimal digits that stand for *parts*, on any machine at any time.

    Names hold no NUL, so no other parts are joined to the same text.

    >>> identify("trunk-1", "blocked", 1700000000000)
    '8831b49ab01236c4'
    """
    return blake2s("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()


class _CloudEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """CloudEvents 1.0, JSON format; what is empty is left out, for empty is not allowed."""

    specversion: str
    type: str
    source: str
    subject: str = ""
    id: str
    time: str = ""
    datacontenttype: str
    data: Event


class _Alert(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    kw_only=True,
    rename={
        "control_name": "closedLoopControlName",
        "request_id": "requestID",
        "start_ms": "closedLoopAlarmStart",
        "end_ms": "closedLoopAlarmEnd",
        "client": "closedLoopEventClient",
        "sender": "from",
        "status": "closedLoopEventStatus",
        "inventory": "AAI",
    },
):
    """ONAP's closed-loop event, as its threshold-crossing analytics (TCA) sends it."""

    control_name: str
    version: str
    request_id: str
    start_ms: int
    end_ms: int | None = None
    client: str
    target_type: str
    target: str
    sender: str
    status: str
    inventory: dict[str, str]
    links: tuple[str, ...] = ()


def plain(event: Event) -> Record:
    """Tell it as it is, in JSON."""
    return msgspec.json.encode(event), ()


def cloudevents(event: Event) -> Record:
    """Wrap it as CloudEvents 1.0 in structured mode.

    Source: github.com/cloudevents/spec, the core specification, its JSON format, and its Kafka
    binding, section 3.3.
    """
    about = "group" if event.links else "link" if event.link else "source"
    cloud = _CloudEvent(
        specversion="1.0",
        type=f"anchorwatch.{about}.{event.type}",
        source=f"/anchorwatch/{quote(event.source, safe='')}" if event.source else "/anchorwatch",
        subject=event.link or event.group,
        id=event.id,
        time=_timestamp(event.at_ms),
        datacontenttype="application/json",
        data=event,
    )
    content_type = b"application/cloudevents+json; charset=UTF-8"
    return msgspec.json.encode(cloud), (("content-type", content_type),)


def onap(event: Event) -> Record:
    """Tell it as ONAP's TCA does, so that its policy engine can close a loop.

    That engine refuses any `target` but a few fixed ones, wants what `target` names among the
    strings of `AAI`, takes an abated event by name and request of its onset, and reads times as
    milliseconds. Source: onap/policy-models and onap/policy-drools-applications.
    """
    inventory = {"generic-vnf.vnf-name": event.source or event.group}
    if event.link:
        # Without it two links of one exporter would be the same alarm twice.
        inventory["logical-link.link-name"] = event.link
    alert = _Alert(
        control_name=f"ControlLoop-anchorwatch-{event.fault}",
        version="1.0.2",
        request_id=str(uuid5(NAMESPACE_URL, f"anchorwatch:{event.episode}")),
        start_ms=event.began_ms,
        end_ms=event.since_ms if event.type == "abated" else None,
        client="anchorwatch",
        target_type="VNF",
        target="generic-vnf.vnf-name",
        sender="anchorwatch",
        status=event.type.upper(),
        inventory=inventory,
        links=event.links,
    )
    return msgspec.json.encode(alert), ()


DIALECTS: dict[str, Callable[[Event], Record]] = {
    "plain": plain,
    "cloudevents": cloudevents,
    "onap": onap,
}


def _timestamp(at_ms: int) -> str:
    """Give RFC 3339 in UTC, or "" for what only a wrong clock can say."""
    if not 0 <= at_ms <= LAST_MS:
        return ""
    time = EPOCH + timedelta(milliseconds=at_ms)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
