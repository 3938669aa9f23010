"""Whatever a capture's features are called, an encoder gets inputs that it can learn from."""

import dataclasses
import itertools

import numpy as np
import pytest

from detector.inputs import Inputs, InputSpec, Level, Mask, Ratio, Swap
from detector.window import DIRECTIONS, WindowSpec
from training.recipe import FORMS, input_spec, scaled
from training.settings import Settings

COUNTERS = (
    "packets", "bytes", "invite", "ack", "bye", "register", "options", "cancel", "other_requests",
    "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "sip_retransmissions", "new_calls",
    "tcp_syn", "tcp_rst", "tcp_fin", "tcp_retransmissions", "tcp_payload_segments", "icmp_errors",
    "interarrival_ms", "interarrival_max_ms", "response_ms",
)  # fmt: skip
SIP = tuple(way + name for way in ("fwd_", "rev_") for name in COUNTERS)
INTERFACE = tuple(a + b for a in ("in_", "out_") for b in ("octets", "packets", "errors"))


def used(spec):
    """List what a spec reads."""
    sums = [{**ratio.over, **ratio.under} for ratio in spec.ratios]
    return set(itertools.chain(*sums)) | {level.feature for level in spec.levels}


def value(ratio, **counters):
    """Give one ratio of plain numbers; counters that aren't named are 0."""
    over, under = (
        sum(weight * counters.get(name, 0) for name, weight in weights.items())
        for weights in (ratio.over, ratio.under)
    )
    return over / (under + ratio.floor)


def find(spec, **counters):
    """Give all ratios that aren't 0 for these counters, by name."""
    found = {ratio.name: value(ratio, **counters) for ratio in spec.ratios}
    return {name: number for name, number in found.items() if number}


@pytest.mark.parametrize(
    "features", [SIP, SIP[:26], INTERFACE, ("rx_octets", "tx_octets"), ("temperature", "fwd_odd")]
)
def test_inputs_have_names_of_their_own_and_read_only_what_there_is(features):
    """A spec that needs more than the capture has can't be computed at all."""
    spec = input_spec(features, [1.0, 4.0])

    window = WindowSpec(features, 3, 1000)
    assert Inputs(spec, window)(np.ones((2, 3, len(features)), np.float32)).shape[:2] == (2, 3)
    assert used(spec) <= set(features)
    assert len(set(spec.names)) == len(spec.names) > 0
    assert spec.half_lives_seconds == (1.0, 4.0)


def test_what_tells_only_the_mix_or_the_load_is_left_out():
    """An encoder that sees which protocol it is learns which protocol was faulty in training."""
    spec = input_spec(SIP, [1.0])

    unread = {name.partition("_")[2] for name in set(SIP) - used(spec)}

    assert unread == {
        *("ack", "1xx", "new_calls", "tcp_fin", "tcp_payload_segments", "bytes"),
        *("interarrival_ms", "interarrival_max_ms"),
    }
    assert not [ratio.name for ratio in spec.ratios if "bytes" in ratio.name]


def test_bytes_count_where_there_are_no_packets():
    """Some interfaces report octets alone."""
    spec = input_spec(["in_bytes", "out_bytes"], [1.0])

    assert spec.names == ("in/out bytes 1s", "in_bytes", "out_bytes")


@pytest.mark.parametrize(("out", "back"), [("fwd_", "rev_"), ("rev_", "fwd_")])
def test_requests_are_held_against_the_answers_of_the_other_direction(out, back):
    """Blocked is requests without answers, whichever side it is that asks."""
    spec = input_spec(SIP, [1.0])

    for request in ("invite", "register", "options"):
        unanswered = find(spec, **{out + request: 99.0})
        answered = find(spec, **{out + request: 99.0, back + "2xx": 99.0})
        wrong_way = find(spec, **{out + request: 99.0, out + "2xx": 99.0})

        assert unanswered[f"{out}requests answered"] == pytest.approx(-0.99)
        assert answered.get(f"{out}requests answered", 0) == 0
        assert wrong_way[f"{out}requests answered"] == pytest.approx(-0.99)


def test_refusals_are_answers():
    """A trunk that answers 401 or 503 to everything is not blocked."""
    spec = input_spec(SIP, [1.0])

    refused = find(spec, fwd_invite=99.0, rev_5xx=99.0)

    assert "fwd_requests answered" not in refused


