"""Prints what a daemon is made of, as CycloneDX JSON: `python deploy/sbom.py LOCK`.

cyclonedx-py reads the packages and their hashes out of a lock. Added here is what it can't know
of it: which version of anchorwatch it is about, and, from the lock's comments, what needs what.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ME = "anchorwatch"
# A pin with its hashes, and the comment below it that says who asked for it.
ENTRY = re.compile(r"^([a-z0-9-]+)==([^ ]+).*\n(?:    --hash.*\n)+((?:    #.*\n)*)", re.MULTILINE)


def describe(lock: Path, version: str) -> dict[str, Any]:
    """Give the document: anchorwatch, the packages of *lock*, and what needs what."""
    command = [
        *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(lock)),
        *("--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    document: dict[str, Any] = json.loads(done.stdout)
    about = document["metadata"]["component"]
    about |= {"version": version, "purl": f"pkg:pypi/{ME}@{version}"}
    names = {ME: about["bom-ref"]}
    for component in document["components"]:
        del component["description"]  # the line of the lock, with all its hashes again
        names[component["name"]] = component["bom-ref"]
    document["dependencies"] = list(_graph(lock.read_text(), names))
    return document


def needs(lock: str) -> dict[str, set[str]]:
    """Give what each package of a lock needs, by the lock's comments; anchorwatch is one."""
    found: dict[str, set[str]] = {}
    for name, _, comment in ENTRY.findall(lock):
        found.setdefault(name, set())
        for who in re.findall(r"^    # (?:via |  )([a-z][a-z0-9-]*)", comment, re.MULTILINE):
            found.setdefault(who, set()).add(name)
    return found


def _graph(lock: str, names: dict[str, str]) -> Iterable[dict[str, Any]]:
    for who, whom in sorted(needs(lock).items()):
        yield {"ref": names[who], "dependsOn": sorted(names[name] for name in whom)}


def main() -> None:
    """Describe the lock that the command line names."""
    sys.path.insert(0, str(ROOT))
    from detector import __version__

    document = describe(Path(sys.argv[1]), __version__)
    sys.stdout.write(json.dumps(document, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
