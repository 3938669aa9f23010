"""Retraining: the running bundle's recipe, on the base captures and what a store has to teach."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from detector.bundle import Bundle, Manifest
from detector.capture import CaptureError, LinkCapture
from training.data import Pool, part, pool
from training.descent import Descent
from training.fitting import Progress
from training.judging.recalled import recalled
from training.settings import Settings
from training.train import learn

from .beside import Beside, beside
from .dealing import Dealing, Sides
from .gathered import Gathered, Limits, Runs, gather, labels_of, less, runs_by_label

STORE = "store"  # what a manifest calls what was learnt from it


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How a candidate is to be made."""

    limits: Limits = field(default_factory=Limits)
    epochs: int = 0  # to go on learning from the running encoder's weights; 0 = from scratch
    learning_rate: float = 0.0  # to begin with, when going on
    seed: int | None = None  # None: the running bundle's


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """A candidate, and what it was made of."""

    bundle: Bundle
    gathered: Gathered
    base: Sequence[LinkCapture]  # what was learnt from of the base captures
    gone: int  # runs that the running bundle learnt from and nobody has any more
    beside: Beside | None  # None: there is no run that neither has learnt from


def retrain(
    running: Bundle,
    paths: Sequence[Path],
    stored: Sequence[LinkCapture],
    wanted: Wanted,
    progress: Progress,
) -> Retrained:
    """Make a candidate of the captures at *paths* and of parts of links from stores.

    Raises:
        CaptureError: if they can't be learnt from.
    """
    settings = recipe(running.manifest, wanted.seed)
    base = _base(running.manifest, paths, settings)
    of_base = runs_by_label(base.links, base.spec)
    gathered = gather(stored, base.spec, of_base, wanted.limits)
    descent = Descent(parent=running, epochs=wanted.epochs, learning_rate=wanted.learning_rate)
    unfit = running.manifest.training.runs if descent.start else ()
    found, sides, gathered = _dealt(base, of_base, gathered, unfit)
    candidate = learn(part(found, sides), found.settings, progress, descent=descent)
    there = {link.run for link in (*base.everywhere, *stored)}
    return Retrained(
        bundle=candidate,
        gathered=gathered,
        base=found.links[: len(base.links)],
        gone=len({*running.manifest.training.runs} - there),
        beside=beside(running, candidate, [*gathered.held, *_left_out(base)]),
    )


def recipe(manifest: Manifest, seed: int | None) -> Settings:
    """Give the settings of a bundle's training; the runs that it left out stay left out."""
    left_out = str(manifest.training.settings.get("leave_out", ""))
    patterns = tuple(pattern for pattern in left_out.split(",") if pattern)
    settings = replace(recalled(manifest), leave_out=patterns)
    return settings if seed is None else replace(settings, seed=seed)


def _base(manifest: Manifest, paths: Sequence[Path], settings: Settings) -> Pool:
    """Read the base captures with all their labels; without any there are no links."""
    window = manifest.window
    if not paths:
        return Pool(spec=window, settings=settings, everywhere=(), links=(), captures={})
    found = pool(paths, replace(settings, labels=()))
    optional = {*window.optional, *found.spec.optional}
    names = tuple(name for name in window.features if name in optional)
    spec = msgspec.structs.replace(window, optional=names)
    return replace(found, spec=spec, settings=settings)


def _dealt(
    base: Pool, of_base: Runs, gathered: Gathered, unfit: Collection[str]
) -> tuple[Pool, Sides, Gathered]:
    """Put all together, and part it so that each label is learnt and validated.

    A label that only the store has and that no deal of the runs brings to both sides is passed
    over, the rarest first.
    """
    while True:
        found = _together(base, of_base, gathered.links)
        if not found.links:
            raise CaptureError("there is nothing to learn from: no base capture, nothing named")
        dealing = Dealing.of(found, unfit)
        own = {label for link in gathered.links for label in labels_of(link)} - set(of_base)
        if sides := dealing.sides(own):
            return found, sides, gathered
        if not own:
            raise CaptureError(dealing.why_not)
        rarest = min(own, key=lambda label: (len(dealing.pure.get(label, ())), label))
        gathered = less(gathered, rarest, "no deal of its runs has it learnt and validated both")


def _together(base: Pool, of_base: Runs, stored: Sequence[LinkCapture]) -> Pool:
    """Give one pool of both; labels that the recipe left out and the store has are learnt now."""
    settings = base.settings
    labels = {label for link in stored for label in labels_of(link)}
    labels |= set(settings.labels or of_base)
    if settings.labels:
        settings = replace(settings, labels=tuple(sorted(labels)))
    captures = dict(base.captures)
    if stored:
        captures[STORE] = _digest(stored)
    links = [*(link.only(labels) for link in base.links), *stored]
    return replace(base, settings=settings, links=links, captures=captures)


def _left_out(base: Pool) -> list[LinkCapture]:
    """Give the links of the base captures that the running bundle left out."""
    learnt = {link.link for link in base.links}
    return [
        link
        for link in base.everywhere
        if link.link not in learnt
        and any(fnmatchcase(link.link, pattern) for pattern in base.settings.links)
    ]


def _digest(links: Sequence[LinkCapture]) -> str:
    """Give the SHA-256 of what was learnt from a store, whatever files it was in."""
    digest = hashlib.sha256()
    for link in links:
        labels = ["" if label is None else str(label) for label in link.labels]
        digest.update(repr((link.link, link.start_ms, link.step_ms, labels)).encode())
        digest.update(link.values.tobytes())
    return digest.hexdigest()
