"""Certificates for the tests: a private authority, and whatever it signs, as PEM files."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

AGO = datetime.timedelta(days=30)


class Authority:
    """An authority of the test's own; each certificate is a folder with its files."""

    def __init__(self, home: Path) -> None:
        self._home, self._ca = home, trustme.CA()
        home.mkdir(parents=True, exist_ok=True)
        self.ca = home / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(
        self, name: str, *hosts: str, is_expired: bool = False, password: str = ""
    ) -> Certificate:
        """Sign a certificate of *name* for some hosts, and write it and its key.

        One that is expired ran out a month ago. With a *password* the key is encrypted.
        """
        now = datetime.datetime.now(datetime.UTC)
        leaf = self._ca.issue_cert(
            *hosts,
            common_name=name,
            not_before=now - 3 * AGO,
            not_after=now - AGO if is_expired else now + AGO,
        )
        made = Certificate(self._home / f"{name}{'-expired' if is_expired else ''}")
        made.home.mkdir(exist_ok=True)
        made.certificate.write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
        key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        how: KeySerializationEncryption = NoEncryption()
        if password:
            how = BestAvailableEncryption(password.encode())
        # PKCS #8, for the broker reads nothing else.
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
        made.key.write_bytes(pem)
        made.both.write_bytes(pem + made.certificate.read_bytes())
        return made


class Certificate:
    """Where a certificate and its key are."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.certificate = home / "certificate.pem"
        self.key = home / "key.pem"
        self.both = home / "both.pem"  # in one file, as the broker wants them
