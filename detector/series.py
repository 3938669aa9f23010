"""Series: what is exported of links, exporters, canaries and unknowns, made anew for each scrape.

Nothing that is gone leaves a series behind, and a link that nobody asks for costs nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .figures import Figure
from .state import SILENT, UNKNOWN, LinkState
from .status import LOST, EventStatus, Status, UnknownStatus

REASON_CHARACTERS = 200  # of a reason that are a label's value; each is a series of its own
NOTICED = ("appeared", "silent", "retired", "lost", "back")


class Series:
    """How everything stands, made anew for each scrape, so that no series outlives its link."""

    def __init__(self, labels: Sequence[str], max_links: int) -> None:
        self.links: Mapping[str, LinkState] = {}
        self.status: Status | None = None
        self.noticed: Mapping[str, int] = {}
        self.parts: list[Callable[[], Iterable[Figure]]] = []  # that have figures of their own
        self._labels, self._max_links = tuple(labels), max_links

    def know(self, labels: Sequence[str]) -> None:
        """Count links of these labels, also while there is none."""
        self._labels = tuple(labels)

    def collect(self) -> Iterable[Metric]:
        """Make the families."""
        links = self.links
        counts = dict.fromkeys((*self._labels, UNKNOWN, SILENT, "unsettled"), 0)
        states = _gauge(
            "link_state",
            "1 for each link in the state that it is in now.",
            "link",
            "source",
            "state",
        )
        for listed, (name, link) in enumerate(links.items()):
            state = link.label or "unsettled"
            counts[state] = counts.get(state, 0) + 1
            if listed < self._max_links:
                states.add_metric([name, link.source, state], 1)
        by_state = _gauge("links", "Links in each state.", "state")
        for state, count in counts.items():
            by_state.add_metric([state], count)
        unlisted = max(0, len(links) - self._max_links)
        yield states
        yield by_state
        yield _gauge(
            "links_unlisted",
            "Links that are judged but have no series of their own, for want of room.",
            value=unlisted,
        )
        noticed = CounterMetricFamily(
            "anchorwatch_noticed",
            "Links that appeared, fell silent, retired; exporters that were lost or came back.",
            labels=["what"],
        )
        for what in NOTICED:
            noticed.add_metric([what], self.noticed.get(what, 0))
        yield noticed
        if self.status:
            yield from self._of_status(self.status)
        for figures in self.parts:
            yield from map(_of_figure, figures())

    def _of_status(self, status: Status) -> Iterable[Metric]:
        yield _gauge(
            "links_flapping", "Links whose state changes too often.", value=status.flapping
        )
        exporters = _gauge("exporters", "Exporters, by whether anything comes of them.", "state")
        exporters.add_metric(["reporting"], status.sources_known - status.sources_lost)
        exporters.add_metric(["lost"], status.sources_lost)
        yield exporters
        lost = _gauge("exporter_lost", "1 for each exporter of which nothing comes.", "source")
        for source in status.sources:
            if source.state == LOST:
                lost.add_metric([source.name], 1)
        yield lost
        yield _gauge(
            "peers", "Other daemons of the group that were heard of late.", value=status.peers
        )
        yield _gauge(
            "canaries_enabled",
            "1 if faults are planted in copies of live windows, 0 if settings or bundle say no.",
            value=bool(status.canary),
        )
        recall = _gauge(
            "canary_recall", "Share of the last 20 planted faults that were found.", "label"
        )
        delay = _gauge(
            "canary_delay_seconds", "Median time until planted faults were found.", "label"
        )
        for label, canary in status.canary.items():
            if canary.recall is not None:
                recall.add_metric([label], canary.recall)
            if canary.delay_seconds is not None:
                delay.add_metric([label], canary.delay_seconds)
        yield recall
        yield delay
        yield from _of_unknown(status.unknown)
        yield _of_events(status.events)


def _of_events(events: Iterable[EventStatus]) -> Metric:
    """Tell of the latest events when they were, for whoever has nothing but Prometheus to look."""
    names = ("link", "source", "group", "type", "state", "reason")
    family = _gauge(
        "event_timestamp_seconds",
        "When each of the latest events was, Unix time in seconds; link is empty where it is "
        "about a group or an exporter.",
        *names,
    )
    latest: dict[tuple[str, ...], float] = {}
    for event in events:  # newest first
        reason = event.reason[:REASON_CHARACTERS]
        what: tuple[str, ...] = (
            event.link,
            event.source,
            event.group,
            event.type,
            event.state,
            reason,
        )
        latest.setdefault(what, event.at_ms / 1000)
    for what, when in latest.items():
        family.add_metric(what, when)
    return family


def _of_figure(figure: Figure) -> Metric:
    make = GaugeMetricFamily if figure.kind == "gauge" else CounterMetricFamily
    family = make(f"anchorwatch_{figure.name}", figure.meaning, labels=figure.labels)
    for values, number in figure.values.items():
        family.add_metric(values, number)
    return family


def _of_unknown(unknown: UnknownStatus) -> Iterable[Metric]:
    yield _counter(
        "unknown_onsets",
        "Times that a link's state became unknown; each counts as if it were a false alarm.",
        unknown.onsets,
    )
    yield _counter(
        "watched_link_seconds", "Seconds that links were watched, added up.", unknown.link_seconds
    )
    if unknown.budget_link_week is None:
        return
    yield _gauge(
        "unknown_budget_per_link_week",
        "Times that a link which is well may be called unknown in a week, as the settings say.",
        value=unknown.budget_link_week,
    )
    if unknown.rate_link_week is None:
        return
    rate = _gauge(
        "unknown_per_link_week",
        "Times that a link was called unknown, for each week that one was watched since the "
        "start; low and high are where that rate lies, each with 95 % confidence.",
        "bound",
    )
    for bound, value in (
        ("rate", unknown.rate_link_week),
        ("low", unknown.low),
        ("high", unknown.high),
    ):
        if value is not None:
            rate.add_metric([bound], value)
    yield rate


def _counter(name: str, meaning: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"anchorwatch_{name}", meaning, value=value)


def _gauge(name: str, meaning: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    """Make a family; with *value* it is one series without labels."""
    return GaugeMetricFamily(f"anchorwatch_{name}", meaning, value=value, labels=labels or None)
