"""The space: which settings a search tries, within which bounds, and why.

An entry of `SPACE` is one line of it; to try a further setting, add one. Choices are texts as
`--fix` takes them, so that each can be pinned by copying it. What changes the windows or inputs
that are learnt from has few choices: candidates that share them share a bank.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from optuna.trial import BaseTrial

from training.losses import LOSSES, check_loss
from training.settings import Settings

from .entry import Entry
from .pin import SpaceError, as_text, pinned

PAIRS = tuple(f"{loss} {outputs}" for loss in LOSSES for outputs in LOSSES[loss].outputs)
SPACE = (
    Entry(
        name="loss",
        sets=("loss", "activation"),
        choices=PAIRS,
        why="What costs, with outputs that it is defined for.",
    ),
    Entry(
        name="miner",
        sets=("miner",),
        choices=("batch-all", "batch-hard", "semi-hard", "random"),
        losses=("triplet", "lossless"),
        why="Which triplets count: hard ones teach more, and are more often labelled wrongly.",
    ),
    Entry(
        name="margin of triplet",
        sets=("margin",),
        least=0.1,
        most=1.0,
        log=True,
        losses=("triplet",),
        why="How much farther a negative has to lie; squared distances lie from 0 to the size.",
    ),
    Entry(
        name="margin of contrastive",
        sets=("margin",),
        least=0.3,
        most=2.0,
        log=True,
        losses=("contrastive",),
        why="The distance from which on negatives cost nothing.",
    ),
    Entry(
        name="temperature",
        sets=("margin",),
        least=0.05,
        most=0.5,
        log=True,
        losses=("supervised-contrastive",),
        why="The colder, the more the likest windows count alone.",
    ),
    Entry(
        name="lambda",
        sets=("margin",),
        least=0.3,
        most=0.8,
        log=True,
        losses=("multi-similarity",),
        why="The likeness that parts positives from negatives.",
    ),
    Entry(
        name="embedding",
        sets=("embedding",),
        least=3,
        most=32,
        log=True,
        why="More numbers leave room for faults nobody has named yet, and for chance.",
    ),
    Entry(
        name="units",
        sets=("units",),
        choices=("32", "64", "96", "48,48"),
        why="How much of a window is remembered; each doubling costs windows a second.",
    ),
    Entry(
        name="statistics",
        sets=("statistics",),
        choices=("no", "yes"),
        why="Whether the embedding sees means and extremes beside what is remembered.",
    ),
    Entry(
        name="inputs",
        sets=("inputs",),
        choices=("ratios", "counts", "both"),
        why="Ratios travel between links, counts tell how much there is.",
    ),
    Entry(
        name="half-lives",
        sets=("half_lives_seconds",),
        choices=("2,10", "5", "1,4", "0,2,10"),
        why="Short ones see a change at once, long ones calm a link with few events.",
    ),
    Entry(
        name="drop",
        sets=("drop",),
        most=0.5,
        why="An encoder that leans on one input is lost where that one misleads.",
    ),
    Entry(
        name="load_span",
        sets=("load_span",),
        choices=("1", "8", "30"),
        why="How different the load of other links may be.",
    ),
    Entry(
        name="thin",
        sets=("thin",),
        choices=("0", "0.2"),
        why="Links with fewer users have whole events and silences, not fractions.",
    ),
    Entry(
        name="missing",
        sets=("missing",),
        choices=("0", "0.2"),
        why="Exporters lose rows.",
    ),
    Entry(
        name="normal_share",
        sets=("normal_share",),
        choices=("0", "0.3", "0.6", "0.8"),
        why="Normal traffic is the most varied, and false alarms come from too little of it.",
    ),
    Entry(
        name="recovery_share",
        sets=("recovery_share",),
        choices=("0", "0.3"),
        why="What was held back comes all at once after a fault, and looks like one.",
    ),
    Entry(
        name="kinds",
        sets=("kinds",),
        choices=("no", "yes"),
        why="Faults of one label that look different need not lie in one place.",
    ),
    Entry(
        name="learning_rate",
        sets=("learning_rate",),
        least=5e-4,
        most=1e-2,
        log=True,
        why="Too small learns little in the time, too large learns nothing.",
    ),
)


@dataclass(frozen=True)
class Space:
    """What is tried, and what is pinned."""

    entries: tuple[Entry, ...]
    fixed: Mapping[str, Any]
    default: Settings  # what `anchorwatch train` does when told no more than what is pinned

    @classmethod
    def of(cls, pins: Sequence[str]) -> "Space":
        """Make the space with settings pinned by texts NAME=VALUE.

        Raises:
            SpaceError: if there is no such setting or value, or two don't go together.
        """
        fixed = dict(map(pinned, pins))
        entries = [_narrowed(entry, fixed) for entry in SPACE]
        default = _nearest(Settings(**fixed), entries[0])
        tried = (entry for entry in entries if set(entry.sets) - set(fixed))
        return cls(tuple(_widened(entry, default) for entry in tried), fixed, default)

    @property
    def hash(self) -> str:
        """The SHA-256 of all that is in it."""
        facts = {"entries": [asdict(one) for one in self.entries], "default": asdict(self.default)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def draw(self, trial: BaseTrial) -> Settings:
        """Let a trial choose all that is tried."""
        chosen = dict(self.fixed)
        for entry in self.entries:
            if not entry.losses or chosen["loss"] in entry.losses:
                chosen |= entry.draw(trial)
        return Settings(**chosen)

    def undrawn(self, settings: Settings) -> dict[str, Any]:
        """Give what a trial would have to choose to get *settings*."""
        asked = [one for one in self.entries if not one.losses or settings.loss in one.losses]
        return {entry.name: entry.undrawn(settings) for entry in asked}


def _narrowed(entry: Entry, fixed: Mapping[str, Any]) -> Entry:
    """Keep the choices of which all words are as they are pinned."""
    if len(entry.sets) < 2 or not set(entry.sets) & set(fixed):
        return entry
    wanted = [as_text(fixed[name]) if name in fixed else None for name in entry.sets]
    kept = tuple(
        choice
        for choice in entry.choices
        if all(want in (None, word) for want, word in zip(wanted, choice.split(" "), strict=True))
    )
    return replace(entry, choices=kept)


def _nearest(default: Settings, pairs: Entry) -> Settings:
    """Give the default, or, where a pin forbids its loss or outputs, the first pair that is left.

    Raises:
        SpaceError: if none is.
    """
    if not pairs.choices:
        try:
            check_loss(default.loss, default.activation)
        except ValueError as error:
            raise SpaceError(str(error)) from error
    pair = f"{default.loss} {default.activation}"
    loss, activation = (pair if pair in pairs.choices else pairs.choices[0]).split(" ")
    return replace(default, loss=loss, activation=activation)


def _widened(entry: Entry, default: Settings) -> Entry:
    """Let an entry have the default among what it may be: candidate 0 is drawn like others."""
    if entry.losses and default.loss not in entry.losses:
        return entry
    usual = entry.undrawn(default)
    if entry.choices:
        more = () if usual in entry.choices else (usual,)
        return replace(entry, choices=(*entry.choices, *more))
    return replace(entry, least=min(entry.least, usual), most=max(entry.most, usual))
