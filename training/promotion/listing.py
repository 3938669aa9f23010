"""Listing: what a bundle store has, and what was done to it."""

import msgspec

from detector.bundle import Bundle, BundleError
from detector.bundles import BundleStore
from detector.history import Entry


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A version; "" and empty where it can't be used."""

    id: str
    added_ms: int  # Unix time
    added_by: str = ""  # "": nobody noted it
    current: bool = False
    shadow: bool = False
    previous: bool = False  # what going back leads to
    labels: tuple[str, ...] = ()
    scores: dict[str, float] = {}
    parent: str = ""
    start: str = ""  # "scratch" or "parent"
    captures: tuple[str, ...] = ()
    bytes: int = 0
    failure: str = ""  # why it can't be used


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All versions, in the order in which they were added."""

    current: str | None
    shadow: str | None
    previous: str | None
    versions: tuple[Listed, ...]
    unreadable: int  # lines of the history


def listing(store: BundleStore) -> Listing:
    """List a store, each version looked at."""
    history = store.history()
    added = {entry.bundle: entry for entry in history.entries if entry.action == "added"}
    marks = {"current": store.current, "shadow": store.shadow, "previous": store.previous()}
    versions = (
        _listed(store, one, added.get(one), {name: one == mark for name, mark in marks.items()})
        for one in store.ids
    )
    return Listing(versions=tuple(versions), unreadable=history.unreadable, **marks)


def _listed(
    store: BundleStore, bundle_id: str, added: Entry | None, marks: dict[str, bool]
) -> Listed:
    folder = store.folder(bundle_id)
    facts = {
        "added_ms": added.at_ms if added else folder.stat().st_mtime_ns // 1_000_000,
        "added_by": added.who if added else "",
        "bytes": sum(file.lstat().st_size for file in folder.iterdir()),
    }
    try:
        facts |= _of_training(store.load(bundle_id))
    except BundleError as error:
        facts["failure"] = str(error)
    return msgspec.convert({"id": bundle_id, **marks, **facts}, Listed)


def _of_training(bundle: Bundle) -> dict[str, object]:
    training = bundle.manifest.training
    return {
        "labels": bundle.manifest.labels,
        "scores": training.scores,
        "parent": training.parent,
        "start": training.start,
        "captures": tuple(sorted(training.captures)),
    }
