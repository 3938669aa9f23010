"""Bundles gone wrong: what disks, copies and hands make of a folder, drawn at random.

`mutations` gives damaged copies of a good bundle. Some have right hashes, as if a broken tool had
written them; a few are bundles still, but never the same one.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors import numpy as tensors

MANIFEST = "manifest.json"
ODD: tuple[Any, ...] = (None, -1, 0, 2**40, 2**70, 1e308, "", "\u202e", [], {}, True, [[]] * 3)


def mutations(folder: Path, rng: np.random.Generator, count: int = 200) -> Iterator[Path]:
    """Give *count* damaged copies of a bundle, each in a folder that is gone with the next."""
    whole = contents(folder)
    with TemporaryDirectory(prefix="mutations-") as room:
        for place in range(count):
            damage = DAMAGES[place % len(DAMAGES)]
            copy = Path(room) / f"{place:03}-{damage.__name__.strip('_')}"
            while contents(copy) in ({}, whole):  # by chance nothing had changed
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(folder, copy)
                damage(copy, rng)
                if damage is _gone:
                    break
            yield copy
            shutil.rmtree(copy, ignore_errors=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder; one that is something else has no bytes to give."""
    found = {}
    for file in sorted(folder.glob("*")):
        found[file.name] = b""
        with suppress(OSError):
            found[file.name] = file.read_bytes()
    return found


def _any_file(folder: Path, rng: np.random.Generator) -> Path:
    return folder / str(rng.choice(sorted(file.name for file in folder.iterdir())))


def _arrays_file(folder: Path, rng: np.random.Generator) -> Path:
    return folder / str(rng.choice(sorted(file.name for file in folder.glob("*.safetensors"))))


def _flipped(folder: Path, rng: np.random.Generator) -> None:
    """Flip up to eight bits of a file."""
    file = _any_file(folder, rng)
    data = np.frombuffer(file.read_bytes(), np.uint8).copy()
    for place in rng.integers(len(data), size=rng.integers(1, 9)):
        data[place] ^= 1 << rng.integers(8)
    file.write_bytes(data.tobytes())


def _truncated(folder: Path, rng: np.random.Generator) -> None:
    """Cut off the end of a file, or all of it."""
    file = _any_file(folder, rng)
    data = file.read_bytes()
    file.write_bytes(data[: rng.choice([0, rng.integers(len(data)), len(data) - 1])])


def _grown(folder: Path, rng: np.random.Generator) -> None:
    """Put something after the end of a file."""
    file = _any_file(folder, rng)
    file.write_bytes(file.read_bytes() + rng.bytes(int(rng.integers(1, 5000))))


def _zeroed(folder: Path, rng: np.random.Generator) -> None:
    """Leave a hole in a file, as a disk does that lost some blocks."""
    file = _any_file(folder, rng)
    data = bytearray(file.read_bytes())
    start = int(rng.integers(len(data)))
    size = min(len(data) - start, int(rng.integers(1, 4097)))
    data[start : start + size] = bytes(size)
    file.write_bytes(bytes(data))


def _missing(folder: Path, rng: np.random.Generator) -> None:
    """Lose a file."""
    _any_file(folder, rng).unlink()


def _gone(folder: Path, _rng: np.random.Generator) -> None:
    """Lose all of it."""
    shutil.rmtree(folder)


def _swapped(folder: Path, rng: np.random.Generator) -> None:
    """Let two files have each other's names."""
    names = sorted(file.name for file in folder.iterdir())
    one, two = (folder / str(name) for name in rng.choice(names, 2, replace=False))
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)


def _odd(folder: Path, rng: np.random.Generator) -> None:
    """Let something else than a file have its name."""
    file = _any_file(folder, rng)
    file.unlink()
    if rng.integers(2):
        file.mkdir()
    else:
        file.symlink_to(rng.choice([file.name, "nowhere", "/"]))


def _misshapen(folder: Path, rng: np.random.Generator) -> None:
    """Let an array have another shape, type or name, or numbers that aren't any; hashes fit."""
    file = _arrays_file(folder, rng)
    arrays = tensors.load(file.read_bytes())
    name = str(rng.choice(sorted(arrays)))
    array = arrays.pop(name)
    with np.errstate(all="ignore"):  # numbers that the other type does not have
        made = SHAPES[rng.integers(len(SHAPES))](name, array.copy())
    arrays |= {new: np.ascontiguousarray(value) for new, value in made.items()}
    file.write_bytes(tensors.save(arrays))
    _rehash(folder)


SHAPES: tuple[Callable[[str, Any], dict[str, Any]], ...] = (
    lambda name, array: {name: array[:-1]},
    lambda name, array: {name: array[..., :-1]},
    lambda name, array: {name: array[:0]},
    lambda name, array: {name: array.T if array.ndim > 1 else array[None]},
    lambda name, array: {name: array[None]},
    lambda name, array: {name: array.ravel()[:1].reshape(())},
    lambda name, array: {name: np.concatenate([array, array])},
    lambda name, array: {name: array.astype(np.float64)},
    lambda name, array: {name: array.astype(np.float16)},
    lambda name, array: {name: array.astype(np.int32)},
    lambda name, array: {name: np.full_like(array, np.nan)},
    lambda name, array: {name: np.full_like(array, np.inf)},
    lambda name, array: {name: np.full_like(array, 3e38)},
    lambda name, array: {name: -array - 1},
    lambda name, array: {f"{name}.": array},
    lambda name, array: {name: array, "more": array},
    lambda _name, _array: {},
)


def _rewritten(folder: Path, rng: np.random.Generator) -> None:
    """Let something in the manifest be gone, or something else."""
    manifest = json.loads((folder / MANIFEST).read_text())
    places = list(_places(manifest))
    holder, key = places[rng.integers(len(places))]
    what = rng.integers(len(ODD) + 2)
    if what < len(ODD):
        holder[key] = ODD[what]
    elif what == len(ODD):
        del holder[key]
    elif isinstance(holder, dict):
        holder["more"] = holder[key]
    else:
        holder.append(holder[key])
    (folder / MANIFEST).write_text(json.dumps(manifest))


def _exchanged(folder: Path, rng: np.random.Generator) -> None:
    """Let two files have each other's names, and the hashes fit."""
    names = sorted(file.name for file in folder.glob("*.safetensors"))
    one, two = (folder / str(name) for name in rng.choice(names, 2, replace=False))
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)
    _rehash(folder)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Give everything that is in a tree, by what holds it and where."""
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from _places(tree[key])


def _rehash(folder: Path) -> None:
    """Let the manifest list the files as they are."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    (folder / MANIFEST).write_text(json.dumps(manifest))


DAMAGES = (
    *(_flipped, _truncated, _grown, _zeroed, _missing, _swapped, _odd, _gone),
    *(_misshapen, _rewritten, _exchanged, _misshapen, _rewritten),
)
