"""The operator's page: its commands are run; what it says of topics, logs and pages is held."""

import os
import re
import shutil
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaAdminClient

from detector.bundle import Bundle, save
from detector.bundles import BundleStore
from detector.config import Kafka
from detector.enrolment import Act, enrol
from detector.enrolments.kafka import KafkaEnrolments
from detector.kafka_states import COMPACTED
from detector.oncall.strangeness import Calibration, Known, Tail
from tests.broker import Broker, needs
from tests.broker.proxy import free_port
from tests.daemon import Producer, Topics
from tests.docs.following import DOCS, Terminal, blocks_of
from tests.fakes import draft_bundle, make_rows, make_spec, make_window

PAGE = (DOCS / "operations.md").read_text()
CODE = DOCS.parent / "detector"


def rows_under(heading: str) -> list[list[str]]:
    """Give the cells of the table that follows a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    assert table, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def knowing(bundle: Bundle) -> Bundle:
    """Give a bundle that knows how far apart windows usually are, as trained ones do."""
    calibration = Calibration(0.1, Tail(1.0, 1, 168.0, 1.0), {}, neighbours=1)
    manifest = msgspec.structs.replace(bundle.manifest, known=calibration)
    return replace(bundle, manifest=manifest, known=Known(bundle.anchor_embeddings, calibration))


class Machine:
    """A machine as the page takes it for granted, in a folder, with a shell to follow it in."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.topics = Topics().create(broker)
        self.state, self.settings = folder / "var", folder / "etc" / "anchorwatch.toml"
        self.broker, self._port = broker, free_port()
        self._places = {
            "/var/lib/anchorwatch": str(self.state),
            "/etc/anchorwatch/anchorwatch.toml": str(self.settings),
            "/srv": str(folder),
            "127.0.0.1:9469": f"127.0.0.1:{self._port}",
        }
        for place in (self.state, self.settings.parent):
            place.mkdir()
        save(knowing(draft_bundle()), folder / "bundle")
        self.write_settings(self.topics)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.terminal = Terminal(folder, os.environ | {"PATH": path})

    def write_settings(self, topics: Topics) -> None:
        """Write settings for a broker on which nobody else has these topics."""
        names = {key.rpartition("__")[2].lower(): name for key, name in topics.settings.items()}
        kafka = "".join(f'{key} = "{name}"\n' for key, name in names.items())
        self.settings.write_text(
            f'bundle = "{self.state}/bundles"\n'
            f'[kafka]\nbootstrap = "{self.broker.direct}"\n{kafka}'
            f"[http]\nport = {self._port}\n"
            f'[store]\npath = "{self.state}/captures"\nflush_seconds = 0.5\n'
        )

    def run(self, commands: str) -> str:
        """Run commands of the page where this machine has its things."""
        for ours, theirs in self._places.items():
            commands = commands.replace(ours, theirs)
        return self.terminal.run(commands)

    def send_a_fault(self) -> None:
        """Let two links report for two minutes, of which one is blocked in the second."""
        now_ms = round(time.time() * 1000)
        with Producer(self.broker.direct, self.topics.windows, make_spec()) as producer:
            for second in range(120):
                start_ms = now_ms + (second - 120) * 1000
                label = "normal" if second < 60 else "blocked"
                producer.send([make_window("trunk-1", label, start_ms=start_ms)])
                producer.send([make_window("trunk-2", start_ms=start_ms)])

    def enrol(self) -> None:
        """Show the daemons a fault."""
        kafka = Kafka(bootstrap=self.broker.direct, anchors=self.topics.anchors)
        values = make_rows("blocked", 4)[None] * 0.5
        act = Act(at_ms=1, who="tests", what="enrolled")
        made = enrol(
            label="half-dead", link="t", start_ms=0, spec=make_spec(), values=values, act=act
        )
        with closing(KafkaEnrolments(kafka)) as kept:
            kept.write(made)


@pytest.fixture
def machine(broker: Broker, tmp_path: Path):
    """Give such a machine."""
    needs(broker, "topic-config")
    made = Machine(tmp_path, broker)
    with made.terminal:
        yield made


