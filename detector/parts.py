"""What a bundle may lack: things that a training may or may not make, each a file of arrays.

A new one is a field of `Manifest` (what it is, nothing in it meaning that it is absent), a field
of `Bundle` and a line in `PARTS`, all of one name, which is also its file's.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .drift.reference import Reference
from .head import Head
from .oncall.difference import Recorded
from .oncall.strangeness import Known

if TYPE_CHECKING:
    from .bundle import Manifest

Arrays = Mapping[str, NDArray[np.float32]]  # of one file, by name


class Part(NamedTuple):
    """How such a thing is made of a bundle's files, taken apart and checked."""

    read: Callable[[Any, Arrays], Any]  # of what the manifest says of it; KeyError: one is missing
    describe: Callable[[Any], Any]  # what the manifest has to say of it
    arrays: Callable[[Any], dict[str, NDArray[np.float32]]]
    check: Callable[[Any, "Manifest"], None]  # ValueError: it does not fit the rest


PARTS = {
    "head": Part(
        read=lambda labels, arrays: Head(labels, arrays["kernel"], arrays["bias"]),
        describe=lambda head: head.labels,
        arrays=lambda head: {"kernel": head.kernel, "bias": head.bias},
        check=lambda head, manifest: head.check(manifest.architecture.embedding),
    ),
    "canaries": Part(
        read=lambda canaries, arrays: Recorded(canaries, arrays["before"], arrays["after"]),
        describe=lambda recorded: recorded.canaries,
        arrays=lambda recorded: {"before": recorded.before, "after": recorded.after},
        check=lambda recorded, manifest: recorded.check(manifest.window, manifest.labels),
    ),
    "known": Part(
        read=lambda calibration, arrays: Known(arrays["points"], calibration),
        describe=lambda known: known.calibration,
        arrays=lambda known: {"points": known.points},
        check=lambda known, manifest: known.check(manifest.architecture.embedding),
    ),
    "drift": Part(
        read=lambda sample, arrays: Reference(sample, arrays["low"], arrays["high"]),
        describe=lambda reference: reference.sample,
        arrays=lambda reference: {"low": reference.low, "high": reference.high},
        check=lambda reference, manifest: reference.check(manifest),
    ),
}


def file_of(name: str) -> str:
    """Name the file of a part.

    >>> file_of("head")
    'head.safetensors'
    """
    return f"{name}.safetensors"


def files_of(manifest: "Manifest") -> set[str]:
    """Name the files of the parts that a manifest speaks of."""
    return {file_of(name) for name in PARTS if getattr(manifest, name)}


def read_parts(manifest: "Manifest", files: Mapping[str, Arrays]) -> dict[str, Any]:
    """Make the parts that a manifest speaks of; *files* are all of the bundle's, by name.

    Raises:
        KeyError: if a file lacks an array.
    """
    return {
        name: part.read(described, files[file_of(name)])
        for name, part in PARTS.items()
        if (described := getattr(manifest, name))
    }


def arrays_of(parts: Mapping[str, Any]) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Take parts apart, those that are None left out: the arrays of each file."""
    return {
        file_of(name): PARTS[name].arrays(value)
        for name, value in parts.items()
        if value is not None
    }


def check_parts(manifest: "Manifest", parts: Mapping[str, Any]) -> None:
    """Hold parts to what the manifest says of them, and to the rest of it.

    Raises:
        ValueError: if one is there and not described, described and not there, or doesn't fit.
    """
    for name, value in parts.items():
        described = getattr(manifest, name)
        if bool(described) != (value is not None):
            raise ValueError(f"only one of manifest and bundle has a {name}")
        if value is not None:
            if PARTS[name].describe(value) != described:
                raise ValueError(f"the manifest describes another {name}")
            PARTS[name].check(value, manifest)
