"""`anchorwatch bundles`, `shadow`, `promote` and `rollback`: a bundle store from the terminal."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training.enrolling.commands import WHO, now_ms
from training.failing import fail
from training.places import Places, with_places

from .asking import JSON, PATHS, STORE, WHY, asked_by, failing, show
from .tolerances import taken_from, tolerance_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.bundles import BundleStore
    from detector.enrolment import Enrolment

    from .deeds import By


@click.command()
@STORE
@click.option(
    "--add",
    "added",
    type=PATHS,
    help="Bundle to put beside the others; makes the store, and is current if it is the first",
)
@click.option("--remove", "removed", metavar="ID", help="Version to delete, unless it is in use")
@click.option("--history", is_flag=True, help="What was done by whom, when and why")
@JSON
@WHO
@WHY
def bundles(
    path: Path,
    added: Path | None,
    removed: str | None,
    history: bool,
    as_data: bool,
    who: str,
    why: str,
) -> None:
    """List the versions in the store BUNDLES, with their scores and where they come from.

    An ID may be the beginning of one, here and in the other commands.
    """
    from detector.bundles import BundleStore

    from .listing import listing
    from .table import history_text, versions_text

    if sum(map(bool, (added, removed, history))) > 1:
        raise click.UsageError("give one of --add, --remove and --history")
    with failing():
        by = asked_by(who, why)
        if added is not None:
            return _add(BundleStore(path), added, by)
        store = BundleStore.open(path)
        if removed is not None:
            gone = store.find(removed)
            store.remove(gone, by.who, by.why, by.now_ms())
            return click.echo(f"{path}: bundle {gone} is removed")
        if history:
            return show(store.history(), history_text, as_data)
        return show(listing(store), versions_text, as_data)


@click.command()
@STORE
@click.argument("bundle_id", metavar="[ID]", required=False)
@click.option("--stop", is_flag=True, help="Let daemons try none any more")
@JSON
@WHO
@WHY
def shadow(
    path: Path, bundle_id: str | None, stop: bool, as_data: bool, who: str, why: str
) -> None:
    """Let daemons try version ID of the store BUNDLES beside the current one.

    What the candidate says is counted and told to nobody. Without ID: show what daemons report
    of the candidate so far.
    """
    from detector.bundles import BundleStore

    if stop and bundle_id:
        raise click.UsageError("give one of ID and --stop")
    with failing():
        store, by = BundleStore.open(path), asked_by(who, why)
        if stop:
            was = store.shadow
            store.set_shadow(None, by.who, by.why, by.now_ms())
            click.echo(f"{path}: {was or 'no version'} was in the shadow, and none is now")
        elif bundle_id:
            _put_into_shadow(store, store.find(bundle_id), by)
        else:
            _show_shadow(store, as_data)


@click.command()
@STORE
@click.argument("bundle_id", metavar="ID")
@click.option(
    "--captures",
    type=PATHS,
    multiple=True,
    help="Captures to judge on, by runs that neither bundle has seen; can be given several times",
)
@click.option("--links", multiple=True, help="Links to judge on (patterns); none = as in training")
@with_places("store", "kafka")
@click.option("--without-shadow", is_flag=True, help="Don't ask what daemons report: a failure")
@click.option("--force", is_flag=True, help="Promote it whatever fails, if it works; needs --why")
@tolerance_options
@JSON
@WHO
@WHY
def promote(
    path: Path,
    bundle_id: str,
    places: Places,
    captures: tuple[Path, ...],
    links: tuple[str, ...],
    without_shadow: bool,
    force: bool,
    as_data: bool,
    who: str,
    why: str,
    **chosen: Any,
) -> None:
    """Let daemons use version ID of the store BUNDLES, if it is good enough.

    It has to work; to be no worse than the current version on captured runs that neither has
    learnt from; and to be no worse in the shadow, on the traffic of today. What can't be judged
    counts as failed. A refusal changes nothing. Both are judged with the anchors that are
    enrolled.
    """
    from detector.bundles import BundleStore

    from .deeds import promote as promoted
    from .gate import Evidence
    from .table import checks_text

    if force and not why:
        raise click.UsageError("--force needs --why, for the history")
    with failing():
        store = BundleStore.open(path)
        found, by, allowed = store.find(bundle_id), asked_by(who, why), taken_from(chosen)
        evidence = Evidence(
            captures=(*captures, *places.store),
            links=links,
            enrolled=_enrolled(path, places),
            with_shadow=not without_shadow,
            rule=places.state,
            budget_a_week=places.budget_a_week,
            tell=lambda what: click.echo(f"judging: {what}", err=True),
        )
        judgement, action = promoted(store, found, evidence, allowed, by, force=force)
    show(judgement, checks_text, as_data)
    failed = f", {len(judgement.failed)} check(s) failed" if judgement.failed else ""
    if action == "refused":
        fail(f"bundle {found} is refused{failed}; {judgement.live} stays current")
    click.echo(f"bundle {found} is {action}{failed}; it was {judgement.live}", err=as_data)


@click.command()
@STORE
@click.argument("bundle_id", metavar="[ID]", required=False)
@WHO
@WHY
def rollback(path: Path, bundle_id: str | None, who: str, why: str) -> None:
    """Go back to the version of the store BUNDLES that was current before, or to ID.

    A second time goes back further. Daemons follow within a second.
    """
    from detector.bundles import BundleStore

    from .deeds import roll_back

    with failing():
        store = BundleStore.open(path)
        was = store.current
        chosen = store.find(bundle_id) if bundle_id else None
        now, warning = roll_back(store, chosen, asked_by(who, why))
    click.echo(f"{path}: {now} is current; it was {was}")
    if warning:
        click.echo(f"anchorwatch: {warning}", err=True)


COMMANDS = (bundles, shadow, promote, rollback)


def _enrolled(path: Path, places: Places) -> "Sequence[Enrolment]":
    """Read the anchors that daemons go by now, besides the bundle's own."""
    from contextlib import closing

    from detector.enrolments import EnrolmentsUnavailableError
    from training.enrolling.places import open_kept

    where = dataclasses.replace(places, bundles=path)
    try:
        with closing(open_kept(where)) as kept:
            return [one for one in kept.poll() or () if one.is_used(now_ms())]
    except EnrolmentsUnavailableError as error:
        fail(f"what is enrolled can't be read: {error}")


