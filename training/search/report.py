"""The report of a search: who did how well, as plain data, and the command to go on with."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from training.settings import Settings

from .folds import Fold
from .journal import Candidate
from .pin import SETTINGS, as_text
from .ranking import in_order
from .refining import name_of


@dataclass(frozen=True, slots=True)
class Row:
    """A candidate and all that is known of it."""

    candidate: Candidate
    before: int | None  # rank after the ranking; None if it was given up
    refined: Mapping[str, float]  # macro-F1 of whole trainings, by fold: means over seeds
    seconds: float | None  # of a whole training
    parameters: int | None
    windows_per_second: float | None

    @property
    def score(self) -> float | None:
        """The mean over the folds of whole trainings."""
        return float(np.mean([*self.refined.values()])) if self.refined else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over the folds."""
        return float(np.std([*self.refined.values()])) if self.refined else None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a search found; rows are in order, whole trainings first, those given up last."""

    rows: Sequence[Row]
    folds: Sequence[str]
    finished: bool
    default: Settings
    captures: Sequence[Path]
    seed: int

    @property
    def winner(self) -> Row | None:
        """The first in order, if any was judged on all folds."""
        first = self.rows[0] if self.rows else None
        return first if first and first.before is not None else None

    @property
    def correlation(self) -> float | None:
        """Spearman's, of the two stages; None for fewer than three candidates in both."""
        both = [(row.candidate.score, row.score) for row in self.rows if row.score is not None]
        if len(both) < 3:
            return None
        ranks = [_ranks([pair[side] for pair in both]) for side in (0, 1)]
        if min(np.std(one) for one in ranks) == 0:
            return None
        return float(np.corrcoef(ranks)[0, 1])


def make_report(
    candidates: Sequence[Candidate],
    refined: Mapping[str, Mapping[str, float]],
    folds: Sequence[Fold],
    seeds: Sequence[int],
    **facts: Any,
) -> Report:
    """Put candidates in order: by whole trainings, then by brief ones, then those given up."""
    before = {one.number: rank for rank, one in enumerate(in_order(candidates), 1)}
    rows = [
        _row(one, before.get(one.number), refined, folds, seeds)
        for one in candidates
        if one.scores
    ]
    rows.sort(key=_place)
    return Report(rows=rows, folds=[fold.name for fold in folds], **facts)


def as_json(report: Report) -> dict[str, Any]:
    """Give a report as plain data."""
    winner = report.winner
    return {
        "finished": report.finished,
        "seed": report.seed,
        "folds": list(report.folds),
        "spearman": _rounded(report.correlation),
        "winner": winner.candidate.number if winner else None,
        "command": command(report) if winner else None,
        "candidates": [_plain(row, report) for row in report.rows],
    }


def command(report: Report) -> str:
    """Give the command that trains a bundle by the winning settings."""
    winner = report.winner
    if winner is None:
        raise ValueError("no candidate was judged on all folds")
    words = ["anchorwatch", "train", *map(str, report.captures), "--out", "bundle"]
    for name, value in other(winner.candidate.settings, Settings()).items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [f"--{option}", as_text(one)]
    return shlex.join(words)


def _row(
    one: Candidate,
    before: int | None,
    refined: Mapping[str, Mapping[str, float]],
    folds: Sequence[Fold],
    seeds: Sequence[int],
) -> Row:
    """Gather what was noted; whole trainings count once all folds and seeds are there."""
    by_fold = [[refined.get(name_of(one, fold, seed)) for seed in seeds] for fold in folds]
    found = [noted for fits in by_fold for noted in fits if noted is not None]
    if before is None or not found or len(found) < len(folds) * len(seeds):
        return Row(one, before, {}, None, None, None)
    scores = {
        fold.name: float(np.mean([noted["score"] for noted in fits if noted is not None]))
        for fold, fits in zip(folds, by_fold, strict=True)
    }
    seconds = float(np.mean([noted["seconds"] for noted in found]))
    speed = float(found[0]["windows_per_second"])
    return Row(one, before, scores, seconds, int(found[0]["parameters"]), speed)


def _place(row: Row) -> tuple[int, float, int]:
    """Give what rows are sorted by."""
    if row.score is not None:
        return 0, -row.score, row.candidate.number
    if row.before is not None:
        return 1, row.before, row.candidate.number
    return 2, -row.candidate.score, row.candidate.number


def _plain(row: Row, report: Report) -> dict[str, Any]:
    one = row.candidate
    return {
        "candidate": one.number,
        "state": "refined" if row.score is not None else one.state,
        "rank_before": row.before,
        "rank_after": report.rows.index(row) + 1 if row.score is not None else None,
        "score": _rounded(row.score),
        "spread": _rounded(row.spread),
        "scores": {name: _rounded(score) for name, score in row.refined.items()},
        "brief_score": _rounded(one.score),
        "brief_spread": _rounded(one.spread),
        "brief_scores": {name: _rounded(score) for name, score in one.scores.items()},
        "brief_seconds": round(one.seconds, 1),
        "train_seconds": row.seconds,
        "parameters": row.parameters,
        "windows_per_second": row.windows_per_second,
        "settings": other(one.settings, report.default),
    }


def other(settings: Settings, default: Settings) -> dict[str, Any]:
    """Give the settings that differ, `seed` left out."""
    return {
        one.name: getattr(settings, one.name)
        for one in fields(Settings)
        if one.name in SETTINGS and getattr(settings, one.name) != getattr(default, one.name)
    }


def _ranks(values: Sequence[float]) -> list[float]:
    """Give each value's rank; those alike share theirs."""
    return [sum(v < one for v in values) + sum(v == one for v in values) / 2 for one in values]


def _rounded(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(value, 4)
