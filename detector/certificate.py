"""Certificates: when one's time is over, read off its bytes.

Python's own `ssl` tells it only of the other end's certificate. The structure is X.509's
(RFC 5280, section 4.1): `SEQUENCE { SEQUENCE { [0] version, serial, algorithm, issuer, SEQUENCE {
not before, not after }, ... }, ... }`.
"""

import calendar
import re
import ssl
import time
from collections.abc import Iterator

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
VERSION = 0xA0  # the tag of the one field that may be missing before the dates
UTC_TIME = 0x17  # its year has two digits, else four


def expires(pem: str) -> float:
    """Tell when the first certificate of a text ends, Unix time in seconds.

    Raises:
        ValueError: if there is none.
    """
    found = PEM.search(pem)
    if not found:
        raise ValueError("no certificate (PEM)")
    try:
        whole = next(_parts(ssl.PEM_cert_to_DER_cert(found[0])))[1]
        signed = [one for one in _parts(next(_parts(whole))[1]) if one[0] != VERSION]
        _, (tag, not_after) = _parts(signed[3][1])
        text = not_after.decode("ascii")
        if tag == UTC_TIME:
            text = ("19" if text >= "5" else "20") + text
        return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))
    except (IndexError, StopIteration, ValueError) as error:
        raise ValueError("damaged certificate (PEM)") from error


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the parts that some bytes of DER are made of: tag and content."""
    place = 0
    while place < len(der):
        tag, size = der[place], der[place + 1]
        place += 2
        if size & 0x80:  # the size takes so many bytes of its own
            digits = size & 0x7F
            size = int.from_bytes(der[place : place + digits], "big")
            place += digits
        yield tag, der[place : place + size]
        place += size
