"""The gate: all that a candidate has to prove before daemons use it.

That it works; that it is no worse on runs that neither bundle has seen; that it is no worse on
the live traffic, in the shadow. What can't be judged counts as failed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.bundle import Bundle, BundleError
from detector.bundles import BundleStore
from detector.config import State
from detector.enrolment import Enrolment

from .checks import Check, Judgement, Part, listed
from .tolerances import Tolerances

Tell = Callable[[str], None]


def _quiet(_what: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a candidate is judged on, and how."""

    captures: Sequence[Path] = ()  # captures and capture stores
    links: Sequence[str] = ()  # patterns; none = the links that both bundles are meant for
    enrolled: Sequence[Enrolment] = ()  # anchors that daemons use besides, with either bundle
    with_shadow: bool = True
    rule: State | None = None  # by which states change
    budget_a_week: float | None = 1.0  # of false alarms by the unknown, a link
    tell: Tell = _quiet


def judge(
    store: BundleStore, candidate_id: str, evidence: Evidence, allowed: Tolerances
) -> Judgement:
    """Judge a version of the store beside the current one."""
    live_id = store.current
    checks = list(_checks(store, live_id, candidate_id, evidence, allowed))
    return Judgement(candidate=candidate_id, live=live_id, checks=tuple(checks))


def opened(store: BundleStore, bundle_id: str) -> Bundle:
    """Load a version and let it pass its self-test.

    Raises:
        BundleError: if it can't be used.
    """
    from detector.encoder import open_encoder
    from detector.sight import Sight

    bundle = store.load(bundle_id)
    try:
        Sight.of(bundle, open_encoder(bundle))
    except ArithmeticError as error:  # thresholds beyond all numbers
        raise BundleError(f"bundle {bundle_id}: its thresholds: {error}") from error
    return bundle


def unfit(new: Bundle, old: Bundle) -> str:
    """Say why daemons can't go from one bundle to another while they run; "" if they can."""
    from detector.follow_bundle import unfit as unfit_windows

    return unfit_windows(new.manifest.window, old.manifest.window)


def _checks(
    store: BundleStore,
    live_id: str | None,
    candidate_id: str,
    evidence: Evidence,
    allowed: Tolerances,
) -> Iterator[Check]:
    evidence.tell(f"does {candidate_id} work?")
    try:
        candidate = opened(store, candidate_id)
    except BundleError as error:
        says = f"it can't be used: {error}"
        yield Check(
            part="candidate", name="self-test", passed=False, says=says, can_be_forced=False
        )
        return
    yield _check("candidate", "self-test", True, "it loads, and embeds as it should")
    if live_id is None:
        yield _check("candidate", "current", True, "no version is current, to be worse than")
        return
    try:
        live = opened(store, live_id)
    except BundleError as error:
        says = f"the current one can't be used, so nothing can be judged beside it: {error}"
        yield _check("candidate", "current", False, says)
        return
    yield from _fits(candidate, live)
    yield from _on_unseen_runs(live, candidate, evidence, allowed)
    yield from _on_live_traffic(store, live_id, candidate_id, evidence, allowed)


def _check(part: Part, name: str, passed: bool, says: str) -> Check:
    return Check(part=part, name=name, passed=passed, says=says)


def _fits(candidate: Bundle, live: Bundle) -> Iterator[Check]:
    """Check that daemons can swap it in, and that it has a name for all that has one now."""
    why = unfit(candidate, live)
    says = f"{why}; daemons could use it only after a restart" if why else "those that come"
    yield _check("candidate", "windows", not why, says)
    lost = sorted(set(live.manifest.labels) - set(candidate.manifest.labels))
    says = f"it has no name for {listed(lost)}" if lost else "all that the current one has"
    yield _check("candidate", "labels", not lost, says)


def _on_unseen_runs(
    live: Bundle, candidate: Bundle, evidence: Evidence, allowed: Tolerances
) -> Iterator[Check]:
    if not evidence.captures:
        says = "no captures were given to judge on (--captures, --store)"
        yield _check("held back", "runs", False, says)
        return
    one, other = live.manifest.window, candidate.manifest.window
    if (one.steps, one.step_ms) != (other.steps, other.step_ms):
        says = "the two read windows of different lengths, so not the same ones"
        yield _check("held back", "runs", False, says)
        return
    from detector.capture import CaptureError
    from detector.encoder import open_encoder
    from detector.sight import Sight
    from training.naming.acts import NamingError

    from .held_back import held_back_checks
    from .unseen import judge_both, unseen_links

    evidence.tell("runs that neither bundle has seen")
    try:
        links = unseen_links(live, candidate, evidence.captures, evidence.links)
        now, then = (
            Sight.of(bundle, open_encoder(bundle), evidence.enrolled, evidence.budget_a_week)
            for bundle in (live, candidate)
        )
        found = judge_both(now, then, links, evidence.rule)
    except (CaptureError, NamingError) as error:
        yield _check("held back", "runs", False, str(error))
        return
    yield from held_back_checks(found, allowed)


def _on_live_traffic(
    store: BundleStore,
    live_id: str,
    candidate_id: str,
    evidence: Evidence,
    allowed: Tolerances,
) -> Iterator[Check]:
    if not evidence.with_shadow:
        yield _check("live", "reports", False, "it was not to be tried in the shadow")
        return
    from .in_shadow import gather, shadow_checks

    evidence.tell("what daemons report of it")
    reports = gather(candidate_id, live_id, store.reports(candidate_id))
    yield from shadow_checks(reports, allowed, evidence.budget_a_week)
