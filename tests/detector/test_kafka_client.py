"""The clients' common part: what each is told of the broker, and what it says of it."""

import threading
import time

import msgspec
import pytest
from kafka.errors import KafkaConnectionError, SaslAuthenticationFailedError

from detector.config import ConfigError, Kafka, Sasl, Tls
from detector.kafka_client import Access, AwayError, RefusedError, arguments
from tests.broker.certificates import Authority
from tests.broker.secured import PASSWORD, USER
from tests.fakes import Clock
from training.lab.live import Events
from training.lab.namespaces import LabError


def test_arguments_are_what_the_client_calls_them():
    """Every client of the program is made of these, and no secret is among them."""
    login = Sasl(mechanism="PLAIN", username="a,b=c", password=PASSWORD)
    scram = Sasl(mechanism="SCRAM-SHA-256", username="a,b=c", password=PASSWORD)
    tls = Tls(enabled=True)

    assert arguments(Kafka(bootstrap="a:1, b:2")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }
    assert arguments(Kafka(tls=tls))["security_protocol"] == "SSL"
    assert arguments(Kafka(sasl=login))["security_protocol"] == "SASL_PLAINTEXT"
    assert arguments(Kafka(tls=tls, sasl=login)) == {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "a,b=c",
    }
    # RFC 5802, section 5.1: or the name would end the field that it is in.
    assert arguments(Kafka(sasl=scram))["sasl_plain_username"] == "a=2Cb=3Dc"


def test_where_nobody_listens_is_said_with_the_reason():
    """A wrong port, a wrong name, a firewall: each is mended elsewhere."""
    for at, why in (("127.0.0.1:1", "connection refused"), ("no-host.invalid:1", "DNS")):
        access = Access(Kafka(bootstrap=at))
        with pytest.raises(AwayError, match=f"^no broker answers at {at}: {why}"):
            access.admin(bootstrap_timeout_ms=300, client_id="in-vain")
        assert access.why() == ""
    # Or a night without a broker would be ten thousand threads.
    assert not any("in-vain" in thread.name for thread in threading.enumerate())


def test_it_ends_with_an_error_of_the_settings_unless_it_is_patient(secured, login):
    """A daemon that can't get in is started wrongly; a capture has something else to do."""
    tls = Tls(enabled=True, ca=str(login.ca))
    kafka = Kafka(bootstrap=secured.at("EXPIRED"), tls=tls, refused_seconds=100.0)
    clock = Clock()

    for is_patient, kind in ((False, ConfigError), (True, RefusedError)):
        access = Access(kafka, is_patient=is_patient, clock=clock)
        with pytest.raises(RefusedError, match="its certificate has expired"):
            access.producer()
        clock.now += 99.0
        with pytest.raises(RefusedError):
            access.producer()
        clock.now += 2.0  # too early for another attempt, and long enough
        with pytest.raises(kind, match="its certificate has expired"):
            access.producer()


def test_whoever_was_let_in_once_is_never_told_to_end(secured, login):
    """The password was right yesterday, so somebody is about to put the new one there."""
    path = login.write(PASSWORD)
    sasl = Sasl(mechanism="SCRAM-SHA-256", username=USER, password_file=str(path))
    tls, clock = Tls(enabled=True, ca=str(login.ca)), Clock()
    kafka = Kafka(bootstrap=secured.at("SCRAM"), tls=tls, sasl=sasl, refused_seconds=1.0)
    access = Access(kafka, clock=clock)
    access.producer().close()
    login.write("wrong")

    for _ in range(3):
        with pytest.raises(RefusedError, match="wrong name or password"):
            access.producer()
        clock.now += 1000.0