def test_the_page_can_be_followed_from_the_first_start_to_another_machine(machine, tmp_path):
    """Whoever restores a backup has had a bad day already."""
    install, ask, backup, restore, upgrade, back, daily, weekly = (
        block.commands for block in blocks_of("operations.md")
    )
    config = "/etc/anchorwatch/anchorwatch.toml"

    assert "settings and bundle are usable" in machine.run(install)
    store = BundleStore.open(machine.state / "bundles")
    first = store.current
    by = {"who": "tests", "why": "a test", "now_ms": 1}
    second = store.add(knowing(draft_bundle(seed=1)), **by)
    store.switch(second, action="promoted", **by)

    machine.run(
        f"anchorwatchd --config {config} 2> log &\n"
        f"until anchorwatchd --ready --config {config}; do sleep 0.2; done"
    )
    assert re.search(r"^ok\nready\n.*bundle", machine.run(ask), re.MULTILINE)
    # Of its first night too: nothing is enrolled yet, and nobody named anything.
    assert "0 anchors: nothing is enrolled" in machine.run(backup)
    machine.send_a_fault()
    machine.enrol()
    machine.run(f"until anchorwatch label list --config {config} | grep trunk-1; do sleep 1; done")
    assert re.search(r"trunk-1 +blocked", machine.run(daily))
    assert "half-dead" in machine.run(weekly)
    machine.run(
        f"anchorwatch label rename cut --link trunk-1 --from -1m --to now --config {config}"
    )
    machine.run(backup)
    machine.run("kill %1; wait")

    shutil.move(machine.state, tmp_path / "burnt")
    machine.state.mkdir()
    machine.write_settings(Topics().create(machine.broker))
    said = machine.run(restore)

    assert said.count("settings and bundle are usable") == 1
    assert "half-dead" in machine.run(f"anchorwatch anchors list --config {config}")
    acts = [path.read_text() for path in (machine.state / "captures" / "labels").glob("*.json")]
    assert [re.search(r'"cut"', act) is not None for act in acts] == [True]
    assert BundleStore.open(machine.state / "bundles").current == second
    assert "anchorwatchd, version" in machine.run(upgrade)
    assert "promoted" in machine.run(back)
    assert BundleStore.open(machine.state / "bundles").current == first


def test_every_topic_of_the_settings_is_in_the_table_under_its_default_name():
    """Who makes topics by hand goes by this table."""
    defaults = Kafka()
    table = {row[0].strip("`"): row[1].strip("`") for row in rows_under("Topics")}

    topics = ("windows", "verdicts", "events", "dead_letters", "states", "sightings", "anchors")
    assert table == {name: getattr(defaults, name) for name in topics}


def test_a_broker_takes_the_topics_as_the_table_has_them(broker):
    """A misspelt topic setting is refused by the broker, and then by whoever reads the page."""
    needs(broker, "topic-config")
    name = Topics().name
    with closing(KafkaAdminClient(bootstrap_servers=broker.direct)) as admin:
        for setting, _, partitions, configs, _ in rows_under("Topics"):
            wanted = dict(pair.split("=") for pair in configs.strip("`").split())
            count = int(partitions) if partitions.isdecimal() else 3
            broker.create_topic(f"{name}.{setting.strip('`')}", count, wanted)
            is_kept = setting.strip("`") in ("states", "anchors")
            assert (wanted == COMPACTED) == is_kept
        there = set(admin.list_topics())

    assert sum(one.startswith(name) for one in there) == 7


def test_lines_that_the_page_explains_are_lines_that_the_daemon_writes():
    """A line that was reworded is looked for in vain."""
    code = "\n".join(path.read_text() for path in CODE.rglob("*.py"))
    named = [line for row in rows_under("Logs") for line in re.findall(r"`([^`]+)`", row[0])]

    assert len(named) > 12
    assert [line for line in named if f'"{line}"' not in code] == []


def test_links_between_pages_lead_to_headings_that_are_there():
    """In all pages: what is moved leaves links behind."""
    lost = []
    for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]:
        for name, _, heading in re.findall(r"\]\(([\w./-]*)(#([\w-]+))?\)", page.read_text()):
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (heading and heading not in headings_of(target)):
                lost.append(f"{page.name}: {name}#{heading}")

    assert lost == [], lost


def headings_of(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_the_page_leads_to_every_page_for_operators():
    """It is the index; what isn't here is not found."""
    pages = set(re.findall(r"\]\(([\w-]+\.md)", PAGE))

    assert pages >= {
        *("systemd.md", "containers.md", "kubernetes.md", "security.md", "grafana.md"),
        *("runbooks.md", "settings.md", "capacity.md", "status-page.md", "releases.md"),
        *("first-fault.md", "learning.md"),
    }
