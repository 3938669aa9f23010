"""A capture: rows on disk, Parquet or CSV, resampled to a model's step and cut into windows.

Columns: `link`, `t_ms` (Unix time of the start of the step, milliseconds), one column for each
feature (NaN = not observed, never zero), and, where known, `label` and `kind` (null = do not
learn from or score this row). What a daemon kept has a `source` and columns that begin `verdict_`
too. Steps may jitter and rows may be missing. This file alone knows pandas; it is imported by
what reads captures, never by a daemon that reads Kafka.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .message import MAX_TIME_MS
from .window import LARGEST, WindowError, WindowSpec, check_name, is_count

SHIPPED = Path(__file__).parent.parent / "training" / "captures"  # the capture of `make demo`
TEXTS = ("link", "label", "kind")
SPREAD = 100_000  # steps that a link's rows may always cover, however few they are
NOT_FEATURES = ("t_ms", "source", *TEXTS)
SAID = "verdict_"  # so begin the columns of what a daemon said of its windows


class CaptureError(ValueError):
    """A capture can't be read; the message says which file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class LinkCapture:
    """One link's rows on an even grid of steps; steps without a row are NaN throughout."""

    link: str
    start_ms: int  # Unix time of the start of the first step, milliseconds
    step_ms: int
    values: NDArray[np.float32]  # (rows, features)
    labels: NDArray[np.object_]  # (rows,) str, or None where the truth isn't known
    kinds: NDArray[np.object_]  # (rows,) str, or None

    @property
    def run(self) -> str:
        """What this link was recorded with: links `RUN/PLACE` saw one and the same traffic."""
        return run_of(self.link)

    def windows(self, steps: int) -> NDArray[np.float32]:
        """Every window of *steps* rows, as a view: (rows - steps + 1, steps, features)."""
        if len(self.values) < steps:
            return np.empty((0, steps, self.values.shape[1]), np.float32)
        views = np.lib.stride_tricks.sliding_window_view(self.values, steps, axis=0)
        return views.transpose(0, 2, 1)

    def only(self, labels: Collection[str]) -> "LinkCapture":
        """Give this link without any other labels: rows that had one have none; kinds stay."""
        kept = [label if label in labels else None for label in self.labels]
        return replace(self, labels=np.array(kept, object))

    def usable(self, spec: WindowSpec) -> NDArray[np.bool_]:
        """Tell which of `windows` have enough observed steps to be judged: (windows,)."""
        if len(self.values) < spec.steps:
            return np.empty(0, bool)
        known = ~np.isnan(self.values)
        observed = np.lib.stride_tricks.sliding_window_view(known, spec.steps, axis=0).mean(
            axis=-1
        )
        usable: NDArray[np.bool_] = np.all(~spec.is_short(observed), axis=1)
        return usable


def run_of(link: str) -> str:
    """Give the part of a link's name before its last slash; links that share it stay together.

    >>> run_of("d03_mixed/access"), run_of("trunk-7")
    ('d03_mixed', 'trunk-7')
    """
    return link.rpartition("/")[0] or link


def read_table(paths: Iterable[Path]) -> pd.DataFrame:
    """Read capture files, and all that lie in the folders among *paths*, into one table.

    Raises:
        CaptureError: if there is none, or one isn't a capture.
    """
    paths = list(paths)
    read: dict[Path, pd.DataFrame] = {}
    for file in [file for path in paths for file in files_of(path)]:
        try:
            read[file] = _read(file)
        except CaptureError:
            # A daemon that still writes to a folder puts files together and deletes old ones.
            if file in paths or file.exists():
                raise
    if not read:
        raise CaptureError(f"{_listed(paths)}: no .parquet or .csv file, nor a folder with one")
    first = next(iter(read))
    features = set(features_of(read[first]))
    for file, table in read.items():
        odd = sorted(features.symmetric_difference(features_of(table)))
        if odd:
            names = ", ".join(odd[:6])
            raise CaptureError(f"{file}: has not the same features as {first}: {names}")
    return pd.concat(read.values(), ignore_index=True)


def features_of(table: pd.DataFrame) -> tuple[str, ...]:
    """List the features that a capture holds, in its own order."""
    names = [str(name) for name in table.columns if name not in NOT_FEATURES]
    return tuple(name for name in names if not name.startswith(SAID))


def usual_step_ms(table: pd.DataFrame) -> int:
    """Find the median time between a link's neighbouring rows, milliseconds."""
    gaps = table.sort_values("t_ms").groupby("link", sort=False)["t_ms"].diff()
    gaps = gaps[gaps > 0]
    if gaps.empty:
        raise CaptureError("no link has two rows, so there is no step")
    return int(gaps.median())


def links_of(
    table: pd.DataFrame, features: Sequence[str], step_ms: int, only: Sequence[str] = ("*",)
) -> list[LinkCapture]:
    """Split a table into links on an even grid of *step_ms*, those that match a pattern of *only*.

    Rows that are finer than the step are added up (means and maxima by their names: `_ms`,
    `_per_second`, `_max`); rows at about the step are put on the nearest grid point.

    Raises:
        CaptureError: if a feature is missing, the rows are coarser than the step, a link's name
            is unusable, or nothing matches.
    """
    missing = [name for name in features if name not in table.columns]
    if missing:
        raise CaptureError(f"the capture lacks the feature {missing[0]!r}")
    native_ms = usual_step_ms(table)
    if native_ms > 1.5 * step_ms:
        raise CaptureError(
            f"the capture has a row every {native_ms} ms, the model needs {step_ms}"
        )
    links = []
    for link, rows in table.groupby("link", sort=True):
        if any(fnmatchcase(str(link), pattern) for pattern in only):
            links.append(_on_grid(str(link), rows, list(features), step_ms, native_ms))
    if not links:
        raise CaptureError(f"no link matches {', '.join(only)}")
    return links


