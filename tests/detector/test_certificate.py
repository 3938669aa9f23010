"""Certificates: their end is read off their bytes as a proven library reads it."""

import contextlib
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from detector.certificate import expires
from tests.broker.certificates import Authority

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n" * 60)])


def make(ends, names=1):
    """Sign a certificate that ends then, as PEM; with many names it is long."""
    made = (
        x509.CertificateBuilder(NAME, NAME, KEY.public_key(), x509.random_serial_number())
        .not_valid_before(ends - datetime.timedelta(days=400))
        .not_valid_after(ends)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(f"h{one}.test") for one in range(names)]),
            critical=False,
        )
    )
    return made.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@given(
    st.datetimes(datetime.datetime(1960, 1, 1), datetime.datetime(2150, 1, 1)),
    st.integers(1, 300),
)
def test_the_end_is_what_was_signed(ends, names):
    """Years are written in two ways, and lengths in three."""
    ends = ends.replace(microsecond=0, tzinfo=datetime.UTC)

    assert expires(make(ends, names)) == ends.timestamp()


def test_of_a_chain_the_first_counts_and_a_key_before_it_does_not_matter(tmp_path):
    """The first is ours; the rest vouch for it."""
    ends = datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC)
    key = Authority(tmp_path).issue("n", "h").key.read_text()

    chain = key + make(ends) + make(ends + datetime.timedelta(days=1))

    assert expires(chain) == ends.timestamp()


@given(st.integers(0, 400), st.binary(min_size=1, max_size=1))
def test_damaged_bytes_are_a_value_error_and_nothing_else(place, byte):
    """Whatever lies in the file, the operator gets a message and no traceback."""
    good = make(datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC))
    text = good[:place] + byte.decode("latin-1") + good[place + 1 :]

    with contextlib.suppress(ValueError):
        assert expires(text) < 1e12


@pytest.mark.parametrize("text", ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_says_so(text):
    """A key in the certificate's place is the usual slip."""
    with pytest.raises(ValueError, match="no certificate"):
        expires(text)
