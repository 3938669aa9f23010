"""Anchors that travel: whole and unaltered, or not at all."""

import hashlib
import hmac
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.enrolment import Act, check
from tests.fakes import NOON_MS
from training.enrolling.errors import EnrollingError
from training.enrolling.pack import Contents, imported, read, read_key, sort, write

KEY = b"a secret of both sites"


@pytest.fixture
def packed(tmp_path, show):
    """Write a pack of two anchors."""

    def give(name="site.json", key=None, anchors=None):
        some = tuple(anchors or (show(), show(load=50.0, kind="loose")))
        contents = Contents(made_ms=NOON_MS, who="ann", site="oslo", anchors=some)
        write(tmp_path / name, contents, key)
        return tmp_path / name, contents

    return give


@pytest.mark.parametrize("name", ["site.json", "site.msgpack", "pack"])
def test_a_pack_comes_back_as_it_was(packed, name):
    """Windows, history and who made it."""
    file, contents = packed(name)

    assert read(file) == (contents, False)


def test_json_is_for_reading_too(packed):
    """Somebody wants to see what he is about to import."""
    plain = json.loads(packed()[0].read_text())

    assert plain["format"] == "anchorwatch-anchors"
    assert plain["contents"]["anchors"][0]["label"] == "chatter"
    assert plain["contents"]["anchors"][0]["history"][0]["why"] == "seen it"


@pytest.mark.parametrize("name", ["site.json", "site.msgpack"])
def test_a_signed_pack_is_read_with_its_key_and_with_no_other(packed, name):
    """Whoever carries it can't put anything in."""
    file, contents = packed(name, KEY)

    assert read(file, KEY) == (contents, True)
    assert read(file) == (contents, True)
    with pytest.raises(EnrollingError, match="not one of this key"):
        read(file, KEY + b"!")
    with pytest.raises(EnrollingError, match="is not signed"):
        read(packed()[0], KEY)


def test_both_digests_are_of_the_very_bytes_of_the_contents(packed):
    """Another program can check and make them, in whatever language."""
    file, _ = packed("site.json", KEY)
    plain, data = json.loads(file.read_text()), file.read_bytes()
    contents = data[data.index(b'"contents":') + len(b'"contents":') : -1]

    assert plain["sha256"] == hashlib.sha256(contents).hexdigest()
    signed = b"anchorwatch-anchors 1\0" + contents
    assert plain["hmac_sha256"] == hmac.new(KEY, signed, hashlib.sha256).hexdigest()


def test_a_pack_made_anew_with_another_hash_is_not_signed_by_that(packed, show):
    """A hash is no signature: anybody can make one."""
    file, _ = packed("forged.json", KEY)
    signature = json.loads(file.read_text())["hmac_sha256"]
    file, _ = packed("forged.json", anchors=[show("blocked")])
    forged = json.loads(file.read_text()) | {"hmac_sha256": signature}
    data = file.read_bytes().replace(
        b'"contents"', b'"hmac_sha256":"%b","contents"' % signature.encode(), 1
    )
    assert json.loads(data) == forged
    file.write_bytes(data)

    read(file)
    with pytest.raises(EnrollingError, match="not one of this key"):
        read(file, KEY)


@settings(max_examples=60)
@given(place=st.integers(0, 10**6), byte=st.integers(1, 255), is_json=st.booleans())
def test_no_byte_can_be_altered(tmp_path_factory, packed_bytes, place, byte, is_json):
    """Of a pack that is signed; what is left is read as it was, or refused."""
    data = bytearray(packed_bytes[is_json][0])
    data[place % len(data)] ^= byte
    file = tmp_path_factory.mktemp("packs") / "pack"
    file.write_bytes(bytes(data))
    try:
        found, _ = read(file, KEY)
    except EnrollingError:
        return
    assert found == packed_bytes[is_json][1]


