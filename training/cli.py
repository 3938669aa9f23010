"""`anchorwatch`: the tool. Each command reads its arguments, calls one function, and prints.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from detector import __version__
from detector.config import Kafka, State

from .settings import Settings

EX_CONFIG = 78  # settings or bundle unusable, as in sysexits.h
PATHS = click.Path(exists=True, path_type=Path)
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
@click.option("--steps", default=USUAL.steps, help="Rows in a window")
@click.option("--step-ms", default=USUAL.step_ms, help="Milliseconds of a row")
@click.option(
    "--tail-seconds", default=USUAL.tail_seconds, help="End that gives a window its label"
)
@click.option(
    "--half-life-seconds", default=USUAL.half_life_seconds, help="Smoothing of the inputs"
)
@click.option(
    "--superpose/--no-superpose", default=USUAL.superpose, help="Make two-way traffic too"
)
@click.option(
    "--units", multiple=True, default=USUAL.units, help="LSTM units, once for each layer"
)
@click.option("--embedding", default=USUAL.embedding, help="Numbers in an embedding")
@click.option("--margin", default=USUAL.margin, help="Margin of the loss, squared distance")
@click.option("--learning-rate", default=USUAL.learning_rate, help="Step size of the optimizer")
@click.option("--batch", default=USUAL.batch, help="Triplets in a batch")
@click.option("--batches", default=USUAL.batches, help="Batches in an epoch")
@click.option("--epochs", default=USUAL.epochs, help="Epochs at most")
@click.option("--patience", default=USUAL.patience, help="Epochs without improvement, then stop")
@click.option("--validation-share", default=USUAL.validation_share, help="Share of the runs")
@click.option("--seed", default=USUAL.seed, help="Same captures, same seed: same bundle")
def train(captures: tuple[Path, ...], out: Path, replace: bool, **chosen: Any) -> None:
    """Train an encoder on CAPTURES (files or folders) and write a bundle."""
    from detector.bundle import BundleError, save
    from detector.capture import CaptureError

    chosen["anchors"] = dict(_pair(text) for text in chosen["anchors"])
    _quieten_tensorflow()
    from .progress import EpochBar
    from .train import train as run  # TensorFlow takes seconds to import

    try:
        with EpochBar() as bar:
            bundle = run(captures, Settings(**chosen), bar)
        bundle_id = save(bundle, out, replace=replace)
    except (CaptureError, BundleError) as error:
        _fail(error)
    scores = ", ".join(f"{name} {n:g}" for name, n in bundle.manifest.training.scores.items())
    click.echo(f"{out}: bundle {bundle_id}; {scores}")


@main.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--links", multiple=True, help="Links to judge on; none given = as in training")
@click.option("--agree", default=STATE.agree, help="Windows that must agree on a new state ...")
@click.option("--of", default=STATE.of, help="... of this many")
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

    try:
        loaded = load(bundle)
    except BundleError as error:
        _fail(error, EX_CONFIG)
    try:
        report = run(loaded, captures, only=links, agree=agree, of=of, progress=tell)
    except (CaptureError, ValueError) as error:
        _fail(error)
    click.echo(json.dumps(as_json(report), indent=2) if as_data else as_text(report))


@main.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--links", multiple=True, default=("*",), help="Links to replay (patterns)")
@click.option("--hop", default=1.0, help="Seconds from one window of a link to its next")
@click.option(
    "--verdicts",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Judge in process, one verdict a line to this file; - for stdout",
)
@click.option("--kafka", metavar="HOST:PORT", help="Send the windows to this broker instead")
@click.option("--topic", default=KAFKA.windows, help="Topic to send to")
@click.option("--speed", default=1.0, help="Times life, with --kafka; 0 = as fast as it can")
@click.option("--now", is_flag=True, help="With --kafka: move the traffic's time to now")
@click.option("--json", "as_text", is_flag=True, help="With --kafka: JSON, not MessagePack")
@click.option("--many", default=1, help="With --kafka: windows in a message, at most")
@click.option("--agree", default=STATE.agree, help="Windows that must agree on a new state ...")
@click.option("--of", default=STATE.of, help="... of this many")
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
    try:
        loaded = load(bundle)
        windows = replays.cut(
            loaded, captures, chosen["links"], chosen["hop"], side_by_side=bool(kafka)
        )
    except BundleError as error:
        _fail(error, EX_CONFIG)
    except CaptureError as error:
        _fail(error)
    if verdicts is not None:
        count = replays.judge(loaded, windows, verdicts, chosen["agree"], chosen["of"])
        click.echo(f"{count} verdicts", err=True)
    if kafka is not None:
        pace = replays.Pace(chosen["speed"], now=chosen["now"])
        form = replays.Form(packed=not chosen["as_text"], many=chosen["many"])
        count = replays.send(windows, kafka, chosen["topic"], pace, form)
        click.echo(f"{count} windows sent to {chosen['topic']}", err=True)


def _pair(text: str) -> tuple[str, str]:
    label, sign, where = text.partition("=")
    if not sign or "@" not in where:
        raise click.UsageError(f"--anchor {text!r}: give LABEL=LINK@START_MS")
    return label, where


def _quieten_tensorflow() -> None:
    """Keep its notes on graphics cards off the terminal; warnings and errors still show."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _fail(error: Exception, code: int = 1) -> NoReturn:
    click.echo(f"anchorwatch: {error}", err=True)
    sys.exit(code)
