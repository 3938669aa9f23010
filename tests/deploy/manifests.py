"""The manifests for Kubernetes, as they stand in their files and as kustomize makes them."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.config import Settings
from detector.loading import load

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
EXAMPLE = KUBERNETES / "example"
Document = dict[str, Any]


class StrictLoader(yaml.SafeLoader):
    """Reads YAML, and refuses what names a key twice: the first would be dropped silently."""


def _mapping(loader: StrictLoader, node: yaml.MappingNode) -> Document:
    keys = [loader.construct_object(key) for key, _ in node.value if key.value != "<<"]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise yaml.YAMLError(f"{node.start_mark}: twice: {twice}")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(file: Path) -> list[Document]:
    """Read all documents of a file."""
    return list(yaml.load_all(file.read_text(), StrictLoader))


def files() -> list[Path]:
    """List all files of the manifests that are YAML."""
    return sorted(KUBERNETES.rglob("*.yaml"))


def kustomization(folder: Path) -> Document:
    """Read what a folder is made of."""
    (found,) = read(folder / "kustomization.yaml")
    return found


def resources(folder: Path) -> Iterator[Document]:
    """Give the documents of a folder's resources, and of the folders that it builds on."""
    told = kustomization(folder)
    for name in (*told.get("resources", ()), *told.get("components", ())):
        place = (folder / name).resolve()
        yield from resources(place) if place.is_dir() else read(place)


def the(kind: str, name: str = "anchorwatchd") -> Document:
    """Give the one of its kind and name, as it stands in its file."""
    (found,) = (
        one for one in resources(EXAMPLE) if (one["kind"], one["metadata"]["name"]) == (kind, name)
    )
    return found


def pod() -> Document:
    """Give what a pod of the daemon is made of."""
    spec: Document = the("StatefulSet")["spec"]["template"]["spec"]
    return spec


def container() -> Document:
    """Give the daemon's container."""
    (found,) = pod()["containers"]
    return dict(found)


def secret() -> Mapping[str, str]:
    """Give the example's secret: by key, what is in it."""
    (made,) = kustomization(EXAMPLE)["secretGenerator"]
    return {Path(file).name: (EXAMPLE / file).read_text() for file in made["files"]}


def environ() -> dict[str, str]:
    """Give the environment that the daemon has in its container."""
    found = {}
    for one in container()["env"]:
        ref = one.get("valueFrom", {}).get("secretKeyRef")
        found[one["name"]] = secret()[ref["key"]] if ref else one["value"]
    return found


def settings() -> Settings:
    """Load the example's settings as the daemon does in its container."""
    return load(EXAMPLE / "anchorwatch.toml", environ())


def mounts() -> dict[str, Document]:
    """Give the container's mounts, by where they are."""
    return {one["mountPath"]: one for one in container()["volumeMounts"]}


def built(folder: Path) -> list[Document]:
    """Put a folder together as `kubectl apply -k` does, without a cluster."""
    if not shutil.which("kubectl"):
        pytest.skip("manifests are put together with kubectl, which is not on the PATH")
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.load_all(done.stdout, StrictLoader))


def bytes_of(quantity: str) -> float:
    """Give the bytes of a quantity as Kubernetes writes it.

    >>> bytes_of("2Gi")
    2147483648.0
    """
    return float(quantity[:-2]) * 1024 ** (["Ki", "Mi", "Gi"].index(quantity[-2:]) + 1)
