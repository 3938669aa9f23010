"""Deeds: a version becomes current because it proved itself, was forced, or was so before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from detector.bundle import BundleError
from detector.bundles import BundleStore
from detector.history import SWITCHES, came_true

from .checks import Judgement
from .gate import Evidence, judge, opened, unfit
from .tolerances import Tolerances


class PromotionError(ValueError):
    """What was asked for can't be done; the message says why, and what can."""


@dataclass(frozen=True, kw_only=True)
class By:
    """Who asks, and why."""

    who: str
    why: str
    now_ms: Callable[[], int]  # Unix time


def promote(
    store: BundleStore,
    bundle_id: str,
    evidence: Evidence,
    allowed: Tolerances,
    by: By,
    *,
    force: bool = False,
) -> tuple[Judgement, Literal["promoted", "forced", "refused"]]:
    """Let a version be current if it is good enough, or if it is forced and works at all.

    Raises:
        PromotionError: if it is current already.
        BundleError: if it is not there, or another became current meanwhile.
    """
    if bundle_id == store.current:
        raise PromotionError(f"bundle {bundle_id} is the current one already")
    judgement = judge(store, bundle_id, evidence, allowed)
    failed = judgement.failed
    reasons = [str(check) for check in failed]
    is_forced = force and all(check.can_be_forced for check in failed)
    if failed and not is_forced:
        store.refuse(bundle_id, by.who, by.why, by.now_ms(), judgement.numbers, reasons)
        return judgement, "refused"
    action: Literal["promoted", "forced"] = "forced" if failed else "promoted"
    store.switch(
        bundle_id,
        by.who,
        action,
        by.why,
        by.now_ms(),
        judgement.numbers,
        reasons,
        only_from=judgement.live,
    )
    return judgement, action


def put_into_shadow(store: BundleStore, bundle_id: str, by: By) -> str:
    """Let daemons try a version that works, and give what there may be to say.

    Raises:
        PromotionError: if no version is current, or daemons can't show it their windows.
        BundleError: if it can't be used, or is the current one.
    """
    current = store.current
    if current is None:
        raise PromotionError("no version is current, beside which one could be tried")
    bundle, live = opened(store, bundle_id), store.load(current)
    new, old, why = bundle.manifest.window, live.manifest.window, unfit(bundle, live)
    if (new.steps, new.step_ms) != (old.steps, old.step_ms):
        raise PromotionError(f"bundle {bundle_id}: {why}")
    store.set_shadow(bundle_id, by.who, by.why, by.now_ms())
    return f"bundle {bundle_id}: {why}" if why else ""


def roll_back(store: BundleStore, bundle_id: str | None, by: By) -> tuple[str, str]:
    """Let a version that was current before be so again, and give it and what there may be to say.

    Raises:
        PromotionError: if there is none, or it was never current.
        BundleError: if it can't be used.
    """
    current = store.current
    chosen = bundle_id or store.previous()
    if chosen is None:
        raise PromotionError("no version that is there was current before this one")
    if chosen == current:
        raise PromotionError(f"bundle {chosen} is the current one already")
    if chosen not in _once_current(store):
        raise PromotionError(f"bundle {chosen} was never current, so it has to be promoted")
    bundle = opened(store, chosen)
    store.switch(chosen, by.who, "rolled-back", by.why, by.now_ms(), only_from=current)
    try:
        why = unfit(bundle, store.load(current)) if current else ""
    except BundleError:  # that may be why somebody goes back
        why = ""
    return chosen, f"{why}; restart the daemons" if why else ""


def _once_current(store: BundleStore) -> set[str | None]:
    entries = store.history().entries
    made = {entry.bundle for entry in came_true(entries, store.current)}
    return made | {entry.was for entry in entries if entry.action in SWITCHES}
