"""What anchorwatch is made of: what the locks pin, and what a release says of it."""

import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from detector import __version__

ROOT = Path(__file__).parents[2]
LOCKS = ("", "-daemon", "-gpu", "-train", "-build")  # requirements*.lock


@pytest.fixture(scope="module")
def sbom(made: Path) -> dict[str, object]:
    """Give what it says that it is made of."""
    return json.loads((made / f"anchorwatch-{__version__}.cdx.json").read_text())


def pins(lock: str) -> dict[str, set[str]]:
    """Give the hashes of each `name==version` of a lock."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if pin := re.match(r"([a-z0-9-]+==\S+)", line):
            found[(name := pin[1])] = set()
        found[name] |= set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def test_it_says_what_it_is_made_of(made, sbom):
    """Who hears of a hole in a package looks here whether it concerns them."""
    text = (made / f"anchorwatch-{__version__}.cdx.json").read_text()

    components = {
        f"{one['name']}=={one['version']}": {
            hashed["content"] for place in one["externalReferences"] for hashed in place["hashes"]
        }
        for one in sbom["components"]
    }

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    about = sbom["metadata"]["component"]
    assert (about["name"], about["version"]) == ("anchorwatch", __version__)
    assert components == pins("requirements-daemon.lock")
    assert len(components) > 20


def test_it_says_what_needs_what(sbom):
    """That a package is there because of another is what tells who has to mend it."""
    names = {one["bom-ref"]: one["name"] for one in sbom["components"]}
    me = sbom["metadata"]["component"]["bom-ref"]

    graph = {
        names.get(one["ref"], "anchorwatch"): {names[ref] for ref in one.get("dependsOn", ())}
        for one in sbom["dependencies"]
    }

    assert {one["ref"] for one in sbom["dependencies"]} == {me, *names}
    needed = (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2]
    direct = set(re.findall(r'"([a-z0-9-]+)', needed.partition("]")[0]))
    assert graph["anchorwatch"] == direct
    assert {"markdown-it-py", "pygments"} <= graph["rich"]
    reached = set().union(*graph.values())
    assert reached == set(names.values())


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_has_a_hash_for_all_and_names_no_host(kind):
    """What is installed is what was tried, wherever it is fetched from."""
    lock = f"requirements{kind}.lock"
    text = (ROOT / lock).read_text()

    assert all(pins(lock).values())
    assert not re.search(r"://|--(extra-)?index|--find-links|\.(org|com|io)\b", text)


@pytest.mark.parametrize("kind", ["-daemon", "-gpu", "-train", "-build"])
def test_a_smaller_lock_pins_what_the_large_one_does(kind):
    """Tests run on the large one; a daemon on other versions was never tried."""
    large = pins("requirements.lock")
    shared = {name.partition("==")[0] for name in large}

    for pin, hashes in pins(f"requirements{kind}.lock").items():
        if pin.partition("==")[0] in shared:
            assert large[pin] == hashes, pin
