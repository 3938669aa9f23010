"""Packs: anchors that travel from one site to another, in one file.

    {"format": "anchorwatch-anchors", "v": 1, "sha256": HEX, "hmac_sha256": HEX or absent,
     "contents": {"made_ms", "who", "site", "anchors": [enrolments with raw windows and history]}}

As JSON, with the windows in base64, or as MessagePack. Both digests are of the very bytes of
`contents` in the file. The plain one finds damage; the one with a key, which the two sites share,
finds forgery. A pack is taken whole or not at all.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from detector import durable
from detector.enrolment import Act, Enrolment, EnrolmentError, check

from .errors import EnrollingError

FORMAT = "anchorwatch-anchors"
VERSION = 1
PACK_BYTES = 256 * 2**20
MOST_ANCHORS = 10_000
KEY_BYTES = 16  # at least


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack holds, and who made it."""

    made_ms: int
    who: str
    site: str
    anchors: tuple[Enrolment, ...]


class _Pack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    format: str
    v: int
    sha256: str
    hmac_sha256: str = ""
    contents: msgspec.Raw


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The anchors of a pack beside those that are there."""

    new: tuple[Enrolment, ...]
    known: tuple[Enrolment, ...]  # there, and as they are here
    conflicting: tuple[tuple[Enrolment, str], ...]  # with what is otherwise here


def write(file: Path, contents: Contents, key: bytes | None = None) -> None:
    """Write a pack: JSON where the file's name ends in .json, else MessagePack.

    One without anchors is a pack too: a backup of a site where nothing is enrolled.

    Raises:
        OSError: if it can't be written.
    """
    codec: Any = msgspec.json if file.suffix == ".json" else msgspec.msgpack
    data = codec.encode(contents)
    pack = _Pack(
        format=FORMAT,
        v=VERSION,
        sha256=hashlib.sha256(data).hexdigest(),
        hmac_sha256=_signature(data, key) if key else "",
        contents=msgspec.Raw(data),
    )
    durable.write(file, codec.encode(pack))


def read(file: Path, key: bytes | None = None) -> tuple[Contents, bool]:
    """Read a pack and check all of it; says whether it is signed.

    With a *key* it has to be signed with it.

    Raises:
        EnrollingError: if it is none, was altered, or any of its anchors can't be used.
    """
    pack, codec = _opened(file)
    data = bytes(pack.contents)
    if not _is_same(hashlib.sha256(data).hexdigest(), pack.sha256):
        raise EnrollingError(f"{file}: its contents are not those that its SHA-256 is of")
    if key and not pack.hmac_sha256:
        raise EnrollingError(f"{file}: it is not signed")
    if key and not _is_same(_signature(data, key), pack.hmac_sha256):
        raise EnrollingError(f"{file}: its signature is not one of this key")
    try:
        contents = codec.decode(data, type=Contents)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise EnrollingError(f"{file}: {error}") from error
    _check(file, contents)
    return contents, bool(pack.hmac_sha256)


def read_key(file: Path) -> bytes:
    """Read a key: the file's bytes, but for white space at the ends.

    Raises:
        EnrollingError: if it can't be read, or is too short to keep anything safe.
    """
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise EnrollingError(f"{file}: {error.strerror}") from error
    if len(key) < KEY_BYTES:
        raise EnrollingError(f"{file}: a key has at least {KEY_BYTES} bytes, this one {len(key)}")
    return key


def sort(anchors: Iterable[Enrolment], here: dict[str, Enrolment]) -> Sorted:
    """Tell what is new here, what is known, and what is otherwise here."""
    new: list[Enrolment] = []
    known: list[Enrolment] = []
    conflicting: list[tuple[Enrolment, str]] = []
    labels = {one.windows: one.label for one in here.values() if one.windows}
    for one in anchors:
        mine = here.get(one.id)
        if mine is not None:
            why = _difference(one, mine)
            conflicting.append((one, why)) if why else known.append(one)
        elif one.windows in labels:
            conflicting.append((one, f"the same windows are {labels[one.windows]!r} here"))
        else:
            new.append(one)
    return Sorted(new=tuple(new), known=tuple(known), conflicting=tuple(conflicting))


def imported(
    enrolment: Enrolment, here: Enrolment | None, act: Act, *, disabled: bool = False
) -> Enrolment:
    """Give an enrolment as it is to be kept here; its history goes on with how it came.

    Raises:
        EnrollingError: if that can't be kept.
    """
    status = "disabled" if disabled else enrolment.status
    # What was done to it here stays known, also where the pack's version is taken.
    acts = {*enrolment.history, *(here.history if here else ())}
    history = (*sorted(acts, key=lambda one: one.at_ms), act)
    made = msgspec.structs.replace(enrolment, history=history, status=status)
    try:
        check(made)
    except EnrolmentError as error:
        raise EnrollingError(str(error)) from error
    return made


def _opened(file: Path) -> tuple[_Pack, Any]:
    try:
        with file.open("rb") as stream:
            data = stream.read(PACK_BYTES + 1)
    except OSError as error:
        raise EnrollingError(f"{file}: {error.strerror}") from error
    if len(data) > PACK_BYTES:
        raise EnrollingError(f"{file}: larger than {PACK_BYTES} bytes")
    codec: Any = msgspec.json if data[:1].isspace() or data[:1] == b"{" else msgspec.msgpack
    try:
        pack = codec.decode(data, type=_Pack)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise EnrollingError(f"{file}: not a pack of anchors: {error}") from error
    if pack.format != FORMAT or pack.v != VERSION:
        raise EnrollingError(
            f"{file}: {pack.format[:40]!r} of version {pack.v}, this version reads {FORMAT!r} "
            f"of version {VERSION}"
        )
    return pack, codec


def _check(file: Path, contents: Contents) -> None:
    if len(contents.anchors) > MOST_ANCHORS:
        raise EnrollingError(f"{file}: more than {MOST_ANCHORS} anchors")
    names = (contents.who, contents.site)
    if not all(name.isprintable() and 0 < len(name) <= 200 for name in names):
        raise EnrollingError(f"{file}: who made it can't be printed")
    for one in contents.anchors:
        try:
            check(one)
            if one.status == "removed":
                raise EnrolmentError(f"anchor {one.name!r}: it was removed")
        except EnrolmentError as error:
            raise EnrollingError(f"{file}: {error}") from error
    if len({one.id for one in contents.anchors}) < len(contents.anchors):
        raise EnrollingError(f"{file}: an anchor is in it twice")


def _difference(theirs: Enrolment, mine: Enrolment) -> str:
    """Say in what an anchor is otherwise here; "" if in nothing that matters."""
    different: Sequence[tuple[str, object, object]] = [
        (name, getattr(mine, name), getattr(theirs, name))
        for name in ("status", "expires_ms", "link", "kind", "features", "step_ms")
        if getattr(mine, name) != getattr(theirs, name)
    ]
    return "; ".join(
        f"its {name} is {ours!r} here, {other!r} there" for name, ours, other in different
    )


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _signature(data: bytes, key: bytes) -> str:
    # What it is comes first, so that a signature of something else under the key is none of this.
    return hmac.new(key, f"{FORMAT} {VERSION}\0".encode() + data, hashlib.sha256).hexdigest()
