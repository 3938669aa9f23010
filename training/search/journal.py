"""The journal: which candidates there are and how they did, in a file that survives anything.

Optuna chooses the candidates and appends what happens to a journal file, so a search that was
stopped, or killed, goes on where it was. A candidate that was begun is gone on with, at the fold
that it had come to. What candidate N is depends on the seed, N and how those before it did, not
on how often the search was started anew.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FixedTrial, FrozenTrial, Trial, TrialState

from training.settings import Settings

from .space import Space

JOURNAL, LOCK = "journal.jsonl", "lock"
NAME = "search"  # in the journal
RANDOM = 10  # candidates that are drawn blindly, before what is known guides the next
UNPRUNED = 5  # candidates that all have been ranked before one can be given up
TRIES = 30  # to find a candidate that there isn't yet
OTHER = {  # what a journal belongs to, and what it is called when it is another
    "version": "by another version of anchorwatch",
    "captures": "on other captures",
    "space": "of another space (--fix)",
    "seed": "with another --seed",
    "folds": "with another number of --folds",
    "mixes": "with other mixes (--mix)",
    "batches": "with other --batches",
    "windows": "with other --windows",
    "frozen_front": "with or without --frozen-front, unlike this one",
}


class JournalError(ValueError):
    """A folder can't be searched in; the message says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that were tried, and how they did so far; number 0 is the default."""

    number: int
    settings: Settings
    state: str  # "ranked", "pruned" or "begun"
    scores: Mapping[str, float]  # macro-F1, by fold
    seconds: float  # that ranking it took

    @property
    def score(self) -> float:
        """The mean over the folds it was judged on; NaN before the first."""
        return float(np.mean([*self.scores.values()])) if self.scores else float("nan")

    @property
    def spread(self) -> float:
        """The standard deviation over the folds; NaN before the second."""
        return float(np.std([*self.scores.values()])) if len(self.scores) > 1 else float("nan")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate at work."""

    number: int
    settings: Settings
    trial: Trial
    scores: dict[str, float]


class Journal:
    """The candidates of one search."""

    def __init__(self, path: Path, space: Space, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        is_new = not path.exists() or not path.stat().st_size
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), _Alone(str(path))))
        if is_new:  # asking to create what there is would be noted, too
            optuna.create_study(study_name=NAME, storage=storage, direction="maximize")
        pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED)
        self._space, self._seed = space, seed
        self._study = optuna.load_study(study_name=NAME, storage=storage, pruner=pruner)

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Make sure that this is the journal of the search that goes by *identity*.

        Raises:
            JournalError: if it is another one's; the message says in what they differ.
        """
        known = self._study.user_attrs.get("identity")
        if known is None:
            self._study.set_user_attr("identity", dict(identity))
            return
        for name, what in OTHER.items():
            if known.get(name) != identity[name]:
                raise JournalError(f"there is a search {what}: choose another folder (--work)")

    def candidates(self) -> list[Candidate]:
        """List all candidates in the order in which they were drawn."""
        return [self._candidate(trial) for trial in self._numbered()]

    def next(self) -> Attempt | None:
        """Give the candidate that was begun, or else a new one; None if all have been tried."""
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state == TrialState.RUNNING:
                self._seed_sampler(frozen.number)
                attempt = self._attempt(Trial(self._study, frozen._trial_id))
                if attempt is not None:
                    return attempt
        for _ in range(TRIES):
            count = len(self._study.get_trials(deepcopy=False))
            self._seed_sampler(count)
            if count == 0:
                self._study.enqueue_trial(self._space.undrawn(self._space.default))
            attempt = self._attempt(self._study.ask())
            if attempt is not None:
                return attempt
        return None

    def note(self, attempt: Attempt, fold: str, score: float, seconds: float) -> bool:
        """Note how a candidate did on a fold; say whether it is to be given up."""
        attempt.scores[fold] = score
        trial = attempt.trial
        before = trial.user_attrs.get("seconds", 0.0)
        trial.set_user_attr("seconds", before + seconds)
        trial.set_user_attr("scores", dict(attempt.scores))
        trial.report(float(np.mean([*attempt.scores.values()])), len(attempt.scores))
        return attempt.number > 0 and bool(trial.should_prune())

    def close(self, attempt: Attempt, *, pruned: bool) -> None:
        """Note that a candidate is through with, or is given up."""
        if pruned:
            self._study.tell(attempt.trial, state=TrialState.PRUNED)
        else:
            self._study.tell(attempt.trial, float(np.mean([*attempt.scores.values()])))

    def refined(self) -> dict[str, Any]:
        """Give what was noted of whole trainings, by name."""
        noted = self._study.user_attrs.items()
        return {name.removeprefix("fit "): what for name, what in noted if name[:4] == "fit "}

    def note_refined(self, name: str, what: Mapping[str, Any]) -> None:
        """Note how a whole training did."""
        self._study.set_user_attr(f"fit {name}", dict(what))

    def _attempt(self, trial: Trial) -> Attempt | None:
        """Draw a trial's settings; None, and no candidate, if there was one with the same."""
        settings = self._space.draw(trial)
        others = [one for one in self._numbered() if one.number != trial.number]
        if any(self._settings(one) == settings for one in others):
            self._study.tell(trial, state=TrialState.FAIL)
            return None
        if "candidate" not in trial.user_attrs:
            trial.set_user_attr("candidate", len(others))
        scores = dict(trial.user_attrs.get("scores", {}))
        return Attempt(trial.user_attrs["candidate"], settings, trial, scores)

    def _numbered(self) -> list[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [one for one in trials if "candidate" in one.user_attrs]

    def _candidate(self, trial: FrozenTrial) -> Candidate:
        states = {TrialState.COMPLETE: "ranked", TrialState.PRUNED: "pruned"}
        noted = trial.user_attrs
        return Candidate(
            noted["candidate"],
            self._settings(trial),
            states.get(trial.state, "begun"),
            noted.get("scores", {}),
            noted.get("seconds", 0.0),
        )

    def _settings(self, trial: FrozenTrial) -> Settings:
        return self._space.draw(FixedTrial(trial.params))

    def _seed_sampler(self, number: int) -> None:
        """Let what is drawn depend on the trial's number, not on when the process began."""
        seed = int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM)


class _Alone(JournalFileOpenLock):
    """No lock: the folder has one, which the kernel takes back from a process that was killed."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


@contextmanager
def open_journal(folder: Path, space: Space, seed: int) -> Iterator[Journal]:
    """Open a folder's journal, or begin one, and keep other searches out meanwhile.

    Raises:
        JournalError: if a search is at work there, or the journal is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(f"{folder}: another search is at work there") from error
        _mend(path)
        try:
            journal = Journal(path, space, seed)
        except (ValueError, KeyError) as error:
            raise JournalError(f"{path}: damaged: {error}") from error
        yield journal


def _mend(path: Path) -> None:
    """Cut off a last line that was not written to its end, as when the power failed."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    try:
        json.loads(data[data.rfind(b"\n", 0, max(0, whole - 1)) + 1 : whole] or b"0")
    except ValueError as error:
        raise JournalError(f"{path}: damaged: {error}") from error
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
