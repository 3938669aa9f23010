"""Broker: how a tool that is told where the broker is finds out how to log in there."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from . import credentials
from .config import ConfigError, Kafka
from .loading import PREFIX, load


def reach(
    bootstrap: str, config: Path | None = None, environ: Mapping[str, str] = os.environ
) -> Kafka:
    """Give the settings for a broker, the rest of them from a settings file and the environment.

    Raises:
        ConfigError: if they can't be used, or name passwords and certificates that can't.

    >>> reach("kafka-1:9092", environ={"ANCHORWATCH__KAFKA__WINDOWS": "rows"}).windows
    'rows'
    """
    # Nobody has to say which bundle the daemon would use.
    settings = load(config, {**environ, f"{PREFIX}BUNDLE": ""})
    return usable(msgspec.structs.replace(settings.kafka, bootstrap=bootstrap), environ)


def usable(kafka: Kafka, environ: Mapping[str, str] = os.environ) -> Kafka:
    """Give the settings back if all they name is there.

    Raises:
        ConfigError: if it isn't, or can't be used.
    """
    try:
        credentials.check(kafka, environ)
        credentials.check_dates(kafka.tls, environ=environ)
    except credentials.CredentialsError as error:
        raise ConfigError(str(error)) from error
    return kafka
