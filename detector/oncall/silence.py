"""Silence: links and exporters of which nothing comes any more.

Blocked can mean that nothing arrives, so the absence of windows is an observation. What it means
depends on who else is heard:

* a link is *silent* if its exporter has reported others for as long as would have been enough
  for the link to report some windows; a busy link going silent is a fault, one that is usually
  idle at this hour is not;
* an exporter is *lost* if nothing comes of any of its links: then the links aren't to blame;
* nobody is either while the daemon itself isn't listening (`attention`) or has not read what the
  broker has, which is asked for before anything is said (`Reach`).

No clock and no I/O in here: the service says what time it is and asks the source.
"""

from collections.abc import Callable, Collection, Iterable

from detector.config import Silence as Settings
from detector.source import Place

from .groups import Groups
from .presence import LEARNING, Exporter, Heard, Noticed, Presence
from .wheel import Wheel

Reach = Callable[[Collection[Place]], Collection[Place]]  # those of which all was read

PATIENCE = 0.9  # share of a long gap that is still expected after the next short one
HEARSAY_SECONDS = 4.0  # by which what other daemons say may be late
AGAIN_SECONDS = 2.0  # until a suspicion that could not be confirmed is looked at again
EXCUSED_SECONDS = 60.0  # until an idle link's silence is looked at again: its busy hour may come


