"""Enrolments: anchors that an operator showed to daemons that were running already.

An enrolment is a few raw windows with a label, and who says so. Every daemon embeds them with
its own encoder, whatever that is. Its history is in it: where it is kept, only the newest
version of each is.
"""

import re
from hashlib import blake2s
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from .message import MAX_TIME_MS
from .state import NORMAL, RESERVED
from .window import LARGEST, WindowError, WindowSpec, check_name

MOST_WINDOWS = 64  # in one enrolment
MOST_VALUES = 200_000  # in one enrolment: steps times features times windows
MOST_ACTS = 200  # in its history
MOST_REACH = 10.0
WHY_LETTERS = 500
ID = re.compile(r"[0-9a-f]{12}")  # it becomes the name of a file


class EnrolmentError(ValueError):
    """Something is no enrolment, or can't be used by a bundle; the message says why."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did to an enrolment."""

    at_ms: int  # Unix time
    who: str
    what: Literal["enrolled", "disabled", "enabled", "expires", "removed", "imported"]
    why: str = ""


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Raw windows that are anchors of a label, wherever an encoder embeds them."""

    v: int = 1
    id: str  # of `identify`: the same windows under the same label have the same
    label: str
    kind: str = ""
    link: str  # where it was recorded
    start_ms: int  # of the first window, Unix time
    step_ms: int
    features: tuple[str, ...]
    shape: tuple[int, int, int]  # windows, steps, features
    windows: bytes  # little-endian float32, NaN = not observed; empty once it is removed
    # How many times farther away than the known windows around it a window may be and still be
    # claimed: chosen by the preview, as far as the budget allows.
    reach: float = 1.0
    status: Literal["active", "disabled", "removed"] = "active"
    expires_ms: int | None = None  # Unix time from which on it is not used
    history: tuple[Act, ...] = ()  # oldest first

    @property
    def values(self) -> NDArray[np.float32]:
        """The raw windows: (windows, steps, features)."""
        return np.frombuffer(self.windows, "<f4").reshape(self.shape).astype(np.float32)

    @property
    def name(self) -> str:
        """What a verdict calls the anchor."""
        return f"{self.label}/{self.link}#{self.id[:6]}"

    def is_used(self, now_ms: int) -> bool:
        """Whether daemons go by it at a time."""
        is_over = self.expires_ms is not None and now_ms >= self.expires_ms
        return self.status == "active" and not is_over

    def fitted(self, spec: WindowSpec) -> NDArray[np.float32]:
        """Give its windows as a model reads them: (windows, steps, features).

        Of longer windows the last steps count. Optional features that were not recorded are NaN.

        Raises:
            EnrolmentError: if they are shorter, of another step, lack a feature, or are gone.
        """
        if not self.windows:
            raise EnrolmentError(f"anchor {self.name!r}: its windows were removed")
        if self.step_ms != spec.step_ms or self.shape[1] < spec.steps:
            raise EnrolmentError(
                f"anchor {self.name!r}: its windows are {self.shape[1]} steps of {self.step_ms} "
                f"ms, the bundle needs {spec.steps} of {spec.step_ms}"
            )
        places = {name: place for place, name in enumerate(self.features)}
        recorded = self.values[:, self.shape[1] - spec.steps :]
        fitted = np.full((self.shape[0], *spec.shape), np.nan, np.float32)
        for place, name in enumerate(spec.features):
            if name in places:
                fitted[:, :, place] = recorded[:, :, places[name]]
        observed = (~np.isnan(fitted)).mean(axis=1)
        if (short := spec.is_short(observed).any(axis=0)).any():
            lacking = spec.features[int(short.argmax())]
            raise EnrolmentError(f"anchor {self.name!r}: the feature {lacking!r} was not observed")
        return fitted


def identify(label: str, windows: bytes) -> str:
    """Give 12 hexadecimal digits that stand for windows under a label."""
    return blake2s(label.encode() + b"\0" + windows, digest_size=6).hexdigest()


def enrol(
    *,
    label: str,
    link: str,
    start_ms: int,
    spec: WindowSpec,
    values: NDArray[np.float32],
    act: Act,
    kind: str = "",
    expires_ms: int | None = None,
    reach: float = 1.0,
) -> Enrolment:
    """Make an enrolment of windows: (windows, steps, features) in the spec's order.

    Raises:
        EnrolmentError: if the label or link can't be used, or the windows can't.
    """
    windows = np.ascontiguousarray(values, "<f4").tobytes()
    made = Enrolment(
        id=identify(label, windows),
        label=label,
        kind=kind,
        link=link,
        start_ms=start_ms,
        step_ms=spec.step_ms,
        features=spec.features,
        shape=(len(values), *spec.shape),
        windows=windows,
        reach=reach,
        expires_ms=expires_ms,
        history=(act,),
    )
    check(made)
    made.fitted(spec)
    return made


def check(enrolment: Enrolment) -> None:
    """Refuse what came from outside and is none.

    Raises:
        EnrolmentError: if a name, a number or the size of something is off.
    """
    _check_words(enrolment)
    _check_history(enrolment)
    _check_numbers(enrolment)
    if enrolment.status == "removed" and not enrolment.windows:
        return
    count, steps, features = enrolment.shape
    name = f"anchor {enrolment.name!r}"
    is_small = min(enrolment.shape) > 0 and count <= MOST_WINDOWS
    if not is_small or count * steps * features > MOST_VALUES:
        raise EnrolmentError(f"{name}: {list(enrolment.shape)} is no shape that can be used")
    if features != len(set(enrolment.features)) or features != len(enrolment.features):
        raise EnrolmentError(f"{name}: its features are not as many different ones as its shape's")
    if len(enrolment.windows) != 4 * count * steps * features:
        raise EnrolmentError(f"{name}: {len(enrolment.windows)} bytes are not its shape")
    if enrolment.id != identify(enrolment.label, enrolment.windows):
        raise EnrolmentError(f"{name}: its id is not that of its windows")
    if (np.abs(enrolment.values) > LARGEST).any():
        raise EnrolmentError(f"{name}: a number is infinite, or beyond {LARGEST:g}")


def _check_words(enrolment: Enrolment) -> None:
    """Refuse what would break a log line, a terminal, a metric or the name of a file."""
    if enrolment.v != 1:
        raise EnrolmentError(f"an enrolment of version {enrolment.v}, this version reads 1")
    if not ID.fullmatch(enrolment.id):
        raise EnrolmentError(f"an enrolment's id is {enrolment.id[:40]!a}")
    try:
        for what in ("label", "link"):
            check_name(what, getattr(enrolment, what))
        if enrolment.kind:
            check_name("kind", enrolment.kind)
        for feature in enrolment.features:
            check_name("feature", feature)
    except WindowError as error:
        raise EnrolmentError(f"an enrolment's {error}") from error
    if enrolment.label in RESERVED:
        raise EnrolmentError(f"the label {enrolment.label!r} means something else to the daemon")
    if enrolment.label == NORMAL:  # one would mute an alarm on every link
        raise EnrolmentError(
            f"the label {NORMAL!r} is no fault to enrol; where an alarm was false, "
            "`anchorwatch label reject` says so"
        )
    if len(enrolment.history) > MOST_ACTS:
        raise EnrolmentError(f"an enrolment with {len(enrolment.history)} acts in its history")


def _check_history(enrolment: Enrolment) -> None:
    try:
        for act in enrolment.history:
            check_name("who", act.who)
    except WindowError as error:
        raise EnrolmentError(f"an enrolment's {error}") from error
    for act in enrolment.history:
        if len(act.why) > WHY_LETTERS or not act.why.isprintable():
            why = act.why[:40]
            raise EnrolmentError(f"an enrolment's reason {why!a} is too long or can't be printed")


def _check_numbers(enrolment: Enrolment) -> None:
    times = [enrolment.start_ms, enrolment.expires_ms or 0]
    times += [act.at_ms for act in enrolment.history]
    if not 1 <= enrolment.step_ms <= MAX_TIME_MS or not all(
        0 <= at_ms <= MAX_TIME_MS for at_ms in times
    ):
        raise EnrolmentError("an enrolment's step or one of its times is none in milliseconds")
    if not 0 < enrolment.reach <= MOST_REACH:  # nor is NaN
        raise EnrolmentError(f"an enrolment's reach is {enrolment.reach:g}")