def test_a_password_file_that_is_gone_is_no_crash_but_a_refusal(secured, login):
    """For a moment, while somebody renews it, or for good: the broker was not even asked."""
    path = login.write(PASSWORD)
    sasl = Sasl(mechanism="SCRAM-SHA-512", username=USER, password_file=str(path))
    clock = Clock()
    kafka = Kafka(
        bootstrap=secured.at("LOGIN"), tls=Tls(enabled=True, ca=str(login.ca)), sasl=sasl
    )
    access = Access(kafka, clock=clock)
    path.unlink()
    begun = secured.proxy.taken

    with pytest.raises(RefusedError, match=f"no login at broker .*{path}: No such file"):
        access.producer()
    assert secured.proxy.taken == begun
    login.write(PASSWORD)
    clock.now += 10.0
    access.producer().close()

    assert access.why() == ""


def test_the_lab_listens_to_events_behind_locked_doors(secured, login):
    """A daemon is scored where it runs."""
    secured.create_topic(f"{login.topics.name}.more")
    good = Sasl(mechanism="PLAIN", username=USER, password=PASSWORD)
    kafka = Kafka(
        bootstrap=secured.at("LOGIN"),
        events=f"{login.topics.name}.more",
        tls=Tls(enabled=True, ca=str(login.ca)),
        sasl=good,
    )

    Events(kafka).close()

    wrong = Sasl(mechanism="PLAIN", username=USER, password="wrong")
    with pytest.raises(LabError, match="wrong name or password"):
        Events(msgspec.structs.replace(kafka, sasl=wrong))


def test_the_shorter_hash_and_a_host_that_is_not_checked(secured, login):
    """Behind a tunnel the broker has another name; `tls.check_hostname = false` is for that."""
    sasl = Sasl(mechanism="SCRAM-SHA-256", username=USER, password=PASSWORD)
    tls = Tls(enabled=True, ca=str(login.ca), check_hostname=False)
    at = secured.at("SCRAM", host="localhost")

    Access(Kafka(bootstrap=at, tls=tls, sasl=sasl)).producer().close()

    with pytest.raises(RefusedError, match="its certificate is not for localhost"):
        Access(Kafka(bootstrap=at, tls=Tls(enabled=True, ca=str(login.ca)))).producer()


def test_a_broker_that_takes_a_connection_and_says_nothing_is_away(secured, login):
    """The client itself would wait in the greeting of TLS for ever, and the loop with it."""
    kafka = Kafka(bootstrap=secured.at("LOGIN"), tls=Tls(enabled=True, ca=str(login.ca)))
    secured.proxy.stall()
    begun = time.monotonic()

    with pytest.raises(AwayError, match=r"no broker answers at .*timed out"):
        Access(kafka).consumer(bootstrap_timeout_ms=700)

    assert time.monotonic() - begun < 3


def test_one_broker_with_an_old_certificate_does_not_keep_us_from_the_others(
    secured, login, tmp_path
):
    """Certificates of a cluster are renewed one after the other."""
    tls = Tls(enabled=True, ca=str(login.ca))
    both = f"{secured.at('EXPIRED')},{secured.at('TLS')}"
    access = Access(Kafka(bootstrap=both, tls=tls))
    stranger = Tls(enabled=True, ca=str(Authority(tmp_path / "other").ca))

    for _ in range(5):  # where the client begins is a matter of luck
        access.producer(bootstrap_timeout_ms=2000).close()
    with pytest.raises(RefusedError, match="signed by nobody known to"):
        Access(Kafka(bootstrap=both, tls=stranger)).admin(bootstrap_timeout_ms=3000)


def test_an_attempt_that_we_end_ourselves_opens_no_door():
    """Clients come and go all the time; with each the pauses would begin anew."""
    access = Access(Kafka(bootstrap="a:1"), clock=Clock())
    access.failed("a:1", SaslAuthenticationFailedError("no"))

    access.failed("a:1", KafkaConnectionError())
    shut = access.why(), access.wait("a:1")
    access.failed("a:1", KafkaConnectionError("111 ECONNREFUSED"))

    assert "wrong name or password" in shut[0] or "'no'" in shut[0]
    assert shut[1] > 0
    assert (access.why(), access.wait("a:1")) == ("", 0.0)
