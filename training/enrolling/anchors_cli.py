"""`anchorwatch anchors`: what is enrolled, and what was done to it."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from training.places import Places

from .commands import WHERE, WHO, Time, act, failing, now_ms, opened, write
from .pack_cli import export, import_

WHY = click.option("--why", required=True, help="For the history")
IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.group()
def anchors() -> None:
    """List what is enrolled, change it, and carry it from one site to another.

    An ID may be shortened as long as only one begins so. Daemons follow within seconds.
    """


@anchors.command("list")
@click.option("--all", "with_removed", is_flag=True, help="Those that were removed too")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON")
@WHERE
def list_(places: Places, with_removed: bool, as_json: bool) -> None:
    """List enrolled anchors, and the bundle's own where there is a bundle."""
    from .book import listed
    from .places import load_bundle
    from .words import table, trained

    rows: list[dict[str, Any]] = []
    with failing():
        if places.kafka is not None or _is_bundle_store(places):
            with opened(places) as (_, known):
                some = [one for one in known.values() if with_removed or one.status != "removed"]
                rows += listed(some, now_ms())
        if places.bundles is not None:
            rows += trained(load_bundle(places.bundles))
        elif places.kafka is None:
            raise click.UsageError("say where anchors are: --kafka, --bundles, or --config")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows)))
        return
    for line in table(rows):
        click.echo(line)


@anchors.command()
@click.argument("id_", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON")
@WHERE
def history(places: Places, id_: str, as_json: bool) -> None:
    """Show what was done to an anchor, when, by whom and why."""
    from .book import find
    from .book import history as acts_of

    with failing(), opened(places) as (_, known):
        found = find(known, id_)
    acts = acts_of(found)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(acts)))
        return
    click.echo(f"{found.id} {found.name} ({found.status})")
    for one in acts:
        click.echo(f"{one['at']}  {one['what']:<9} {one['who']}  {one['why']}".rstrip())


@anchors.command()
@IDS
@WHY
@WHO
@WHERE
def disable(places: Places, ids: tuple[str, ...], why: str, who: str) -> None:
    """Let daemons not use anchors until they are enabled."""
    _change(places, ids, "disabled", why, who)


@anchors.command()
@IDS
@WHY
@WHO
@WHERE
def enable(places: Places, ids: tuple[str, ...], why: str, who: str) -> None:
    """Let daemons use anchors again that were disabled."""
    _change(places, ids, "enabled", why, who)


@anchors.command()
@IDS
@WHY
@WHO
@WHERE
def remove(places: Places, ids: tuple[str, ...], why: str, who: str) -> None:
    """Take anchors away; their windows are forgotten, what was done to them is not."""
    _change(places, ids, "removed", why, who)


@anchors.command()
@IDS
@click.option("--at", "at", required=True, metavar="TIME", help="UTC, as for `enroll`; or never")
@click.option("--why", default="", help="For the history")
@WHO
@WHERE
@click.pass_context
def expire(
    context: click.Context, /, places: Places, ids: tuple[str, ...], at: str, why: str, who: str
) -> None:
    """Let daemons forget anchors at a time; at once if that is past."""
    from .book import expiring, find, moment

    at_ms = None if at == "never" else Time().convert(at, None, context)
    said = "never" if at_ms is None else f"at {moment(at_ms)} UTC"
    with failing(), opened(places) as (kept, known):
        done = act("expires", who, f"{said}; {why}" if why else said)
        changed = [expiring(find(known, id_), at_ms, done) for id_ in ids]
        is_past = at_ms is not None and at_ms <= done.at_ms
        write(
            kept,
            changed,
            f"expires {said}" + (", which is past: expired at once" if is_past else ""),
        )


def _change(places: Places, ids: Sequence[str], what: Any, why: str, who: str) -> None:
    """Do the same to some anchors: first all are looked at, then all are written."""
    from .book import done, find

    with failing(), opened(places) as (kept, known):
        doing = act(what, who, why)
        found = {one.id: one for one in (find(known, id_) for id_ in ids)}
        write(kept, [done(one, what, doing) for one in found.values()], what)


def _is_bundle_store(places: Places) -> bool:
    from detector.bundles import is_store

    return places.bundles is not None and is_store(places.bundles)


for command in (export, import_):
    anchors.add_command(command)
