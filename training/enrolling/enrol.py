"""Enrolling: from what somebody points at to an enrolment, its preview, and its publication."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detector.encoder import open_encoder
from detector.enrolment import Act, Enrolment, enrol
from detector.enrolments import Enrolments
from detector.events import LAST_MS
from detector.sight import Sight
from detector.window import WindowSpec
from training.places import Places

from .errors import EnrollingError
from .incident import Incident, absent, choose, cut
from .places import load_bundle
from .preview import REACHES, Preview, Progress, chosen, previews
from .traffic import Piece, Tell, Unnamed, captured, links_in, narrow, of_link, stored

DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asked to be enrolled."""

    label: str
    link: str
    from_ms: int | None
    to_ms: int | None
    captures: tuple[Path, ...]
    windows: int
    reach: float | None  # None: as large as it may be
    kind: str
    why: str
    who: str
    expires: int | None
    days: float
    most: int
    now_ms: int


@dataclass(frozen=True)
class Gathered:
    """All traffic that there is to go by."""

    spec: WindowSpec  # with all features that were captured of the incident's link
    incident: Sequence[Piece]  # where the incident is, as that spec says
    traffic: Sequence[Piece]  # that the preview is of, as the bundle needs it
    unnamed: Sequence[Unnamed]


def prepare(
    asked: Asked,
    places: Places,
    known: dict[str, Enrolment],
    progress: Progress,
    tell: Tell,
) -> tuple[Enrolment, Preview, list[Preview]]:
    """Make the enrolment, with the reach that suits it, its preview, and those of all reaches.

    Raises:
        EnrollingError: if there is no such incident, or it is enrolled already.
        EnrolmentError: if the label, the link or the windows can't be used.
        CaptureError: if captures can't be read.
        BundleError: if the bundle can't be used.
    """
    bundle = load_bundle(places.bundle_store)
    encoder = open_encoder(bundle)
    used = [one for one in known.values() if one.is_used(asked.now_ms)]
    before = Sight.of(bundle, encoder, used, places.budget_a_week)
    found = gather(asked, places, bundle.manifest.window, tell)
    pointed = cut(found.incident, found.spec, asked.link, *_range(asked))
    incident = choose(pointed, before, found.spec, asked.windows)
    made = enrolled(asked, incident, found.spec)
    check_new(made, known, asked.now_ms)
    seen = previews(
        before,
        _reaching(made, before, used, asked.reach),
        incident,
        made.label,
        found.traffic,
        unnamed=found.unnamed,
        rule=places.state,
        budget_a_week=places.budget_a_week,
        progress=progress,
        most=asked.most,
    )
    best = chosen(seen)
    return msgspec.structs.replace(made, reach=best.reach), best, seen


def _reaching(
    made: Enrolment, before: Sight, used: Sequence[Enrolment], asked: float | None
) -> dict[float, Sight]:
    """Give what would be seen with an enrolment at each reach that it might have.

    Raises:
        EnrollingError: if the bundle can't use it.
    """
    # Without known windows there is nothing to be nearer to, and every reach is the same.
    reaches = REACHES if before.bundle.known is not None else (1.0,)
    budget = None if before.strangeness is None else before.strangeness.budget_a_week
    found = {}
    for reach in reaches if asked is None else (asked,):
        enrolments = [*used, msgspec.structs.replace(made, reach=reach)]
        found[reach] = Sight.of(before.bundle, before.encoder, enrolments, budget)
        if made.id in found[reach].unusable:
            raise EnrollingError(found[reach].unusable[made.id])
    return found


def publish(made: Enrolment, known: dict[str, Enrolment], kept: Enrolments) -> None:
    """Write it where daemons look; what was removed once keeps its history."""
    if (old := known.get(made.id)) is not None:
        made = msgspec.structs.replace(made, history=(*old.history, *made.history))
    kept.write(made)


def gather(asked: Asked, places: Places, spec: WindowSpec, tell: Tell) -> Gathered:
    """Read the captures, the last days of the store, and of it whatever the incident's link has.

    Raises:
        EnrollingError: if the store has nothing of the incident's link.
        CaptureError: if something can't be read.
    """
    if asked.captures:
        whole, mine = captured(asked.captures, spec)
    else:
        whole, mine = of_link(places.store, spec, asked.link, _range(asked), tell)
        if not mine:
            raise EnrollingError(absent(asked.link, links_in(places.store)))
    traffic: list[Piece] = []
    unnamed: list[Unnamed] = []
    if places.store:
        since_ms = asked.now_ms - round(asked.days * DAY_MS)
        traffic, unnamed = stored(places.store, spec, since_ms, tell)
    if asked.captures:
        traffic += narrow(mine, whole, spec)
    return Gathered(whole, mine, traffic, unnamed)


def enrolled(asked: Asked, incident: Incident, spec: WindowSpec) -> Enrolment:
    """Make the enrolment of the chosen windows, with all that was captured of them."""
    return enrol(
        label=asked.label,
        link=asked.link,
        start_ms=incident.starts_ms[0],
        spec=spec,
        values=incident.values,
        act=Act(at_ms=asked.now_ms, who=asked.who, what="enrolled", why=asked.why),
        kind=asked.kind,
        expires_ms=asked.expires,
    )


def check_new(made: Enrolment, known: dict[str, Enrolment], now_ms: int) -> None:
    """Refuse what is enrolled already, and say how daemons use it again if they don't.

    Raises:
        EnrollingError: if it is.
    """
    old = known.get(made.id)
    if old is None or old.status == "removed":
        return
    back = []
    if old.status == "disabled":
        back.append(f"it is disabled: `anchorwatch anchors enable {old.id} --why ...`")
    if old.expires_ms is not None and old.expires_ms <= now_ms:
        back.append(f"it is expired: `anchorwatch anchors expire {old.id} --at never`")
    doing = "".join(f"; {one}" for one in back) + (" brings it back" if back else "")
    raise EnrollingError(f"these windows are enrolled already: {old.id} {old.name}{doing}")


def _range(asked: Asked) -> tuple[int, int]:
    from_ms = 0 if asked.from_ms is None else asked.from_ms
    return from_ms, LAST_MS if asked.to_ms is None else asked.to_ms
