"""Refusals: what an error of the Kafka client means, in words for whoever has to mend it.

The client takes a wrong password for one more reason to try again, and in the end says no more
than that it "timed out". What a broker of Apache Kafka 4 and kafka-python 3.0.12 really do was
found out by trying; tests/detector/test_kafka_security.py tries it again.
"""

import os
import re
import ssl

from kafka.errors import (
    AuthorizationError,
    ClusterAuthorizationFailedError,
    CorruptRecordError,
    IllegalSaslStateError,
    InvalidReceiveError,
    KafkaError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)

from .config import Kafka
from .credentials import CredentialsError

# OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_...).
NOT_YET, EXPIRED, OTHER_HOST, OTHER_ADDRESS = 9, 10, 62, 64
UNTRUSTED = (18, 19, 20, 21)
# What brokers say in TLS of a certificate that isn't there or that they don't accept.
OF_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
ALERT = 0x15030000  # how an alert in TLS begins, read as the size of an answer
ERRNO = re.compile(r"(\d+) E[A-Z]+")  # how the client says that a port is closed
LONG = 250  # characters; a topic's name has fewer
DEEP = 10  # errors within errors at most
HOW_TO_LOG_IN = "[kafka.sasl] mechanism"


def refusal(error: BaseException, address: str, kafka: Kafka) -> str | None:
    """Say who refuses whom and why, and what to do; None: the broker is merely away."""
    for cause in _causes(error):
        if isinstance(cause, CredentialsError):
            return f"no login at broker {address}: {cause}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"broker {address} is not trusted: {_certificate(cause, address, kafka)}"
        if isinstance(cause, ssl.SSLError) and (why := _tls(cause, kafka)):
            return f"broker {address} {why}"
        if why := _login(cause, kafka):
            return f"broker {address} {why}"
    return None


def away(error: BaseException, kafka: Kafka) -> str:
    """Say why a broker counts as away."""
    if any(isinstance(cause, ssl.SSLEOFError) for cause in _causes(error)):
        return "hangs up on TLS; is this its port for that?"
    said = str(error.args[0]) if error.args else ""
    if found := ERRNO.fullmatch(said):
        return os.strerror(int(found[1])).lower()
    if "socket disconnected" in said and not kafka.sasl.mechanism:
        return f"hangs up; does it want a login ({HOW_TO_LOG_IN})?"
    return said or type(error).__name__


def is_answer(error: BaseException) -> bool:
    """Whether an error of reading is what the broker said, and not about a record.

    What can't be read is stepped over; nothing may be stepped over because a login failed.
    """
    of_a_record = CorruptRecordError | UnsupportedCodecError
    return isinstance(error, KafkaError) and not isinstance(error, of_a_record)


def in_words(error: BaseException, kafka: Kafka) -> str:
    """Say what an error means: in plain words if the broker doesn't permit us something."""
    if not isinstance(error, AuthorizationError):
        return repr(error)
    names = error.args[0] if error.args else ""
    what = "topic" if isinstance(error, TopicAuthorizationFailedError) else "group"
    if isinstance(names, set | frozenset | list | tuple):
        names = ", ".join(sorted(map(str, names)))
    elif len(str(names)) > LONG:  # a whole request: whoever made it says which topic
        names = ""
    if isinstance(error, ClusterAuthorizationFailedError):
        what, names = "cluster", ""
    who = f"user {kafka.sasl.username!r}" if kafka.sasl.mechanism else "a client of our kind"
    on = " ".join(filter(None, (what, names)))
    return f"{who} lacks a permission on {on}; docs/security.md says which are needed"


def _certificate(error: ssl.SSLCertVerificationError, address: str, kafka: Kafka) -> str:
    code = error.verify_code
    if code == EXPIRED:
        return "its certificate has expired; have it renewed"
    if code == NOT_YET:
        return "its certificate is not valid yet; look at the clocks"
    if code in (OTHER_HOST, OTHER_ADDRESS):
        host = address.rpartition(":")[0]
        return f"its certificate is not for {host}; say the host as it is in the certificate"
    if code in UNTRUSTED:
        ca = kafka.tls.ca
        known = f"to [kafka.tls] ca ({ca})" if ca else "to this system; set [kafka.tls] ca"
        return f"its certificate is signed by nobody known {known}"
    return f"its certificate is not accepted: {error.verify_message}"


def _tls(error: ssl.SSLError, kafka: Kafka) -> str | None:
    reason = error.reason or ""
    if any(word in reason for word in OF_CERTIFICATE):
        ours = kafka.tls.certificate
        if not ours:
            return "wants a certificate of ours; set [kafka.tls] certificate and key"
        return f"does not accept our certificate {ours}: expired, or signed by nobody it knows"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in reason:
        return None  # as a broker does that is being stopped
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return "does not speak TLS on this port"
    return f"and we have no TLS in common: {reason or error}"


def _login(error: BaseException, kafka: Kafka) -> str | None:
    sasl = kafka.sasl
    who = f"user {sasl.username!r} ({sasl.mechanism})"
    if isinstance(error, SaslAuthenticationFailedError):
        said = str(error.args[0]) if error.args else ""
        is_usual = not said or "invalid" in said.lower()
        return f"refuses {who}: {'wrong name or password' if is_usual else repr(said)}"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"refuses {who}: it does not offer {sasl.mechanism}; set another {HOW_TO_LOG_IN}"
    if isinstance(error, IllegalSaslStateError):
        return f"wants no login on this port; unset {HOW_TO_LOG_IN}, or use another port"
    if isinstance(error, InvalidReceiveError) and _is_alert(error):
        return "speaks TLS on this port; set [kafka.tls] enabled = true"
    if isinstance(error, ValueError) and "signature" in str(error):
        return f"does not know the password of {who} itself; is it the right broker?"
    return None


def _is_alert(error: BaseException) -> bool:
    digits = "".join(char for char in str(error) if char.isdigit())
    return bool(digits) and int(digits) & ~0xFFFF == ALERT


def _causes(error: BaseException) -> list[BaseException]:
    """List an error and what it came of; the client puts one into another's arguments too."""
    found: list[BaseException] = []
    following = [error]
    while following and len(found) < DEEP:
        found.append(one := following.pop(0))
        following += [one.__cause__] if one.__cause__ else []
        following += [part for part in one.args if isinstance(part, BaseException)]
    return found
