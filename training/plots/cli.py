"""`anchorwatch plot`: pictures of trainings and of what bundles make of captures.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from detector.config import State
from training.failing import EX_CONFIG, fail

STILL, MOVING = (".png", ".svg"), ".gif"
MOST_LINKS = 6  # panels that one picture has room for
STATE = State()  # where the defaults come from
COUNT = click.IntRange(1)
TRACE = click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
BUNDLE = click.argument("bundle", type=click.Path(exists=True, path_type=Path))
CAPTURES = click.argument(
    "captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
LINKS = click.option(
    "--link", "links", multiple=True, help="Links (patterns); none given = as in training"
)


def _out(*kinds: str) -> Callable[[Any], Any]:
    """Give the option `--out`, for files that end in one of *kinds*."""

    def check(_context: click.Context, _parameter: click.Parameter, path: Path) -> Path:
        if path.suffix.lower() not in kinds:
            raise click.BadParameter(f"{str(path)!r} doesn't end in {', '.join(kinds)}")
        if not path.parent.is_dir():  # not after the work
            raise click.BadParameter(f"{str(path.parent)!r} is no folder")
        return path

    return click.option(
        "--out",
        required=True,
        callback=check,
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"Picture to write: {', '.join(kinds)}; replaces the file that is there",
    )


@click.group()
def plot() -> None:
    """Draw trainings, and what bundles make of captures."""


@plot.command()
@TRACE
@_out(MOVING, *STILL)
def training(trace: Path, out: Path) -> None:
    """Draw how the windows of TRACE came apart: as a film, or at its start, middle and end."""
    with _failing():
        from training.trace import Trace

        from . import animation, style
        from .embedding import stages_figure
        from .projection import Projection

        made = Trace.load(trace)
        projection = Projection.fit(made.points[-1], [made.points, made.anchors])
        if out.suffix.lower() == MOVING:
            animation.save(animation.training_frames(made, projection), out, _tell_frames)
        else:
            style.save(stages_figure(made, projection), out)
    click.echo(out)


@plot.command()
@TRACE
@_out(*STILL)
def loss(trace: Path, out: Path) -> None:
    """Draw the losses of TRACE and its share of active triplets, epoch by epoch."""
    with _failing():
        from training.trace import Trace

        from . import style
        from .loss import loss_figure

        style.save(loss_figure(Trace.load(trace)), out)
    click.echo(out)


@plot.command()
@BUNDLE
@CAPTURES
@click.option(
    "--link",
    "links",
    multiple=True,
    default=("*",),
    show_default=True,
    help=f"Links to draw (patterns), {MOST_LINKS} at most; can be given several times",
)
@click.option(
    "--evidence",
    type=click.FloatRange(0, min_open=True),
    default=STATE.evidence,
    show_default=True,
    help="At which a state changes; more is surer and later",
)
@_out(*STILL)
def run(
    bundle: Path,
    captures: tuple[Path, ...],
    links: tuple[str, ...],
    evidence: float,
    out: Path,
) -> None:
    """Draw how far links of CAPTURES are from each anchor of BUNDLE as time goes."""
    with _failing():
        from detector.bundle import load
        from detector.bundles import resolve
        from detector.capture import read_links
        from detector.encoder import open_encoder
        from training.watched import watch

        from . import style
        from .run import run_figure

        loaded = load(resolve(bundle))
        found = read_links(captures, loaded.manifest.window, links)
        _tell_left_out([link.link for link in found[MOST_LINKS:]])
        encoder = open_encoder(loaded)
        drawn = [
            watch(loaded, encoder, link, State(evidence=evidence)) for link in found[:MOST_LINKS]
        ]
        style.save(run_figure(drawn), out)
    click.echo(out)


@plot.command()
@BUNDLE
@CAPTURES
@LINKS
@_out(*STILL)
def confusion(bundle: Path, captures: tuple[Path, ...], links: tuple[str, ...], out: Path) -> None:
    """Draw what BUNDLE says of each label's windows, on runs of CAPTURES that it has not seen."""
    with _failing():
        from detector.bundle import load
        from detector.bundles import resolve
        from detector.encoder import open_encoder
        from training import watched

        from . import style
        from .confusion import confusion_figure

        loaded = load(resolve(bundle))
        fresh = watched.unseen(loaded, captures, links)
        counts = watched.confusion(loaded, open_encoder(loaded), fresh)
        total = sum(sum(row.values()) for row in counts.values())
        title = f"{total} windows of {_runs(fresh)} that training did not see"
        style.save(confusion_figure(counts, title), out)
    click.echo(out)


@plot.command()
@BUNDLE
@CAPTURES
@LINKS
@click.option(
    "--count", type=COUNT, default=1500, show_default=True, help="Windows to draw, at most"
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Which ones"
)
@_out(*STILL, MOVING)
def embedding(
    bundle: Path,
    captures: tuple[Path, ...],
    links: tuple[str, ...],
    count: int,
    seed: int,
    out: Path,
) -> None:
    """Draw where BUNDLE puts windows of CAPTURES, of runs that it has not seen; a .gif turns."""
    moving = out.suffix.lower() == MOVING
    with _failing():
        from detector.bundle import load
        from detector.bundles import resolve
        from detector.encoder import open_encoder
        from training import watched

        from . import animation, style
        from .embedding import Cloud, embedding_figure
        from .projection import Projection

        loaded = load(resolve(bundle))
        if moving and loaded.manifest.architecture.embedding < 3:
            raise click.UsageError("an embedding of fewer than 3 numbers can't turn: choose .png")
        fresh = watched.unseen(loaded, captures, links)
        windows = watched.embed(open_encoder(loaded), fresh, loaded.manifest.window, count, seed)
        anchors = loaded.anchor_embeddings
        cloud = Cloud(windows.points, windows.labels, anchors, loaded.labels)
        projection = Projection.fit(windows.points, [anchors], turning=moving)
        title = f"{len(windows.labels)} windows of {_runs(fresh)} that training did not see"
        if moving:
            animation.save(animation.turning_frames(cloud, projection, title), out, _tell_frames)
        else:
            style.save(embedding_figure(cloud, projection, title), out)
    click.echo(out)


@contextmanager
def _failing() -> Iterator[None]:
    """Say in one line what went wrong, and end with the right exit code."""
    from detector.bundle import BundleError
    from detector.capture import CaptureError
    from training.trace import TraceError

    try:
        yield
    except ModuleNotFoundError as error:
        fail(f"pictures need {error.name}: pip install 'anchorwatch[train]'")
    except BundleError as error:
        fail(error, EX_CONFIG)
    except (CaptureError, TraceError, OSError) as error:
        fail(error)


def _runs(links: Sequence[Any]) -> str:
    count = len({link.run for link in links})
    return f"{count} run" if count == 1 else f"{count} runs"


def _tell_left_out(names: Sequence[str]) -> None:
    if names:
        more = ", ..." if len(names) > 20 else ""
        listed = ", ".join(map(repr, names[:20]))
        click.echo(f"left out, {MOST_LINKS} links are drawn at most: {listed}{more}", err=True)


def _tell_frames(done: int, count: int) -> None:
    """Tell of long work: a line for each tenth."""
    if done * 10 // count > (done - 1) * 10 // count:
        click.echo(f"drawing: frame {done}/{count}", err=True)
