"""The window message: what lies on the topic, as JSON or MessagePack, one window or a list.

    {"v": 1, "link": str, "source": str, "start_ms": int, "step_ms": int,
     "features": [str], "values": [[float | null]]}

In MessagePack `values` may be raw little-endian float32 with `"shape": [steps, features]`.
The two encodings are told apart by their first byte. One unusable window in a list costs that
window alone: `decode` gives back the good ones and, for each other, its own bytes and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .window import LARGEST, Window, WindowError, WindowSpec, check_name

VERSION = 1
# What clocks of these years say in seconds, 2008 to 2096; in milliseconds it is spring of 1970.
SECONDS = range(1_200_000_000, 4_000_000_000)
LATEST_MS = 10**14  # in the year 5138; this year's microseconds are beyond it
MAX_TIME_MS = 2**53  # beyond it a JSON reader that keeps numbers as doubles loses milliseconds
REASONS = ("undecodable", "version", "name", "time", "step", "feature", "shape", "number", "gaps")


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    v: int
    link: str
    source: str
    start_ms: int
    step_ms: int
    features: tuple[str, ...]


class _JsonWire(_Wire, frozen=True, kw_only=True):
    values: list[list[float | None]]


class _PackedWire(_Wire, frozen=True, kw_only=True):
    values: bytes | list[list[float | None]]
    shape: tuple[int, int] | None = None


class _Version(msgspec.Struct, frozen=True):
    v: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are not a usable window, and why."""

    data: bytes
    reason: str  # one of REASONS
    detail: str


@dataclass(frozen=True, slots=True)
class _Codec:
    """One encoding's three ways to read: a window, a list at once, a list piece by piece."""

    one: Any
    many: Any
    pieces: Any
    version: Any


_JSON = _Codec(
    msgspec.json.Decoder(_JsonWire),
    msgspec.json.Decoder(list[_JsonWire]),
    msgspec.json.Decoder(list[msgspec.Raw]),
    msgspec.json.Decoder(_Version),
)
_PACKED = _Codec(
    msgspec.msgpack.Decoder(_PackedWire),
    msgspec.msgpack.Decoder(list[_PackedWire]),
    msgspec.msgpack.Decoder(list[msgspec.Raw]),
    msgspec.msgpack.Decoder(_Version),
)


