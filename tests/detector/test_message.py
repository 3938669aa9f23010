"""Window messages: what is on the topic becomes windows, or is said to be unusable, and why."""

import contextlib
import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.message import LATEST_MS, REASONS, SECONDS, Rejected, decode, encode
from detector.window import LARGEST, Window
from tests.fakes import NOON_MS, make_spec, make_window

SPEC = make_spec()
GOLDEN = Path(__file__).parent / "golden"
VALUES = [[100.0, 99.0, 0.0, 20.0]] * 4
BODY = {
    "v": 1,
    "link": "trunk-1",
    "source": "probe-1",
    "start_ms": NOON_MS,
    "step_ms": 1000,
    "features": list(SPEC.features),
    "values": VALUES,
}
FORMS = {"json": lambda body: json.dumps(body).encode(), "messagepack": msgspec.msgpack.encode}
RAW = np.array(VALUES, "<f4").tobytes()


def body(**changes):
    """Give the fields of a good message, but for *changes*; None leaves a field out."""
    return {key: value for key, value in (BODY | changes).items() if value is not None}


def rows(row, steps=4):
    """Give *steps* times the same row."""
    return [list(row)] * steps


def only_rejected(data, spec=SPEC):
    """Give the one thing that is unusable in *data*, of which nothing else may come."""
    windows, rejected = decode(data, spec)
    assert windows == []
    assert len(rejected) == 1
    return rejected[0]


def only_window(data, spec=SPEC):
    """Give the one window in *data*, of which nothing may be rejected."""
    windows, rejected = decode(data, spec)
    assert rejected == []
    assert len(windows) == 1
    return windows[0]


def assert_same(left, right):
    """Compare two windows, NaN being equal to itself."""
    assert [getattr(left, name) for name in ("link", "source", "start_ms", "end_ms")] == [
        getattr(right, name) for name in ("link", "source", "start_ms", "end_ms")
    ]
    np.testing.assert_array_equal(left.values, right.values)


NUMBERS = st.floats(-1e9, 1e9, width=32)
COMPLETE = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=4, max_size=4)
OPTIONAL = st.lists(NUMBERS | st.just(math.nan), min_size=4, max_size=4)
WINDOWS = st.builds(
    lambda link, start_ms, complete, optional: Window(
        link,
        "probe",
        start_ms,
        start_ms + SPEC.span_ms,
        np.column_stack([np.array(complete), optional]).astype(np.float32),
    ),
    link=st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20),
    start_ms=st.integers(0, SECONDS.start - 1) | st.integers(SECONDS.stop, LATEST_MS),
    complete=COMPLETE,
    optional=OPTIONAL,
)


@given(st.lists(WINDOWS, max_size=4), st.booleans())
def test_what_is_encoded_comes_back(windows, packed):
    """A replay, a producer and the daemon must mean the same by a message."""
    back, rejected = decode(encode(windows, SPEC, packed=packed), SPEC)

    assert rejected == []
    assert len(back) == len(windows)
    for before, after in zip(windows, back, strict=True):
        assert_same(before, after)
        assert after.values.dtype == np.float32


@pytest.mark.parametrize("name", ["message-v1.json", "message-v1.msgpack"])
def test_a_message_of_version_1_is_read_for_ever(name):
    """Exporters in the field are not upgraded when the daemon is."""
    windows, rejected = decode((GOLDEN / name).read_bytes(), SPEC)

    assert rejected == []
    assert [window.link for window in windows] == ["trunk-1", "Zürich/2"]
    assert {(window.source, window.start_ms) for window in windows} == {("probe-1", NOON_MS)}
    assert windows[0].values[0].tolist() == [100, 99, 1, 20.5]
    assert np.isnan(windows[1].values[:, 3]).all()


@pytest.mark.parametrize("form", FORMS)
def test_features_come_in_any_order_and_extra_ones_are_ignored(form):
    """An exporter that gains a counter must not have to be upgraded together with the daemon."""
    features = ["response_ms", "jitter", "answers", "requests", "retransmissions"]
    data = FORMS[form](body(features=features, values=rows([20, 7, 99, 100, 1])))

    window = only_window(data)

    assert window.values.tolist() == rows([100, 99, 1, 20])


def test_raw_columns_are_sorted_by_name_too():
    """The fastest form of message must not be the one that mixes counters up."""
    raw = np.array(rows([99, 100, 1, 20]), "<f4").tobytes()
    features = ["answers", "requests", "retransmissions", "response_ms"]
    data = FORMS["messagepack"](body(features=features, values=raw, shape=[4, 4]))

    window = only_window(data)

    assert window.values.tolist() == rows([100, 99, 1, 20])


