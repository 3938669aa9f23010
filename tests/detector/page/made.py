"""A made-up daemon for the tests of its page: links among anchors, as many as asked for."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from random import Random

from detector.board import StatusBoard
from detector.page import status_page
from detector.space.telling import AnchorSpot, LinkSpot, Point, SpaceStatus
from detector.status import LinkStatus, Status, worst_first
from detector.web import WebServer
from tests.detector.top.made import bad_night, make_link, make_status

WHERE: dict[str, Point] = {
    "normal": (0.12, 0.2, 0.85),
    "blocked": (0.9, 0.82, 0.2),
    "capacity-limited": (0.8, 0.15, 0.3),
    "dead-peer": (0.3, 0.9, 0.6),
    "unknown": (0.5, 0.5, 0.1),
}
HOSTILE = (
    "<img src=x onerror=\"document.title='caught'\">",
    "<script>document.title='caught'</script>",
    "\"'><b>bold</b>&amp;&lt;",
    "trunk-\u202eexe.7\u202c/up",  # letters that run backwards
    "trunk\u200b-7",  # looks like trunk-7
    "trunk-7",
    "tr\u0443nk-7\u2066",
    "line one\nline two\ttab\x1b[2J\x00",
    "a" + "\u0301" * 60,  # accents that would climb over other rows
    "W" * 200,
    "\u05d0\u05d1\u05d2/\u0627\u0644\u0631\u0627\u0628\u0637",  # names that do run to the left
    "\U0001f6f0\ufe0f sat-1",
    " leading  and   trailing ",
    "\u3164",  # letters that can't be seen
    "constructor",
    "__proto__",
    "${document.title='caught'}{{1+1}}javascript:alert(1)",
    "\ud83d lone",  # half of a letter
)


def make_anchors() -> tuple[AnchorSpot, ...]:
    """Make an anchor of each label; the last one was enrolled."""
    labels = [label for label in WHERE if label != "unknown"]
    return tuple(
        AnchorSpot(
            f"d0{n}/{label}",
            label,
            "enrolled" if label == "dead-peer" else "trained",
            WHERE[label],
        )
        for n, label in enumerate(labels)
    )


def near(rng: Random, state: str | None, spread: float = 0.05) -> Point:
    """Draw a point near a state's anchor, within the cube."""
    x, y, z = WHERE.get(state or "normal", (0.5, 0.5, 0.5))

    def draw(middle: float) -> float:
        return min(1.0, max(0.0, rng.gauss(middle, spread)))

    return draw(x), draw(y), draw(z)


def make_space(links: Sequence[LinkStatus], seed: int = 0, **changes: object) -> SpaceStatus:
    """Make the space of a bundle of three dimensions, with each link near its state's anchor."""
    rng = Random(seed)
    anchors = make_anchors()
    spots = []
    for link in links:
        at = near(rng, link.state)
        distances = {
            anchor.label: sum((a - b) ** 2 for a, b in zip(at, anchor.at, strict=True)) ** 0.5
            for anchor in anchors
        }
        strangeness = link.strangeness or 0.2
        spots.append(
            LinkSpot(
                link.link, link.source, link.state, at, distances, strangeness, link.last_ms + seed
            )
        )
    known = tuple(near(rng, label, 0.09) for label in list(WHERE)[:3] for _ in range(60))
    usual = {"bundle": "9f2c1e5a77b0", "dimensions": 3, "kept": 1.0, "most": 200}
    return SpaceStatus(
        **usual | {"anchors": anchors, "known": known, "links": tuple(spots)} | changes  # type: ignore[arg-type]
    )


def make_many(number: int, faults: int = 40) -> Status:
    """Make a daemon with many links, a few of which have a fault."""
    states = ["blocked", "capacity-limited", "unknown", "silent", "dead-peer", None]
    links = [
        make_link(
            f"site-{n % 83:02d}/trunk-{n:04d}",
            states[n % len(states)] if n < faults else "normal",
            10 + n * 7,
            source=f"probe-{n % 12:02d}",
            strangeness=1.4 if n < faults and states[n % len(states)] == "unknown" else 0.3,
            reason=f"no 2xx to {100 + n} requests; like d03_peer-dead/access (peer-dead)"
            if n < faults
            else "",
        )
        for n in range(number)
    ]
    night = bad_night()
    return make_status(
        worst=tuple(worst_first(links, 1000)),
        sources_known=12,
        canary=night.canary,
        events=night.events,
    )


def publish(board: StatusBoard, status: Status, seed: int = 0) -> None:
    """Show a status and its space."""
    board.publish(status, space=make_space(status.worst, seed))


@contextlib.contextmanager
def daemon(
    first: Status,
    port: int = 0,
    clock: Callable[[], float] = lambda: 0.0,
    idle_seconds: Callable[[], float] | None = None,
) -> Iterator[tuple[StatusBoard, WebServer]]:
    """Serve the page as the daemon does; by the usual clock nothing gets old."""
    board = StatusBoard(first, clock, idle_seconds)
    publish(board, first)
    asked = {"/status": board.page, "/space": board.space_page}
    server = WebServer("127.0.0.1", port, status_page(), asked)
    with contextlib.closing(server):
        server.start()
        yield board, server
