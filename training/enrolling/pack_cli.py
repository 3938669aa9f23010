"""`anchorwatch anchors export` and `import`: anchors that travel in a file."""

from pathlib import Path

import click

from training.failing import fail
from training.places import Places

from .commands import WHERE, WHO, act, failing, now_ms, opened, write
from .places import site

KEY = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Secret that both sites share, 16 bytes or more",
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--all", "everything", is_flag=True, help="All but those that were removed, be it none"
)
@KEY
@WHO
@WHERE
def export(
    places: Places,
    file: Path,
    ids: tuple[str, ...],
    everything: bool,
    key_file: Path | None,
    who: str,
) -> None:
    """Write anchors with their windows and history to FILE, for another site.

    JSON where the name ends in .json, else MessagePack.
    """
    from .book import find
    from .errors import EnrollingError
    from .pack import Contents, read_key
    from .pack import write as write_pack

    if bool(ids) == everything:
        raise click.UsageError("say which: IDs, or --all")
    with failing(), opened(places) as (_, known):
        chosen = [find(known, id_) for id_ in ids] if ids else [*known.values()]
        there = {one.id: one for one in chosen if one.status != "removed"}
        if ids and not there:
            raise EnrollingError("there is no anchor to export: what these IDs name was removed")
        contents = Contents(made_ms=now_ms(), who=who, site=site(), anchors=tuple(there.values()))
        write_pack(file, contents, read_key(key_file) if key_file else None)
    # On every new site, which is backed up all the same.
    nothing = "" if there else ": nothing is enrolled"
    click.echo(f"{file}: {len(there)} anchors{nothing}", err=True)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Take the pack's version where it is otherwise here")
@click.option("--disabled", is_flag=True, help="Daemons use none of it until it is enabled")
@click.option("--dry-run", is_flag=True, help="Say what would be done")
@click.option("--why", default="", help="For the history")
@KEY
@WHO
@WHERE
def import_(
    places: Places,
    file: Path,
    replace: bool,
    disabled: bool,
    dry_run: bool,
    why: str,
    key_file: Path | None,
    who: str,
) -> None:
    """Take anchors from FILE, all of which is checked before any is taken."""
    from .pack import imported, read, read_key, sort

    with failing(), opened(places) as (kept, known):
        contents, is_signed = read(file, read_key(key_file) if key_file else None)
        if is_signed and not key_file:
            click.echo(f"{file}: signed, which nobody checked: no --key-file", err=True)
        found = sort(contents.anchors, known)
        for one in found.known:
            click.echo(f"known        {one.id} {one.name}")
        for one, reason in found.conflicting:
            click.echo(f"conflicting  {one.id} {one.name}: {reason}")
        origin = f"from {file.name} of {contents.who} at {contents.site}"
        doing = act("imported", who, f"{origin}; {why}" if why else origin)
        taken = [*found.new, *((one for one, _ in found.conflicting) if replace else ())]
        made = [imported(one, known.get(one.id), doing, disabled=disabled) for one in taken]
        for one in made:
            click.echo(f"{'new' if one.id not in known else 'replaced':<12} {one.id} {one.name}")
        if not dry_run:
            write(kept, made, "")
        click.echo(f"{file}: {len(made)} {'would be ' if dry_run else ''}imported", err=True)
        if found.conflicting and not replace:
            fail("what is otherwise here stays as it is; --replace takes the pack's")
