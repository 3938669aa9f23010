"""`anchorwatch`: the tool. Each command reads its arguments, calls one function, and prints.

Heavy libraries are imported inside the commands, so that `--help` answers at once.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from detector import __version__
from detector.config import Unknown
from detector.probe.cli import capture
from detector.top.cli import top

from .enrolling import cli as enrolling
from .failing import EX_CONFIG, fail, tell
from .judging.cli import evaluate
from .lab.cli import lab
from .naming.cli import label
from .plots.cli import plot
from .promotion import cli as promotion
from .replay_cli import replay
from .retraining.cli import retrain
from .search.cli import search
from .settings import PRESETS, Settings

PATHS = click.Path(exists=True, path_type=Path)
UNKNOWN = Unknown()  # where a default comes from


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 99, "show_default": True}


def _training_options(command: Any) -> Any:
    """Give *command* an option for each training setting that has a help text."""
    for setting in reversed(dataclasses.fields(Settings)):
        if not (facts := setting.metadata):
            continue
        is_many = isinstance(setting.default, tuple)
        kind = type(setting.default[0] if is_many and setting.default else setting.default)
        name = "--" + setting.name.replace("_", "-")
        command = click.option(
            f"{name}/--no-{name[2:]}" if kind is bool else name,
            type=_type(kind, facts),
            multiple=is_many,
            default=setting.default,
            help=facts["help"] + ("; can be given several times" if is_many else ""),
        )(command)
    return command


def _type(kind: type, facts: Mapping[str, Any]) -> "click.ParamType[Any] | None":
    """Give what click is to check a setting by."""
    if facts["choices"]:
        return click.Choice(facts["choices"])
    bounds = {"min": facts["least"], "max": facts["most"]}
    ranges: dict[type, Any] = {int: click.IntRange, float: click.FloatRange}
    return ranges[kind](**bounds) if kind in ranges else None


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="anchorwatch")
def main() -> None:
    """Train, judge and feed anchorwatch."""


for command in (
    *(capture, lab, replay, evaluate, search, plot, top),
    *(label, *enrolling.COMMANDS, retrain, *promotion.COMMANDS),
):
    main.add_command(command)


@main.command()
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Bundle to write")
@click.option("--replace", is_flag=True, help="Replace the bundle that is there")
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="LABEL=LINK@START_MS",
    help="Reference window of a label; none given = the medoid of its windows",
)
@click.option(
    "--preset",
    type=click.Choice([*PRESETS]),
    default="default",
    help="Recipe to begin with; options that are given change it",
)
@click.option(
    "--trace",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep how the embedding came to be, for `anchorwatch plot` (.npz)",
)
@_training_options
@click.pass_context
def train(
    context: click.Context,
    /,
    captures: tuple[Path, ...],
    out: Path,
    replace: bool,
    preset: str,
    trace: Path | None,
    **chosen: Any,
) -> None:
    """Train an encoder on CAPTURES (files or folders) and write a bundle."""
    from detector.bundle import MANIFEST, BundleError, save
    from detector.capture import CaptureError

    default = click.core.ParameterSource.DEFAULT
    given = {
        name: value
        for name, value in chosen.items()
        if context.get_parameter_source(name) is not default
    }
    given["anchors"] = dict(_pair(text) for text in chosen["anchors"])
    if out.exists() and not (replace and (out / MANIFEST).is_file()):  # not after the work
        raise click.UsageError(f"{out} is there; --replace replaces bundles, and nothing else")
    from .data import UnmatchedError
    from .progress import EpochBar
    from .trace import TraceError

    try:
        from .train import train as run  # TensorFlow takes seconds to import

        with EpochBar() as bar:
            bundle = run(captures, Settings(**(PRESETS[preset] | given)), bar, trace)
        bundle_id = save(bundle, out, replace=replace)
    except ModuleNotFoundError as error:
        fail(f"training needs {error.name}: pip install 'anchorwatch[train]'")
    except UnmatchedError as error:
        raise click.UsageError(f"{error.option} {error.why}") from error
    except (CaptureError, BundleError, TraceError, OSError) as error:
        fail(error)
    scores = ", ".join(f"{name} {n:g}" for name, n in bundle.manifest.training.scores.items())
    click.echo(f"{out}: bundle {bundle_id}; {scores}")


@main.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--out", type=click.Path(path_type=Path), help="Bundle to write; else BUNDLE itself")
@click.option("--links", multiple=True, default=("*",), help="Links to calibrate on (patterns)")
@click.option(
    "--assume-normal",
    is_flag=True,
    help="Take rows without a label for normal: traffic of days on which nothing was wrong",
)
@click.option(
    "--force", is_flag=True, help="Write thresholds that too little traffic has put out of reach"
)
def calibrate(
    bundle: Path,
    captures: tuple[Path, ...],
    out: Path | None,
    links: tuple[str, ...],
    assume_normal: bool,
    force: bool,
) -> None:
    """Find anew from when on windows are unknown to BUNDLE, on traffic of your own.

    Runs of CAPTURES that the bundle has learnt from say nothing and are left out. The daemon's
    budget ([unknown] false_alarms_a_link_week) is kept the better the more hours there are.
    Where there are so few that nothing would be unknown any more, nothing is written.
    """
    from detector.bundle import BundleError, load, save
    from detector.bundles import is_store, resolve
    from detector.capture import CaptureError, read_links

    from .recalibrate import as_text, doubt, recalibrated

    if out is None and is_store(bundle):
        raise click.UsageError(
            "versions in a bundle store never change: give --out, and `anchorwatch bundles --add`"
        )
    budget = UNKNOWN.false_alarms_a_link_week
    try:
        loaded = load(resolve(bundle))
        found = read_links(captures, loaded.manifest.window, links)
        made = recalibrated(loaded, found, assume_normal=assume_normal)
        said = "\n".join(as_text(loaded, made, budget))
        why = doubt(loaded, made, budget)
        if why and not force:
            tell(said)
            fail(f"nothing is written: {why}, or --force")
        bundle_id = save(made, out or bundle, replace=out is None)
    except BundleError as error:
        fail(error, EX_CONFIG)
    except (CaptureError, OSError) as error:
        fail(error)
    click.echo(said)
    if why:
        tell(why)
    click.echo(f"{out or bundle}: bundle {bundle_id}")


def _pair(text: str) -> tuple[str, str]:
    label, sign, where = text.partition("=")
    if not sign or "@" not in where:
        raise click.UsageError(f"--anchor {text!r}: give LABEL=LINK@START_MS")
    return label, where
