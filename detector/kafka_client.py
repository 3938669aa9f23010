"""The Kafka clients: every consumer, producer and admin client is made by an `Access`.

So all of them are encrypted and logged in as `[kafka.tls]` and `[kafka.sasl]` say, all take up
renewed files at their next connection, and none hammers at a broker that refuses us.
"""

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from . import credentials
from .config import ConfigError, Kafka
from .figures import Figure
from .kafka_connecting import AwayError, RefusedError, open_client
from .kafka_doors import Doors
from .kafka_refusal import away, is_answer, refusal

log = logging.getLogger(__name__)

__all__ = ["Access", "AwayError", "RefusedError", "arguments", "partitions", "stuck_at"]


def arguments(kafka: Kafka) -> dict[str, Any]:
    """Give what every client needs to find its broker; secrets are added when it connects."""
    sasl = kafka.sasl
    protocol = "SSL" if kafka.tls.enabled else "PLAINTEXT"
    if not sasl.mechanism:
        return {
            "bootstrap_servers": credentials.servers(kafka.bootstrap),
            "security_protocol": protocol,
        }
    name = sasl.username
    if sasl.mechanism != "PLAIN":  # RFC 5802 parts its messages by these, and the client doesn't
        name = name.replace("=", "=3D").replace(",", "=2C")
    return {
        "bootstrap_servers": credentials.servers(kafka.bootstrap),
        "security_protocol": f"SASL_{protocol}",
        "sasl_mechanism": sasl.mechanism,
        "sasl_plain_username": name,
    }


def partitions(admin: Any, topic: str) -> int:
    """Say how many partitions a topic has; 0: it isn't there.

    Raises:
        TopicAuthorizationFailedError: if we may not know. To the client that looks the same, and
            what is kept from us must not be taken for empty.
    """
    (found,) = admin.describe_topics([topic])
    if found["error_code"] == TopicAuthorizationFailedError.errno:
        raise TopicAuthorizationFailedError(topic)
    return len(found["partitions"])


def stuck_at(consumer: Any, error: Exception) -> TopicPartition | None:
    """Say at which partition's record a poll failed; None where *error* is of no record."""
    # Only the fetcher knows; kafka-python is pinned below 3.1.
    stuck = consumer._fetcher._next_partition_records
    return None if not stuck or is_answer(error) else stuck.topic_partition


class Access:
    """Makes the clients of one broker, and knows whether it refuses us.

    All parts of a program share one, so that together they ask no more often than one would.
    """

    def __init__(
        self,
        settings: Kafka,
        *,
        is_patient: bool = False,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Whoever *is_patient* is refused for ever without an end of it."""
        self.settings = settings
        self._is_patient, self._clock, self._environ = is_patient, clock, environ
        self._doors, self._lock = Doors(), threading.Lock()
        self._away = ""  # why the last connection came to nothing
        if settings.sasl.mechanism == "PLAIN" and not settings.tls.enabled:
            log.warning("the password travels in the clear", extra={"to": settings.bootstrap})

    def consumer(self, **how: Any) -> Any:
        """Make a consumer.

        Raises:
            RefusedError: if the broker refuses us.
            KafkaError, OSError: if there is none.
            ConfigError: if it never let us in, and refused us for long enough.
        """
        return self._open(KafkaConsumer, how)

    def producer(self, **how: Any) -> Any:
        """Make a producer; raises as `consumer` does."""
        return self._open(KafkaProducer, how)

    def admin(self, **how: Any) -> Any:
        """Make a client that makes topics; raises as `consumer` does."""
        return self._open(KafkaAdminClient, how)

    def why(self) -> str:
        """Say why the broker refuses us; "" while it doesn't."""
        with self._lock:
            return self._doors.why(self._clock())

    def figures(self) -> Iterable[Figure]:
        """Say whether it does, as a number."""
        yield Figure(
            "broker_refused",
            "1 while the broker refuses us, for our login or for a certificate, else 0.",
            {(): float(bool(self.why()))},
        )

    def admits(self, address: str) -> bool:
        """Whether an attempt may be made now; if so, somebody makes it."""
        with self._lock:
            return self._doors.knock(address, self._clock())

    def wait(self, address: str) -> float:
        """Give the seconds until one may be made."""
        with self._lock:
            return self._doors.wait(address, self._clock())

    def secrets(self) -> Mapping[str, Any]:
        """Read the password as it is now."""
        sasl = self.settings.sasl
        if not sasl.mechanism:
            return {}
        return {"sasl_plain_password": credentials.password(sasl, self._environ)}

    def context(self) -> ssl.SSLContext:
        """Load the certificates as they are now."""
        return credentials.context(self.settings.tls, self._environ)

    def welcome(self, address: str) -> None:
        """Note that a broker let us in."""
        with self._lock:
            had_refused = self._doors.welcome(address)
        if had_refused:
            log.info("broker lets us in again", extra={"broker": address})

    def failed(self, address: str, error: BaseException) -> None:
        """Note that an attempt came to nothing."""
        why = refusal(error, address, self.settings)
        with self._lock:
            if why is None and not error.args:
                return  # we ended it ourselves, so nothing was learnt
            if why is None:
                self._away = away(error, self.settings)
                self._doors.clear(address)
                return
            is_news = self._doors.refuse(address, why, self._clock())
        if is_news:
            log.error("broker refuses us", extra={"why": why})

    def lost(self, error: BaseException) -> None:
        """Note that a connection came to an end."""
        self._away = away(error, self.settings)

    def _open(self, kind: Callable[..., Any], how: Mapping[str, Any]) -> Any:
        servers = arguments(self.settings)["bootstrap_servers"]
        if all(self.wait(address) > 0 for address in servers):
            raise self._refused()
        made: list[Any] = []

        def client(**configs: Any) -> Any:
            made.append(open_client(self, **configs))
            return made[-1]

        try:
            return kind(**arguments(self.settings), kafka_client=client, **how)
        except BaseException as error:
            for one in made:  # or its thread and its sockets would stay
                one.close()
            if isinstance(error, KafkaTimeoutError | RefusedError) and self.why():
                raise self._refused() from None
            if isinstance(error, KafkaTimeoutError):
                why = f": {self._away}" if self._away else ""
                raise AwayError(f"no broker answers at {self.settings.bootstrap}{why}") from None
            raise

    def _refused(self) -> RefusedError:
        """Make the error of a refusal, or end if that has been going on for too long."""
        why, limit = self.why(), self.settings.refused_seconds
        has_hope = self._doors.was_in or self._is_patient
        if not has_hope and self._doors.seconds(self._clock()) >= limit:
            raise ConfigError(f"{why} (for {limit:g} s)")
        return RefusedError(why)
