"""Apache Kafka with its doors locked: TLS, certificates of clients, logins and permissions.

One broker has a listener for each form of security, and one without any for the tests themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from tests.broker.apache import ApacheBroker
from tests.broker.certificates import Authority
from tests.broker.proxy import Proxy, free_port

# The users, and their passwords.
USER, PASSWORD = "anchorwatch", "Open-Sesame-7341"
GUARDED, GUARDED_PASSWORD = "guarded", "Bounded-Sesame-1288"  # may do what it is given

LISTENERS = {
    "TLS": "SSL",  # the broker shows a certificate
    "MUTUAL": "SSL",  # and wants one
    "EXPIRED": "SSL",  # the broker's ran out
    "LOGIN": "SASL_SSL",  # SCRAM and PLAIN; behind a proxy, to have clients connect anew
    "SCRAM": "SASL_SSL",  # no PLAIN
    "CLEAR": "SASL_PLAINTEXT",  # a login without encryption
}

PROPERTIES = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
ssl.keystore.type=PEM
ssl.keystore.location={broker}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/,DEFAULT
listener.name.mutual.ssl.client.auth=required
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={expired}
listener.name.login.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.clear.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
"""
MODULES = "org.apache.kafka.common.security"


class SecuredBroker(ApacheBroker):
    """Apache Kafka with a listener for each form of security."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._ports = {name: free_port() for name in LISTENERS}
        self.proxy = proxy  # before the listener LOGIN
        proxy.target_port = self._ports["LOGIN"]

    @property
    def authority(self) -> Authority:
        """Who signs its certificates; there is one once it was started."""
        return self._authority

    def at(self, listener: str, host: str = "127.0.0.1") -> str:
        """Give the bootstrap of a listener."""
        port = self.proxy.port if listener == "LOGIN" else self._ports[listener]
        return f"{host}:{port}"

    def set_password(self, user: str, password: str) -> None:
        """Give a user another password, of SCRAM-SHA-512.

        Connections that are open stay so.
        """
        change = UserScramCredentialUpsertion(user, "SCRAM-SHA-512", password)
        with KafkaAdminClient(bootstrap_servers=self.direct) as admin:
            refused = admin.alter_user_scram_credentials([change])[user]
        if refused:
            raise RuntimeError(refused)

    def permit(self, user: str, kind: str, name: str, *operations: str) -> None:
        """Allow a user something: on a "topic", a "group" or the "cluster"."""
        on = ResourcePattern(ResourceType[kind.upper()], name)
        allowed = [
            ACL(f"User:{user}", "*", ACLOperation[one.upper()], ACLPermissionType.ALLOW, on)
            for one in operations
        ]
        with KafkaAdminClient(bootstrap_servers=self.direct) as admin:
            failed = admin.create_acls(allowed)["failed"]
        if failed:
            raise RuntimeError(failed)

    def _properties(self, home: Path) -> str:
        self._authority = Authority(home / "authority")
        broker = self._authority.issue("broker", "127.0.0.1")
        expired = self._authority.issue("broker", "127.0.0.1", is_expired=True)
        plain = super()._properties(home)
        lines = dict(line.partition("=")[::2] for line in plain.splitlines())
        for name, kind in LISTENERS.items():
            lines["listeners"] += f",{name}://127.0.0.1:{self._ports[name]}"
            lines["advertised.listeners"] += f",{name}://{self.at(name)}"
            lines["listener.security.protocol.map"] += f",{name}:{kind}"
        made = PROPERTIES.format(
            user=USER, broker=broker.both, expired=expired.both, ca=self._authority.ca
        )
        logins = "".join(self._logins(name) for name in ("login", "scram", "clear"))
        return "".join(f"{key}={value}\n" for key, value in lines.items() if value) + made + logins

    def _logins(self, listener: str) -> str:
        at = f"listener.name.{listener}"
        scram = f"{MODULES}.scram.ScramLoginModule required;"
        plain = f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        return (
            f"{at}.scram-sha-512.sasl.jaas.config={scram}\n"
            f"{at}.scram-sha-256.sasl.jaas.config={scram}\n"
            f"{at}.plain.sasl.jaas.config={plain}\n"
        )

    def _format_options(self) -> list[str]:
        users = {USER: PASSWORD, GUARDED: GUARDED_PASSWORD}
        return [
            f"--add-scram={mechanism}=[name={user},password={password}]"
            for user, password in users.items()
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        ]


@contextmanager
def open_secured() -> Iterator[SecuredBroker]:
    """Give a running broker with locked doors; only Apache Kafka has some.

    Without Java and Maven the test that asks is skipped, unless Apache Kafka was insisted on.
    """
    kind = os.environ.get("ANCHORWATCH_TEST_BROKER")
    there = shutil.which("java") and shutil.which("mvn")
    if kind == "tansu" or not (kind or there):
        pytest.skip("TLS, logins and permissions need Apache Kafka: java and mvn on the PATH")
    with Proxy() as proxy, SecuredBroker(proxy) as broker:
        yield broker