@pytest.mark.parametrize("form", FORMS)
def test_a_feature_that_the_model_needs_is_missed(form):
    """A model that is shown zeros for a counter it knows would name a fault that isn't there."""
    features = ["requests", "retransmissions", "response_ms"]
    rejected = only_rejected(FORMS[form](body(features=features, values=rows([1, 2, 3]))))

    assert rejected.reason == "feature"
    assert "'answers'" in rejected.detail


@pytest.mark.parametrize("form", FORMS)
def test_an_optional_feature_may_be_absent_and_is_then_not_observed(form):
    """A link without that counter is watched all the same."""
    features = ["requests", "answers", "retransmissions"]
    window = only_window(FORMS[form](body(features=features, values=rows([100, 99, 1]))))

    assert window.values[:, :3].tolist() == rows([100, 99, 1])
    assert np.isnan(window.values[:, 3]).all()


@pytest.mark.parametrize(
    ("form", "gap"), [("json", None), ("messagepack", None), ("messagepack", math.nan)]
)
def test_null_and_nan_mean_not_observed(form, gap):
    """A counter that was not read is not a counter that stood still."""
    window = only_window(FORMS[form](body(values=[[100, gap, 0, gap], *VALUES[1:]])))

    assert np.isnan(window.values[0]).tolist() == [False, True, False, True]
    assert not np.isnan(window.values[1:]).any()


@given(steps=st.integers(1, 40), observed=st.integers(0, 40))
def test_exactly_the_share_that_must_be_observed_is_enough(steps, observed):
    """A rule that depends on how a share is rounded can't be relied on by anybody."""
    observed = min(observed, steps)
    features = ("requests", "answers")
    spec = make_spec(features=features, optional=(), steps=steps, min_observed=observed / steps)
    enough = rows([1, 2], observed) + rows([1, None], steps - observed)
    fewer = rows([1, 2], observed - 1) + rows([1, None], steps - observed + 1)
    change = {"features": list(features)}

    only_window(FORMS["json"](body(values=enough, **change)), spec)

    if observed:
        assert only_rejected(FORMS["json"](body(values=fewer, **change)), spec).reason == "gaps"


# For each reason, messages that are good but for one thing.
UNUSABLE = {
    "undecodable": [
        body(link=None),
        body(link=7),
        body(values=7),
        body(start_ms=1.5),
        body(v="1"),
    ],
    "version": [body(v=2), body(v=0), body(v=2, values={"later": 1}), body(v=9, link=None)],
    "name": [body(link=""), body(link="a\nb"), body(link="x" * 201), body(source="\x00")],
    "time": [
        body(start_ms=-1),
        body(start_ms=1_790_000_000),  # seconds
        body(start_ms=1_790_000_000_000_000),  # microseconds
        body(start_ms=2**62),
    ],
    "step": [body(step_ms=1001), body(step_ms=0), body(step_ms=-1000)],
    "feature": [
        body(features=["requests", "answers", "response_ms", "jitter"]),
        body(features=[*SPEC.features, "answers"], values=rows([1, 2, 3, 4, 5])),
    ],
    "shape": [
        body(values=rows(VALUES[0], 3)),
        body(values=rows(VALUES[0], 5)),
        body(values=rows([1, 2, 3])),
        body(values=[[1, 2, 3, 4], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4]]),
        body(values=[]),
        body(values=[[]]),
        body(values=[[], [], [], []]),
    ],
    "number": [body(values=rows([1e31, 1, 1, 1])), body(values=rows([-1e300, 1, 1, 1]))],
    "gaps": [body(values=rows([1, None, 1, 1], 3) + VALUES[:1])],
}


def test_every_reason_has_an_example():
    """A reason that nothing can have is a series that somebody builds an alert on for nothing."""
    assert set(UNUSABLE) == set(REASONS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reason", REASONS)
def test_what_is_unusable_is_said_to_be_so_for_the_right_reason(reason, form):
    """The reason is what tells an operator which exporter to mend, and how."""
    for changed in UNUSABLE[reason]:
        data = FORMS[form](changed)

        rejected = only_rejected(data)

        assert rejected.reason == reason, changed
        assert rejected.data == data
        assert rejected.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"values": RAW},
        {"values": RAW, "shape": [2, 8]},
        {"values": RAW, "shape": [4, 5]},
        {"values": RAW, "shape": [0, 0]},
        {"values": RAW, "shape": [2**64 - 1, 2**64 - 1]},
        {"values": RAW[:-1], "shape": [4, 4]},
        {"values": RAW[:-4], "shape": [4, 4]},
        {"values": b"", "shape": [4, 4]},
    ],
)
def test_raw_values_that_do_not_fill_their_shape_are_refused(changes):
    """Numbers that are shifted by one column look like a fault, or hide one."""
    rejected = only_rejected(FORMS["messagepack"](body(**changes)))

    assert rejected.reason == "shape"


