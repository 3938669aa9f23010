"""Connecting: how the Kafka client's connections are made, and where it needs help with that.

kafka-python tries again and again whatever the broker says, with another login each time; waits
for ever for a broker that takes a connection and never answers in TLS; and forgets a broker's
last words if it hangs up with them. It is pinned below 3.1: some of this is not its public API.
"""

import ssl
import time
from collections.abc import Mapping
from typing import Any, Protocol

from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

OTHERS_SECONDS = 0.05  # until another broker is tried, where one refuses us
HANDSHAKE_SECONDS = 10.0  # for TLS, where nobody says how long


class RefusedError(KafkaError):  # type: ignore[misc]
    """The broker doesn't let us in; says which, why and what to do."""

    def __str__(self) -> str:
        """Give the message alone; the client's errors have their class before it."""
        return str(self.args[0])


class AwayError(KafkaTimeoutError):  # type: ignore[misc]
    """No broker answers; says which, and why as far as anybody knows."""

    def __str__(self) -> str:
        """Give the message alone; the client's errors have their class before it."""
        return str(self.args[0])


class Gate(Protocol):
    """Is asked before a connection is made, and told what came of it; from any thread."""

    def admits(self, address: str) -> bool:
        """Whether an attempt may be made now; if so, somebody makes it."""

    def wait(self, address: str) -> float:
        """Seconds until one may be made."""

    def why(self) -> str:
        """Why we are refused; "" if we aren't."""

    def secrets(self) -> Mapping[str, Any]:
        """Give what a login needs, as it is now."""

    def context(self) -> ssl.SSLContext:
        """Load what TLS needs, as it is now."""

    def welcome(self, address: str) -> None:
        """Note that a broker let us in."""

    def failed(self, address: str, error: BaseException) -> None:
        """Note that an attempt came to nothing."""

    def lost(self, error: BaseException) -> None:
        """Note that a connection came to an end."""


def open_client(gate: Gate, **configs: Any) -> Any:
    """Make the part of a client that has the connections, for its `kafka_client` argument."""
    net = NetworkSelector(**configs)
    return KafkaNetClient(net=net, manager=_Manager(net, gate, **configs), **configs)


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Makes connections where the gate lets it."""

    def __init__(self, net: Any, gate: Gate, **configs: Any) -> None:
        super().__init__(net, **configs)
        self._gate = gate
        self._admitted: set[str] = set()  # nodes to which a connection is being made right now

    def connection_delay(self, node_id: Any) -> float:
        """Give the seconds until a node may be connected to; 0 where it is."""
        delay = float(super().connection_delay(node_id))
        if node_id in self._conns or node_id in self._admitted:
            return delay
        address = self._address(node_id)
        if address and (wait := self._gate.wait(address)):
            has_others = self.cluster.is_bootstrap(node_id) and not self._is_shut_out()
            return OTHERS_SECONDS if has_others else max(delay, wait)
        return delay

    def get_connection(self, node_id: Any, *args: Any, **kwargs: Any) -> Any:
        """Give a node's connection, or begin to make one.

        Raises:
            RefusedError: if there is nobody else to begin with.
            NodeNotReadyError: if it is too early for another attempt.
        """
        address = self._address(node_id)
        if not address or node_id in self._conns:
            return super().get_connection(node_id, *args, **kwargs)
        if self.cluster.is_bootstrap(node_id) and self._is_shut_out():
            raise RefusedError(self._gate.why())
        if super().connection_delay(node_id) > 0 or not self._may_connect(address):
            raise NodeNotReadyError(node_id)
        self._admitted.add(node_id)
        try:
            made = super().get_connection(node_id, *args, **kwargs)
        finally:
            self._admitted.discard(node_id)
        made.init_future.add_callback(lambda _: self._gate.welcome(address))
        made.init_future.add_errback(lambda error: self._gate.failed(address, error))
        made.close_future.add_errback(self._gate.lost)
        return made

    def _may_connect(self, address: str) -> bool:
        if not self._gate.admits(address):
            return False
        try:
            # A connection takes what it needs from here when it is made.
            self.config.update(self._gate.secrets())
        except ValueError as error:
            self._gate.failed(address, error)
            return False
        return True

    def _is_shut_out(self) -> bool:
        """Whether each broker that we know to begin with refuses us."""
        nodes = self.cluster.bootstrap_brokers()
        return all(self._gate.wait(f"{node.host}:{node.port}") > 0 for node in nodes)

    def _address(self, node_id: Any) -> str:
        node = self.cluster.broker_metadata(node_id) if node_id is not None else None
        return f"{node.host}:{node.port}" if node is not None else ""

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        options = self.config["socket_options"]
        # Before there is a connection, for the files may be missing.
        context = self._gate.context() if self.ssl_enabled else None
        sock = await create_connection(
            self._net, node.host, node.port, options, timeout_at=timeout_at
        )
        if context is None:
            return _Plain(self._net, sock, host=node.host)
        transport = _Tls(self._net, sock, host=node.host, ssl_context=context)
        try:
            await transport.agree(timeout_at or time.monotonic() + HANDSHAKE_SECONDS)
        except Exception as error:
            transport.close()
            raise KafkaConnectionError(f"TLS: {error}") from error
        return transport


class _LastWords:
    """Passes on what came before a broker hung up: why it refuses us."""

    _end: Any = None

    def _sock_recv(self) -> tuple[bytes, Any]:
        if self._end is not None:
            return b"", self._end
        data, error = super()._sock_recv()  # type: ignore[misc]
        if data and error:
            self._end = error
            return data, None
        return data, error


class _Plain(_LastWords, KafkaTCPTransport):  # type: ignore[misc]
    """A connection without encryption."""


class _Tls(_LastWords, KafkaSSLTransport):  # type: ignore[misc]
    """An encrypted connection."""

    async def agree(self, timeout_at: float) -> None:
        """Shake hands, until *timeout_at* on the monotonic clock at most."""
        while True:
            try:
                self._sock.do_handshake()
                return
            except ssl.SSLWantReadError:
                await self._net.wait_read(self._sock, timeout_at=timeout_at)
            except ssl.SSLWantWriteError:
                await self._net.wait_write(self._sock, timeout_at=timeout_at)
