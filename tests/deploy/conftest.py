"""What more than one test of this folder needs, and takes a while to be made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.building import built_image
from tests.deploy.image import Image
from tests.deploy.releasing import release


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Give the daemon's image, built once."""
    with built_image(tmp_path_factory.mktemp("image")) as image:
        yield image


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a release of this checkout."""
    out = tmp_path_factory.mktemp("release") / "dist"
    done = release(out)
    assert done.returncode == 0, done.stderr
    return out