@pytest.mark.parametrize("number", [math.inf, -math.inf, 3.4e38, -2e30])
@pytest.mark.parametrize("is_raw", [True, False])
def test_numbers_that_can_not_be_summed_are_refused_in_messagepack(number, is_raw):
    """JSON has no infinity, MessagePack has; an embedding made of it would be NaN."""
    values = rows([number, 1, 1, 1])
    changes = {"values": values}
    if is_raw:
        changes = {"values": np.array(values, "<f4").tobytes(), "shape": [4, 4]}

    rejected = only_rejected(FORMS["messagepack"](body(**changes)))

    assert rejected.reason == "number"


def test_the_largest_number_is_still_taken():
    """The limit is where it is said to be."""
    window = only_window(FORMS["json"](body(values=rows([LARGEST, -LARGEST, 0, 0]))))

    assert window.values[0].tolist() == [np.float32(LARGEST), -np.float32(LARGEST), 0, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"7",
        b'"window"',
        b"\xff",
        b"{",
        b"{}",
        b"\x80",
        b"[{]",
        FORMS["json"](BODY) + b"x",
        FORMS["json"](BODY)[:-1],
        FORMS["messagepack"](BODY)[:-1],
        FORMS["json"](BODY).replace(b"trunk-1", rb"\ud800"),
        FORMS["json"](BODY).replace(b"trunk-1", b"\xff"),
        FORMS["messagepack"](BODY).replace(b"trunk-1", b"trunk-\xff"),
        FORMS["json"](BODY).replace(b"100.0", b"NaN"),
        FORMS["json"](BODY).replace(b"100.0", b"1e999"),
        FORMS["json"](BODY).replace(b'"v": 1', b'"v": ' + b"9" * 10_000),
    ],
)
def test_what_is_neither_json_nor_messagepack_of_a_window_is_undecodable(data):
    """Somebody will put something else on the topic."""
    rejected = only_rejected(data)

    assert rejected.reason == "undecodable"
    assert rejected.data == data


@pytest.mark.parametrize("depth", [500, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [(b"[", b"]"), (b'{"v":', b"}"), (b"\x91", b""), (b"\x81\xa1v", b""), (b'[{"x":[', b"]}]")],
)
def test_deep_nesting_is_refused_and_ends_nothing(opening, closing, depth):
    """A hundred kilobytes of brackets must not end the daemon for want of stack."""
    data = opening * depth + closing * depth

    windows, rejected = decode(data, SPEC)

    assert windows == []
    assert {one.reason for one in rejected} == {"undecodable"}


def test_deep_nesting_in_an_unknown_field_is_refused_as_well():
    """Fields that the daemon passes over are read all the same."""
    data = FORMS["json"](BODY)[:-1] + b', "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert only_rejected(data).reason == "undecodable"


def test_unknown_fields_are_passed_over():
    """A later exporter may say more than this daemon asks."""
    only_window(FORMS["json"](body(more={"deep": [1]})))


@pytest.mark.parametrize(("more", "windows"), [(9, 16), (70_000, 2), (0, 70_000)])
def test_messagepack_of_every_length_is_known_by_its_first_byte(more, windows):
    """Maps and lists begin with other bytes from 16 and from 65,536 entries on."""
    fields = body() | {f"more-{number}": 0 for number in range(more)}

    alone, _ = decode(msgspec.msgpack.encode(fields), SPEC)
    listed, _ = decode(msgspec.msgpack.encode([fields] * windows), SPEC)

    assert len(alone) == 1
    assert len(listed) == windows


@pytest.mark.parametrize("blanks", [b" ", b"\n\t ", b" " * 40])
def test_white_space_before_json_is_no_obstacle(blanks):
    """A message that a person typed, or a template printed, begins with some."""
    only_window(blanks + FORMS["json"](BODY))
    assert len(decode(blanks + b"[" + FORMS["json"](BODY) + b"]", SPEC)[0]) == 1


BAD_ONES = [(reason, bad) for reason, bodies in UNUSABLE.items() for bad in bodies]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(("reason", "bad"), BAD_ONES)
def test_one_bad_window_in_a_list_costs_only_itself(form, place, reason, bad):
    """One broken link of an exporter must not silence all others that it reports."""
    good = [body(link="trunk-a"), body(link="trunk-b")]
    data = FORMS[form]([*good[:place], bad, *good[place:]])

    windows, rejected = decode(data, SPEC)

    assert [window.link for window in windows] == ["trunk-a", "trunk-b"]
    assert [one.reason for one in rejected] == [reason]
    assert rejected[0].data == FORMS[form](bad)


def test_a_list_that_breaks_off_is_one_dead_letter():
    """Of half a message nobody can say which windows are whole."""
    data = b"[" + FORMS["json"](BODY) + b"," + FORMS["json"](BODY)[:-5]

    rejected = only_rejected(data)

    assert rejected == Rejected(data, "undecodable", rejected.detail)


@pytest.mark.parametrize("data", [b"[]", b"\x90"])
def test_an_empty_list_is_no_window_and_no_mistake(data):
    """An exporter that has nothing to report may say so."""
    assert decode(data, SPEC) == ([], [])


def test_a_hostile_name_does_not_get_into_the_detail():
    """The detail goes into headers and logs, where a line end would begin a line of its own."""
    rejected = only_rejected(FORMS["json"](body(link="trunk\n2026-01-01 info all is well")))

    assert rejected.detail.isprintable()


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.none() | st.floats() | st.text(max_size=2), max_size=5),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
)
NEARLY_VALUES = st.lists(st.lists(st.floats() | st.none(), max_size=5), max_size=5)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([1, 1, 1, 2]) | WRONG,
        "link": st.text() | WRONG,
        "source": st.just("probe-1") | st.text() | WRONG,
        "start_ms": st.integers(-1, 2**64 - 1) | WRONG,
        "step_ms": st.just(1000) | st.integers(-1, 2**64 - 1) | WRONG,
        "features": st.permutations(SPEC.features) | st.lists(st.text(), max_size=5) | WRONG,
        "values": st.just(VALUES) | NEARLY_VALUES | WRONG,
        "shape": st.lists(st.integers(-(2**63), 2**64 - 1), max_size=3) | WRONG,
        "more": WRONG,
    },
).map(lambda fields: {k: v for k, v in (BODY | fields).items() if v is not None})


