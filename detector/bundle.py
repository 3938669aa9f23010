"""The bundle: a checked directory with all that the daemon needs of a training.

    manifest.json        what it is: window, inputs, architecture, anchors, training, file hashes
    weights.safetensors  the encoder's weights, by the architecture's names
    anchors.safetensors  `windows` (anchors, steps, features) and their `embeddings`
    golden.safetensors   windows and embeddings that every engine must reproduce at load

May be absent, each described by the manifest's field of the same name (`parts`):

    head.safetensors     the layer that gives a second opinion
    known.safetensors    embeddings of known windows, `points` (points, embedding)
    canaries.safetensors what recorded faults did to links: `before` (canaries, features) and
                         `after` (canaries, steps, features)
    drift.safetensors    from where to where inputs usually are: `low` and `high` (inputs)

Nothing in it is code, and nothing is pickled. Its id is the hash of its manifest, which holds
the hashes of all other files: same captures, same seed, same id.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors import numpy as tensors

from .architecture import Architecture
from .drift.reference import Reference, Sample
from .head import Head
from .inputs import Inputs, InputSpec
from .oncall.difference import Canary, Recorded
from .oncall.strangeness import Calibration, Known, Strangeness
from .parts import PARTS, arrays_of, check_parts, files_of, read_parts
from .state import RESERVED
from .window import WindowSpec

FORMAT = 1
MANIFEST = "manifest.json"
FILES = ("weights.safetensors", "anchors.safetensors", "golden.safetensors")
MANIFEST_BYTES = 4 * 2**20
FILE_BYTES = 512 * 2**20  # a bundle of this version is below 1 MB; this keeps memory bounded


class BundleError(ValueError):
    """The bundle can't be used; the message says which file and why."""


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reference window's label and where it came from; the window itself is in the bundle."""

    name: str
    label: str
    kind: str
    link: str
    start_ms: int


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the encoder came to be: enough to do it again, and to judge it only on other runs."""

    captures: dict[str, str]  # file name to SHA-256
    runs: tuple[str, ...]  # learnt from
    validation_runs: tuple[str, ...]  # the scores are of these; unless refitted, not learnt from
    links: tuple[str, ...]  # patterns of the links taken from the captures
    seed: int
    settings: dict[str, str | int | float | bool]
    scores: dict[str, float]
    parent: str = ""  # id of the bundle that it is to take the place of; "" = of none
    start: Literal["scratch", "parent"] = "scratch"  # the weights that the training began with


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must be."""

    size: int  # bytes
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of a bundle that isn't an array."""

    format: int
    version: str  # of the anchorwatch that wrote it
    window: WindowSpec
    inputs: InputSpec
    architecture: Architecture
    labels: tuple[str, ...]
    anchors: tuple[Anchor, ...]
    training: Training
    files: dict[str, File] = {}
    head: tuple[str, ...] = ()  # the labels of the second opinion, in the order of its outputs
    canaries: tuple[Canary, ...] = ()  # the recorded faults, in the order of their arrays
    known: Calibration | None = None  # from when on a window is unknown
    drift: Sample | None = None  # what the usual ranges of the inputs are of


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle in memory, whole and checked."""

    manifest: Manifest
    weights: dict[str, NDArray[np.float32]]
    anchor_windows: NDArray[np.float32]  # (anchors, steps, features)
    anchor_embeddings: NDArray[np.float32]  # (anchors, embedding)
    golden_windows: NDArray[np.float32]  # (golden, steps, features)
    golden_embeddings: NDArray[np.float32]  # (golden, embedding)
    head: Head | None = None  # the second opinion
    canaries: Recorded | None = None  # faults to test the daemon with
    known: Known | None = None  # what is not near to it is unknown
    drift: Reference | None = None  # what normal traffic was like in the training
    id: str = ""  # the first 12 hexadecimal digits of the manifest's hash; "" until saved

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Each anchor's label, in the order of the anchors."""
        return tuple(anchor.label for anchor in self.manifest.anchors)

    def strangeness(self, false_alarms_a_link_week: float) -> Strangeness | None:
        """Give what tells unknown windows at a budget of false alarms; None: it was not learnt."""
        if self.known is None:
            return None
        return Strangeness(self.known, self.manifest.labels, false_alarms_a_link_week)

    @property
    def parts(self) -> dict[str, Any]:
        """What it might lack, by name; None where it does."""
        return {name: getattr(self, name) for name in PARTS}


