"""Credentials: what can't work is refused before anybody connects, and no message has a secret."""

import ssl

import pytest

from detector.broker import reach
from detector.config import ConfigError, Kafka, Sasl, Tls
from detector.credentials import (
    CredentialsError,
    check,
    check_dates,
    context,
    find,
    password,
    servers,
)
from detector.loading import load
from tests.broker.certificates import Authority

SECRET = "Marker-6620"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Give an authority that signs the certificates of this module."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority):
    """Give a certificate that is good."""
    return authority.issue("ours", "client.test")


@pytest.mark.parametrize(
    ("kafka", "words"),
    [
        ({"bootstrap": "a:b"}, "[kafka] bootstrap: 'a:b' is not HOST:PORT"),
        ({"bootstrap": "kafka-1"}, "'kafka-1' is not HOST:PORT"),
        ({"bootstrap": "kafka-1:0"}, "'kafka-1:0' is not HOST:PORT"),
        ({"bootstrap": "kafka-1:70000"}, "is not HOST:PORT"),
        ({"bootstrap": "a:1,,b:1"}, "'' is not HOST:PORT; several go with commas"),
        ({"bootstrap": "PLAINTEXT://a:1"}, "is not HOST:PORT"),
        ({"bootstrap": "user:Marker-6620@a:1"}, "'...@a:1' is not HOST:PORT"),
        ({"tls__ca": "x"}, "[kafka.tls] ca is set, and nothing is encrypted: enabled = true"),
        ({"tls__certificate": "x"}, "[kafka.tls] certificate is set, and nothing is encrypted"),
        ({"tls__enabled": "true", "tls__key": "x"}, "[kafka.tls] key without certificate"),
        (
            {"tls__enabled": "true", "tls__key_password_file": "x"},
            "[kafka.tls] key_password_file without certificate",
        ),
        (
            {"sasl__mechanism": "PLAIN", "sasl__password": SECRET},
            "[kafka.sasl] PLAIN needs a username",
        ),
        (
            {"sasl__mechanism": "PLAIN", "sasl__username": "u"},
            "[kafka.sasl] PLAIN needs a password_file",
        ),
        (
            {
                "sasl__mechanism": "PLAIN",
                "sasl__username": "u",
                "sasl__password": SECRET,
                "sasl__password_file": "x",
            },
            "[kafka.sasl] password and password_file: give one of them",
        ),
        ({"sasl__username": "u"}, "[kafka.sasl] username without mechanism"),
        ({"sasl__password": SECRET}, "[kafka.sasl] password without mechanism"),
        ({"sasl__mechanism": "scram-sha-512"}, "Invalid enum value 'scram-sha-512'"),
        ({"refused_seconds": "0"}, "Expected `float` > 0.0 - at `$.kafka.refused_seconds`"),
    ],
)
def test_settings_that_cannot_work_together_are_refused(kafka, words):
    """Half a login is a mistake, and the broker's answer to it is no help."""
    environ = {f"ANCHORWATCH__KAFKA__{name.upper()}": value for name, value in kafka.items()}

    with pytest.raises(ConfigError) as caught:
        load(None, {"ANCHORWATCH__BUNDLE": "b"} | environ)

    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_brokers_are_taken_apart():
    """As people write them, with blanks, and with addresses of either family."""
    assert servers("a:1") == ["a:1"]
    assert servers("kafka-1.example:9092, 10.0.0.1:9093,[2001:db8::1]:9094") == [
        *("kafka-1.example:9092", "10.0.0.1:9093", "[2001:db8::1]:9094")
    ]


def sasl(path):
    """Make a login with its password in a file."""
    return Sasl(mechanism="PLAIN", username="u", password_file=str(path))


@pytest.mark.parametrize(("text", "found"), [("pw", "pw"), ("pw\n", "pw"), ("p w \r\n", "p w ")])
def test_the_newline_that_editors_add_is_no_part_of_a_password(tmp_path, text, found):
    """A blank may be; a newline never is."""
    path = tmp_path / "password"
    path.write_bytes(text.encode())

    assert password(sasl(path)) == found
    path.write_text("another\n")
    assert password(sasl(path)) == "another"  # it is kept nowhere


