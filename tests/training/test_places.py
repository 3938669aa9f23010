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


def test_a_command_that_asks_no_broker_needs_no_password(tmp_path):
    """A retraining at night has no business with secrets, and must not fail for want of them."""
    file = tmp_path / "anchorwatch.toml"
    login = 'mechanism = "SCRAM-SHA-512"\nusername = "a"\npassword_file = "not-there"\n'
    file.write_text(f'bundle = "b"\n[kafka.sasl]\n{login}')

    places = find(file, {"bundles": None, "store": ()}, {})
    with pytest.raises(SystemExit) as ended:
        find(file, {"bundles": None, "kafka": None}, {})

    assert places.kafka is None
    assert ended.value.code == 78


def test_a_password_is_looked_for_where_the_environment_says(tmp_path):
    """A tool that systemd starts is given its secrets as the daemon is."""
    file = tmp_path / "anchorwatch.toml"
    login = 'mechanism = "PLAIN"\nusername = "a"\npassword_file = "secret"\n'
    file.write_text(f'bundle = "b"\n[kafka.sasl]\n{login}')
    (tmp_path / "secret").write_text("s3cret")

    places = find(file, {"kafka": None}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert places.kafka is not None
