"""Every rival keeps the contract; each then does what its name says."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from training.rivals import RIVALS, RivalUnavailable
from training.rivals.neighbour import MEDOID_WINDOWS
from training.rivals.rival import TILE
from training.rivals.rule import SIP, TCP, WAYS

SIP_FEATURES = tuple(way + name for way in WAYS for name in SIP)
TCP_FEATURES = tuple(way + name for way in WAYS for name in TCP)
MORE_FEATURES = ("fwd_ack", "rev_1xx", "rev_response_ms")
FEATURES = tuple(dict.fromkeys(SIP_FEATURES + TCP_FEATURES + MORE_FEATURES))
RULE, NEIGHBOUR, LOGISTIC, ROCKET, CHANGES, RATIOS, RATIO_CHANGES, DISCRIMINANT = RIVALS
ANSWERED = {"normal": 1.0, "limited": 0.5, "blocked": 0.0}  # share of requests
REPEATED = {"normal": 0.0, "limited": 0.4, "blocked": 0.6}  # share of packets


def windows_of(features, count, steps=15, level=0.0, **columns):
    """Give *count* equal windows, with *level* in every column that isn't named."""
    windows = np.full((count, steps, len(features)), level, np.float32)
    for name, values in columns.items():
        windows[:, :, features.index(name)] = values
    return windows


def sip_windows(rng, label, count, steps=15):
    """Give calls with the answers and the retransmissions that *label* stands for."""
    requests = rng.poisson(rng.uniform(5, 50, (count, 1)), (count, steps))
    answers = rng.binomial(requests, ANSWERED[label])
    repeats = rng.binomial(requests, REPEATED[label])
    return windows_of(
        FEATURES,
        count,
        steps,
        fwd_packets=2 * requests,
        fwd_invite=requests,
        fwd_ack=answers,
        fwd_sip_retransmissions=2 * repeats,
        rev_packets=answers,
        rev_2xx=answers,
        rev_response_ms=np.where(answers > 0, rng.gamma(9, 2, answers.shape), np.nan),
    )


def training_set(seed, counts=None, steps=15):
    """Give windows of three labels, their labels, and the runs they come from."""
    rng = np.random.default_rng(seed)
    counts = counts or dict.fromkeys(ANSWERED, 24)
    windows = np.concatenate([sip_windows(rng, name, n, steps) for name, n in counts.items()])
    labels = [name for name, count in counts.items() for _ in range(count)]
    return windows, labels, [f"run {row % 6}" for row in range(len(labels))]


def trained(name, windows, labels, runs=None, features=FEATURES, seed=0):
    """Give the rival of that name after training."""
    rival = RIVALS[name](features, seed)
    rival.fit(windows, labels, runs or ["run"] * len(labels))
    return rival


@pytest.mark.parametrize("steps", [9, 15, 30, 60])
@pytest.mark.parametrize("name", RIVALS)
def test_what_is_plainly_apart_is_told_apart(name, steps):
    """On new windows of the kinds it was trained on, a rival is nearly always right."""
    rival = trained(name, *training_set(1, steps=steps))
    windows, labels, _ = training_set(2, steps=steps)

    found = rival.predict(windows)

    assert np.mean(np.array(found) == labels) > 0.9
    assert all(type(label) is str for label in found)


@pytest.mark.parametrize("name", RIVALS)
def test_the_same_seed_gives_the_same_verdicts(name):
    """A score in a report can be had again, and noise shows what was drawn anew."""
    rng = np.random.default_rng(1)
    noise = rng.poisson(3, (MEDOID_WINDOWS + 50, 9, len(FEATURES))).astype(np.float32)
    labels = rng.choice(["a", "b", "c"], len(noise)).tolist()

    found = [trained(name, noise, labels, seed=7).predict(noise[::-5] + 1) for _ in range(2)]

    assert len(set(found[0])) > 1
    assert found[0] == found[1]


@pytest.mark.parametrize("name", RIVALS)
def test_numpys_own_generator_is_left_alone(name):
    """Scoring a rival doesn't change what a training run beside it draws."""
    before = np.random.get_state()[1].tolist()  # noqa: NPY002

    trained(name, *training_set(1))

    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