def read_links(
    paths: Iterable[Path], spec: WindowSpec, only: Sequence[str] = ("*",)
) -> list[LinkCapture]:
    """Read captures as a model's spec needs them; its optional features may be absent."""
    paths = list(paths)
    table = read_table(paths)
    absent = [name for name in spec.optional if name not in table.columns]
    table = table.assign(**dict.fromkeys(absent, np.nan))
    try:
        return links_of(table, spec.features, spec.step_ms, only)
    except CaptureError as error:
        raise CaptureError(f"{_listed(paths)}: {error}") from error


def files_of(path: Path) -> list[Path]:
    """List the capture files at *path*: itself, or all in a folder."""
    if not path.is_dir():
        return [path]
    # A folder that is gone since it was listed, as of a day that a store forgets, is passed over.
    found = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    return sorted(file for file in found if file.suffix in (".parquet", ".csv"))


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths)) or "no capture is named"


def _read(file: Path) -> pd.DataFrame:
    try:
        if file.suffix == ".csv":
            table = pd.read_csv(file, dtype=dict.fromkeys(TEXTS, str))  # or link 7 becomes 7.0
        else:
            table = pd.read_parquet(file)
    # Of a damaged file pandas and pyarrow may say nearly anything.
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
        raise CaptureError(f"{file}: not readable as a capture: {error}") from error
    for name in ("link", "t_ms"):
        if name not in table.columns:
            raise CaptureError(f"{file}: has no column {name!r}")
    for name in ("label", "kind"):
        if name not in table.columns:
            table[name] = None
    features = features_of(table)
    if not features:
        raise CaptureError(f"{file}: has no features")
    return _in_numbers(file, table, features)


def _in_numbers(file: Path, table: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Give the columns their types, and refuse what no daemon would take."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what that makes is refused below
            table = table.astype(dict.fromkeys(features, np.float32) | {"t_ms": np.int64})
    except (ValueError, TypeError) as error:
        raise CaptureError(
            f"{file}: a column holds something else than numbers: {error}"
        ) from error
    for name in features:
        if (table[name].abs() > LARGEST).any():
            raise CaptureError(f"{file}: a {name!r} is infinite, or beyond {LARGEST:g}")
    if not table["t_ms"].between(0, MAX_TIME_MS).all():
        raise CaptureError(f"{file}: a t_ms is no Unix time in milliseconds")
    if table["link"].isna().any():
        raise CaptureError(f"{file}: a row has no link")
    return table.assign(link=table["link"].astype(str))


def _on_grid(
    link: str, rows: pd.DataFrame, features: list[str], step_ms: int, native_ms: int
) -> LinkCapture:
    try:
        check_name("link", link)
    except WindowError as error:
        raise CaptureError(str(error)) from error
    start_ms = int(rows["t_ms"].min())
    offset = rows["t_ms"].to_numpy() - start_ms
    fine = native_ms < 0.75 * step_ms
    place = offset // step_ms if fine else np.rint(offset / step_ms).astype(np.int64)
    if place.max() >= SPREAD + 100 * len(rows):  # a grid of it would fill the memory
        steps = f"{place.max() + 1} steps of {step_ms} ms"
        raise CaptureError(f"link {link!r}: {len(rows)} rows over {steps}; is a t_ms wrong?")
    grid = pd.RangeIndex(int(place.max()) + 1)
    values = _merge(rows[features], place, fine).reindex(grid)
    truth = _agreed(rows[["label", "kind"]].astype(object), place).reindex(grid)
    truth = truth.map(str, na_action="ignore").astype(object)
    truth = truth.where(truth.notna(), None)
    return LinkCapture(
        link,
        start_ms,
        step_ms,
        np.ascontiguousarray(values.to_numpy(np.float32)),
        truth["label"].to_numpy(object),
        truth["kind"].to_numpy(object),
    )


def _merge(values: pd.DataFrame, place: NDArray[np.int64], fine: bool) -> pd.DataFrame:
    """Several rows of one step become one; NaN only where none of them observed anything."""
    if len(np.unique(place)) == len(place):
        return values.set_axis(place)
    groups = values.groupby(place)
    if not fine:
        return groups.last()
    how = {name: "sum" if is_count(name) else _mean_or_max(name) for name in values.columns}
    sums = groups.agg(how)
    return sums.where(groups.count() > 0)


def _mean_or_max(name: str) -> str:
    return "max" if "_max" in name else "mean"


def _agreed(truth: pd.DataFrame, place: NDArray[np.int64]) -> pd.DataFrame:
    """Give the label and kind that all rows of a step share, or nothing where they differ."""
    if len(np.unique(place)) == len(place):
        return truth.set_axis(place)
    groups = truth.groupby(place)
    return groups.first().where(groups.nunique(dropna=False) == 1)
