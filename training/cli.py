"""`anchorwatch`: the tool. Each command reads its arguments, calls one function, and prints.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from detector import __version__
from detector.config import Kafka, State

from .settings import Settings

EX_CONFIG = 78  # settings or bundle unusable, as in sysexits.h
PATHS = click.Path(exists=True, path_type=Path)
COUNT = click.IntRange(1)
SIZE = click.IntRange(1, 4096)  # of a layer
SEED = click.IntRange(0, 2**32 - 1)
ABOVE_0 = click.FloatRange(0, min_open=True)
USUAL, STATE, KAFKA = Settings(), State(), Kafka()  # where the defaults come from


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 99, "show_default": True}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="anchorwatch")
def main() -> None:
    """Train, judge and feed anchorwatch."""


@main.command()
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Bundle to write")
@click.option("--replace", is_flag=True, help="Replace the bundle that is there")
@click.option("--links", multiple=True, default=USUAL.links, help="Links to learn from (patterns)")
@click.option("--leave-out", multiple=True, help="Runs to keep for evaluation (patterns)")
@click.option("--features", multiple=True, help="Feature to read; none given = all")
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="LABEL=LINK@START_MS",
    help="Reference window of a label; none given = the medoid of its windows",
)
@click.option("--steps", type=COUNT, default=USUAL.steps, help="Rows in a window")
@click.option("--step-ms", type=COUNT, default=USUAL.step_ms, help="Milliseconds of a row")
@click.option(
    "--tail-seconds",
    type=click.FloatRange(0),
    default=USUAL.tail_seconds,
    help="End that gives a window its label",
)
@click.option(
    "--half-life",
    "half_lives_seconds",
    type=click.FloatRange(0),
    multiple=True,
    default=USUAL.half_lives_seconds,
    help="Smoothing of the inputs, seconds; once for each",
)
@click.option(
    "--superpose/--no-superpose", default=USUAL.superpose, help="Make two-way traffic too"
)
@click.option(
    "--units",
    type=SIZE,
    multiple=True,
    default=USUAL.units,
    help="LSTM units, once for each layer",
)
@click.option(
    "--drop",
    type=click.FloatRange(0, 1, max_open=True),
    default=USUAL.drop,
    help="Share of inputs hidden while learning",
)
@click.option(
    "--statistics/--no-statistics",
    default=USUAL.statistics,
    help="Show the embedding each input's mean, maximum and minimum",
)
@click.option("--embedding", type=SIZE, default=USUAL.embedding, help="Numbers in an embedding")
@click.option(
    "--margin", type=ABOVE_0, default=USUAL.margin, help="Margin of the loss, squared distance"
)
@click.option(
    "--learning-rate", type=ABOVE_0, default=USUAL.learning_rate, help="Step size of the optimizer"
)
@click.option("--batch", type=COUNT, default=USUAL.batch, help="Triplets in a batch")
@click.option("--batches", type=COUNT, default=USUAL.batches, help="Batches in an epoch")
@click.option("--epochs", type=COUNT, default=USUAL.epochs, help="Epochs at most")
@click.option(
    "--patience", type=COUNT, default=USUAL.patience, help="Epochs without improvement, then stop"
)
@click.option(
    "--validation-share",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=USUAL.validation_share,
    help="Share of the runs",
)
@click.option(
    "--seed", type=SEED, default=USUAL.seed, help="Same captures, same seed: same bundle"
)
def train(captures: tuple[Path, ...], out: Path, replace: bool, **chosen: Any) -> None:
    """Train an encoder on CAPTURES (files or folders) and write a bundle."""
    from detector.bundle import MANIFEST, BundleError, save
    from detector.capture import CaptureError

    chosen["anchors"] = dict(_pair(text) for text in chosen["anchors"])
    if out.exists() and not (replace and (out / MANIFEST).is_file()):  # not after the work
        raise click.UsageError(f"{out} is there; --replace replaces bundles, and nothing else")
    from .progress import EpochBar
    from .train import train as run  # TensorFlow takes seconds to import

    try:
        with EpochBar() as bar:
            bundle = run(captures, Settings(**chosen), bar)
        bundle_id = save(bundle, out, replace=replace)
    except (CaptureError, BundleError, OSError) as error:
        _fail(error)
    scores = ", ".join(f"{name} {n:g}" for name, n in bundle.manifest.training.scores.items())
    click.echo(f"{out}: bundle {bundle_id}; {scores}")


@main.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--links", multiple=True, help="Links to judge on; none given = as in training")
@click.option(
    "--agree", type=COUNT, default=STATE.agree, help="Windows that must agree on a new state ..."
)
@click.option("--of", type=COUNT, default=STATE.of, help="... of this many")
@click.option("--json", "as_data", is_flag=True, help="Print JSON")
def evaluate(
    bundle: Path,
    captures: tuple[Path, ...],
    links: tuple[str, ...],
    agree: int,
    of: int,
    as_data: bool,
) -> None:
    """Judge BUNDLE, and plain methods beside it, on runs of CAPTURES that it has not seen.

    The plain methods are trained on the runs that the bundle learnt from, so CAPTURES must hold
    those too.
    """
    import json

    from detector.bundle import BundleError, load
    from detector.capture import CaptureError

    from .evaluate import as_json
    from .evaluate import evaluate as run
    from .report import as_text

    def tell(what: str) -> None:
        click.echo(f"judging: {what}", err=True)

    _check_majority(agree, of)
    try:
        loaded = load(bundle)
        report = run(loaded, captures, only=links, agree=agree, of=of, progress=tell)
    except BundleError as error:
        _fail(error, EX_CONFIG)
    except CaptureError as error:
        _fail(error)
    click.echo(json.dumps(as_json(report), indent=2) if as_data else as_text(report))


@main.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--links", multiple=True, default=("*",), help="Links to replay (patterns)")
@click.option(
    "--hop", type=ABOVE_0, default=1.0, help="Seconds from one window of a link to its next"
)
@click.option(
    "--verdicts",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Judge in process, one verdict a line to this file; - for stdout",
)
@click.option("--kafka", metavar="HOST:PORT", help="Send the windows to this broker instead")
@click.option("--topic", default=KAFKA.windows, help="Topic to send to")
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=1.0,
    help="Times life, with --kafka; 0 = as fast as it can",
)
@click.option("--now", is_flag=True, help="With --kafka: move the traffic's time to now")
@click.option("--json", "as_text", is_flag=True, help="With --kafka: JSON, not MessagePack")
@click.option("--many", type=COUNT, default=1, help="With --kafka: windows in a message, at most")
@click.option(
    "--agree", type=COUNT, default=STATE.agree, help="Windows that must agree on a new state ..."
)
@click.option("--of", type=COUNT, default=STATE.of, help="... of this many")
def replay(
    bundle: Path,
    captures: tuple[Path, ...],
    verdicts: Path | None,
    kafka: str | None,
    **chosen: Any,
) -> None:
    """Cut CAPTURES into windows as BUNDLE needs them, and judge or send them."""
    from detector.bundle import BundleError, load
    from detector.capture import CaptureError

    from . import replay as replays

    if (verdicts is None) == (kafka is None):
        raise click.UsageError("give one of --verdicts and --kafka")
    _check_majority(chosen["agree"], chosen["of"])
    try:
        loaded = load(bundle)
        windows = replays.cut(
            loaded, captures, chosen["links"], chosen["hop"], side_by_side=bool(kafka)
        )
        if verdicts is not None:
            count = replays.judge(loaded, windows, verdicts, chosen["agree"], chosen["of"])
            click.echo(f"{count} verdicts", err=True)
    except BundleError as error:
        _fail(error, EX_CONFIG)
    except (CaptureError, OSError) as error:
        _fail(error)
    if kafka is not None:
        pace = replays.Pace(chosen["speed"], now=chosen["now"])
        form = replays.Form(packed=not chosen["as_text"], many=chosen["many"])
        count = replays.send(windows, kafka, chosen["topic"], pace, form)
        click.echo(f"{count} windows sent to {chosen['topic']}", err=True)


def _check_majority(agree: int, of: int) -> None:
    if not of < 2 * agree <= 2 * of:
        raise click.UsageError("--agree must be more than half of --of, and no more than it")


def _pair(text: str) -> tuple[str, str]:
    label, sign, where = text.partition("=")
    if not sign or "@" not in where:
        raise click.UsageError(f"--anchor {text!r}: give LABEL=LINK@START_MS")
    return label, where


def _fail(error: Exception, code: int = 1) -> NoReturn:
    click.echo(f"anchorwatch: {error}", err=True)
    sys.exit(code)
