"""Refusals: what the client's errors mean to a person; a real broker is asked elsewhere."""

import pytest
from kafka import errors

from detector.config import Kafka, Sasl, Tls
from detector.credentials import CredentialsError
from detector.kafka_connecting import AwayError, RefusedError
from detector.kafka_refusal import away, in_words, is_answer, refusal

USER = Kafka(sasl=Sasl(mechanism="PLAIN", username="me", password="x"))
AT = "kafka-1:9092"


@pytest.mark.parametrize(
    "error",
    [
        errors.SaslAuthenticationFailedError("Authentication failed"),
        errors.GroupAuthorizationFailedError("group"),
        errors.TopicAuthorizationFailedError({"topic"}),
        errors.KafkaConnectionError("socket disconnected"),
        errors.KafkaTimeoutError(),
        errors.NodeNotReadyError(1),
        RefusedError("no"),
        AwayError("no"),
    ],
)
def test_what_the_broker_answers_is_about_no_record(error):
    """Or a wrong password would have a window stepped over as unreadable, and lost."""
    assert is_answer(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.CorruptRecordError("failed crc check"),
        errors.UnsupportedCodecError("zstd"),
        RuntimeError("lz4f unable to decompress full payload"),
        ValueError("Out of int64 range"),
    ],
)
def test_what_cannot_be_decoded_is(error):
    """It would be fetched again for ever."""
    assert not is_answer(error)


def test_a_missing_permission_says_whose_and_on_what():
    """The client's own words are a whole request and its answer."""
    long = errors.TopicAuthorizationFailedError("Request 'CreateTopicsRequest(...)'" * 20)

    said = [
        in_words(errors.TopicAuthorizationFailedError({"b", "a"}), USER),
        in_words(errors.GroupAuthorizationFailedError("night"), USER),
        in_words(errors.ClusterAuthorizationFailedError(), Kafka()),
        in_words(long, USER),
    ]

    more = "; docs/security.md says which are needed"
    assert said == [
        f"user 'me' lacks a permission on topic a, b{more}",
        f"user 'me' lacks a permission on group night{more}",
        f"a client of our kind lacks a permission on cluster{more}",
        f"user 'me' lacks a permission on topic{more}",
    ]
    assert in_words(errors.CorruptRecordError("bad"), USER) == "CorruptRecordError('bad')"


def test_what_a_broker_says_of_a_login_is_quoted_unless_it_is_the_usual():
    """A locked account is another matter than a slip; and a newline must forge nothing."""
    usual = errors.SaslAuthenticationFailedError("Authentication failed: Invalid username")
    other = errors.SaslAuthenticationFailedError("locked\nuntil noon")

    assert refusal(usual, AT, USER) == (
        "broker kafka-1:9092 refuses user 'me' (PLAIN): wrong name or password"
    )
    assert refusal(other, AT, USER) == (
        r"broker kafka-1:9092 refuses user 'me' (PLAIN): 'locked\nuntil noon'"
    )


def test_a_broker_that_does_not_know_the_password_itself_is_refused_by_us():
    """SCRAM has both prove it; whoever can't is not the broker."""
    error = ValueError("Server sent wrong signature!")

    assert "does not know the password of user 'me'" in str(refusal(error, AT, USER))


def test_our_own_files_are_a_reason_too_however_deep_it_is():
    """The client wraps what went wrong, sometimes twice."""
    error = errors.KafkaConnectionError("TLS")
    error.__cause__ = errors.KafkaConnectionError(CredentialsError("[kafka.tls] ca: gone"))

    assert refusal(error, AT, USER) == "no login at broker kafka-1:9092: [kafka.tls] ca: gone"


def test_a_broker_that_is_merely_away_refuses_nobody():
    """It comes back, and nobody has to do anything."""
    gone = errors.KafkaConnectionError("111 ECONNREFUSED")
    hung_up = errors.KafkaConnectionError("socket disconnected")

    assert refusal(gone, AT, USER) is None
    assert refusal(hung_up, AT, Kafka(tls=Tls(enabled=True))) is None
    assert away(gone, USER) == "connection refused"
    assert away(hung_up, USER) == "socket disconnected"
    assert "does it want a login" in away(hung_up, Kafka())
