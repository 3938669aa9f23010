"""Telling: whether traffic drifts, for people and for Prometheus."""

from collections.abc import Iterable

import msgspec

from detector.figures import Figure

INPUTS, EMBEDDING = "inputs", "embedding"


class LinkDrift(msgspec.Struct, frozen=True):
    """A link that drifts."""

    link: str
    inputs: float  # share of its windows that is outside, by each
    embedding: float


class DriftStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How live traffic stands to that of the training; without a reference all of it is 0."""

    times: float = 0.0  # a twentieth that may be outside
    hours: float = 0.0  # that it is of
    windows: int = 0  # looked at since the start
    links: int = 0  # of which enough was seen
    shares: dict[str, float] = {}  # of windows outside over all links, by `inputs` and `embedding`
    limits: dict[str, float] = {}  # what those are at least
    drifting: dict[str, float] = {}  # links
    inputs: dict[str, float] = {}  # share of the windows in which each is out of its range
    is_wanted: bool = msgspec.field(default=False, name="wanted")  # a new training
    worst: tuple[LinkDrift, ...] = ()


NO_DRIFT = DriftStatus()


def figures(status: DriftStatus = NO_DRIFT) -> list[Figure]:
    """Give the figures; of a bundle without a reference all are there too, and 0."""
    return list(_figures(status))


def _figures(status: DriftStatus) -> Iterable[Figure]:
    kinds = (INPUTS, EMBEDDING)
    yield Figure(
        "drift_windows",
        "Windows of normal links that were held against the training's.",
        {(): float(status.windows)},
        kind="counter",
    )
    yield Figure(
        "drift_share",
        "Share of them that is outside of where nearly all of the training's were, by what.",
        {(what,): status.shares.get(what, 0.0) for what in kinds},
        ("what",),
    )
    yield Figure(
        "drift_inputs",
        "Share of them of which an input of the encoder is outside.",
        {(name,): share for name, share in status.inputs.items()},
        ("input",),
    )
    yield Figure(
        "drift_links",
        "Links that drift, by what.",
        {(what,): status.drifting.get(what, 0.0) for what in kinds},
        ("what",),
    )
    yield Figure(
        "drift_judged_links",
        "Links of which enough was seen to say whether they drift.",
        {(): float(status.links)},
    )
    yield Figure(
        "drift_wanted",
        "1 while traffic is so unlike the training's that a new one is wanted.",
        {(): float(status.is_wanted)},
    )