def test_inputs_hardly_change_with_the_load():
    """A link with a call a minute must look like one with hundreds a second."""
    seen = {"fwd_invite": 50, "rev_2xx": 30, "fwd_packets": 300, "rev_packets": 200,
            "fwd_bytes": 150_000, "rev_bytes": 90_000, "fwd_sip_retransmissions": 40}  # fmt: skip
    window = WindowSpec(SIP, 3, 1000)
    quiet = np.array([[[seen.get(name, 0) for name in SIP]] * 3], np.float32)
    inputs = Inputs(input_spec(SIP, [1.0]), window)

    one, hundred = inputs(quiet), inputs(100 * quiet)

    assert (np.abs(one) > 0.1).sum(axis=2).min() > 5
    np.testing.assert_allclose(hundred, one, atol=0.05)


@pytest.mark.parametrize("pair", DIRECTIONS)
def test_two_directions_of_a_counter_are_balanced(pair):
    """A port that only sends, or only receives, is the commonest sign of trouble there is."""
    here, there = (way + "octets" for way in pair)
    spec = input_spec([here, there], [1.0])

    (one_way,) = find(spec, **{here: 1e9}).values()
    (other_way,) = find(spec, **{there: 1e9}).values()

    assert one_way == pytest.approx(1)
    assert other_way == pytest.approx(-1)
    assert find(spec, **{here: 1e9, there: 1e9}) == {}


def test_interface_counters_alone_make_inputs():
    """Most links have nothing else: how much there is, which way, and how much of it is bad."""
    spec = input_spec(INTERFACE, [1.0])

    assert used(spec) == set(INTERFACE)
    assert {"in_octets", "out_octets"} <= {level.feature for level in spec.levels}
    assert find(spec, in_packets=99.0, in_errors=50.0)["in_errors/packets"] == pytest.approx(0.5)


def test_a_feature_that_no_rule_knows_becomes_a_level():
    """Any exporter can be watched, whatever it counts."""
    spec = input_spec(["temperature", "queue_max"], [1.0])

    assert spec.ratios == ()
    assert spec.levels == (Level("temperature", "temperature"), Level("queue_max", "queue_max"))


def test_half_a_pair_is_compared_with_nothing():
    """An answer's counter without its question's says nothing of what is missing."""
    spec = input_spec(["fwd_invite", "fwd_2xx", "fwd_errors"], [1.0])

    assert used(spec) == {"fwd_invite", "fwd_2xx", "fwd_errors"}
    assert all(ratio.over == ratio.under for ratio in spec.ratios)


@pytest.mark.parametrize("count", [9.0, 9e5])
@pytest.mark.parametrize(
    ("name", "feature"),
    [("any packets", "packets"), ("any retransmissions", "tcp_retransmissions")],
)
def test_whether_there_is_any_of_something_is_told_at_any_load(name, feature, count):
    """A link on which nothing comes back is blocked, be it busy or quiet."""
    spec = input_spec(SIP, [1.0])

    for way in ("fwd_", "rev_"):
        assert find(spec, **{way + feature: count})[way + name] >= 0.9
        assert way + name not in find(spec, fwd_ack=count, rev_ack=count)


def test_an_attempt_is_answered_whatever_its_transport():
    """A link that carries SIP over TCP is blocked when no SYN comes back."""
    spec = input_spec(SIP, [1.0])

    asked = find(spec, fwd_tcp_syn=99.0)
    met = find(spec, fwd_tcp_syn=99.0, rev_tcp_syn=99.0)

    assert asked["fwd_attempts answered"] == pytest.approx(-0.99)
    assert "fwd_attempts answered" not in met


def test_counts_alone_are_a_level_of_each_feature():
    """What the encoder then sees is how much there is of everything, and no ratio of it."""
    spec = input_spec(SIP, [1.0], form="counts")

    assert spec.ratios == ()
    assert spec.levels == tuple(Level(name, name) for name in SIP)


def test_ratios_and_counts_together_are_both():
    """The ratios say how traffic fares, the counts all that no rule thought of."""
    ratios, counts, both = (input_spec(SIP, [1.0, 4.0], form=form) for form in FORMS)

    assert both.ratios == ratios.ratios
    assert both.levels == counts.levels
    assert set(ratios.levels) < set(both.levels)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_makes_inputs_with_names_of_their_own(form):
    """The encoder's first matrix has one row for each, in the order of the names."""
    window = WindowSpec(SIP, 3, 1000)

    spec = input_spec(SIP, [1.0], form=form, masks=True, busier_first=True)

    inputs = Inputs(spec, window)(np.ones((2, 3, len(SIP)), np.float32))
    assert inputs.shape == (2, 3, len(spec.names))
    assert len(set(spec.names)) == len(spec.names)


def test_the_forms_are_those_that_can_be_chosen():
    """A form that nobody can ask for, or a choice that leads nowhere, is a slip."""
    (field,) = (f for f in dataclasses.fields(Settings) if f.name == "inputs")

    assert set(FORMS) == set(field.metadata["choices"])


