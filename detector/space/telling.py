"""What is told of the space: to people as a document, to programs in numbers."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from detector.figures import Figure
from detector.status import UNSETTLED

AXES = ("x", "y", "z")
Point = tuple[float, float, float]


class AnchorSpot(msgspec.Struct, frozen=True):
    """Where an anchor lies."""

    name: str  # each its own: the second of a name is `name#2`
    label: str
    origin: Literal["trained", "enrolled"]
    at: Point


class LinkSpot(msgspec.Struct, frozen=True):
    """Where the newest window of a link lies, and how far it is from what."""

    link: str
    source: str
    state: str | None  # the link's; None: unsettled
    at: Point
    distances: dict[str, float]  # to the nearest anchor of each label
    strangeness: float  # in thresholds: above 1 it is unknown
    end_ms: int  # of that window, Unix time


class SpaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The space as it is now."""

    bundle: str
    dimensions: int  # of the embedding
    kept: float  # share of what training knew that the view shows: 1 where it shows everything
    anchors: tuple[AnchorSpot, ...] = ()
    known: tuple[Point, ...] = ()  # some windows that training knew
    links: tuple[LinkSpot, ...] = ()  # those in depth, or of them those asked for
    most: int = 0  # links that are in depth, faults first


NOWHERE = SpaceStatus(bundle="", dimensions=0, kept=1.0)


def figures(status: SpaceStatus) -> Iterable[Figure]:
    """Give the numbers: a few for each link in depth, and nothing of any other."""
    links = status.links
    yield Figure(
        "link_distance",
        "How far the newest window of a link in depth is from the nearest anchor of each label.",
        {
            (spot.link, spot.source, label): distance
            for spot in links
            for label, distance in spot.distances.items()
        },
        ("link", "source", "label"),
    )
    yield Figure(
        "link_strangeness",
        "How far the newest window of a link in depth is from everything known, in thresholds.",
        {(spot.link, spot.source): spot.strangeness for spot in links},
        ("link", "source"),
    )
    yield Figure(
        "link_point",
        "Where the newest window of a link in depth lies in the three dimensions that are shown.",
        {
            (spot.link, spot.source, spot.state or UNSETTLED, axis): value
            for spot in links
            for axis, value in zip(AXES, spot.at, strict=True)
        },
        ("link", "source", "state", "axis"),
    )
    yield Figure(
        "anchor_point",
        "Where an anchor lies in the three dimensions that are shown.",
        {
            (anchor.name, anchor.label, anchor.origin, axis): value
            for anchor in status.anchors
            for axis, value in zip(AXES, anchor.at, strict=True)
        },
        ("anchor", "label", "origin", "axis"),
    )
