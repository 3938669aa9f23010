"""`anchorwatch evaluate`: judging a bundle, or its recipe, beside the plain methods."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from training.failing import EX_CONFIG, fail

PATHS = click.Path(exists=True, path_type=Path)
COUNT = click.IntRange(1)
RIVALS = (  # by name, without importing what they need; a test holds this to training.rivals
    *("answer-ratio rule", "nearest neighbour (one reference)"),
    *("logistic regression", "logistic regression, with changes"),
    *("logistic regression on ratios", "logistic regression on ratios, with changes"),
    *("linear discriminant on ratios", "MiniRocket + ridge"),
)


def recipe_options(command: Any) -> Any:
    """Give *command* the options of `--recipe`."""
    options = (
        click.option(
            "--recipe",
            is_flag=True,
            help="Train BUNDLE's recipe anew without some runs, again and again",
        ),
        click.option(
            "--seeds", type=COUNT, default=3, help="With --recipe: trainings of each fold"
        ),
        click.option(
            "--folds",
            type=click.IntRange(0),
            default=4,
            help="With --recipe: parts that the runs are dealt to, each left out once; 0 = don't",
        ),
        click.option(
            "--mix",
            "mixes",
            multiple=True,
            metavar="PATTERN[,PATTERN]",
            help="With --recipe: runs of one mix of traffic, left out together; several times",
        ),
        click.option(
            "--unseen",
            multiple=True,
            metavar="PATTERN[,PATTERN]",
            help="With --recipe: kinds or labels left out, then shown again; several times",
        ),
        click.option(
            "--work",
            type=click.Path(file_okay=False, path_type=Path),
            help="With --recipe: keep what is done here, and go on from it next time",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("bundle", type=PATHS)
@click.argument("captures", nargs=-1, required=True, type=PATHS)
@click.option("--links", multiple=True, help="Links to judge on; none given = as in training")
@click.option(
    "--rival", "rivals", multiple=True, type=click.Choice(RIVALS), help="Plain methods; none = all"
)
@click.option("--no-rivals", is_flag=True, help="The encoder alone")
@click.option(
    "--agree",
    type=COUNT,
    default=3,
    help="Windows that must agree on a state, for methods that only name windows ...",
)
@click.option("--of", type=COUNT, default=5, help="... of this many")
@click.option("--json", "as_data", is_flag=True, help="Print JSON")
@click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page with plots and tables too (.html)",
)
@recipe_options
def evaluate(
    bundle: Path,
    captures: tuple[Path, ...],
    as_data: bool,
    page: Path | None,
    **chosen: Any,
) -> None:
    """Judge BUNDLE, and plain methods beside it, on runs of CAPTURES that it has not seen.

    The plain methods are trained on the runs that the bundle learnt from, so CAPTURES must hold
    those too. With --recipe it is the recipe that is judged: trained anew for every fold and
    seed without the runs that it is judged on. That takes about a minute a training.
    """
    import msgspec

    from detector import durable
    from detector.bundle import BundleError, load
    from detector.bundles import resolve
    from detector.capture import CaptureError
    from training.report.page import as_html
    from training.report.text import as_text

    check_majority(chosen["agree"], chosen["of"])
    if chosen["recipe"] and not (chosen["folds"] or chosen["mixes"] or chosen["unseen"]):
        raise click.UsageError("--folds 0 leaves nothing to do without --mix or --unseen")
    chosen["rivals"] = () if chosen.pop("no_rivals") else chosen["rivals"] or RIVALS
    try:
        judge = _judge_recipe if chosen.pop("recipe") else _judge_bundle
        study = judge(load(resolve(bundle)), captures, chosen, _tell)
        if page:
            durable.write(page, as_html(study, f"anchorwatch: {bundle.name}").encode())
            click.echo(page, err=True)
    except BundleError as error:
        fail(error, EX_CONFIG)
    except (CaptureError, OSError) as error:
        fail(error)
    if as_data:
        click.echo(msgspec.json.format(msgspec.json.encode(study), indent=2))
    else:
        click.echo(as_text(study))


def _judge_bundle(
    bundle: Any, captures: tuple[Path, ...], chosen: dict[str, Any], tell: Callable[[str], None]
) -> Any:
    from .evaluate import Judging, evaluate

    judging = Judging(
        only=chosen["links"],
        agree=chosen["agree"],
        of=chosen["of"],
        rivals=chosen["rivals"],
    )
    return evaluate(bundle, captures, judging, tell)


def _judge_recipe(
    bundle: Any, captures: tuple[Path, ...], chosen: dict[str, Any], tell: Callable[[str], None]
) -> Any:
    try:
        from .design import Design
        from .validation import validate  # TensorFlow takes seconds to import
    except ModuleNotFoundError as error:
        fail(f"--recipe needs {error.name}: pip install 'anchorwatch[train]'")
    from .recalled import recalled

    design = Design(
        settings=recalled(bundle.manifest),
        seeds=tuple(range(chosen["seeds"])),
        folds=chosen["folds"],
        mixes=chosen["mixes"],
        unseen=chosen["unseen"],
        judge=chosen["links"] or bundle.manifest.training.links,
        rivals=chosen["rivals"],
        agree=chosen["agree"],
        of=chosen["of"],
    )
    return validate(captures, design, chosen["work"], tell)


def check_majority(agree: int, of: int) -> None:
    """Refuse a rule by which two labels could be the state at once."""
    if not of < 2 * agree <= 2 * of:
        raise click.UsageError("--agree must be more than half of --of, and no more than it")


def _tell(what: str) -> None:
    click.echo(f"judging: {what}", err=True)
