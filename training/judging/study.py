"""A study: what was found out about a recipe and its rivals, as plain data.

`validation` fills it in, `report` and `page` show it, and it is what `--json` prints.
"""

from math import isfinite

import msgspec

ENCODER = "encoder"  # the method that the others are compared with
HEAD = "encoder's second opinion"
STATISTICS = "statistics-only Siamese"

# The ways of leaving runs out.
UNSEEN, RUNS, MIXES, KINDS = "unseen", "runs", "mixes", "kinds"
MEANINGS = {
    UNSEEN: "Runs that the bundle's training has not seen.",
    RUNS: "Left-out runs, of traffic and faults that others were learnt of.",
    MIXES: "Whole mixes of traffic left out.",
    KINDS: "Whole kinds of faults left out; judged are the labels that were learnt.",
}


Number = float | None  # None: there was nothing to measure it on


def measured(value: Number) -> Number:
    """Give a number as a study keeps it: JSON knows no NaN and no infinity.

    >>> measured(0.5), measured(float("nan"))
    (0.5, None)
    """
    return value if value is not None and isfinite(value) else None


class Estimate(msgspec.Struct, frozen=True):
    """A number with the interval that 95 of 100 resamplings of the runs fall into."""

    mean: Number
    low: Number
    high: Number
    by_seed: tuple[Number, ...] = ()  # the number for each seed's trainings, in order


class Delay(msgspec.Struct, frozen=True):
    """How long after a change of truth the state followed, of those that were found."""

    median: float  # seconds
    worst: float  # seconds
    found: int


class Changes(msgspec.Struct, frozen=True):
    """How the steady state followed whole runs."""

    onsets: int  # true changes
    found: int
    false: int  # changes of state that were not true
    false_in_normal: int  # of these, in runs that are normal throughout
    hours: float  # link-hours watched
    normal_hours: float  # of these, in runs that are normal throughout
    delays: dict[str, Delay]  # by the label that the state changed to


class Rejection(msgspec.Struct, frozen=True):
    """How well windows of labels that nobody learnt stand out."""

    unseen: str  # what they are
    auroc: Number  # against all windows of known labels
    auroc_normal: Number  # against normal windows alone
    false_at_95: Number  # share of known windows flagged where 95 % of the unseen ones are
    flagged: Number  # share of the unseen episodes flagged within the budget
    episodes: int
    budget: float  # false events a link-day that the threshold allows
    normal_hours: float  # on which it was set


class Judged(msgspec.Struct, frozen=True):
    """One method in one validation, over all folds and seeds."""

    macro_f1: Estimate  # over windows of one label throughout
    balanced: Estimate  # mean recall of the labels, the same windows
    lead: Estimate | None  # the encoder's macro-F1 less this method's, on the same runs
    places: dict[str, float]  # macro-F1 by where the link was watched
    kinds: dict[str, float]  # recall of each kind
    confusion: dict[str, dict[str, int]]  # truth, then what was said; windows
    changes: Changes
    rejections: tuple[Rejection, ...] = ()


class Validation(msgspec.Struct, frozen=True):
    """One way of leaving runs out."""

    name: str  # "runs", "mixes" or the like
    meaning: str  # one sentence for people
    folds: tuple[str, ...]
    runs: int  # judged on
    windows: int  # of one label throughout
    methods: dict[str, Judged]
    unavailable: dict[str, str] = {}  # methods that can't read these captures, and why


class Enrolment(msgspec.Struct, frozen=True):
    """One method that learns an unseen label from a few reference windows."""

    unseen: str  # the label or kind that training did not have
    method: str
    references: int  # windows
    recall: Estimate  # of the unseen label's windows, in other runs; over draws of references
    captured: Estimate  # share of the windows of other faults that are taken for it
    captured_normal: Estimate  # share of normal windows that are
    known_before: Number  # macro-F1 of the known labels before it was enrolled
    known_after: Number
    ceiling: Number  # recall of a classifier that learnt the label from all runs but one
    draws: int


class Study(msgspec.Struct, frozen=True):
    """What was found out about a recipe and its rivals."""

    captures: dict[str, str]  # file name to SHA-256
    settings: dict[str, str | int | float | bool]
    steps: int
    step_ms: int
    seeds: tuple[int, ...]
    bundle: str  # the one that was judged, "" where its recipe was
    seconds: float  # of training, the encoder's in the mean
    validations: tuple[Validation, ...]
    enrolments: tuple[Enrolment, ...] = ()
    reference_spread: dict[str, Estimate] = {}  # validation to macro-F1 over other references
