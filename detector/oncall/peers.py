"""Peers: what the other daemons of the group hear of the exporters that are also ours.

An exporter's links lie on many partitions and so with many daemons. None may call it lost while
another hears it, or has not yet read what came of it; and one of them tells of it, not all.
"""

from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass, field

from detector.source import Place

from .attention import Attention
from .record import Sighting, States, Word
from .silence import Silence

SAY_SECONDS = 2.0  # from one word to the next
PATIENT_ROUNDS = 2  # of words in which not all was read up, before that is being behind
QUIET_SECONDS = 6.0  # without a word of a daemon that is still there: its words lie on their way
LIVE_SECONDS = 15.0  # a daemon that was silent for longer counts no more


@dataclass(slots=True)
class _Peer:
    """One other daemon."""

    heard: float  # seconds of the caller's clock
    is_behind: bool
    partitions: dict[str, int] = field(default_factory=dict)  # exporter to its first one there


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

    def listen(self, now: float) -> tuple[dict[str, Sighting], set[str]]:
        """Take the others' words; give, of each exporter, the latest sighting, and who is lost."""
        self._listened = now
        sightings: dict[str, Sighting] = {}
        lost: set[str] = set()
        for word in self._states.words():
            if word.daemon == self.daemon:
                continue
            peer = self._peers.setdefault(word.daemon, _Peer(now, word.is_behind))
            peer.heard, peer.is_behind = now, word.is_behind
            lost.update(word.lost)
            for name, sighting in word.exporters.items():
                peer.partitions[name] = sighting.partition
                if name not in sightings or sighting.age < sightings[name].age:
                    sightings[name] = sighting
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
        heard = silence.recent(since=attention.seconds - 2 * SAY_SECONDS)
        exporters = {
            name: Sighting(round(attention.seconds - at, 3), round(limit, 1), partition)
            for name, (at, limit, partition) in heard.items()
        }
        self._states.say(
            Word(daemon=self.daemon, is_behind=is_behind(), exporters=exporters, lost=tuple(lost))
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
        peers = self._peers.values()
        return all(first <= peer.partitions.get(source, first) for peer in peers)