LEAST_OF_THE_RARE = dict.fromkeys(RIVALS, 0.85) | dict.fromkeys((RULE, NEIGHBOUR, ROCKET), 0.5)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rare_label_is_not_given_up(name):
    """Captures hold more of the normal than of any fault, and the two overlap."""
    rng = np.random.default_rng(0)

    def calls(answers, count):
        came = rng.binomial(10, answers, (count, 15))
        return windows_of(FEATURES, count, fwd_packets=10, fwd_invite=10, rev_2xx=came)

    windows = np.concatenate([calls(0.6, 400), calls(0.45, 40)])
    rival = trained(name, windows, ["normal"] * 400 + ["limited"] * 40)

    assert (
        np.mean(np.array(rival.predict(calls(0.45, 400))) == "limited") > LEAST_OF_THE_RARE[name]
    )


@pytest.mark.parametrize("name", [name for name in RIVALS if name != RULE])
def test_a_feature_that_was_constant_in_training_is_left_out(name):
    """What never moved there can't have been learnt from, and may do anything later."""
    rng = np.random.default_rng(0)
    windows = rng.poisson(np.repeat([5, 9], 40)[:, None, None], (80, 15, 2)).astype(np.float32)
    new, labels = windows[::2].copy(), np.repeat(["few", "many"], 40)
    windows[:, :, 1] = 0.1
    new[:, :, 1] = rng.choice([-1e38, 1e38], new.shape[:2])

    found = trained(name, windows, labels.tolist(), features=("g0", "g1")).predict(new)

    assert np.mean(np.array(found) == labels[::2]) > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf, 0, 0.1, -3, 3e38])
@pytest.mark.parametrize("name", RIVALS)
def test_a_feature_that_says_nothing_does_no_harm(name, value):
    """Counters that an exporter doesn't have, or that never move, are common."""
    windows, labels, runs = training_set(1)
    new, truth, _ = training_set(2)
    windows[:, :, -1] = new[:, :, -1] = value

    found = trained(name, windows, labels, runs).predict(new)

    assert np.mean(np.array(found) == truth) > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0, -3, 3e38])
@pytest.mark.parametrize("name", RIVALS)
def test_any_window_gets_a_label_of_the_training_windows(name, value):
    """A lost exporter or a wrapped counter must not end a report."""
    windows, labels, runs = training_set(1)
    rival = trained(name, windows, labels, runs)
    windows[::2, :, :30] = value
    windows[::3] = value

    found = rival.predict(windows)

    assert len(found) == len(windows)
    assert set(found) <= set(labels)


