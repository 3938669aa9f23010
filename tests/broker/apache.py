"""Apache Kafka itself: one node of KRaft, run from the jars that `pom.xml` names.

The jars are fetched once, into `build/` of the checkout.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path
from xml.etree import ElementTree

from kafka import KafkaAdminClient

from tests.broker import Broker
from tests.broker.proxy import free_port
from tests.kept import kept

POM = Path(__file__).with_name("pom.xml")
# Small and quick to start rather than quick in the long run.
JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=DIRECT
listeners=CONTROLLER://127.0.0.1:{controller},DIRECT://127.0.0.1:{direct}{proxied_listener}
advertised.listeners=DIRECT://127.0.0.1:{direct}{proxied_advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,DIRECT:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs={home}/data
auto.create.topics.enable=true
num.partitions=1
# One node has nobody to copy to.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Groups form at once, and tests need not wait long for a member that died.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Records may carry times of long ago.
log.retention.ms=-1
# After a crash the controller waits this long before it lets the broker in again.
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=2000
"""


class ApacheBroker(Broker):
    """Apache Kafka on a Java of 17 or newer."""

    name = "Apache Kafka"

    def __init__(self, *, port: int | None = None, advertised_port: int | None = None) -> None:
        super().__init__(port=port, advertised_port=advertised_port)
        self._proxied = self.advertised_port != self.port
        self._direct_port = free_port() if self._proxied else self.port
        self._controller_port = free_port()

    @property
    def direct(self) -> str:
        """The way past the proxy, for the test itself."""
        return f"127.0.0.1:{self._direct_port}"

    def _command(self, home: Path) -> list[str]:
        java = [_tool("java"), *JVM, f"-Djava.io.tmpdir={home}", "-Dlog4j2.level=WARN"]
        java += ["-cp", f"{jars()}/*"]
        settings = home / "server.properties"
        if not settings.exists():
            settings.write_text(self._properties(home))
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            # With "=", since one in 64 begins with a dash.
            tool = ["kafka.tools.StorageTool", "format", "--standalone"]
            tool += [f"--cluster-id={cluster}", *self._format_options(), "-c"]
            _run([*java, *tool, str(settings)])
        return [*java, "kafka.Kafka", str(settings)]

    def _format_options(self) -> list[str]:
        """Give what else is to be there from the beginning, as options of the format tool."""
        return []

    def _properties(self, home: Path) -> str:
        return PROPERTIES.format(
            home=home,
            controller=self._controller_port,
            direct=self._direct_port,
            proxied_listener=f",PROXIED://127.0.0.1:{self.port}" if self._proxied else "",
            proxied_advertised=f",PROXIED://{self.bootstrap}" if self._proxied else "",
        )

    def _answers(self) -> bool:
        with KafkaAdminClient(bootstrap_servers=self.direct, bootstrap_timeout_ms=10_000) as admin:
            # Empty until the controller has let the broker in.
            return bool(admin.describe_cluster()["brokers"])


def jars() -> Path:
    """Give the folder with Kafka's jars, fetching them if they aren't there.

    Raises:
        RuntimeError: if Maven isn't there or can't fetch them.
    """
    version = ElementTree.parse(POM).findtext(".//{*}dependency/{*}version")
    # The digest, since another dependency may change while Kafka stays.
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]

    def fetch(folder: Path, lock: int) -> None:
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        maven = [_tool("mvn"), "-q", "-B", "-f", str(POM), *copy]
        _run([*maven, f"-DoutputDirectory={folder}"], keep_open=lock)

    return kept(f"kafka-{version}-{digest}", fetch)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if not path:
        raise RuntimeError(f"Apache Kafka needs {name}, which is not on the PATH")
    return path


def _run(command: list[str], keep_open: int | None = None) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        pass_fds=[] if keep_open is None else [keep_open],
        check=False,
    )
    if done.returncode:
        output = "\n".join(done.stdout.splitlines()[-30:])
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{output}")
