"""Peers: what the other daemons of the group hear of the exporters that are also ours.

An exporter's links lie on many partitions and so with many daemons. None may call it lost while
another hears it, or has not yet read what came of it; and one of them tells of it, not all.
"""

from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from detector.source import Place

from .attention import Attention
from .presence import NEVER
from .record import Sighting, States, Word
from .silence import Silence

SAY_SECONDS = 2.0  # from one word to the next
PATIENT_ROUNDS = 2  # of words in which not all was read up, before that is being behind
QUIET_SECONDS = 6.0  # without a word of a daemon that is still there: its words lie on their way
LIVE_SECONDS = 15.0  # a daemon that was silent for longer counts no more


class HeardElsewhere(NamedTuple):
    """That another daemon hears an exporter."""

    age: float  # seconds since then
    limit: float  # seconds after which the exporter would be late there


@dataclass(slots=True)
class _Peer:
    """One other daemon."""

    heard: float  # seconds of the caller's clock
    is_behind: bool
    exporters: dict[str, Sighting] = field(default_factory=dict)  # as of its last word

    def news(self, word: Word) -> dict[str, HeardElsewhere]:
        """Take its next word; give the exporters that it has heard since the one before."""
        before, self.exporters = self.exporters, word.exporters
        return {
            name: HeardElsewhere(word.seconds - one.heard, one.limit)
            for name, one in word.exporters.items()
            # Said again it is no news, and of a late word it would be a false one.
            if one.heard is not None and (name not in before or before[name].heard != one.heard)
        }


class Peers:
    """Listens to the others, and tells them what is heard here."""

    def __init__(self, daemon: str, states: States) -> None:
        self.daemon = daemon
        self._states = states
        self._peers: dict[str, _Peer] = {}
        self._listened = 0.0  # seconds of the caller's clock
        self._said = float("-inf")
        self._unread: set[Place] = set()  # what of our partitions is not yet read up
        self._delays = 0  # rounds since all was

    def listen(self, now: float) -> tuple[dict[str, HeardElsewhere], dict[str, float]]:
        """Take the others' words; give when others heard exporters last, and who is lost.

        Of those it is said how many seconds ago they were last heard.
        """
        self._listened = now
        sightings: dict[str, HeardElsewhere] = {}
        lost: dict[str, float] = {}
        for word in self._states.words():
            if word.daemon == self.daemon:
                continue
            peer = self._peers.setdefault(word.daemon, _Peer(now, word.is_behind))
            peer.heard, peer.is_behind = now, word.is_behind
            lost |= {name: word.seconds - heard for name, heard in word.lost.items()}
            for name, sighting in peer.news(word).items():
                sightings[name] = min(sighting, sightings.get(name, sighting))
        for name in [name for name, one in self._peers.items() if now - one.heard > LIVE_SECONDS]:
            del self._peers[name]
        return sightings, lost

    def say_if_due(
        self,
        now: float,
        silence: Silence,
        attention: Attention,
        is_behind: Callable[[], bool],
        lost: Iterable[str],
    ) -> None:
        """Let the others know whom we hear and hold as lost, every few seconds."""
        if now - self._said < SAY_SECONDS:
            return
        self._said = now
        exporters = {
            name: Sighting(round(at, 3) if at > NEVER else None, round(limit, 1), partition)
            for name, (at, limit, partition) in silence.present().items()
        }
        known = silence.exporters
        self._states.say(
            Word(
                daemon=self.daemon,
                seconds=round(attention.seconds, 3),
                is_behind=is_behind(),
                exporters=exporters,
                lost={name: round(known[name].heard, 3) for name in lost if name in known},
            )
        )

    def is_behind(
        self, places: Collection[Place], reached: Callable[[Set[Place]], Collection[Place]]
    ) -> bool:
        """Whether some of our partitions were not read up for some rounds of words."""
        self._unread &= set(places)  # what moved away is another's to read
        self._unread -= set(reached(self._unread))
        self._delays = self._delays + 1 if self._unread else 0
        self._unread = self._unread or set(places)
        return self._delays > PATIENT_ROUNDS

    @property
    def count(self) -> int:
        """How many other daemons were heard of late."""
        return len(self._peers)

    @property
    def is_any_behind(self) -> bool:
        """Whether another daemon may have windows that it has not read, or not told us of."""
        quiet = self._listened - QUIET_SECONDS
        return any(peer.is_behind or peer.heard < quiet for peer in self._peers.values())

    def is_ours(self, source: str, first: int) -> bool:
        """Whether it is for us to tell of an exporter whose first partition here is *first*."""
        said = (peer.exporters.get(source) for peer in self._peers.values())
        return all(one is None or first <= one.partition for one in said)
