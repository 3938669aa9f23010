"""The bundle store: versions of a bundle side by side, and which of them daemons are to use.

    versions/ID/       bundles (`versions`)
    current            link to the version in use: `versions/ID`
    shadow             link to the candidate that daemons try beside it, if there is one
    history.jsonl      what was done by whom and why (`history`)
    reports/ID/        what daemons report of a candidate, a file each
    anchors/           what was enrolled, where there is no Kafka (`enrolments.folder`)

Daemons look at `current`, which one rename puts in place: they see the old version or the new
one, whenever a tool is killed or the power fails. Tools that write wait for each other; daemons
wait for nobody.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from . import durable, history
from .bundle import MANIFEST, Bundle, BundleError
from .history import Action, Entry, History
from .versions import VersionError, Versions

VERSIONS, CURRENT, SHADOW, REPORTS = "versions", "current", "shadow", "reports"
HISTORY, LOCK = "history.jsonl", ".lock"
ANY = "*"  # version, or none
REPORT_BYTES = 4 * 2**20
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,@+-]{0,199}")  # of a daemon, in its report's name


def is_store(path: Path) -> bool:
    """Tell a bundle store from a bundle, or from anything else."""
    return os.path.isdir(path / VERSIONS)  # noqa: PTH112 - no error where it can't be seen


def resolve(path: Path) -> Path:
    """Give the folder of a bundle: *path* itself, or the version that a store says is in use.

    Raises:
        BundleError: if a store has none.
    """
    if not is_store(path):
        return path
    try:
        target = path / (path / CURRENT).readlink()
    except FileNotFoundError as error:
        raise BundleError(f"bundle store {path}: no version is current; promote one") from error
    except OSError as error:
        raise BundleError(f"bundle store {path}: {CURRENT}: {error.strerror}") from error
    if not target.is_dir():
        raise BundleError(f"bundle store {path}: the current version {target.name} is not there")
    return target


class BundleStore:
    """A folder of bundles; what it says is read from the disk each time that it is asked.

    What is wrong with a bundle, or with the disk when something is written, is a `BundleError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._versions = Versions(path / VERSIONS)
        self.folder, self.load = self._versions.folder, self._versions.load
        self.find = self._versions.find

    @classmethod
    def open(cls, path: Path) -> "BundleStore":
        """Take a folder for the store that it is.

        Raises:
            BundleError: if it is none.
        """
        if not is_store(path):
            what = "is a bundle and" if (path / MANIFEST).is_file() else "is"
            make = "`anchorwatch bundles STORE --add BUNDLE` makes one"
            raise BundleError(f"{path} {what} no bundle store; {make}")
        return cls(path)

    def create(self) -> None:
        """Make the folder, unless it is a store already.

        Raises:
            BundleError: if it is a bundle, or can't be made.
        """
        if (self.path / MANIFEST).exists():
            raise BundleError(f"{self.path} is a bundle; a bundle store is another folder")
        with self._as_bundle_errors():
            for name in (REPORTS, VERSIONS):
                (self.path / name).mkdir(parents=True, exist_ok=True)

    @property
    def current(self) -> str | None:
        """The id of the version in use; None: there is none."""
        return self._target(CURRENT)

    @property
    def shadow(self) -> str | None:
        """The id of the candidate that daemons try; None: there is none."""
        return self._target(SHADOW)

    @property
    def ids(self) -> tuple[str, ...]:
        """All versions that are there, in the order in which they were added."""
        with self._as_bundle_errors():
            there = self._versions.ids
        added = [entry.bundle for entry in self.history().entries if entry.action == "added"]
        order = {one: place for place, one in enumerate(added)}  # its last time, if it has several
        return tuple(sorted(there, key=lambda one: order.get(one, len(added))))

    def history(self) -> History:
        """Read what was done so far."""
        return history.read(self.path / HISTORY)

    def previous(self) -> str | None:
        """Say what going back from the current version leads to; None: nobody knows.

        Versions that were removed are passed over.
        """
        current, there = self.current, self.ids
        way = history.stack(self.history().entries, current)
        before = [one for one in way if one != current and one in there]
        return before[-1] if before else None

    def add(self, bundle: Bundle | Path, who: str, why: str, now_ms: int) -> str:
        """Put a bundle beside the others, and give its id; one that is there already stays.

        Of a folder the files are taken as they are, so the id stays; what is in memory is written.
        """
        with self._writing():
            try:
                prepared = self._versions.prepare(bundle)
                if not self._versions.is_whole(prepared.name):
                    self._note("added", prepared.name, who, why, now_ms)
                    self._versions.put(prepared)
            finally:
                self._versions.sweep()
        return prepared.name

    def remove(self, bundle_id: str, who: str, why: str, now_ms: int) -> None:
        """Take away a version that is neither current nor in the shadow, and its reports."""
        with self._writing():
            self._versions.there(bundle_id)
            for name, used in ((CURRENT, self.current), (SHADOW, self.shadow)):
                if used == bundle_id:
                    raise VersionError(f"bundle {bundle_id} is the {name} one, which stays")
            self._note("removed", bundle_id, who, why, now_ms)
            self._versions.remove(bundle_id)
            self._versions.sweep()
            shutil.rmtree(self.path / REPORTS / bundle_id, ignore_errors=True)

    def switch(
        self,
        bundle_id: str,
        who: str,
        action: Action,
        why: str,
        now_ms: int,
        numbers: dict[str, float] | None = None,
        failed: Sequence[str] = (),
        only_from: str | None = ANY,
    ) -> None:
        """Let a version be the current one; if it was in the shadow, that is over.

        With *only_from* that (None: no version at all) must still be the current one, for what
        was judged beside it says nothing of another.
        """
        with self._writing():
            self._versions.there(bundle_id)
            if (current := self.current) != only_from != ANY:
                raise VersionError(f"bundle {current} is current by now, and {only_from} no more")
            self._note(action, bundle_id, who, why, now_ms, numbers, failed)
            durable.point(self.path / CURRENT, self.folder(bundle_id))
            if self.shadow == bundle_id:
                self._end_shadow(bundle_id, who, f"it was {action}", now_ms)

    def set_shadow(self, bundle_id: str | None, who: str, why: str, now_ms: int) -> None:
        """Let daemons try a candidate beside the current version; None: let them try none."""
        with self._writing():
            was = self.shadow
            if bundle_id is None:
                if was is not None:
                    self._end_shadow(was, who, why, now_ms)
                return
            self._versions.there(bundle_id)
            if bundle_id == self.current:
                raise VersionError(f"bundle {bundle_id} is the current one, which judges already")
            if bundle_id != was:
                self._note("shadowed", bundle_id, who, why, now_ms)
                durable.point(self.path / SHADOW, self.folder(bundle_id))

    def refuse(
        self,
        bundle_id: str,
        who: str,
        why: str,
        now_ms: int,
        numbers: dict[str, float],
        failed: Sequence[str],
    ) -> None:
        """Note that a version was not good enough to be the current one."""
        with self._writing():
            self._note("refused", bundle_id, who, why, now_ms, numbers, failed)

    def write_report(self, bundle_id: str, daemon: str, data: bytes) -> None:
        """Keep what a daemon reports of a candidate, in place of what it reported before."""
        if not NAME.fullmatch(daemon):
            raise BundleError(f"{daemon!r} can't name a report: letters, digits and . _ @ + - ,")
        folder = self.path / REPORTS / self.folder(bundle_id).name
        with self._as_bundle_errors():
            folder.mkdir(parents=True, exist_ok=True)
            durable.write(folder / f"{daemon}.json", data)

    def reports(self, bundle_id: str) -> list[bytes]:
        """Give what daemons reported of a candidate, in the order of their names."""
        found = []
        for file in sorted((self.path / REPORTS / self.folder(bundle_id).name).glob("*.json")):
            with suppress(FileNotFoundError), file.open("rb") as stream:  # gone since
                found.append(stream.read(REPORT_BYTES))
        return found

    def _target(self, name: str) -> str | None:
        try:
            return (self.path / name).readlink().name
        except OSError:  # `resolve` says what is wrong with it
            return None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._as_bundle_errors(), durable.locked(self.path / LOCK):
            yield

    @contextmanager
    def _as_bundle_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BundleError(f"bundle store {self.path}: {error.strerror or error}") from error

    def _note(
        self,
        action: Action,
        bundle_id: str,
        who: str,
        why: str,
        now_ms: int,
        numbers: dict[str, float] | None = None,
        failed: Sequence[str] = (),
    ) -> None:
        """Write into the history what is about to be done; by whoever has the lock."""
        entry = Entry(
            at_ms=now_ms,
            who=who,
            action=action,
            bundle=bundle_id,
            was=self.current,
            why=why,
            numbers=numbers or {},
            failed=tuple(failed),
        )
        history.note(self.path / HISTORY, entry)

    def _end_shadow(self, bundle_id: str, who: str, why: str, now_ms: int) -> None:
        self._note("unshadowed", bundle_id, who, why, now_ms)
        (self.path / SHADOW).unlink(missing_ok=True)
        durable.sync(self.path)