@pytest.mark.parametrize("form", FORMS)
def test_masks_show_of_each_feature_whether_it_was_observed(form):
    """An exporter that leaves a counter out says something else than one that counts nothing."""
    plain, masked = (input_spec(INTERFACE, [1.0], form=form, masks=on) for on in (False, True))

    assert plain.masks == ()
    assert masked.masks == tuple(Mask(f"{name} observed", name) for name in INTERFACE)
    assert masked.ratios == plain.ratios
    assert masked.levels == plain.levels


@pytest.mark.parametrize(
    ("features", "here"),
    [
        (SIP, "fwd_packets"),
        (INTERFACE, "in_packets"),
        (("in_octets", "out_octets", "in_errors", "out_errors"), "in_octets"),
        (("out_octets", "in_octets"), "in_octets"),
        (("rx_tcp_syn", "tx_tcp_syn", "rx_bytes", "tx_bytes"), "rx_tcp_syn"),
    ],
)
def test_the_busier_direction_is_told_by_the_best_counter_there_is(features, here):
    """Packets before anything else: retransmissions swell the octets of the quiet side."""
    spec = input_spec(features, [1.0], busier_first=True)

    assert input_spec(features, [1.0]).swap is None
    assert spec.swap.here == here
    assert spec.swap.pairs[here] == spec.swap.there
    assert {*spec.swap.pairs, *spec.swap.pairs.values()} == set(features)


@pytest.mark.parametrize(
    "features", [("temperature",), ("fwd_calls", "rev_calls"), ("in_octets",)]
)
def test_without_two_loads_no_direction_is_the_busier_one(features):
    """There is nothing to tell it by, and nothing is exchanged."""
    assert input_spec(features, [1.0], busier_first=True).swap is None


def test_every_pair_is_exchanged_and_a_feature_without_counterpart_is_not():
    """Half of a window exchanged would be traffic that never was."""
    spec = input_spec(
        ("fwd_packets", "rev_packets", "fwd_ms", "rev_ms", "fwd_only"), [1.0], busier_first=True
    )

    assert spec.swap == Swap(
        "fwd_packets", "rev_packets", {"fwd_packets": "rev_packets", "fwd_ms": "rev_ms"}
    )


def windows_of(*columns):
    """Give 300 windows of 4 steps with these columns: (300, 4, columns)."""
    shape = (300, 4)
    return np.stack([np.broadcast_to(c, shape) for c in columns], axis=-1).astype(np.float32)


@pytest.mark.parametrize("size", [1, 1e3, 1e9, 1e15])
def test_scaled_inputs_have_mean_0_and_spread_1(size):
    """A network learns little from numbers of other sizes, and counters come in all sizes."""
    rng = np.random.default_rng(0)
    features = ("in_octets", "out_octets", "response_ms")
    window = WindowSpec(features, 4, 1000)
    sample = windows_of(*rng.lognormal(0, 1, (3, 300, 4)))
    sample[..., :2] *= size
    sample[::7, :, 2] = np.nan

    spec = scaled(input_spec(features, [0.0, 2.0]), window, sample)

    inputs = Inputs(spec, window)(sample).reshape(-1, len(spec.names))
    assert inputs.shape[1] == 5  # the balance twice, and three levels
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=0.05)  # but for what is clipped
    np.testing.assert_allclose(inputs.std(axis=0), 1, atol=0.05)


def test_scaling_changes_neither_ratios_nor_levels():
    """The recipe chose them, and scaling a spec twice is scaling it once."""
    features = ("in_octets", "out_octets")
    window = WindowSpec(features, 4, 1000)
    sample = windows_of(*np.random.default_rng(0).lognormal(9, 1, (2, 300, 4)))
    plain = input_spec(features, [3.0])

    once = scaled(plain, window, sample)
    twice = scaled(once, window, sample)

    assert once == twice
    assert (once.half_lives_seconds, once.ratios, once.levels) == (
        plain.half_lives_seconds,
        plain.ratios,
        plain.levels,
    )


TREMOR = 7 + 1e-4 * np.random.default_rng(0).standard_normal((300, 4))


@pytest.mark.parametrize(
    "value", [0, 7, 1e9, np.nan, TREMOR], ids=["0", "7", "1e9", "nan", "tremor"]
)
def test_a_constant_input_is_not_blown_up(value):
    """What never moved in training would turn its first tremor into an alarm."""
    window = WindowSpec(("a",), 4, 1000)
    spec = InputSpec((0.0,), (Ratio("part", {"a": 1.0}, {"a": 1.0}),), (Level("a", "a"),))
    sample = windows_of(value)

    made = scaled(spec, window, sample)

    np.testing.assert_allclose(Inputs(made, window)(sample), 0, atol=1e-3)
    assert made.spread == (1.0, 1.0)
