"""The head of the picture: how the daemon itself is, and how many links are in which state.

What is wrong comes first on each line and is said in capitals: no colour is needed to see it, and
what has no room on a narrow terminal is what is well.
"""

from collections.abc import Iterable

from rich.text import Text

from detector.status import LOST, CanaryStatus, Status

from .words import BAD, DIM, GOOD, ODD, Part, by_state, count, date, flow, lasting

MOST_REASONS = 3  # for which windows are rejected
LEAST_RECALL = 0.8  # of canaries; a label with less is marked
WAITING_SECONDS = 5.0  # a status is published once a second
STALLED_SECONDS = 15.0  # what waits for the broker tries again every few
UNHEARD_SECONDS = 30.0  # the broker is asked for more all the time


def header(status: Status, width: int) -> list[Text]:
    """Give the lines above the table."""
    states = by_state(status.states) or [Part("none yet", DIM)]
    flows = (
        flow(_identity(status), width, gap="   "),
        flow(_health(status), width, gap="   "),
        flow(_refusals(status), width, gap="   "),
        flow(states, width, start=_links(status)),
        flow(_exporters(status), width, start="exporters: "),
        flow(_canaries(status), width, start="canaries: "),
        flow(_unknown(status), width, start="unknown: "),
    )
    return [line for lines in flows for line in lines]


def _identity(status: Status) -> list[Part]:
    now = date(status.now_ms)
    engine = f" ({status.engine})" if status.engine else ""
    return [
        Part(f"{now:%Y-%m-%d %H:%M:%S} UTC" if now else "no time", "bold"),
        Part(f"bundle {status.bundle}{engine}"),
        Part(f"v{status.version}"),
        Part(f"up {lasting(status.uptime_seconds)}"),
    ]


def _health(status: Status) -> list[Part]:
    """Say whether the daemon does its work."""
    if status.idle_seconds > STALLED_SECONDS:
        state = Part(f"STALLED for {lasting(status.idle_seconds)}", BAD)
    elif status.refused:
        state = Part(f"REFUSED: {status.refused}", BAD)
    elif status.age_seconds > WAITING_SECONDS:
        state = Part(f"WAITING for {lasting(status.age_seconds)} to finish a step", BAD)
    elif not status.ready:
        state = Part("NOT READY", BAD)
    else:
        state = Part("ready", GOOD)
    silent = status.contact_seconds
    if silent is None:
        broker = Part("no broker")
    elif silent > max(UNHEARD_SECONDS, status.uptime_seconds):
        broker = Part("BROKER NEVER HEARD", BAD)
    elif silent > UNHEARD_SECONDS:
        broker = Part(f"BROKER NOT HEARD for {lasting(silent)}", BAD)
    else:
        broker = Part(f"broker heard {silent:.1f} s ago")
    work = Part(f"{status.windows_per_second:,.0f} windows/s")
    lag = Part(f"lag {count(status.lag_messages, 'message')}")
    return _bad_first([state, broker, work, lag])


def _refusals(status: Status) -> list[Part]:
    """Say what can't be used of that which came; nothing if all can."""
    parts = [Part("BUNDLE REFUSED", BAD)] if status.bundle_refused else []
    if counts := status.rejected:
        most = sorted(counts, key=lambda reason: -counts[reason])[:MOST_REASONS]
        reasons = [f"{reason} {counts[reason]:,}" for reason in most]
        reasons += ["..."] if len(counts) > MOST_REASONS else []
        total = f"{sum(counts.values()):,}"
        parts.append(Part(f"REJECTED {total} in 10 min ({', '.join(reasons)})", BAD))
    return parts


def _links(status: Status) -> str:
    """Say how many links there are; one that flaps is in a state all the same."""
    flapping = f", {status.flapping:,} FLAPPING" if status.flapping else ""
    return f"{count(status.links, 'link')}{flapping}: "


def _exporters(status: Status) -> list[Part]:
    if not status.sources_known:
        return [Part("none yet", DIM)]
    if not status.sources_lost:
        return [Part(f"all {status.sources_known:,} reporting", GOOD)]
    lost = [source for source in status.sources if source.state == LOST]
    parts = [Part(f"{status.sources_lost:,} LOST of {status.sources_known:,}", BAD)]
    for source in lost:
        since = lasting(source.seen_seconds)
        parts.append(Part(f"{source.name} for {since} ({count(source.links, 'link')})", BAD))
    return parts


def _canaries(status: Status) -> list[Part]:
    parts = [_canary(label, canary) for label, canary in status.canary.items()]
    return _bad_first(parts) or [Part("none sent", ODD)]


def _canary(label: str, canary: CanaryStatus) -> Part:
    tries = f"{canary.found:,} of {canary.found + canary.missed:,}"
    if canary.recall is None:
        few = f"TOO FEW YET ({tries})" if canary.found + canary.missed else "NONE YET"
        return Part(f"{label} {few}", ODD)
    delay = "" if canary.delay_seconds is None else f" in {canary.delay_seconds:.0f} s"
    if round(canary.recall, 2) < LEAST_RECALL:
        return Part(f"{label} LOW {canary.recall:.2f}{delay} ({tries})", BAD)
    return Part(f"{label} {canary.recall:.2f}{delay}", GOOD)


def _unknown(status: Status) -> list[Part]:
    """Say how often links are called unknown, and whether that is too often."""
    unknown = status.unknown
    rate, budget = unknown.rate_link_week, unknown.budget_link_week
    low, high = unknown.low, unknown.high
    parts = [] if budget is None else [Part(f"budget {_rate(budget)}")]
    if rate is None:
        return [Part("no rate yet", DIM), *parts]
    interval = "" if low is None or high is None else f" ({_rate(low)} to {_rate(high)})"
    parts.insert(0, Part(f"{_rate(rate)} a link-week{interval}"))
    if budget is None:
        return parts
    if rate <= budget and high is not None and high > budget:
        return [Part("too early to say"), *parts]
    if rate <= budget:
        return [Part("within budget", GOOD), *parts]
    if low is not None and low <= budget:
        return [Part("above budget, may be chance", ODD), *parts]
    return [Part("OVER BUDGET", BAD), *parts]


def _rate(number: float) -> str:
    return f"{number:.2g}" if 0 < number < 0.1 else f"{number:,.2f}"


def _bad_first(parts: Iterable[Part]) -> list[Part]:
    """Move what is marked to the front, the worst before the rest."""
    ranks = {BAD: 0, ODD: 1}
    return sorted(parts, key=lambda part: ranks.get(part.style, 2))