@pytest.fixture(scope="module")
def packed_bytes(tmp_path_factory):
    """Give signed packs in both forms, as bytes."""
    from tests.detector.enrolments.samples import an_enrolment

    found, folder = {}, tmp_path_factory.mktemp("signed")
    for is_json, name in ((True, "a.json"), (False, "a.msgpack")):
        contents = Contents(made_ms=1, who="ann", site="oslo", anchors=(an_enrolment(),))
        write(folder / name, contents, KEY)
        found[is_json] = (folder / name).read_bytes(), contents
    return found


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\x80", b"[1]", b'{"format": "x", "v": 1, "sha256": "", "contents": 1}']
)
def test_what_is_no_pack_is_said_to_be_none(tmp_path, data):
    """With the file's name, and no traceback."""
    file = tmp_path / "other.json"
    file.write_bytes(data)

    with pytest.raises(EnrollingError, match=r"other\.json"):
        read(file)


def test_a_later_version_is_not_guessed_at(packed):
    """It may mean something else by the same names."""
    file, _ = packed()
    file.write_bytes(file.read_bytes().replace(b'"v":1', b'"v":2', 1))

    with pytest.raises(EnrollingError, match="of version 2, this version reads"):
        read(file)


def test_one_bad_anchor_refuses_the_whole_pack(packed, show):
    """Half of a site's anchors is not what its engineers tested."""
    bad = msgspec.structs.replace(show(load=50.0), id="0" * 12)

    with pytest.raises(EnrollingError, match="not that of its windows"):
        read(packed(anchors=[show(), bad])[0])
    with pytest.raises(EnrollingError, match="twice"):
        read(packed(anchors=[show(), show()])[0])
    gone = msgspec.structs.replace(show(), status="removed", windows=b"")
    with pytest.raises(EnrollingError, match="was removed"):
        read(packed(anchors=[gone])[0])


@pytest.mark.parametrize("name", ["none.json", "none"])
def test_a_pack_may_be_empty(tmp_path, name):
    """Where nothing is enrolled yet a backup is made and restored by the same commands."""
    contents = Contents(made_ms=0, who="a", site="b", anchors=())

    write(tmp_path / name, contents, KEY)

    assert read(tmp_path / name, KEY) == (contents, True)


def test_a_key_has_to_be_long_enough_and_its_line_end_is_none_of_it(tmp_path):
    """An editor adds one on one site and not on the other."""
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    assert read_key(file) == KEY

    file.write_bytes(b"short")
    with pytest.raises(EnrollingError, match="at least 16 bytes"):
        read_key(file)
    with pytest.raises(EnrollingError, match="No such file"):
        read_key(tmp_path / "none")


def test_what_is_new_known_or_otherwise_here_is_told_apart(show):
    """Nothing that somebody did here is undone by a file from elsewhere."""
    here = [
        show(),
        msgspec.structs.replace(show(load=50.0), status="disabled"),
        show(load=25.0, label="clicks"),
    ]
    theirs = [show(), show(load=50.0), show(load=25.0), show(load=10.0)]

    found = sort(theirs, {one.id: one for one in here})

    assert found.new == (theirs[3],)
    assert found.known == (theirs[0],)
    assert [(one, why) for one, why in found.conflicting] == [
        (theirs[1], "its status is 'disabled' here, 'active' there"),
        (theirs[2], "the same windows are 'clicks' here"),
    ]


def test_one_that_was_removed_here_is_not_new(show):
    """It was removed for a reason."""
    gone = msgspec.structs.replace(show(), status="removed", windows=b"")

    (conflict,) = sort([show()], {gone.id: gone}).conflicting

    assert "'removed' here" in conflict[1]


def test_the_history_goes_on_with_who_imported_it_from_where(show):
    """Here and there; also where the pack's version is taken."""
    act = Act(at_ms=NOON_MS + 9, who="eve", what="imported", why="from oslo")
    off = Act(at_ms=NOON_MS + 5, who="bob", what="disabled")
    here = msgspec.structs.replace(show(), status="disabled", history=(*show().history, off))

    new, replaced = imported(show(), None, act), imported(show(), here, act)

    assert new.history == (*show().history, act)
    assert replaced.history == (*show().history, off, act)
    assert (replaced.status, imported(show(), None, act, disabled=True).status) == (
        "active",
        "disabled",
    )
    check(replaced)
    with pytest.raises(EnrollingError):
        imported(show(), None, msgspec.structs.replace(act, why="\n"))