@pytest.mark.parametrize("name", RIVALS)
def test_a_verdict_does_not_depend_on_the_windows_beside_it(name):
    """Many windows are worked on in parts, and the parts are joined in order."""
    rival = trained(name, *training_set(1, steps=9))
    windows, *_ = training_set(2, dict.fromkeys(ANSWERED, TILE // 3 + 2), steps=9)
    windows = windows[np.random.default_rng(0).permutation(len(windows))]

    together = rival.predict(windows)

    assert len(windows) > TILE
    for row in (0, TILE - 1, TILE, len(windows) - 1):
        assert rival.predict(windows[row : row + 1]) == [together[row]]
    assert rival.predict(windows[:0]) == []


@pytest.mark.parametrize("name", RIVALS)
def test_there_must_be_something_to_tell_apart(name):
    """One label, or a label too few, is a mistake in the capture that gets a message."""
    windows, labels, runs = training_set(1)

    with pytest.raises(ValueError, match=r"two labels or more are needed, got \['normal'\]"):
        RIVALS[name](FEATURES, 0).fit(windows[:24], labels[:24], runs[:24])
    with pytest.raises(ValueError, match="72 windows, 71 labels, 72 runs"):
        RIVALS[name](FEATURES, 0).fit(windows, labels[1:], runs)


@pytest.mark.parametrize("name", [name for name in RIVALS if name != RULE])
def test_features_may_have_any_names(name):
    """Only the rule knows what a counter means."""
    rival = trained(name, *training_set(1), features=[f"gauge {i}" for i in range(len(FEATURES))])

    assert set(rival.predict(training_set(2)[0])) == set(ANSWERED)


def test_listing_the_rivals_costs_no_heavy_import():
    """`--help` of a command that knows their names answers at once."""
    code = "import sys, training.rivals; print({'aeon', 'sklearn', 'numba'} & {*sys.modules})"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_the_rule_is_unavailable_without_its_features():
    """A report says which counters the capture lacks, instead of leaving a gap."""
    with pytest.raises(RivalUnavailable, match=r"SIP lacks .*rev_2xx.*; TCP lacks .*rev_tcp_syn"):
        RIVALS[RULE](("fwd_packets", "rev_packets", "fwd_2xx", "fwd_tcp_syn"), 0)


@pytest.mark.parametrize("lost", SIP_FEATURES)
def test_the_rule_needs_every_counter_of_a_protocol(lost):
    """A ratio without one kind of answer would be wrong without a word."""
    with pytest.raises(RivalUnavailable, match=lost):
        RIVALS[RULE]([name for name in SIP_FEATURES if name != lost], 0)


def test_half_a_protocol_is_not_counted_by_the_rule():
    """Requests whose answers aren't in the capture are not unanswered requests."""
    features = (*TCP_FEATURES, "fwd_invite", "rev_invite")
    handshakes = {"fwd_tcp_syn": 5, "fwd_packets": 20, "rev_packets": 20}
    windows = np.concatenate([
        windows_of(features, 9, **handshakes, rev_tcp_syn=5),
        windows_of(features, 9, **handshakes, rev_tcp_syn=0),
    ])  # fmt: skip
    rival = trained(RULE, windows, ["up"] * 9 + ["down"] * 9, features=features)

    assert rival.predict(
        windows_of(features, 1, **handshakes, rev_tcp_syn=5, fwd_invite=90, rev_invite=0)
    ) == ["up"]


@pytest.mark.parametrize("calls", [1 / 60, 1, 1000])
@pytest.mark.parametrize("method", ["invite", "register", "options"])
def test_the_rule_finds_unanswered_requests_at_any_load(calls, method):
    """Blocked is known by what does not come back, not by the rate."""
    rival = trained(RULE, *training_set(1))
    asked = {f"fwd_{method}": calls, "fwd_ack": 9 * calls, "fwd_packets": 10 * calls}

    found = [
        rival.predict(windows_of(FEATURES, 1, 60, **asked, **{answer: calls}))[0]
        for answer in ("rev_1xx", "rev_2xx", "rev_4xx")
    ]

    assert found == ["blocked", "normal", "normal"]


@pytest.mark.parametrize("seed", range(3))
def test_no_pair_of_thresholds_beats_the_rules(seed):
    """The search is exhaustive: a plain loop over all values finds nothing better."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(["blocked", "limited", "normal"], 33)
    ratio = np.concatenate([rng.beta(*shape, 33) for shape in ((1, 6), (4, 4), (6, 2))])
    share = np.concatenate([rng.beta(*shape, 33) for shape in ((5, 5), (4, 4), (1, 8))])
    windows = windows_of(
        FEATURES,
        len(truth),
        fwd_packets=1e4,
        fwd_invite=1e4,
        rev_2xx=1e4 * ratio[:, None],
        fwd_sip_retransmissions=1e4 * share[:, None],
    )

    found = trained(RULE, windows, truth.tolist()).predict(windows)

    score = plain_macro_f1(truth, np.array(found))
    assert score < 1
    for few, many in itertools.product(ratio, share):
        plain = np.where(ratio < few, "blocked", np.where(share > many, "limited", "normal"))
        assert score >= plain_macro_f1(truth, plain) - 1e-9


def plain_macro_f1(truth, found):
    """Give the mean over labels of twice the hits by the sum of both sizes."""
    hits = [2 * np.sum((truth == name) & (found == name)) for name in ANSWERED]
    sizes = [np.sum(truth == name) + np.sum(found == name) for name in ANSWERED]
    return np.divide(hits, sizes).mean()


def test_the_rule_learns_what_its_sides_mean():
    """Labels are an operator's words, and the rule gives each to the side where it was seen."""
    words = {"blocked": "nobody home", "limited": "a", "normal": "zz"}
    windows, labels, runs = training_set(1)
    new, truth, _ = training_set(2)

    found = trained(RULE, windows, [words[label] for label in labels], runs).predict(new)

    assert np.mean(np.array(found) == [words[label] for label in truth]) > 0.9


@pytest.mark.parametrize("protocol", ["sip", "tcp"])
def test_the_rule_uses_retransmissions_where_answers_say_nothing(protocol):
    """Both thresholds are in use: here all are answered, and only some need a second try."""
    sent = {"fwd_invite": 5, "rev_2xx": 5, "fwd_packets": 10, "rev_packets": 10}
    windows = windows_of(FEATURES, 20, **sent)
    windows[::2, :, FEATURES.index(f"fwd_{protocol}_retransmissions")] = 3

    found = trained(RULE, windows, ["limited", "normal"] * 10).predict(windows[:2])

    assert found == ["limited", "normal"]


def test_the_rule_judges_other_links_by_their_handshakes():
    """A link that carries HTTP has no SIP requests, but its SYNs want an answer too."""
    rival = trained(RULE, *training_set(1))
    tried = {"fwd_tcp_syn": 4, "fwd_packets": 40}

    assert rival.predict(windows_of(FEATURES, 1, **tried, rev_tcp_syn=4)) == ["normal"]
    assert rival.predict(windows_of(FEATURES, 1, **tried, rev_packets=40)) == ["blocked"]


def test_the_rule_wants_packets_answered_where_nothing_was_asked():
    """Long connections have no handshakes, and a dead link may have no traffic at all."""
    rival = trained(RULE, *training_set(1))

    assert rival.predict(windows_of(FEATURES, 1, fwd_packets=4, rev_packets=4)) == ["normal"]
    assert rival.predict(windows_of(FEATURES, 1, fwd_packets=4)) == ["blocked"]
    assert rival.predict(windows_of(FEATURES, 1)) == ["blocked"]


def levels(*pairs):
    """Give windows of two features: for each (level, count) that many at about that level."""
    rng = np.random.default_rng(0)
    return np.concatenate([
        np.full((count, 9, 2), level) + rng.random((count, 9, 2)) for level, count in pairs
    ]).astype(np.float32)  # fmt: skip


def test_the_neighbour_has_one_reference_a_label():
    """With more of them it would know the small group again; that is the encoder's task."""
    windows = levels((10, 20), (1000, 5), (300, 20))
    rival = trained(NEIGHBOUR, windows, ["a"] * 25 + ["b"] * 20)

    assert rival.predict(levels((10, 1), (300, 1))) == ["a", "b"]
    assert rival.predict(windows[20:25]) == ["b"] * 5


def test_the_neighbours_reference_is_a_typical_window():
    """A mean would be moved by one wild window, a medoid is not."""
    windows = levels((10, 5), (3e30, 2), (200, 7))
    rival = trained(NEIGHBOUR, windows, ["a"] * 7 + ["b"] * 7)

    assert rival.predict(levels((20, 1))) == ["a"]


def test_the_neighbours_reference_is_not_that_of_the_longest_run():
    """Variety is worth more than length: of many windows, as many are drawn from each run."""
    windows = levels((10, 2 * MEDOID_WINDOWS), (1000, 400), (300, 400))
    labels = ["a"] * (2 * MEDOID_WINDOWS + 400) + ["b"] * 400
    runs = ["long"] * 2 * MEDOID_WINDOWS + [f"short {row // 100}" for row in range(800)]

    rival = trained(NEIGHBOUR, windows, labels, runs)

    assert rival.predict(levels((1000, 1))) == ["a"]


@pytest.mark.parametrize("seed", range(4))
def test_no_label_is_lost_when_windows_are_drawn(seed):
    """A fault that was seen for a minute stays beside months of normal traffic."""
    windows = levels((10, 2 * MEDOID_WINDOWS), (1000, 2))
    labels = ["normal"] * 2 * MEDOID_WINDOWS + ["fault"] * 2
    runs = [f"day {row}" for row in range(2 * MEDOID_WINDOWS)] + ["minute"] * 2

    assert (
        trained(NEIGHBOUR, windows, labels, runs, seed=seed).predict(windows[-2:]) == labels[-2:]
    )


def test_the_neighbour_weighs_features_alike():
    """One counter swings by magnitudes, another goes from 0 to 1 and tells."""
    windows = np.random.default_rng(0).lognormal(0, 3, (40, 15, 2)).astype(np.float32)
    windows[:, :, 1] = np.repeat([0, 1], 20)[:, None]
    labels = ["fine"] * 20 + ["errors"] * 20

    assert trained(NEIGHBOUR, windows, labels).predict(windows) == labels


def test_the_regression_sees_where_the_window_leads():
    """Two windows with the same counts in another order are not the same."""
    rising = np.sort(np.random.default_rng(0).poisson(20, (30, 15, 2)), axis=1)
    windows = np.concatenate([rising, rising[:, ::-1]]).astype(np.float32)
    windows[:, -1] = 20
    labels = ["filling"] * 30 + ["draining"] * 30

    assert trained(LOGISTIC, windows, labels).predict(windows) == labels


def test_the_regression_sees_what_was_not_observed():
    """No response time at all is no response time of 0."""
    windows = windows_of(FEATURES, 40, rev_response_ms=0)
    windows[:20, ::2, FEATURES.index("rev_response_ms")] = np.nan
    labels = ["partly"] * 20 + ["wholly"] * 20

    assert trained(LOGISTIC, windows, labels).predict(windows) == labels


def test_a_rival_says_which_windows_it_is_to_learn_from():
    """Whoever trains them cuts the windows: of one label throughout, or also with the change."""
    partial = {name for name in RIVALS if RIVALS[name](SIP_FEATURES, 0).partial}

    assert partial == {CHANGES, RATIO_CHANGES}


@pytest.mark.parametrize("name", [RATIOS, DISCRIMINANT])
def test_ratios_know_a_fault_at_a_load_that_was_never_seen(name):
    """A link is blocked by what does not come back, whatever a small or a large link is."""
    rng = np.random.default_rng(0)
    windows, labels, runs = training_set(1)
    calls = rng.poisson(3000, (20, 15))
    answers = np.concatenate([calls[:10], np.zeros((10, 15))])
    busy = windows_of(
        FEATURES,
        20,
        fwd_packets=2 * calls,
        fwd_invite=calls,
        fwd_ack=answers,
        fwd_sip_retransmissions=2 * np.where(answers, 0, calls * 0.6),
        rev_packets=answers,
        rev_2xx=answers,
        rev_response_ms=np.where(answers > 0, 18.0, np.nan),
    )

    found = trained(name, windows, labels, runs).predict(busy)

    assert found == ["normal"] * 10 + ["blocked"] * 10


@pytest.mark.parametrize("name", [RATIOS, DISCRIMINANT])
def test_ratios_of_counters_without_a_name_are_their_levels(name):
    """A capture of nothing but gauges still makes a rival."""
    windows = levels((10, 20), (1000, 20))

    found = trained(name, windows, ["low"] * 20 + ["high"] * 20, features=("g0", "g1")).predict(
        levels((12, 2), (900, 2))
    )

    assert found == ["low"] * 2 + ["high"] * 2


def test_minirocket_sees_the_rhythm():
    """Bursts and a steady stream have the same counts, and only their order differs."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.tile([2, 2, 40], 10)[:, None], (40, 30, 2)).astype(np.float32)
    windows = np.concatenate([counts, rng.permuted(counts, axis=1)])
    labels = ["bursts"] * 40 + ["mixed"] * 40

    found = trained(ROCKET, windows[::2], labels[::2]).predict(windows[1::2])

    assert np.mean(np.array(found) == labels[1::2]) > 0.9


def test_minirocket_refuses_windows_shorter_than_its_kernels():
    """The message says what to change; aeon's own would say to fill up with zeros."""
    with pytest.raises(ValueError, match="MiniRocket needs 9 steps or more, got 8"):
        trained(ROCKET, *training_set(1, steps=8))
