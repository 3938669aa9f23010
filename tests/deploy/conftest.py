"""What more than one test of this folder needs, and takes a while to be made."""

from collections.abc import Iterator

import pytest

from tests.deploy.building import built_image
from tests.deploy.image import Image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Give the daemon's image, built once."""
    with built_image(tmp_path_factory.mktemp("image")) as image:
        yield image
