"""Where enrolments are, for the commands: on the daemon's broker, in its bundle store, or both."""

import getpass
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from detector.enrolments import AllEnrolments, Enrolments, FolderEnrolments
from training.places import Places

if TYPE_CHECKING:
    from detector.bundle import Bundle


def open_kept(places: Places) -> Enrolments:
    """Open what the daemons read; a new enrolment goes to the broker where there is one."""
    from detector.bundles import is_store

    found: list[Enrolments] = []
    if places.kafka is not None:
        from detector.enrolments.kafka import KafkaEnrolments

        found.append(KafkaEnrolments(places.kafka))
    if places.bundles is not None and is_store(places.bundles):
        found.append(FolderEnrolments(places.bundles))
    if not found:
        raise click.UsageError(
            "say where anchors are kept: --kafka, or --bundles with a bundle store, or --config"
        )
    return AllEnrolments(found)


def where(places: Places) -> str:
    """Say where a new enrolment goes."""
    if places.kafka is not None:
        return f"topic {places.kafka.anchors} on {places.kafka.bootstrap}"
    return f"{places.bundles}"


def load_bundle(path: Path) -> "Bundle":
    """Load a bundle, or the one that a bundle store says is in use."""
    from detector.bundle import load
    from detector.bundles import resolve

    return load(resolve(path))


def whoami() -> str:
    """Name whoever runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        return "somebody"


def site() -> str:
    """Name this machine."""
    return socket.gethostname() or "somewhere"