def to_json(value):
    """Give JSON as a sloppy exporter writes it: with NaN, Infinity and lone surrogates."""
    return json.dumps(value).encode()


def to_messagepack(value):
    """Give MessagePack, or nothing where the value can't be written so."""
    with contextlib.suppress(UnicodeEncodeError, OverflowError):
        return msgspec.msgpack.encode(value)
    return b""


BODIES = NEARLY | st.lists(NEARLY | WRONG, max_size=4)
MESSAGES = st.binary() | BODIES.map(to_json) | BODIES.map(to_messagepack)
DAMAGED = st.builds(
    lambda data, place, what, cut: (data[:place] + what + data[place + len(what) :])[:cut],
    MESSAGES,
    st.integers(0, 300),
    st.binary(max_size=4),
    st.none() | st.integers(0, 400),
)


DD = (b"\xdc", b"\xdd")  # how longer lists begin in MessagePack


@given(MESSAGES | DAMAGED)
def test_any_bytes_are_windows_or_rejected_and_never_an_exception(data):
    """Nothing that anybody can put on the topic may end the daemon, or pass it as a window."""
    windows, rejected = decode(data, SPEC)

    for window in windows:
        assert window.values.shape == SPEC.shape
        assert (np.isnan(window.values) | (np.abs(window.values) <= np.float32(LARGEST))).all()
        assert window.link.isprintable()
        assert 0 <= window.start_ms < window.end_ms
    for one in rejected:
        assert one.reason in REASONS
        assert one.data in data
    is_list = data.lstrip()[:1] == b"[" or 0x90 <= (data or b" ")[0] <= 0x9F or data[:1] in DD
    assert is_list or len(windows) + len(rejected) == 1


@given(st.lists(NEARLY, min_size=1, max_size=4), st.sampled_from(sorted(FORMS)))
def test_a_window_is_judged_alike_alone_and_in_a_list(bodies, form):
    """The quick way through a list and the way window by window are one rule."""
    write = to_json if form == "json" else to_messagepack
    alone = [decode(write(one), SPEC) for one in bodies]

    windows, rejected = decode(write(bodies), SPEC)

    if {one.reason for one in rejected} != {"undecodable"} or len(rejected) > 1:
        assert [one.link for one in windows] == [w.link for got, _ in alone for w in got]
        assert [one.reason for one in rejected] == [r.reason for _, bad in alone for r in bad]


def test_a_long_list_is_read_in_one_go():
    """A message of a hundred windows is what makes forty thousand windows a second possible."""
    windows = [make_window(f"trunk-{n}", load=n) for n in range(100)]

    back, rejected = decode(encode(windows, SPEC), SPEC)

    assert rejected == []
    assert [window.values[0, 0] for window in back] == list(range(100))
