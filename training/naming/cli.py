"""`anchorwatch label`: saying what was captured, from the terminal.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import click

from training.enrolling.commands import WHO, Time, now_ms
from training.failing import fail
from training.places import Places, with_places

from .failing import failing, warn
from .unknown_cli import unknown

if TYPE_CHECKING:
    from .acts import Naming
    from .naming import Effect, Saying
    from .stored import Store

ALL = ("*",)
LINKS = click.option("--link", "links", multiple=True, default=ALL, help="Links (patterns)")
JSON = click.option("--json", "as_data", is_flag=True, help="Print JSON")
SINCE = click.option("--since", type=Time(), metavar="TIME", help="None that ended before")
WHAT = (
    click.option(
        "--event",
        "events",
        multiple=True,
        metavar="EPISODE",
        help="Id of an episode, or the first letters of it; can be given several times",
    ),
    click.option(
        "--group", "groups", multiple=True, metavar="NAME", help="All of a group: unknown-7"
    ),
    click.option("--link", "links", multiple=True, help="Or links (patterns) ..."),
    click.option("--from", "from_ms", type=Time(), metavar="TIME", help="... from this time on"),
    click.option("--to", "to_ms", type=Time(), metavar="TIME", help="... until before this one"),
    click.option("--why", default="", help="For the history"),
    WHO,
)


@click.group()
def label() -> None:
    """Say what was captured: what it was, what was a false alarm, what to call it.

    Labels are kept beside the captures, with who, when and why; of several the newest counts.
    Times are UTC: ISO 8601, HH:MM of today, now, or -15m.
    """


label.add_command(unknown)


def _naming_options(command: Any) -> Any:
    """Give a command the options that say what is meant, and by whom."""
    for option in reversed(WHAT):
        command = option(command)
    return with_places("store")(command)


@label.command("list")
@LINKS
@click.option("--state", "states", multiple=True, help="States (patterns)")
@SINCE
@click.option("--unnamed", is_flag=True, help="Those that nobody has said all about")
@JSON
@with_places("store")
def list_episodes(
    places: Places,
    links: tuple[str, ...],
    states: tuple[str, ...],
    since: int | None,
    unnamed: bool,
    as_data: bool,
) -> None:
    """List the episodes that were captured, oldest first.

    Of one that LASTED so long and more (+), nobody has seen the end.
    """
    from .stored import episodes
    from .text import episodes_table

    with failing():
        there = episodes(places.stores, links, warn)
        found = [
            one
            for one in there
            if (since is None or one.is_open or one.until_ms >= since)
            and (not states or any(fnmatchcase(one.state, pattern) for pattern in states))
            and not (unnamed and one.is_named)
        ]
        if not there and links != ALL:  # what can't be read was told of
            there = episodes(places.stores, ALL, lambda _: None)
    none = "no episode that was captured matches" if there else "no episode was captured"
    _show(found, as_data, episodes_table, none)


@label.command()
@_naming_options
def confirm(places: Places, **chosen: Any) -> None:
    """Say that episodes were what they were taken for: their rows get that label."""
    _say("confirm", places, chosen)


@label.command()
@_naming_options
def reject(places: Places, **chosen: Any) -> None:
    """Say that it was a false alarm: the rows are normal."""
    _say("reject", places, chosen)


@label.command()
@click.argument("name")
@_naming_options
def rename(places: Places, name: str, **chosen: Any) -> None:
    """Say that the rows are to be called NAME, whatever they were taken for."""
    _say("rename", places, chosen, name)


@label.command()
@LINKS
@SINCE
@JSON
@with_places("store")
def history(places: Places, links: tuple[str, ...], since: int | None, as_data: bool) -> None:
    """List who said what of which rows, and why, the newest last."""
    from .acts import read
    from .text import acts_table

    with failing():
        every = read(places.stores, warn)
        acts = [
            act
            for act in every
            if any(fnmatchcase(act.link, pattern) for pattern in links)
            and (since is None or act.at_ms >= since)
        ]
    _show(acts, as_data, acts_table, "no naming matches" if every else "nobody has named anything")


def _say(
    what: Literal["confirm", "reject", "rename"],
    places: Places,
    chosen: dict[str, Any],
    name: str = "",
) -> None:
    """Name what was chosen, and say what that did."""
    from .naming import Saying, carry_out, effect
    from .stored import open_stores
    from .text import outcome

    _check_usage(chosen)
    with failing():
        saying = Saying(
            what=what, who=chosen["who"], at_ms=now_ms(), why=chosen["why"], label=name
        )
        store = open_stores(places.stores)
        acts = _acts(store, places, chosen, saying)
        done = effect(store, acts)
        if not done.rows:
            where = "no episode was captured there" if what == "confirm" else "no row was captured"
            fail(f"nothing was named: {where}")
        carry_out(done)
    click.echo(outcome(what, done))
    _remark(what, done)


def _acts(
    store: "Store", places: Places, chosen: dict[str, Any], saying: "Saying"
) -> "list[Naming]":
    from .naming import chosen as chosen_episodes
    from .naming import of_episodes, of_range
    from .numbers import members
    from .stored import episodes_of

    if chosen["links"]:
        return of_range(store, chosen["links"], chosen["from_ms"], chosen["to_ms"], saying)
    found = episodes_of(store)
    wanted = [*chosen["events"]]
    for group in chosen["groups"]:
        wanted += members(places.stores, group, {one.id for one in found})
    return of_episodes(chosen_episodes(found, wanted), found, saying)


def _check_usage(chosen: dict[str, Any]) -> None:
    by_time = (bool(chosen["links"]), chosen["from_ms"] is not None, chosen["to_ms"] is not None)
    by_event = bool(chosen["events"] or chosen["groups"])
    if by_event == any(by_time) or (any(by_time) and not all(by_time)):
        raise click.UsageError("give --event or --group, or all of --link, --from and --to")


def _remark(what: str, done: "Effect") -> None:
    """Say what whoever named something may not expect."""
    from detector.state import RESERVED

    if going := [one.id for one in done.episodes if one.is_open]:
        warn(f"nobody has seen the end of {', '.join(going)}: rows to come are not named by this")
    if what == "confirm" and (odd := {one.state for one in done.episodes} & set(RESERVED)):
        warn(f"{min(odd)!r} is no label to learn: `anchorwatch label rename` says what it was")


def _show(
    found: Sequence[Any], as_data: bool, as_table: Callable[[Sequence[Any]], str], none: str
) -> None:
    import msgspec

    if as_data:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    elif found:
        click.echo(as_table(found))
    else:
        click.echo(none, err=True)