def _add(store: "BundleStore", bundle: Path, by: "By") -> None:
    from detector.bundle import load
    from detector.bundles import resolve

    found = resolve(bundle).resolve()
    load(found)  # first, or a slip of the pen would leave an empty store
    store.create()
    made = store.add(found, by.who, by.why, by.now_ms())
    click.echo(f"{store.path}: bundle {made} is there")
    if store.current is None and store.ids == (made,):
        why = by.why or "the first version"
        store.switch(made, by.who, "promoted", why, by.now_ms(), only_from=None)
        click.echo(f"{store.path}: {made} is current, for it is the first")


def _put_into_shadow(store: "BundleStore", bundle_id: str, by: "By") -> None:
    from .deeds import put_into_shadow

    if warning := put_into_shadow(store, bundle_id, by):
        click.echo(f"anchorwatch: {warning}", err=True)
    click.echo(f"{store.path}: {bundle_id} is in the shadow of {store.current}")


def _show_shadow(store: "BundleStore", as_data: bool) -> None:
    from .in_shadow import gather, left_aside
    from .table import shadow_text

    candidate, live = store.shadow, store.current
    if candidate is None or live is None:
        fail("no version is in the shadow; shadow BUNDLES ID puts one there")
    reports = gather(candidate, live, store.reports(candidate))
    if said := left_aside(reports):
        click.echo(f"anchorwatch: {said}", err=True)
    if reports.pooled is None:
        fail(f"no daemon reports yet of {candidate} beside {live}")
    show(reports.pooled, lambda report: shadow_text(report, reports.daemons), as_data)
