"""`anchorwatch enroll`: arguments in, a preview out, and an anchor published."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from training.failing import EX_CONFIG, fail
from training.places import Places, with_places

from .anchors_cli import anchors
from .commands import WHO, Time, answering, now_ms

WINDOWS = 8  # docs/experiments.md, "Enrolling one incident"
DAYS = 7.0


@click.command()
@click.option("--label", required=True, help="What the fault is called from now on")
@click.option("--link", required=True, help="Where it was seen")
@click.option("--from", "from_ms", type=Time(), metavar="TIME", help="When it began")
@click.option("--to", "to_ms", type=Time(), metavar="TIME", help="When it was over")
@click.option(
    "--captures",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Captures that hold it, instead of the store; without --from and --to all of the link. "
    "Can be given several times",
)
@click.option(
    "--windows", type=click.IntRange(1, 64), default=WINDOWS, help="Windows to enrol, at most"
)
@click.option(
    "--reach",
    type=click.FloatRange(0, 10, min_open=True),
    help="How far from its windows it still names what it sees, in distances to what is known; "
    "else the widest that keeps the budget and takes little from other faults",
)
@click.option("--kind", default="", help="What sort of that fault it is")
@click.option("--why", default="", help="For the history")
@WHO
@click.option(
    "--expires", type=Time(), metavar="TIME", help="When daemons are to forget it; else never"
)
@click.option(
    "--days",
    type=click.FloatRange(0, min_open=True),
    default=DAYS,
    help="Of the store that the preview is of",
)
@click.option(
    "--most",
    type=click.IntRange(1),
    default=500_000,
    help="Windows that the preview judges; of more traffic, some is drawn by chance",
)
@click.option("--preview", "only_preview", is_flag=True, help="Show what it would do, and end")
@click.option("--yes", is_flag=True, help="Publish without asking")
@click.option("--over-budget", is_flag=True, help="Publish though it has too many false alarms")
@click.option("--json", "as_json", is_flag=True, help="Print the preview as JSON")
@with_places("bundles", "store", "kafka")
def enroll(places: Places, **chosen: Any) -> None:
    """Show an incident to all daemons that run: whatever is like it has the label from then on.

    A preview comes first: what it would have done to the traffic that was captured, and whether
    its false alarms are within [unknown] false_alarms_a_link_week. Times are UTC: ISO 8601,
    HH:MM of today, or -15m.
    """
    from detector.bundle import BundleError
    from detector.capture import CaptureError
    from detector.enrolment import EnrolmentError

    from .enrol import Asked
    from .errors import EnrollingError

    asked = Asked(
        **{name: chosen[name] for name in Asked.__dataclass_fields__ if name in chosen},
        now_ms=now_ms(),
    )
    _check_usage(places, chosen, asked.now_ms)
    try:
        with answering(places):
            _enrol(places, asked, chosen)
    except BundleError as error:
        fail(str(error), EX_CONFIG)
    except (CaptureError, EnrolmentError, EnrollingError, OSError) as error:
        fail(str(error))


def _check_usage(places: Places, chosen: dict[str, Any], at_ms: int) -> None:
    """Refuse before any work is done what would be refused after it."""
    if not chosen["captures"]:
        _ = places.stores
        if chosen["from_ms"] is None or chosen["to_ms"] is None:
            raise click.UsageError("say when it was: --from and --to")
    if None not in (times := (chosen["from_ms"], chosen["to_ms"])) and times[0] >= times[1]:
        raise click.UsageError("--from is not before --to")
    if chosen["expires"] is not None and chosen["expires"] <= at_ms:
        raise click.UsageError("--expires is past: no daemon would ever use it")
    if not (chosen["only_preview"] or chosen["yes"] or sys.stdin.isatty()):
        raise click.UsageError("there is no terminal to ask at: give --yes, or --preview")


def _enrol(places: Places, asked: Any, chosen: dict[str, Any]) -> None:
    from .book import read_all
    from .enrol import prepare, publish
    from .places import open_kept, where
    from .words import as_plain, preview_lines

    kept = None if chosen["only_preview"] and _is_alone(places) else open_kept(places)
    try:
        known = read_all(kept) if kept else {}
        made, found, others = prepare(asked, places, known, _progress, _tell)
        if chosen["as_json"]:
            click.echo(msgspec.json.format(msgspec.json.encode(as_plain(found, others))))
        else:
            _print(list(preview_lines(found, others)))
        if kept is None or chosen["only_preview"]:
            return
        if found.verdict == "over" and not chosen["over_budget"]:
            fail(
                "not published: it would have more false alarms than the budget allows. "
                "Point at less of the incident or at another one, or give --over-budget"
            )
        if not chosen["yes"]:
            click.confirm(f"Publish it to {where(places)}?", abort=True, err=True)
        publish(made, known, kept)
    finally:
        if kept is not None:
            kept.close()
    click.echo(f"{made.id} {made.name} enrolled: {where(places)}", err=chosen["as_json"])


def _is_alone(places: Places) -> bool:
    from detector.bundles import is_store

    return places.kafka is None and not (places.bundles and is_store(places.bundles))


def _progress(done: int, total: int) -> None:
    end = "\n" if done >= total else "\r"
    if sys.stderr.isatty() or done >= total:
        click.echo(f"judged {done} of {total} windows", err=True, nl=False)
        click.echo(end, err=True, nl=False)


def _tell(text: str) -> None:
    click.echo(f"anchorwatch: {text}", err=True)


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)


COMMANDS = (enroll, anchors)
