"""Places: a tool beside the daemon finds what the daemon finds."""

from pathlib import Path

import pytest

from training.places import find


@pytest.mark.parametrize(
    ("said", "settings", "store"),
    [
        ((), "", "/var/lib/anchorwatch/captures"),
        ((), '[store]\npath = "/srv/captures"\n', "/srv/captures"),
        ((Path("/mnt/other"),), '[store]\npath = "/srv/captures"\n', "/mnt/other"),
    ],
)
def test_the_capture_store_is_the_daemons(tmp_path, said, settings, store):
    """Under systemd nobody says where it is: daemon and tool have a folder of state."""
    file = tmp_path / "anchorwatch.toml"
    file.write_text(f'bundle = "b"\n{settings}')

    places = find(file, {"store": said}, {"STATE_DIRECTORY": "/var/lib/anchorwatch"})

    assert places.stores == (Path(store),)
