"""The default inputs for a capture: which ratios and levels its features allow.

What travels between links is neither how much there is of something nor what the traffic is made
of, but how it fares: what comes back of what is asked, what has to be sent again. So known
counters go into ratios of outcome to attempt, and those that only tell the mix of protocols and
messages are left out: an encoder that sees them learns which mix was faulty in training.
A feature that no rule knows becomes a level, and any pair of directions a balance,
so a capture with nothing but interface counters still makes an encoder.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.inputs import Inputs, InputSpec, Level, Mask, Ratio, Swap
from detector.window import DIRECTIONS, WindowSpec

from .augment import pairs

REQUESTS = ("invite", "bye", "register", "options", "cancel", "other_requests")
FINALS = ("2xx", "3xx", "4xx", "5xx", "6xx")
SHARES = (  # part of, whole
    ("sip_retransmissions", "packets"),
    ("tcp_retransmissions", "packets"),
    ("tcp_rst", "packets"),
    ("icmp_errors", "packets"),
    ("errors", "packets"),
    ("discards", "packets"),
    ("drops", "packets"),
    ("errors", "packets_per_second"),
    ("drops", "packets_per_second"),
)
BALANCED = ("packets", "tcp_syn", "packets_per_second", "bits_per_second", "octets", "bytes")
PRESENT = {  # what, and the features that count it
    "packets": ("packets",),
    "retransmissions": ("sip_retransmissions", "tcp_retransmissions"),
}
MIX = (  # tell what the traffic is made of, or only how much there is of it
    *("ack", "1xx", "new_calls", "tcp_fin", "tcp_payload_segments"),
    *("interarrival_ms", "interarrival_max_ms"),
)
OCTETS = 500.0  # of a usual packet
WIDE = 1e6  # a spread at which no input is clipped


FORMS = ("ratios", "counts", "both")


def input_spec(
    features: Sequence[str],
    half_lives_seconds: Sequence[float],
    *,
    form: str = "ratios",
    masks: bool = False,
    busier_first: bool = False,
) -> InputSpec:
    """Choose ratios and levels for *features*, by their names; *form* is one of `FORMS`.

    >>> spec = input_spec(["in_octets", "out_octets", "temperature"], [1.0])
    >>> spec.names
    ('in/out octets 1s', 'in_octets', 'out_octets', 'temperature')
    """
    spec = InputSpec(tuple(half_lives_seconds), (), tuple(Level(name, name) for name in features))
    if form != "counts":
        spec = _with_ratios(features, half_lives_seconds, every_level=form == "both")
    return msgspec.structs.replace(
        spec,
        masks=tuple(Mask(f"{name} observed", name) for name in features) if masks else (),
        swap=_swap(features) if busier_first else None,
    )


def _swap(features: Sequence[str]) -> Swap | None:
    """Tell which direction is the busier one by the first feature of `BALANCED` there is."""
    both = pairs(features)
    for name in BALANCED:
        for here, there in both.items():
            if here.endswith(name) and here.removesuffix(name) in sum(DIRECTIONS, ()):
                return Swap(here, there, both)
    return None


def _with_ratios(
    features: Sequence[str], half_lives_seconds: Sequence[float], *, every_level: bool
) -> InputSpec:
    known = set(features)
    ratios = [ratio for pair in DIRECTIONS for ratio in _ratios(*pair, known)]
    ratios += [ratio for pair in DIRECTIONS for ratio in _presences(*pair, known)]
    balances = [ratio for pair in DIRECTIONS for ratio in _balances(*pair, known)]
    # A counter that is only balanced would lose how much there is of it: it keeps its level.
    used = {name for ratio in ratios for name in (*ratio.over, *ratio.under)}
    levels = [
        Level(name, name)
        for name in features
        if every_level or (name not in used and not _is_mix(name, known))
    ]
    return InputSpec(tuple(half_lives_seconds), (*balances, *ratios), tuple(levels))


def scaled(spec: InputSpec, window: WindowSpec, sample: NDArray[np.float32]) -> InputSpec:
    """Give *spec* the centre and spread of its inputs over *sample* (windows, steps, features)."""
    wide = (WIDE,) * len(spec.names)
    plain = msgspec.structs.replace(spec, centre=(), spread=wide)
    inputs = Inputs(plain, window)(sample).reshape(-1, len(wide)).astype(np.float64) * WIDE
    spread = inputs.std(axis=0)
    spread[spread < 1e-3] = 1.0  # constant in training: its noise must not be blown up
    return msgspec.structs.replace(
        plain,
        centre=tuple(np.round(inputs.mean(axis=0), 6).tolist()),
        spread=tuple(np.round(spread, 6).tolist()),
    )


def _ratios(here: str, there: str, known: set[str]) -> Iterable[Ratio]:
    for out, back in ((here, there), (there, here)):
        yield from _dialogue(out, back, known)
        for part, whole in SHARES:
            if {out + part, out + whole} <= known:
                yield Ratio(f"{out}{part}/{whole}", {out + part: 1}, {out + whole: 1})


def _presences(here: str, there: str, known: set[str]) -> Iterable[Ratio]:
    """Tell whether there is any of something, from 0 to 1; how much hardly matters.

    A link on which nothing comes back is blocked at any load and over any transport.
    """
    for out in (here, there):
        for name, parts in PRESENT.items():
            found = {out + part: 1.0 for part in parts if out + part in known}
            if found:
                yield Ratio(f"{out}any {name}", found, found)


def _balances(here: str, there: str, known: set[str]) -> Iterable[Ratio]:
    """Which direction is the busier one, from -1 to 1."""
    for name in BALANCED:
        pair = {here + name, there + name}
        if pair <= known and not any(_is_mix(one, known) for one in pair):
            over = {here + name: 1.0, there + name: -1.0}
            under = {here + name: 1.0, there + name: 1.0}
            floor = OCTETS if name in ("bytes", "octets") else 1.0
            yield Ratio(f"{here[:-1]}/{there[:-1]} {name}", over, under, floor)


def _dialogue(out: str, back: str, known: set[str]) -> Iterable[Ratio]:
    """Set requests of one direction beside what comes back from the other."""
    requests = {out + name: 1.0 for name in REQUESTS if out + name in known}
    finals = {back + name: 1.0 for name in FINALS if back + name in known}
    opened = {out + "tcp_syn": -1.0, back + "tcp_syn": 1.0}
    if not requests or not finals:
        return
    both = requests | finals
    lost = dict.fromkeys(requests, -1.0)
    yield Ratio(f"{out}requests answered", finals | lost, both)
    if opened.keys() <= known:
        # Whatever the transport: a SYN asks as a request does, and a SYN comes back.
        attempts = both | dict.fromkeys(opened, 1.0)
        yield Ratio(f"{out}attempts answered", finals | lost | opened, attempts)


def _is_mix(name: str, known: set[str]) -> bool:
    """Whether a feature says nothing of how the traffic fares; bytes, where packets are there."""
    bare = name.partition("_")[2] if name.startswith(sum(DIRECTIONS, ())) else name
    return bare in MIX or (bare == "bytes" and name.removesuffix("bytes") + "packets" in known)