def test_a_password_in_the_settings_is_used_and_without_a_mechanism_there_is_none():
    """It is discouraged, and possible."""
    settings = Sasl(mechanism="PLAIN", username="u", password=SECRET)

    assert (password(settings), password(Sasl())) == (SECRET, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"Marker-6620\nmore", "must hold one line of text"),
        (b"Marker-6620\0", "must hold one line of text"),
        (b"Marker-6620\xff", "is not text"),
    ],
)
def test_a_file_that_holds_no_password_is_named_and_not_shown(tmp_path, content, words):
    """A wrong file may hold another secret."""
    path = tmp_path / "password"
    path.write_bytes(content)

    with pytest.raises(CredentialsError) as caught:
        password(sasl(path))

    assert str(caught.value).startswith(f"[kafka.sasl] password_file: {path} {words}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None  # whose message would show it


def test_files_that_are_not_there_or_no_files_are_named(tmp_path):
    """With the setting that names them."""
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CredentialsError, match=rf"password_file: {path}: {words}"):
            password(sasl(path))
        with pytest.raises(CredentialsError, match=rf"\[kafka.tls\] ca: {path}: {words}"):
            context(Tls(enabled=True, ca=str(path)))
        with pytest.raises(CredentialsError, match=rf"certificate: {path}: {words}"):
            context(Tls(enabled=True, certificate=str(path)))


