"""Enrolments as files, BUNDLES/anchors/<id>.msgpack: for daemons that have no Kafka.

Each is written whole beside its place and put there with one rename, so nobody ever reads half
of one. That something changed is seen by names, sizes and times.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from detector import durable
from detector.enrolment import Enrolment, EnrolmentError

from .keeping import EnrolmentsUnavailableError
from .record import Unreadable, decode, encode

FOLDER = "anchors"  # in the bundle store
SUFFIX = ".msgpack"
FILE_BYTES = 4 * 2**20  # a quarter of it is the largest that can be enrolled

Stamp = tuple[int, int, int]  # which file, its size in bytes, and when it was written


class FolderEnrolments:
    """Keeps enrolments in a bundle store."""

    def __init__(self, bundles: Path) -> None:
        self._folder = bundles / FOLDER
        self._stamps: dict[Path, Stamp] | None = None  # None: nobody has looked yet
        self._found: dict[Path, Enrolment] = {}
        self._unreadable = Unreadable()

    @property
    def unreadable(self) -> int:
        """How many files could not be read so far."""
        return len(self._unreadable)

    def poll(self) -> Sequence[Enrolment] | None:
        """Read what is new or changed, and give all if anything is."""
        try:
            stamps = dict(self._look())
        except OSError as error:
            raise EnrolmentsUnavailableError(f"{self._folder}: {error.strerror}") from error
        if stamps == self._stamps:
            return None
        before, self._stamps = self._stamps or {}, stamps
        self._found = {file: one for file, one in self._found.items() if file in stamps}
        for file, stamp in stamps.items():
            if stamp != before.get(file):
                self._read(file, stamp)
        return tuple(self._found[file] for file in sorted(self._found))

    def write(self, enrolment: Enrolment) -> None:
        """Put a file in place, and wait until it is on the disk."""
        file = self._folder / f"{enrolment.id}{SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            durable.write(file, encode(enrolment))
        except OSError as error:
            raise EnrolmentsUnavailableError(f"{file}: {error.strerror}") from error

    def close(self) -> None:
        """There is nothing to let go of."""

    def _look(self) -> Iterator[tuple[Path, Stamp]]:
        """Give the files that are there, and by what a change is seen."""
        try:
            listed = sorted(self._folder.iterdir())
        except FileNotFoundError:  # nobody has enrolled anything yet
            return
        for file in listed:
            if file.suffix != SUFFIX or file.name.startswith("."):
                continue
            try:
                found = file.stat()
            except FileNotFoundError:  # gone since
                continue
            yield file, (found.st_ino, found.st_size, found.st_mtime_ns)

    def _read(self, file: Path, stamp: Stamp) -> None:
        """Read one file; of one that can't be read, no older version is used either."""
        self._found.pop(file, None)
        try:
            with file.open("rb") as stream:
                data = stream.read(FILE_BYTES + 1)
            if len(data) > FILE_BYTES:
                raise EnrolmentError(f"larger than {FILE_BYTES} bytes")
            self._found[file] = decode(data, file.stem)
        except EnrolmentError as error:
            self._unreadable.note((file, *stamp), error)
        except OSError as error:
            self._unreadable.note((file, *stamp), error)
            if self._stamps is not None:
                self._stamps.pop(file, None)  # it may be a matter of the moment
