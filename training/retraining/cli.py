"""`anchorwatch retrain`: a candidate from what was captured and named, for the bundle store."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training.enrolling.commands import WHO, now_ms
from training.failing import EX_CONFIG, fail
from training.places import Places, with_places
from training.promotion.asking import JSON, PATHS, WHY, asked_by

from .held import SHARE

if TYPE_CHECKING:
    from detector.bundles import BundleStore

    from .retrain import Retrained, Wanted

DAY_MS = 86_400_000
EPOCHS, LEARNING_RATE = 6, 1e-3  # from weights; measured in docs/learning-retraining.md
HOURS = click.FloatRange(0, min_open=True)


@click.command()
@with_places("bundles", "store")
@click.option(
    "--captures",
    type=PATHS,
    multiple=True,
    help="Base captures, learnt from besides the store; can be given several times",
)
@click.option(
    "--from-scratch/--from-weights",
    default=True,
    help="Begin anew, or where the running encoder is",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=EPOCHS, help="With --from-weights: so many more"
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="None given = the running bundle's"
)
@click.option(
    "--hold-back",
    type=click.FloatRange(0, 0.9),
    default=SHARE,
    help="Share of the store's hours that no retraining learns from, for promotion",
)
@click.option("--links", multiple=True, default=("*",), help="Links of the store (patterns)")
@click.option("--days", type=HOURS, help="Of the store, back from now; none given = all there are")
@click.option(
    "--hours", type=HOURS, default=24.0, help="Link-hours of each label, from the store at most"
)
@click.option(
    "--for-each",
    type=HOURS,
    default=1.0,
    help="Hours of the store with a label, at most, for each run of it in the base captures",
)
@click.option(
    "--most-gb", type=HOURS, default=4.0, help="Memory for the store's rows; newest days first"
)
@click.option(
    "--if-drift",
    "asked",
    metavar="HOST:PORT",
    multiple=True,
    help="Only if one of these daemons asks for it; can be given several times",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the candidate here, and not to the bundle store",
)
@click.option(
    "--shadow",
    "is_tried",
    is_flag=True,
    help="Let daemons try it in the shadow at once; only if they try no other",
)
@JSON
@WHO
@WHY
def retrain(
    places: Places, asked: tuple[str, ...], as_data: bool, out: Path | None, **chosen: Any
) -> None:
    """Make a candidate from the store, its labels, the base captures and the running recipe.

    It is validated on runs that it has not learnt from, and then learns from those too; it is
    put beside the running bundle and judges nothing until it is promoted. What has no label is
    not learnt from. Anchors that were enrolled need nothing: daemons embed them with whatever
    encoder runs.
    """
    from detector.bundle import BundleError
    from detector.capture import CaptureError

    from .alone import BusyError, alone

    if chosen["is_tried"] and out is not None:
        raise click.UsageError("--shadow is of the bundle store: not with --out")
    if asked and not _is_asked_for(asked):
        return
    if out is not None and out.exists():
        raise click.UsageError(f"{out} is there: choose another place")
    try:
        with alone([*places.stores, *([] if out else [places.bundle_store])]):
            if chosen["is_tried"] and _is_another_tried(places.bundle_store):
                return
            _run(places, out, as_data, chosen)
    except ModuleNotFoundError as error:
        fail(f"training needs {error.name}: pip install 'anchorwatch[train]'")
    except BundleError as error:
        fail(error, EX_CONFIG)
    except (CaptureError, BusyError, OSError) as error:
        fail(error)


def _is_asked_for(asked: tuple[str, ...]) -> bool:
    """Ask daemons, and say so if none wants it."""
    from .asking import AskingError, drifted

    try:
        asking, mute = drifted(asked)
    except AskingError as error:
        fail(error)
    for why in mute:
        click.echo(f"anchorwatch: {why}", err=True)
    if not asking:
        click.echo(f"no drift: none of {len(asked) - len(mute)} daemons asks for a retraining")
    else:
        click.echo(f"drift: {', '.join(asking)}", err=True)
    return bool(asking)


def _is_another_tried(path: Path) -> bool:
    """Whether a candidate is tried: another one would take its place before it proved itself."""
    from detector.bundles import BundleStore

    candidate = BundleStore.open(path).shadow
    if candidate is not None:
        stop = f"anchorwatch shadow {shlex.quote(str(path))} --stop"
        click.echo(f"bundle {candidate} is in the shadow: promote it, or {stop}")
    return candidate is not None


def _run(places: Places, out: Path | None, as_data: bool, chosen: dict[str, Any]) -> None:
    import msgspec

    from detector.bundle import load, save
    from detector.bundles import BundleStore, resolve
    from training.progress import EpochBar

    from .reading import read_stores
    from .retrain import retrain as run  # TensorFlow takes seconds to import
    from .words import as_text, report

    store = None if out else BundleStore.open(places.bundle_store)  # before the work
    running = load(resolve(places.bundle_store))
    at_ms = now_ms()
    stored = read_stores(
        places.stores,
        running.manifest.window,
        only=chosen["links"],
        since_ms=round(at_ms - chosen["days"] * DAY_MS) if chosen["days"] else None,
        most_bytes=chosen["most_gb"] * 1e9,
        tell=lambda what: click.echo(what, err=True),
    )
    wanted = _wanted(chosen, running.manifest.training.seed)
    problem = ""
    with EpochBar() as bar:
        made = run(running, chosen["captures"], stored, wanted, bar)
    if store:
        bundle_id = store.add(made.bundle, chosen["who"], chosen["why"] or _why(made), at_ms)
        following = f"anchorwatch shadow {shlex.quote(str(store.path))} {bundle_id}"
        problem = _try(store, bundle_id, chosen) if chosen["is_tried"] else ""
        if chosen["is_tried"] and not problem:
            following = f"anchorwatch promote {shlex.quote(str(store.path))} {bundle_id}"
    elif out:
        bundle_id = save(made.bundle, out)
        following = f"anchorwatch bundles BUNDLES --add {shlex.quote(str(out))}"
    said = report(running, bundle_id, made, following)
    as_json = msgspec.json.format(msgspec.json.encode(said), indent=2).decode()
    click.echo(as_json if as_data else as_text(said))
    if problem:  # last, for what was trained is there all the same
        fail(problem)


def _try(store: "BundleStore", bundle_id: str, chosen: dict[str, Any]) -> str:
    """Put a candidate into the shadow; say why it could not be."""
    from training.promotion.deeds import PromotionError, put_into_shadow

    by = asked_by(chosen["who"], chosen["why"] or "it was retrained")
    try:
        warning = put_into_shadow(store, bundle_id, by)
    except PromotionError as error:
        return str(error)
    if warning:
        click.echo(f"anchorwatch: {warning}", err=True)
    return ""


def _wanted(chosen: dict[str, Any], seed: int) -> "Wanted":
    from .gathered import Limits
    from .retrain import Wanted

    seed = seed if chosen["seed"] is None else chosen["seed"]
    limits = Limits(
        hours=chosen["hours"],
        for_each=chosen["for_each"],
        hold_back=chosen["hold_back"],
        seed=seed,
    )
    if chosen["from_scratch"]:
        return Wanted(limits=limits, seed=seed)
    return Wanted(limits=limits, seed=seed, epochs=chosen["epochs"], learning_rate=LEARNING_RATE)


def _why(made: "Retrained") -> str:
    parts = len(made.gathered.links)
    return f"retrained from {parts} pieces of the store and {len(made.base)} links"