def test_a_relative_name_is_one_of_the_services_credentials(tmp_path):
    """Only the service can read what systemd put there; where is in its environment."""
    (tmp_path / "kafka").write_text("theirs\n")

    assert password(sasl("kafka"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "theirs"
    assert password(sasl(tmp_path / "kafka"), {"CREDENTIALS_DIRECTORY": "/no"}) == "theirs"
    assert str(find("kafka", {})) == "kafka"


def test_certificates_are_loaded_and_their_names_checked(authority, ours):
    """What `--check` has loaded, a connection can load."""
    two_files = Tls(
        enabled=True, ca=str(authority.ca), certificate=str(ours.certificate), key=str(ours.key)
    )
    one_file = Tls(enabled=True, certificate=str(ours.both), check_hostname=False)

    made = context(two_files)

    assert [dict(one["subject"][0])["organizationName"] for one in made.get_ca_certs()]
    assert (made.check_hostname, context(one_file).check_hostname) == (True, False)
    # Also where names aren't checked, somebody known must have signed.
    assert context(one_file).verify_mode == ssl.CERT_REQUIRED
    assert context(Tls(enabled=True)).minimum_version == ssl.TLSVersion.TLSv1_2


def test_without_an_authority_the_systems_are_trusted(authority):
    """A broker with a public certificate needs no file."""
    assert len(context(Tls(enabled=True, ca=str(authority.ca))).get_ca_certs()) == 1
    system = ssl.create_default_context()

    assert context(Tls(enabled=True)).get_ca_certs() == system.get_ca_certs()


def test_files_that_do_not_fit_are_told_apart(authority, ours, tmp_path):
    """OpenSSL says "PEM lib" to all of these."""
    other = authority.issue("other", "client.test", password=SECRET)
    wrong = tmp_path / "wrong"
    wrong.write_text("not it\n")
    tls = {"enabled": True, "certificate": str(ours.certificate), "key": str(ours.key)}
    locked = {"certificate": str(other.certificate), "key": str(other.key)}
    (tmp_path / "damaged").write_text(ours.key.read_text().replace("M", "*", 5))

    def why(**changed):
        with pytest.raises(CredentialsError) as caught:
            context(Tls(**tls | changed))
        assert SECRET not in str(caught.value)
        return str(caught.value)

    assert why(ca=str(ours.key)) == f"[kafka.tls] ca: {ours.key} holds no certificate (PEM)"
    assert f"{ours.key}: no certificate (PEM)" in why(certificate=str(ours.key))
    assert f"{authority.ca} holds no private key" in why(key=str(authority.ca))
    assert f"{ours.certificate} holds no private key" in why(key="")
    assert f"{other.key} is encrypted: key_password_file is missing" in why(**locked)
    assert "holds another's password" in why(**locked, key_password_file=str(wrong))
    assert "can't be read: damaged" in why(key=str(tmp_path / "damaged"))
    unlocked = authority.issue("third", "client.test")
    assert f"{unlocked.key} is not the key of {ours.certificate}" in why(key=str(unlocked.key))


def test_an_encrypted_key_is_opened_with_the_password_of_its_file(authority, tmp_path):
    """A key in a backup is worth nothing without it."""
    locked = authority.issue("locked", "client.test", password=SECRET)
    (tmp_path / "password").write_text(f"{SECRET}\n")
    tls = Tls(
        enabled=True,
        certificate=str(locked.certificate),
        key=str(locked.key),
        key_password_file="password",
    )

    context(tls, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_our_own_certificate_has_an_end_and_it_is_said(authority, ours):
    """The broker says no more than that it is bad."""
    old = authority.issue("old", "client.test", is_expired=True)
    tls = Tls(enabled=True, certificate=str(old.both))

    with pytest.raises(CredentialsError, match=rf"{old.both} expired on 20\d\d-\d\d-\d\d "):
        check_dates(tls)

    check_dates(tls, now=0.0)  # it was good once
    check_dates(Tls(enabled=True, certificate=str(ours.both)))
    check_dates(Tls())
    context(tls)  # the broker decides; so a daemon goes on until it is renewed


def test_check_reads_all_that_is_named_and_nothing_else(authority, tmp_path):
    """A daemon that starts must not learn in the night that a file was never there."""
    check(Kafka())
    with pytest.raises(CredentialsError, match=r"password_file: .*none"):
        check(Kafka(sasl=sasl(tmp_path / "none")))
    with pytest.raises(CredentialsError, match=r"ca: .*none"):
        check(Kafka(tls=Tls(enabled=True, ca=str(tmp_path / "none"))))
    check(Kafka(tls=Tls(enabled=True, ca=str(authority.ca))))


def test_a_tool_takes_the_login_from_the_settings_and_the_broker_from_whoever_asks(tmp_path):
    """Nobody should have to say on a command line what the daemon's settings know."""
    (tmp_path / "a.toml").write_text(
        '[kafka]\nbootstrap = "a:1"\nwindows = "rows"\n'
        f'[kafka.sasl]\nmechanism = "PLAIN"\nusername = "u"\npassword_file = "{tmp_path}/pw"\n'
    )
    (tmp_path / "pw").write_text("x")

    found = reach("b:2", tmp_path / "a.toml", {"ANCHORWATCH__KAFKA__SASL__USERNAME": "me"})

    assert (found.bootstrap, found.windows, found.sasl.username) == ("b:2", "rows", "me")
    assert reach("b:2", environ={}) == Kafka(bootstrap="b:2")
    with pytest.raises(ConfigError, match="'b' is not HOST:PORT"):
        reach("b", environ={})
    (tmp_path / "pw").unlink()
    with pytest.raises(ConfigError, match="No such file"):
        reach("b:2", tmp_path / "a.toml", {})


def test_a_password_is_in_no_picture_of_the_settings():
    """Settings end up in logs, in tracebacks and in bug reports."""
    environ = {
        "ANCHORWATCH__BUNDLE": "b",
        "ANCHORWATCH__KAFKA__SASL__MECHANISM": "PLAIN",
        "ANCHORWATCH__KAFKA__SASL__USERNAME": "u",
        "ANCHORWATCH__KAFKA__SASL__PASSWORD": SECRET,
    }

    settings = load(None, environ)

    assert settings.kafka.sasl.password == SECRET
    for shown in (repr(settings), str(settings), f"{settings.kafka.sasl}"):
        assert "password='***'" in shown
        assert "username='u'" in shown
        assert SECRET not in shown
    assert "password=''" in repr(Kafka())
