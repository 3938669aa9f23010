"""The board: where the daemon's loop puts its status, and where other threads look.

The loop publishes a `Status` once a second at most; whoever asks gets the newest one, with the
links that he asked for.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import translate
from typing import Protocol, TypeVar
from urllib.parse import parse_qs, urlencode

import msgspec

from .space.telling import NOWHERE, SpaceStatus
from .state import NORMAL, SILENT, UNKNOWN
from .status import UNSETTLED, LinkStatus, Status, worst_first
from .web import Page

USUAL_LINKS, MOST_LINKS = 200, 1000  # that one document lists: unless asked, and at most


class _OfALink(Protocol):
    """What is said of one link."""

    @property
    def link(self) -> str: ...
    @property
    def state(self) -> str | None: ...


Named = TypeVar("Named", bound=_OfALink)


class WantedError(ValueError):
    """The query is none that /status answers; the message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which links somebody wants to see, as it stands in a query."""

    most: int = USUAL_LINKS
    states: tuple[str, ...] = ()  # any of these; none = every
    names: tuple[str, ...] = ()  # patterns, any of which fits; none = every

    @classmethod
    def read(cls, query: str) -> "Wanted":
        """Read a query string.

        Raises:
            WantedError: if it asks for anything else, or for more than there is room for.

        >>> Wanted.read("most=50&state=blocked&link=trunk-*")
        Wanted(most=50, states=('blocked',), names=('trunk-*',))
        """
        try:
            asked = parse_qs(query, True, bool(query), errors="strict", max_num_fields=100)
        except ValueError as error:
            raise WantedError(f"not a query: {error}") from error
        if unheard := asked.keys() - {"most", "state", "link"}:
            raise WantedError(f"{min(unheard)!r}: ask by most, state, link")
        most = asked.get("most", [str(USUAL_LINKS)])[-1]
        if not re.fullmatch("[0-9]{1,4}", most) or int(most) > MOST_LINKS:
            raise WantedError(f"most={most!r}: give a number of links up to {MOST_LINKS}")
        return cls(int(most), tuple(asked.get("state", ())), tuple(asked.get("link", ())))

    @property
    def query(self) -> str:
        """What `read` makes this of."""
        asked = {"most": [self.most], "state": self.states, "link": self.names}
        return urlencode(asked, doseq=True)

    @property
    def is_choosy(self) -> bool:
        """Whether there are links that are not wanted."""
        return bool(self.states or self.names)

    def misspelt(self, status: Status) -> str:
        """Say which wanted state no link can be in, and what may be meant; mostly nothing."""
        known = {NORMAL, UNKNOWN, SILENT, UNSETTLED, *status.labels, *status.states}
        odd = [state for state in self.states if state not in known]
        if not odd or not status.labels:  # who doesn't say his labels may have this one
            return ""
        near = get_close_matches(odd[0], sorted(known), 1)
        return f"there is no state {odd[0]!r}" + (f", perhaps {near[0]!r}" if near else "")

    def choose(self, links: Iterable[Named]) -> list[Named]:
        """Give those that are wanted, however many."""
        fits = re.compile("|".join(map(translate, self.names or ["*"]))).match
        states = self.states
        return [
            link
            for link in links
            if (not states or (link.state or UNSETTLED) in states) and fits(link.link)
        ]


class StatusBoard:
    """Shows the newest status to whoever asks, from any thread.

    A status never changes once it is published, and is swapped in whole: no lock is needed.
    """

    def __init__(
        self,
        first: Status,
        clock: Callable[[], float] = time.monotonic,
        idle_seconds: Callable[[], float] | None = None,
    ) -> None:
        """Show *first*; *idle_seconds* says how long the loop was no more alive.

        Without it the loop counts as alive whenever it publishes, and at no other time.
        """
        self._clock, self._idle_seconds = clock, idle_seconds
        self.publish(first)

    def publish(
        self,
        status: Status,
        every: Callable[[], Iterable[LinkStatus]] | None = None,
        space: SpaceStatus = NOWHERE,
    ) -> None:
        """Show *status* from now on, and *space*.

        *every* gives all links as they are now. It is called in another thread, and only when
        somebody looks for certain links; without it they are looked for in `status.worst`.
        """
        self._newest = (status, every or (lambda: status.worst), self._clock())
        self._space = space

    def page(self, query: str = "") -> Page:
        """Answer with the newest status; a query that can't be answered is a 400."""
        try:
            wanted = Wanted.read(query)
        except WantedError as error:
            return _unheard(error)
        status, every, published = self._newest
        links, matched, searched = status.worst[: wanted.most], status.links, status.links
        if wanted.is_choosy:
            pool = list(every())
            hits = wanted.choose(pool)
            links = tuple(worst_first(hits, wanted.most))
            matched, searched = len(hits), len(pool)
        age_seconds, contact = self._clock() - published, status.contact_seconds
        answer = msgspec.structs.replace(
            status,
            worst=links,
            matched=matched,
            searched=searched,
            age_seconds=age_seconds,
            idle_seconds=self._idle_seconds() if self._idle_seconds else age_seconds,
            # Nothing was read since.
            uptime_seconds=status.uptime_seconds + age_seconds,
            contact_seconds=None if contact is None else contact + age_seconds,
        )
        return _document(answer)

    def space_page(self, query: str = "") -> Page:
        """Answer with where the links in depth lie, or of them those that are wanted."""
        try:
            wanted = Wanted.read(query)
        except WantedError as error:
            return _unheard(error)
        space = self._space
        links = tuple(wanted.choose(space.links)[: wanted.most])
        return _document(msgspec.structs.replace(space, links=links))


def _document(status: Status | SpaceStatus) -> Page:
    return Page(200, "application/json", msgspec.json.encode(status))


def _unheard(error: WantedError) -> Page:
    return Page(400, "text/plain; charset=utf-8", f"{error}\n".encode())
