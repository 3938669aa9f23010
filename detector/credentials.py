"""Credentials: what shows the broker who we are, and what shows us the broker.

All of it lies in files and is read anew for every connection, so that what somebody renewed is
taken up. What is read here is passed on and kept nowhere; no message ever holds a secret.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .certificate import expires

if TYPE_CHECKING:
    from .config import Kafka, Sasl, Tls

FOLDER = "CREDENTIALS_DIRECTORY"  # where systemd puts what `LoadCredential=` names
BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})")


class CredentialsError(ValueError):
    """What was said of the broker and of our login there can't be used; says which and why."""


def servers(bootstrap: str) -> list[str]:
    """Take `host:port,host:port` apart.

    Raises:
        CredentialsError: if it is something else.

    >>> servers("kafka-1:9092, [::1]:9092")
    ['kafka-1:9092', '[::1]:9092']
    """
    found = [one.strip() for one in bootstrap.split(",")]
    for one in found:
        match = BROKER.fullmatch(one)
        if not match or not 0 < int(match[2]) < 65536:
            shown = f"...@{one.rpartition('@')[2]}" if "@" in one else one  # before it: a password
            raise CredentialsError(
                f"[kafka] bootstrap: {shown!r} is not HOST:PORT; several go with commas"
            )
    return found


def agree(kafka: Kafka) -> None:
    """Refuse settings that can't hold together, whatever is in the files.

    Raises:
        CredentialsError: if they don't.
    """
    servers(kafka.bootstrap)
    tls, sasl = kafka.tls, kafka.sasl
    of_tls = ("ca", "certificate", "key", "key_password_file")
    named = [name for name in of_tls if getattr(tls, name)]
    if named and not tls.enabled:
        raise CredentialsError(
            f"[kafka.tls] {named[0]} is set, and nothing is encrypted: enabled = true is missing"
        )
    if tls.key and not tls.certificate:
        raise CredentialsError("[kafka.tls] key without certificate: name both")
    if tls.key_password_file and not tls.certificate:
        raise CredentialsError("[kafka.tls] key_password_file without certificate: name both")
    if sasl.password and sasl.password_file:
        raise CredentialsError("[kafka.sasl] password and password_file: give one of them")
    if not sasl.mechanism:
        named = [n for n in ("username", "password", "password_file") if getattr(sasl, n)]
        if named:
            raise CredentialsError(f"[kafka.sasl] {named[0]} without mechanism: name both")
    elif not sasl.username:
        raise CredentialsError(f"[kafka.sasl] {sasl.mechanism} needs a username")
    elif not (sasl.password or sasl.password_file):
        raise CredentialsError(f"[kafka.sasl] {sasl.mechanism} needs a password_file")


def check(kafka: Kafka, environ: Mapping[str, str] = os.environ) -> None:
    """Read all that the settings name, as a connection would.

    Raises:
        CredentialsError: if something isn't there or can't be used.
    """
    agree(kafka)
    password(kafka.sasl, environ)
    if kafka.tls.enabled:
        context(kafka.tls, environ)


def check_dates(
    tls: Tls, now: float | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """Refuse our own certificate if its time is over; *now* is Unix time.

    Raises:
        CredentialsError: if it is.
    """
    if not (tls.enabled and tls.certificate):
        return
    path = find(tls.certificate, environ)
    ended = _expires(path)
    if ended < (time.time() if now is None else now):
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ended))
        raise CredentialsError(f"[kafka.tls] certificate: {path} expired on {when}")


def password(sasl: Sasl, environ: Mapping[str, str] = os.environ) -> str:
    """Give the password as it is now; "" where there is no login.

    Raises:
        CredentialsError: if its file can't be read, or holds none.
    """
    if not sasl.mechanism:
        return ""
    if not sasl.password_file:
        return sasl.password
    return _secret(sasl.password_file, "[kafka.sasl] password_file", environ)


def context(tls: Tls, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Load certificates and key as they are now.

    Raises:
        CredentialsError: if a file can't be read or used.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = tls.check_hostname
    if tls.ca:
        path = find(tls.ca, environ)
        _text(path, "[kafka.tls] ca")  # says clearly if it can't be read
        try:
            made.load_verify_locations(path)
        except ssl.SSLError as error:
            raise CredentialsError(f"[kafka.tls] ca: {path} holds no certificate (PEM)") from error
    else:
        made.load_default_certs()
    if tls.certificate:
        _load_ours(made, tls, environ)
    return made


def find(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Say where a file is: a relative name is one of the service's credentials, if it has some."""
    return Path(environ.get(FOLDER, ""), name)


def _load_ours(made: ssl.SSLContext, tls: Tls, environ: Mapping[str, str]) -> None:
    certificate = find(tls.certificate, environ)
    key = find(tls.key, environ) if tls.key else certificate
    named = "key" if tls.key else "certificate"
    _expires(certificate)  # says clearly if it is none
    if "PRIVATE KEY-----" not in _text(key, f"[kafka.tls] {named}"):
        raise CredentialsError(f"[kafka.tls] {named}: {key} holds no private key (PEM)")

    def unlock() -> str:
        # Without this OpenSSL would ask at the terminal, and a daemon would wait for ever.
        if not tls.key_password_file:
            raise CredentialsError(
                f"[kafka.tls] {named}: {key} is encrypted: key_password_file is missing"
            )
        return _secret(tls.key_password_file, "[kafka.tls] key_password_file", environ)

    try:
        made.load_cert_chain(certificate, key, unlock)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"{key} is not the key of {certificate}"
        elif tls.key_password_file:
            why = f"{key} can't be read: damaged, or key_password_file holds another's password"
        else:
            why = f"{key} can't be read: damaged"
        raise CredentialsError(f"[kafka.tls] {named}: {why}") from error


def _expires(path: Path) -> float:
    try:
        return expires(_text(path, "[kafka.tls] certificate"))
    except CredentialsError:
        raise
    except ValueError as error:
        raise CredentialsError(f"[kafka.tls] certificate: {path}: {error}") from error


def _secret(name: str, setting: str, environ: Mapping[str, str]) -> str:
    path = find(name, environ)
    secret = _text(path, setting).rstrip("\r\n")
    if not secret:
        raise CredentialsError(f"{setting}: {path} is empty")
    if "\0" in secret or "\n" in secret:
        raise CredentialsError(f"{setting}: {path} must hold one line of text")
    return secret


def _text(path: Path, setting: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise CredentialsError(f"{setting}: {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Not `from`: the error shows what it could not read.
        raise CredentialsError(f"{setting}: {path} is not text") from None
