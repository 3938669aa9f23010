"""`anchorwatch label unknown`: which of the unknown episodes are alike."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from training.enrolling.commands import Time
from training.failing import EX_CONFIG, fail
from training.places import Places, with_places

from .failing import failing, warn

if TYPE_CHECKING:
    from .groups import Group

REACH = 2.0  # as in `groups`, which takes a while to import; a test holds them together


@click.command()
@click.option("--since", type=Time(), metavar="TIME", help="None from well before")
@click.option(
    "--reach",
    type=click.FloatRange(0, min_open=True),
    default=REACH,
    help="How far apart episodes of a group are on average, in usual distances, at most",
)
@click.option("--all", "every", is_flag=True, help="Those too of which everything is named")
@click.option("--json", "as_data", is_flag=True, help="Print JSON")
@with_places("bundles", "store")
def unknown(places: Places, since: int | None, reach: float, every: bool, as_data: bool) -> None:
    """Group the unknown episodes that are alike, whichever links they were on.

    Each group is shown with its most typical window, for `anchorwatch enroll`; `rename NAME
    --group unknown-7` names all of it. A group keeps its number when more of it comes. A time
    such as `Tuesdays 09:00` (UTC) is said only where chance alone would hardly do that.
    """
    from detector.bundle import BundleError, load
    from detector.bundles import resolve
    from detector.encoder import open_encoder

    from .groups import grouped, unknowns

    try:
        bundle = load(resolve(places.bundle_store))
        if bundle.known is None:
            raise BundleError(f"bundle {bundle.id} doesn't know how far apart windows usually are")
        encoder = open_encoder(bundle)
    except BundleError as error:
        fail(str(error), EX_CONFIG)
    with failing():
        found = unknowns(places.stores, bundle.manifest.window, encoder, since, warn)
        groups = grouped(found, reach * bundle.known.calibration.scale)
    names = _names(places.stores[0], groups)
    shown = [
        (name, group)
        for name, group in zip(names, groups, strict=True)
        if every or not group.is_named
    ]
    _show(shown, bundle.manifest.window.span_ms, as_data, _given())


def _given() -> list[str]:
    """Repeat the options that said where things are, for a command to be typed next."""
    params = click.get_current_context().params
    given = {name: params[name] for name in ("config", "bundles") if params[name] is not None}
    options = [*given.items(), *(("store", one) for one in params["store"])]
    return [word for name, path in options for word in (f"--{name}", str(path))]


def _names(store: Path, groups: "Sequence[Group]") -> list[str]:
    """Give the groups their names; where they can't be noted, those of today."""
    from .numbers import choose, name_of, numbered, remembered

    ids: list[Collection[str]] = [[one.id for one in group.episodes] for group in groups]
    try:
        numbers = numbered(store, ids)
    except OSError as error:
        warn(f"the groups' numbers can't be noted, and may be others tomorrow: {error}")
        numbers = choose(remembered([store]), ids)
    return [name_of(number) for number in numbers]


def _show(
    shown: "Sequence[tuple[str, Group]]", span_ms: int, as_data: bool, places: Sequence[str]
) -> None:
    import msgspec

    from .text import group_as_data, group_as_text

    if as_data:
        plain = [group_as_data(name, group, span_ms) for name, group in shown]
        click.echo(msgspec.json.format(msgspec.json.encode(plain), indent=2))
    elif not shown:
        click.echo("no group of unknown episodes is without a name", err=True)
    for name, group in () if as_data else shown:
        click.echo(group_as_text(name, group, span_ms, places))
