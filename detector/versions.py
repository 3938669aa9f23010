"""Versions: the bundles of a store, each in a folder that is called by its id and never changes.

The id is the hash of the manifest, so what is in a folder can be held to the folder's name.
"""

import re
import shutil
import tempfile
from pathlib import Path

from . import durable
from .bundle import MANIFEST, Bundle, BundleError, load, save

ID = re.compile(r"[0-9a-f]{12}")


class VersionError(BundleError):
    """A version can't be had, or not so: nothing is wrong with any bundle."""


def held_to_its_name(bundle: Bundle, folder: Path) -> Bundle:
    """Give a bundle that was loaded from a store's folder.

    Raises:
        BundleError: if it is another one than the folder says.
    """
    if bundle.id != folder.name:
        raise BundleError(f"bundle {folder}: by its contents it is {bundle.id}")
    return bundle


class Versions:
    """A folder of bundles."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ids(self) -> list[str]:
        """All that are there."""
        return sorted(one.name for one in self.path.iterdir() if ID.fullmatch(one.name))

    def folder(self, bundle_id: str) -> Path:
        """Say where a version is, or would be."""
        if not ID.fullmatch(bundle_id):
            raise VersionError(f"{bundle_id!r} is no bundle's id, which is 12 of 0-9 and a-f")
        return self.path / bundle_id

    def find(self, beginning: str) -> str:
        """Give the one version whose id begins so.

        Raises:
            BundleError: if there is none, or more than one.
        """
        found = [one for one in self.ids if one.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        how_many = f"{len(found)} versions begin so" if found else "no version begins so"
        there = ", ".join(found or self.ids) or "there is none at all"
        raise VersionError(f"bundle {beginning!r}: {how_many}: {there}")

    def there(self, bundle_id: str) -> Path:
        """Say where a version is.

        Raises:
            BundleError: if it isn't there.
        """
        folder = self.folder(bundle_id)
        if not folder.is_dir():
            raise VersionError(f"bundle {bundle_id} is not in the store {self.path.parent}")
        return folder

    def load(self, bundle_id: str) -> Bundle:
        """Load a version.

        Raises:
            BundleError: if it can't be used, or is another bundle than its folder says.
        """
        folder = self.there(bundle_id)
        return held_to_its_name(load(folder), folder)

    def is_whole(self, bundle_id: str) -> bool:
        """Whether a version is there and can be used."""
        try:
            self.load(bundle_id)
        except BundleError:
            return False
        return True

    def prepare(self, bundle: Bundle | Path) -> Path:
        """Write a bundle beside the versions, and give the folder, whose name is its id.

        Of a folder the files are taken as they are, so the id stays.

        Raises:
            BundleError: if it can't be used.
        """
        room = Path(tempfile.mkdtemp(prefix=".new.", dir=self.path))
        made = room / "bundle"
        if isinstance(bundle, Path):
            made.mkdir()
            for name in (MANIFEST, *load(bundle).manifest.files):  # not what lies beside them
                durable.write(made / name, (bundle / name).read_bytes())
        else:
            save(bundle, made)
        return made.rename(room / load(made).id)

    def put(self, prepared: Path) -> None:
        """Put in place what was prepared; a damaged version of its name goes."""
        place = self.folder(prepared.name)
        if place.exists():
            place.rename(prepared.with_name("damaged"))
        durable.move(prepared, place)

    def remove(self, bundle_id: str) -> None:
        """Take a version away, all of it at once."""
        durable.move(self.folder(bundle_id), self.path / f".removed.{bundle_id}")

    def sweep(self) -> None:
        """Delete what was removed, and what tools left half done that were killed."""
        for left in self.path.glob(".*"):
            shutil.rmtree(left, ignore_errors=True)
