"""Following what is enrolled: which anchors are to be used now, as far as anybody can say."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from .enrolment import Enrolment
from .enrolments import Enrolments, EnrolmentsUnavailableError
from .figures import Figure
from .sight import Sight

log = logging.getLogger(__name__)

STATUSES = ("used", "waiting", "unusable", "disabled", "expired", "removed")


class AnchorFollower:
    """Asks what is enrolled, and knows it while nobody can say."""

    def __init__(self, enrolments: Enrolments, clock: Callable[[], float] = time.time) -> None:
        self.enrolments = enrolments
        self._clock = clock  # Unix time, seconds
        self._all: Sequence[Enrolment] = ()
        self._is_told = False  # somebody has said
        self._is_away = False  # whoever keeps them

    def look(self) -> list[Enrolment] | None:
        """Give those to use now; None: nobody has said yet."""
        try:
            found = self.enrolments.poll()
        except EnrolmentsUnavailableError as error:
            if not self._is_away:
                log.warning("enrolled anchors can't be read", extra={"why": str(error)})
            self._is_away = True
        else:
            self._is_away, self._is_told = False, True
            self._all = self._all if found is None else found
        if not self._is_told:
            return None
        # Also while nobody can say: time goes on, and what expires is used no more.
        return [one for one in self._all if one.is_used(self._now_ms())]

    def figures(self, sight: Sight | None, unusable: Iterable[str]) -> Iterable[Figure]:
        """Say what is enrolled, and what of it the *sight* in use knows."""
        yield Figure(
            "enrolments",
            "Enrolled anchors, by whether they are in use and why not.",
            self._by_status(sight, set(unusable)),
            ("status",),
        )
        yield Figure(
            "enrolments_away",
            "1 while nobody can say what was enrolled.",
            {(): float(self._is_away)},
        )
        yield Figure(
            "enrolments_unreadable",
            "Records of enrolled anchors that could not be read.",
            {(): float(self.enrolments.unreadable)},
            kind="counter",
        )

    def _by_status(self, sight: Sight | None, unusable: set[str]) -> dict[tuple[str, ...], float]:
        used = {one.id for one in sight.enrolled} if sight is not None else set()
        now_ms = self._now_ms()

        def status(one: Enrolment) -> str:
            if one.id in used:
                return "used"
            if one.is_used(now_ms):
                return "unusable" if one.id in unusable else "waiting"
            return "expired" if one.status == "active" else one.status

        counts = Counter(map(status, self._all))
        return {(name,): float(counts[name]) for name in STATUSES}

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)
