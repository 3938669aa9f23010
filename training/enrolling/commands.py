"""What the commands on enrolments have in common: their options, opening, writing and failing."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from training.failing import EX_CONFIG, fail
from training.places import Places, with_places
from training.when import TimeError, parse

from .places import whoami

if TYPE_CHECKING:
    from detector.enrolment import Act, Enrolment
    from detector.enrolments import Enrolments

WHO = click.option("--who", default=whoami, show_default="your user name", help="For the history")
WHERE = with_places("bundles", "kafka")


class Time(click.ParamType[Any]):
    """A time as people type it, Unix milliseconds."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        try:
            return parse(value, now_ms())
        except TimeError as error:
            self.fail(str(error), param, ctx)


def now_ms() -> int:
    """Tell the time, Unix milliseconds."""
    return round(time.time() * 1000)


def act(what: Any, who: str, why: str) -> "Act":
    """Make what is done now."""
    from detector.enrolment import Act

    return Act(at_ms=now_ms(), who=who, what=what, why=why)


def write(kept: "Enrolments", changed: "Sequence[Enrolment]", said: str) -> None:
    """Write enrolments, and say of each what was done."""
    for one in changed:
        kept.write(one)
        if said:
            click.echo(f"{one.id} {one.name} {said}")


@contextmanager
def opened(places: Places) -> "Iterator[tuple[Enrolments, dict[str, Enrolment]]]":
    """Open where anchors are kept, and read them all."""
    from .book import read_all
    from .places import open_kept

    kept = open_kept(places)
    try:
        with answering(places):
            yield kept, read_all(kept)
    finally:
        kept.close()


@contextmanager
def answering(places: Places) -> Iterator[None]:
    """Say which broker is asked, and in words if it doesn't answer.

    Raises:
        EnrollingError: if it doesn't, or can't.
    """
    from detector.enrolments import EnrolmentsUnavailableError

    from .errors import EnrollingError

    if places.kafka is not None:
        click.echo(f"asking {places.kafka.bootstrap} ...", err=True)
    try:
        yield
    except EnrolmentsUnavailableError as error:
        raise EnrollingError(_in_words(error, places)) from error


@contextmanager
def failing() -> Iterator[None]:
    """End with a message where something can't be done."""
    from detector.bundle import BundleError
    from detector.enrolment import EnrolmentError

    from .errors import EnrollingError

    try:
        yield
    except BundleError as error:
        fail(str(error), EX_CONFIG)
    except (EnrolmentError, EnrollingError, OSError) as error:
        fail(str(error))


def _in_words(error: Exception, places: Places) -> str:
    """Say what a broker's error means; of any other, what it says itself."""
    from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

    from detector.kafka_client import AwayError, RefusedError

    cause, kafka = error.__cause__, places.kafka
    if kafka is None or not isinstance(cause, KafkaError):
        return str(error)
    if isinstance(cause, AwayError | RefusedError):
        return str(cause)
    if isinstance(cause, KafkaConnectionError | KafkaTimeoutError):
        return f"no broker answers at {kafka.bootstrap}"
    return f"topic {kafka.anchors} on the broker at {kafka.bootstrap}: {cause}"