def decode(data: bytes, spec: WindowSpec) -> tuple[list[Window], list[Rejected]]:
    """Turn one Kafka message into its windows and what of it was unusable.

    Never raises, whatever the bytes are.

    >>> spec = WindowSpec(features=("requests", "answers"), steps=1, step_ms=1000)
    >>> text = (b'{"v": 1, "link": "a", "source": "s", "start_ms": 0, "step_ms": 1000, '
    ...         b'"features": ["answers", "requests"], "values": [[4, 5]]}')
    >>> windows, rejected = decode(text, spec)
    >>> windows[0].values, rejected
    (array([[5., 4.]], dtype=float32), [])
    """
    codec, is_list = _recognise(data)
    if codec is None:
        return [], [Rejected(data, "undecodable", "neither JSON nor MessagePack of a window")]
    if not is_list:
        return _gather([data], codec, spec)
    try:
        windows = [_window(wire, spec) for wire in codec.many.decode(data)]
        check_numbers(windows, spec)
        return windows, []
    except (msgspec.MsgspecError, WindowError, UnicodeError, RecursionError):
        pass  # something in the list is unusable: read it piece by piece to find out what
    try:
        pieces = [bytes(raw) for raw in codec.pieces.decode(data)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return [], [Rejected(data, "undecodable", str(error))]
    return _gather(pieces, codec, spec)


def encode(windows: Sequence[Window], spec: WindowSpec, *, packed: bool = True) -> bytes:
    """Turn windows of *spec*'s shape into one message: MessagePack, or JSON if not *packed*.

    One window becomes a map, any other number a list of maps.
    """
    wires = [_wire(window, spec, packed=packed) for window in windows]
    body = wires[0] if len(wires) == 1 else wires
    return msgspec.msgpack.encode(body) if packed else msgspec.json.encode(body)


def _wire(window: Window, spec: WindowSpec, *, packed: bool) -> dict[str, Any]:
    common = {
        "v": VERSION,
        "link": window.link,
        "source": window.source,
        "start_ms": window.start_ms,
        "step_ms": spec.step_ms,
        "features": spec.features,
    }
    if packed:
        raw = np.ascontiguousarray(window.values, "<f4")
        return common | {"values": raw.tobytes(), "shape": raw.shape}
    # JSON has no NaN; null says "not observed".
    rows = [[None if v != v else v for v in row] for row in window.values.tolist()]
    return common | {"values": rows}


def _recognise(data: bytes) -> tuple[_Codec | None, bool]:
    """Which encoding, and whether a list; `{` and `[` can't start a MessagePack map or array."""
    head = data[:64].lstrip()[:1]
    if head in (b"{", b"["):
        return _JSON, head == b"["
    first = data[0] if data else 0
    if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
        return _PACKED, False
    if 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
        return _PACKED, True
    return None, False


def _gather(
    pieces: list[bytes], codec: _Codec, spec: WindowSpec
) -> tuple[list[Window], list[Rejected]]:
    windows, rejected = [], []
    for piece in pieces:
        try:
            window = _window(codec.one.decode(piece), spec)
            check_numbers([window], spec)
            windows.append(window)
        except WindowError as error:
            rejected.append(Rejected(piece, error.reason, str(error)))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            rejected.append(_explain(piece, codec, str(error)))
    return windows, rejected


def _explain(piece: bytes, codec: _Codec, problem: str) -> Rejected:
    """Find the reason: of a later version it is the version, whatever its fields are."""
    try:
        version = codec.version.decode(piece).v
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        version = VERSION
    if version != VERSION:
        return Rejected(piece, "version", f"version {version}, this daemon reads {VERSION}")
    return Rejected(piece, "undecodable", problem)


def _window(wire: Any, spec: WindowSpec) -> Window:
    if wire.v != VERSION:
        raise WindowError("version", f"version {wire.v}, this daemon reads {VERSION}")
    check_name("link", wire.link)
    check_name("source", wire.source)
    _check_time(wire.link, wire.start_ms)
    if wire.step_ms != spec.step_ms:
        raise WindowError(
            "step", f"link {wire.link!r}: step_ms {wire.step_ms}, the model needs {spec.step_ms}"
        )
    values = _arrange(_numbers(wire), wire.features, spec, wire.link)
    end_ms = wire.start_ms + spec.span_ms
    return Window(wire.link, wire.source, wire.start_ms, end_ms, values)


def _check_time(link: str, start_ms: int) -> None:
    # Taken as it is, such a link would have no state for ever, and nobody would know why.
    if start_ms in SECONDS:
        why = ": is it in seconds?"
    elif start_ms > LATEST_MS:
        why = ": is it in microseconds or nanoseconds?"
    elif start_ms < 0:
        why = ""
    else:
        return
    raise WindowError("time", f"link {link!r}: start_ms {start_ms} is no time{why}")


def _numbers(wire: Any) -> NDArray[np.float32]:
    """Read the message's own table: `(steps, features)` in the message's order."""
    try:
        if isinstance(wire.values, bytes):
            return np.frombuffer(wire.values, "<f4").reshape(wire.shape or (-1, 0))
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite: refused below
            return np.array(wire.values, np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise WindowError("shape", f"link {wire.link!r}: values are no table: {error}") from error


def _arrange(
    table: NDArray[np.float32], names: tuple[str, ...], spec: WindowSpec, link: str
) -> NDArray[np.float32]:
    """Bring the columns into the spec's order."""
    if table.shape != (spec.steps, len(names)):
        need = f"{spec.steps} steps of the {len(names)} features it names"
        raise WindowError("shape", f"link {link!r}: shape is {table.shape}, needs {need}")
    columns = None if names == spec.features else _columns(names, spec)
    return table if columns is None else _pick(table, columns)


def check_numbers(windows: Sequence[Window], spec: WindowSpec) -> None:
    """Refuse numbers too large to sum, and required features with too many gaps, all at once.

    Raises:
        WindowError: for the first window that has either.
    """
    if not windows:
        return
    values = np.stack([window.values for window in windows])
    sizes = np.abs(values)
    if sizes.max() <= LARGEST:  # not so where anything is NaN
        return
    wild = (sizes > LARGEST).any(axis=(1, 2))
    if wild.any():
        link = windows[int(wild.argmax())].link
        raise WindowError("number", f"link {link!r}: a value is infinite, or beyond {LARGEST:g}")
    short = spec.is_short((~np.isnan(values)).mean(axis=1))  # (windows, features)
    if short.any():
        window, feature = (int(place) for place in np.argwhere(short)[0])
        which, link = spec.features[feature], windows[window].link
        raise WindowError("gaps", f"link {link!r}: {which!r} is missing in too many steps")


def _pick(table: NDArray[np.float32], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    picked = table[:, columns]
    picked[:, columns < 0] = np.nan
    return picked


@lru_cache(maxsize=64)
def _columns(names: tuple[str, ...], spec: WindowSpec) -> NDArray[np.intp]:
    """Where each of the spec's features is in the message; -1 = absent."""
    if len(set(names)) != len(names):
        raise WindowError("feature", "a feature is named twice")
    places = {name: place for place, name in enumerate(names)}
    for name in spec.features:
        if name not in places and name not in spec.optional:
            raise WindowError("feature", f"feature {name!r} is missing")
    return np.array([places.get(name, -1) for name in spec.features])