def load(path: Path) -> Bundle:
    """Read a bundle and check every size, hash, shape and number in it.

    Raises:
        BundleError: if anything is missing, altered or does not fit together.
    """
    text = _read(path / MANIFEST, MANIFEST_BYTES)
    manifest = _manifest(path, text)
    arrays = {}
    for name in manifest.files:
        data = _read(path / name, FILE_BYTES)
        expected = manifest.files[name]
        if File(len(data), hashlib.sha256(data).hexdigest()) != expected:
            raise BundleError(f"bundle {path}: {name} is not the file that the manifest lists")
        try:
            arrays[name] = tensors.load(data)
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise BundleError(f"bundle {path}: {name} is not safetensors: {error}") from error
    try:
        return Bundle(
            manifest=manifest,
            weights=arrays["weights.safetensors"],
            anchor_windows=arrays["anchors.safetensors"]["windows"],
            anchor_embeddings=arrays["anchors.safetensors"]["embeddings"],
            golden_windows=arrays["golden.safetensors"]["windows"],
            golden_embeddings=arrays["golden.safetensors"]["embeddings"],
            id=_id(text),
            **read_parts(manifest, arrays),
        )
    except KeyError as error:
        raise BundleError(f"bundle {path}: an array is missing: {error}") from error
    except ValueError as error:
        raise BundleError(f"bundle {path}: {error}") from error


def save(bundle: Bundle, path: Path, *, replace: bool = False) -> str:
    """Write a bundle so that *path* never holds half of one, and give its id.

    Raises:
        BundleError: if *path* is there and not *replace*, or is something else than a bundle.
    """
    if path.exists():
        if not (path / MANIFEST).is_file():
            raise BundleError(f"{path} is there and is not a bundle")
        if not replace:
            raise BundleError(f"{path} is there; say so if it is to be replaced")
    contents = {
        "weights.safetensors": _packed(dict(sorted(bundle.weights.items()))),
        "anchors.safetensors": _packed(
            {"windows": bundle.anchor_windows, "embeddings": bundle.anchor_embeddings}
        ),
        "golden.safetensors": _packed(
            {"windows": bundle.golden_windows, "embeddings": bundle.golden_embeddings}
        ),
    }
    contents |= {name: _packed(arrays) for name, arrays in arrays_of(bundle.parts).items()}
    files = {
        name: File(len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()
    }
    manifest = msgspec.structs.replace(bundle.manifest, files=files)
    text = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    _write(path, {MANIFEST: text} | contents)
    return _id(text)


def _packed(arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    # safetensors writes memory as it lies: a transposed array would come back as another one.
    packed: bytes = tensors.save({name: np.ascontiguousarray(one) for name, one in arrays.items()})
    return packed


def _write(path: Path, contents: dict[str, bytes]) -> None:
    """Write all files beside *path*, then put them there with one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name, data in contents.items():
            with (fresh / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        fresh.chmod(0o755)
        old = fresh.with_name(fresh.name + ".old")
        if path.exists():
            path.rename(old)
        fresh.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        why = getattr(error, "strerror", None) or error
        raise BundleError(f"bundle {file.parent}: {file.name}: {why}") from error
    if len(data) > most:
        raise BundleError(f"bundle {file.parent}: {file.name} is larger than {most} bytes")
    return data


def _manifest(path: Path, text: bytes) -> Manifest:
    try:
        head = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        version = msgspec.json.decode(head.get("format", b"0"), type=int)
        if version != FORMAT:
            raise BundleError(f"bundle {path}: format {version}, this version reads {FORMAT}")
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BundleError(f"bundle {path}: {MANIFEST}: {error}") from error
    expected = {*FILES, *files_of(manifest)}
    if set(manifest.files) != expected:
        raise BundleError(f"bundle {path}: {MANIFEST} does not list {', '.join(sorted(expected))}")
    return manifest


def _id(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:12]


def _check(bundle: Bundle) -> None:
    manifest = bundle.manifest
    if manifest.architecture.inputs != len(manifest.inputs.names):
        raise BundleError("the architecture and the inputs don't fit together")
    try:
        manifest.architecture.check(bundle.weights)
        check_parts(manifest, bundle.parts)
        Inputs(manifest.inputs, manifest.window)  # each counter that it needs is in the window
    except ValueError as error:
        raise BundleError(str(error)) from error
    if not manifest.anchors or not len(bundle.golden_windows):
        raise BundleError("there is no anchor, or no golden window")
    if sorted(set(bundle.labels)) != sorted(manifest.labels):
        raise BundleError("the labels and the anchors' labels differ")
    if taken := set(manifest.labels) & set(RESERVED):
        raise BundleError(f"the label {min(taken)!r} means something else to the daemon")
    size = manifest.architecture.embedding
    for what, windows, points, count in (
        ("anchor", bundle.anchor_windows, bundle.anchor_embeddings, len(manifest.anchors)),
        ("golden", bundle.golden_windows, bundle.golden_embeddings, len(bundle.golden_windows)),
    ):
        if windows.shape != (count, *manifest.window.shape) or points.shape != (count, size):
            raise BundleError(f"the {what} windows or embeddings have another shape")
        if windows.dtype != np.float32 or points.dtype != np.float32:
            raise BundleError(f"the {what} windows or embeddings are not float32")
        # A window may have NaN for what was not observed; nothing may be infinite.
        if np.isinf(windows).any() or not np.isfinite(points).all():
            raise BundleError(f"the {what} windows or embeddings are not finite")