class Silence:
    """Watches for what doesn't come."""

    def __init__(self, settings: Settings, groups: Groups | None = None) -> None:
        self.groups = groups or Groups()
        self.links: dict[str, Presence] = {}
        self.exporters: dict[str, Exporter] = {}
        self._settings = settings
        self._wheel = Wheel()

    def hear(self, windows: Iterable[Heard], now: float) -> list[Noticed]:
        """Take what came; *now* is attention's time. Gives new links and exporters come back."""
        noticed: list[Noticed] = []
        for one in windows:
            link = self.links.get(one.link)
            if link is None:
                self._add(one.link, Presence(one.source, one.place, now))
                noticed.append(Noticed("appeared", one.link, one.source, now, one.place))
                link = self.links[one.link]
            elif link.source != one.source:
                self._move(one.link, link, one.source)
            if now > link.heard:
                self._learn_pace(link, now - link.heard)
            noticed += self.sighted(one.source, now)
            exporter = self.exporters[one.source]
            exporter.heard_here = now
            link.heard, link.alive, link.place = now, exporter.alive, one.place
            link.last_ms = max(link.last_ms, one.end_ms)
            if link.is_silent or link.is_excused:
                link.is_silent = link.is_excused = False
                self._wheel.look_at((one.link, one.source), now + self._limit(link))
            link.learn(one)
        return noticed

    def sighted(self, source: str, at: float, limit: float = 0.0) -> list[Noticed]:
        """Note that an exporter reported at *at*: here, or elsewhere with links of a *limit*."""
        exporter = self.exporters.get(source)
        if exporter is None:
            return []
        if limit:
            exporter.elsewhere = max(limit, PATIENCE * exporter.elsewhere)
            exporter.heard_elsewhere = max(at, exporter.heard_elsewhere)
        if at <= exporter.heard:
            return []
        since, gap = exporter.heard, at - exporter.heard
        exporter.heard = at
        # When it was away nobody could report: a pause counts as no more than is usual.
        exporter.alive += min(gap, 2 * exporter.gap)
        exporter.gap += LEARNING * (min(gap, self._exporter_limit(exporter)) - exporter.gap)
        if not exporter.is_lost:
            return []
        exporter.is_lost, exporter.returned = False, at
        self._wheel.look_at(("", source), at + self._settings.least_seconds)
        return [Noticed("back", "", source, since)]

    def tick(
        self, now: float, hour: int, reach: Reach, *, spare_exporters: bool = False
    ) -> list[Noticed]:
        """Look at whoever is due, at attention's time and UTC hour; give what is new.

        With *spare_exporters* none is lost: somebody else may have unread windows of it.
        """
        due = self._wheel.due(now)
        late = [(link, source) for link, source in due if self._is_late(link, source, now)]
        retired = dict.fromkeys(who for who in late if self._has_left(who[0], now))
        late = [who for who in late if who not in retired]
        if not self._settings.enabled:
            for link, source in late:
                if link:
                    at = self.links[link].heard + self._settings.retire_seconds
                    self._wheel.look_at((link, source), at)
            late = []
        read = set(reach(self._places(late))) if late else set()
        noticed = [self._retire(link, source) for link, source in retired]
        for link, source in late:
            if link:
                noticed += self._judge(link, source, now, hour, read)
            elif spare_exporters:
                self._wheel.look_at(("", source), now + AGAIN_SECONDS)
            else:
                noticed += self._judge_exporter(source, now, read)
        return noticed

    def present(self) -> dict[str, tuple[float, float, int]]:
        """Give exporters with links here: when heard here, limit, and first partition here."""
        return {
            name: (
                one.heard_here,
                self._own_limit(one),
                min(self.links[k].place[1] for k in one.links),
            )
            for name, one in self.exporters.items()
            if one.links
        }

    def drop(self, place: Place) -> list[str]:
        """Forget the links of a partition that another daemon has now; give their names."""
        gone = [name for name, link in self.links.items() if link.place == place]
        for name in gone:
            self._remove(name)
        return gone

    def remember(self, name: str, link: Presence) -> None:
        """Know a link from before, of another daemon or an earlier start."""
        if name not in self.links:
            self._add(name, link)
            # What its exporter has lived until now is no time in which it was silent.
            link.alive = self.exporters[link.source].alive

    def believe_lost(self, source: str, heard: float) -> None:
        """Take another daemon's word that an exporter is lost, and was last heard at *heard*.

        Unless it was heard since, of course.
        """
        exporter = self.exporters.get(source)
        if exporter is None:
            return
        if max(exporter.heard_here, exporter.heard_elsewhere) <= heard + HEARSAY_SECONDS:
            exporter.is_lost = True

    def doubt_lost(self, source: str, now: float) -> None:
        """Look anew at a lost exporter of whose loss nobody here has told, once words had time."""
        exporter = self.exporters.get(source)
        if exporter is not None and exporter.is_lost:
            exporter.is_lost = False
            self._wheel.look_at(("", source), now + HEARSAY_SECONDS)

    def _add(self, name: str, link: Presence) -> None:
        self.links[name] = link
        if link.source not in self.exporters:
            self.exporters[link.source] = Exporter(link.heard)
            self._wheel.look_at(("", link.source), link.heard + self._settings.least_seconds)
        self.exporters[link.source].links.add(name)
        self.groups.add(name, link.source)
        self._wheel.look_at((name, link.source), link.heard + self._limit(link))

    def _move(self, name: str, link: Presence, source: str) -> None:
        """Another exporter reports a link."""
        heard, place = link.heard, link.place
        self._remove(name)
        link.source, link.heard, link.place = source, heard, place
        self._add(name, link)

    def _remove(self, name: str) -> None:
        link = self.links.pop(name)
        self.groups.remove(name, link.source)
        exporter = self.exporters[link.source]
        exporter.links.discard(name)
        self._wheel.forget((name, link.source))
        if not exporter.links:
            del self.exporters[link.source]
            self._wheel.forget(("", link.source))

    def _retire(self, name: str, source: str) -> Noticed:
        link = self.links[name]
        self._remove(name)
        return Noticed("retired", name, source, link.heard, link.place)

    def _learn_pace(self, link: Presence, gap: float) -> None:
        """Take the time since the last report into what is to be expected."""
        exporter = self.exporters[link.source]
        was_lost = exporter.is_lost or link.heard < exporter.returned
        if link.is_silent or link.is_excused or was_lost:
            # An incident is no pace; but whoever is called silent again and again has another.
            least = self._settings.least_seconds / self._settings.missed_windows
            gap = min(gap, 2 * max(link.gap, least))
        link.gap = max(gap, PATIENCE * link.gap + (1 - PATIENCE) * gap)

    def _is_late(self, name: str, source: str, now: float) -> bool:
        """Whether nothing came for long; whoever is not late is looked at when it would be."""
        if name:
            link = self.links.get(name)
            if link is None or link.source != source:
                return False  # gone, or looked at under its new exporter
            at = link.heard + self._limit(link)
        else:
            exporter = self.exporters.get(source)
            if exporter is None or exporter.is_lost:
                return False
            limit = self._exporter_limit(exporter)
            # Whoever hears it too may have heard it later, and the word be on its way.
            is_shared = exporter.heard_elsewhere >= exporter.heard - limit
            at = exporter.heard + limit + (HEARSAY_SECONDS if is_shared else 0.0)
        if at >= now:
            self._wheel.look_at((name, source), at)
        return at < now

    def _has_left(self, name: str, now: float) -> bool:
        return bool(name) and now - self.links[name].heard > self._settings.retire_seconds

    def _places(self, late: Iterable[tuple[str, str]]) -> set[Place]:
        places: set[Place] = set()
        for name, source in late:
            names = [name] if name else self.exporters[source].links
            places.update(self.links[one].place for one in names)
        return places

    def _judge(
        self, name: str, source: str, now: float, hour: int, read: Collection[Place]
    ) -> list[Noticed]:
        """Say what the silence of somebody who is late means, or look again."""
        link, exporter = self.links[name], self.exporters[source]
        # Had the exporter died, the last that was heard of any link would be about as old.
        hearsay = HEARSAY_SECONDS if exporter.heard_elsewhere > link.heard else 0.0
        is_alone = exporter.alive - link.alive >= self._limit(link) + hearsay
        again = AGAIN_SECONDS
        found: list[Noticed] = []
        if is_alone and link.place in read and not link.is_silent:
            link.is_excused = link.is_idle(hour, self._settings.idle_share)
            link.is_silent = not link.is_excused
            if link.is_silent:
                found = [Noticed("silent", name, source, link.heard, link.place)]
        if link.is_silent or link.is_excused:
            left = self._settings.retire_seconds - (now - link.heard)
            again = max(1.0, left if link.is_silent else min(left, EXCUSED_SECONDS))
        self._wheel.look_at((name, source), now + again)
        return found

    def _judge_exporter(self, source: str, now: float, read: Collection[Place]) -> list[Noticed]:
        exporter = self.exporters[source]
        if not {self.links[name].place for name in exporter.links} <= set(read):
            self._wheel.look_at(("", source), now + AGAIN_SECONDS)
            return []
        exporter.is_lost = True
        return [Noticed("lost", "", source, exporter.heard)]

    def _limit(self, link: Presence) -> float:
        """Seconds without a window after which a link is late."""
        return max(self._settings.least_seconds, self._settings.missed_windows * link.gap)

    def _exporter_limit(self, exporter: Exporter) -> float:
        """Seconds without any window after which an exporter is late: its slowest link's."""
        return max(self._own_limit(exporter), exporter.elsewhere)

    def _own_limit(self, exporter: Exporter) -> float:
        links = (self.links[name] for name in exporter.links)
        limits = (self._limit(link) for link in links if not link.is_silent)
        return max(limits, default=self._settings.least_seconds)
