"""The proxy breaks a connection in the ways it says, and in no other."""

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    """Sends everything back, and hangs up on "bye"."""

    def handle(self) -> None:
        """Serve one connection."""
        try:
            while (data := self.request.recv(65536)) not in (b"", b"bye"):
                self.request.sendall(data)
        except ConnectionResetError:
            pass  # what these tests make


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection; ends without waiting for them."""

    daemon_threads = True
    block_on_close = False


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a server that sends everything back."""
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """Give a proxy in front of the echo."""
    with Proxy(echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """Give a connection through the proxy that has been used."""
    with connect(proxy) as client:
        assert answer(client, b"hello") == b"hello"
        yield client


def connect(proxy: Proxy) -> socket.socket:
    """Open a connection that gives up waiting after ten seconds."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def answer(client: socket.socket, data: bytes) -> bytes:
    """Send *data* and read until as much came back."""
    client.sendall(data)
    back = b""
    while len(back) < len(data):
        back += client.recv(65536)
    return back


def test_a_cut_resets_and_refuses_until_resumed(proxy: Proxy, client: socket.socket) -> None:
    """A client must meet both faces of a broken network: the reset and the refusal."""
    before = proxy.connections

    proxy.cut()

    assert (before, proxy.connections) == (1, 0)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.resume()
    with connect(proxy) as again:
        assert answer(again, b"again") == b"again"


def held_until_resumed(proxy: Proxy, client: socket.socket) -> None:
    """Check that a stalled proxy passes nothing on, and what was sent once it is resumed."""
    client.sendall(b"held")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(4)

    proxy.resume()
    client.settimeout(10)

    assert client.recv(4) == b"held"


def test_a_stall_keeps_the_connection_and_what_was_sent(
    proxy: Proxy, client: socket.socket
) -> None:
    """A stalled network loses nothing; a client that gives up too early is what we look for."""
    proxy.stall()
    held_until_resumed(proxy, client)


def test_a_stall_takes_new_connections_and_serves_them_later(proxy: Proxy) -> None:
    """A client that reconnects during a stall hangs, as it does behind a dead router."""
    proxy.stall()

    with connect(proxy) as client:
        held_until_resumed(proxy, client)


def test_a_delay_holds_each_direction_until_resumed(proxy: Proxy, client: socket.socket) -> None:
    """Time-outs are tested against a delay, so it must be as long as it says."""
    proxy.delay(0.2)
    start = time.monotonic()
    answer(client, b"slow")
    slow_seconds = time.monotonic() - start

    proxy.resume()
    start = time.monotonic()
    answer(client, b"fast")
    fast_seconds = time.monotonic() - start

    assert slow_seconds >= 0.4
    assert fast_seconds < slow_seconds


def test_many_bytes_come_through_whole(proxy: Proxy) -> None:
    """A proxy that loses or reorders bytes would be taken for a fault of the client."""
    data = bytes(range(256)) * 4000

    with connect(proxy) as client:
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        back = b""
        while len(back) < len(data):
            back += client.recv(65536)
        sending.join()

    assert back == data


def test_a_hang_up_is_passed_on(client: socket.socket) -> None:
    """A client must see that the broker closed the connection, and not wait for ever."""
    client.sendall(b"bye")

    assert client.recv(1) == b""


def test_a_dead_target_resets_the_client() -> None:
    """A broker that is down must look down through the proxy too."""
    with Proxy() as proxy, pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(1)


def test_stopping_frees_the_port(proxy: Proxy, client: socket.socket) -> None:
    """Nothing of a test may be left for the next."""
    proxy.stop()
    proxy.stop()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not on the PATH")
def test_with_a_certificate_it_speaks_tls_and_can_still_cut(echo: int, tmp_path: Path) -> None:
    """The daemon's TLS settings are tested on a broker that has no TLS of its own."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key)]
    subprocess.run([*make, "-out", str(certificate)], check=True, capture_output=True)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=certificate)

    with (
        Proxy(echo, tls=ours) as proxy,
        connect(proxy) as plain,
        theirs.wrap_socket(
            plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as client,
    ):
        assert answer(client, b"secret") == b"secret"
        proxy.cut()
        # Python's ssl takes a reset for the end of the stream.
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            client.recv(1)
