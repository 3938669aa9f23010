"""The test for drift: quiet on traffic as in training, and not on other traffic."""

import numpy as np
import pytest

from detector.config import Drift as Section
from detector.drift.drift import (
    FEWEST_LINKS,
    FEWEST_WINDOWS,
    FORGET_SECONDS,
    LOOK_SECONDS,
    MOST_AT_ONCE,
    WORST,
    Drift,
)
from detector.drift.telling import EMBEDDING, INPUTS, figures

from .made import Network, bundle_with, rows, usual_bundle

NEAR = np.zeros(3, np.float32)  # an embedding that is known
FAR = np.full(3, 2.0, np.float32)


def make_drift(score=None, **settings) -> Drift:
    """Hold traffic against the usual, or as settings say."""
    return Drift(usual_bundle(score), Section(**settings))


def watch(drift, network, steps=60, far=(), now=0.0, every=1):
    """Let it see some lengths of a window of a network; links in *far* embed far away.

    That is in the first of *every* few windows.
    """
    for step in range(steps):
        windows, verdicts = network.step()
        away = () if step % every else far
        embeddings = np.stack([FAR if one.link in away else NEAR for one in windows])
        drift.take(windows, verdicts, embeddings, network.names, now + network.second)
    return drift.status


def value(drift, name, *labels):
    """Give one figure."""
    (found,) = [one for one in drift.figures() if one.name == name]
    return found.values[labels]


def test_traffic_as_in_training_is_outside_in_a_twentieth_and_does_not_drift():
    """Or every network would be retrained for ever."""
    drift = make_drift(score=1.0)
    status = watch(drift, Network(), steps=200)

    assert 0.01 < status.shares[INPUTS] < 0.06  # of three inputs, one is always the same
    assert status.shares[EMBEDDING] == 0
    assert status.drifting == {INPUTS: 0, EMBEDDING: 0}
    assert not status.is_wanted
    assert status.links == 30
    assert value(drift, "drift_wanted") == 0


def test_other_traffic_drifts_on_every_link_and_a_training_is_wanted():
    """It is what the timer of retraining asks for."""
    drift = make_drift()
    status = watch(drift, Network(busier=3.0))

    assert status.shares[INPUTS] > 0.3
    assert status.drifting[INPUTS] == 30
    assert status.is_wanted
    assert value(drift, "drift_wanted") == 1
    assert value(drift, "drift_links", "inputs") == 30
    assert value(drift, "drift_inputs", "response") > 0.9
    assert value(drift, "drift_inputs", "answered 1s") == 0


def test_what_only_the_encoder_finds_strange_drifts_by_the_embedding():
    """Each input can be in its range, and their meeting be new."""
    network = Network()
    status = watch(make_drift(score=1.0), network, far=network.names[:3])

    assert status.drifting == {INPUTS: 0, EMBEDDING: 3}
    assert status.shares[EMBEDDING] == pytest.approx(0.1)
    assert {one.link for one in status.worst} == set(network.names[:3])
    assert status.worst[0].embedding == 1.0
    assert not status.is_wanted  # three of thirty may be chance


def test_many_links_that_drift_want_a_training_where_all_together_do_not():
    """A site with new equipment is lost in the mean of a country."""
    network = Network(40)
    status = watch(make_drift(score=1.0, times=6.0), network, far=network.names[:10])

    assert status.limits[EMBEDDING] < 6 * 0.05
    assert status.drifting[EMBEDDING] == 10
    assert status.is_wanted


def test_of_few_links_their_number_says_nothing():
    """Two of ten drift by chance every other week."""
    few = Network(FEWEST_LINKS - 1)
    status = watch(make_drift(score=1.0, times=6.0), few, far=few.names[:6])

    assert status.drifting[EMBEDDING] == 6
    assert not status.is_wanted


def test_so_few_links_drift_by_chance():
    """Four of thirty are more than a tenth, and are nothing."""
    network = Network(30)
    status = watch(make_drift(score=1.0, times=4.0), network, far=network.names[:4])

    assert status.drifting[EMBEDDING] == 4
    assert not status.is_wanted


def test_windows_in_a_row_are_not_taken_for_as_many_witnesses():
    """They are alike, so a link has to be watched for twice as long to be sure."""
    network = Network(1)
    soon = watch(make_drift(score=1.0), network, steps=40, far=network.names, every=5)
    assert soon.links == 1
    assert soon.drifting[EMBEDDING] == 0

    later = watch(make_drift(score=1.0), network, steps=200, far=network.names, every=5)
    assert later.drifting[EMBEDDING] == 1


def test_a_few_links_do_not_speak_for_all_however_long_they_are_watched():
    """Links differ: two that are a little odd may be all that there are."""
    network = Network(2)
    status = watch(make_drift(score=1.0), network, steps=700, far=network.names, every=7)

    assert status.drifting[EMBEDDING] == 2
    assert status.limits[EMBEDDING] < 0.1
    assert not status.is_wanted


def test_many_links_do_not_speak_for_all_after_a_minute():
    """So few windows are chance, though each is of another link."""
    network = Network(30)
    status = watch(make_drift(score=1.0), network, steps=5, far=network.names[:4])

    assert status.shares[EMBEDDING] == pytest.approx(4 / 30)
    assert status.limits[EMBEDDING] < 0.1


def test_one_link_by_itself_can_want_a_training():
    """A daemon may watch only one."""
    network = Network(1, busier=3.0)

    assert watch(make_drift(score=1.0), network, far=network.names).is_wanted


def test_a_link_that_is_not_normal_is_not_looked_at():
    """A fault is no new traffic."""
    network = Network(5, busier=3.0)
    network.state = dict.fromkeys(network.names, "blocked") | {"trunk-4": None}
    drift = make_drift()
    status = watch(drift, network)

    assert status.windows == 0
    assert not status.is_wanted
    network.state = {"trunk-0": "blocked"}
    assert watch(drift, network, steps=10).windows == 4 * 10


def test_each_window_is_held_against_its_own_embedding():
    """Those in between are of links that are not looked at."""
    network = Network(5)
    network.state = {"trunk-0": "blocked", "trunk-2": None}
    status = watch(make_drift(score=1.0), network, far=["trunk-0", "trunk-4"])

    assert [one.link for one in status.worst] == ["trunk-4"]


def test_a_link_is_looked_at_once_in_the_length_of_a_window():
    """Windows overlap; the same rows must not count four times."""
    drift, network = make_drift(), Network(3)
    for _ in range(41):
        windows, verdicts = network.step(seconds=1)
        drift.take(windows, verdicts, np.zeros((3, 3), np.float32), network.names, network.second)
    drift.take([], [], np.zeros((0, 3), np.float32), network.names, network.second + LOOK_SECONDS)

    assert drift.status.windows == 3 * 11


def test_a_large_batch_costs_no_more_than_stated():
    """Those that are left are looked at with their next window."""
    drift, network = make_drift(), Network(3 * MOST_AT_ONCE)
    for seconds in (4, 1, 1, 1):
        windows, verdicts = network.step(seconds)
        zeros = np.zeros((len(windows), 3), np.float32)
        drift.take(windows, verdicts, zeros, network.names, float(network.second))
        if seconds == 4:
            assert drift.status.windows == MOST_AT_ONCE
    drift.take([], [], zeros[:0], network.names, 100.0)

    assert drift.status.windows == 3 * MOST_AT_ONCE


def test_nothing_is_said_of_a_link_before_enough_was_seen():
    """Its first windows may be anything."""
    drift, network = make_drift(), Network(FEWEST_LINKS, busier=3.0)
    status = watch(drift, network, steps=int(FEWEST_WINDOWS) - 2)

    assert status.links == 0
    assert status.drifting[INPUTS] == 0
    assert watch(drift, network, steps=5).drifting[INPUTS] == FEWEST_LINKS


def test_times_is_how_much_more_often_than_in_training():
    """An operator whose traffic changes by nature wants to be asked less often."""
    network, far = Network(30), [f"trunk-{number}" for number in range(6)]

    assert watch(make_drift(score=1.0, times=2.0), network, far=far).is_wanted
    assert not watch(make_drift(score=1.0, times=5.0), Network(30), far=far[:2]).is_wanted
    assert watch(make_drift(times=20.0), Network(busier=3.0)).drifting[INPUTS] == 0


def test_hours_is_how_long_what_was_seen_counts():
    """After a change that stays, the past must not hide it for weeks."""

    def after_a_change(hours):
        drift, network = make_drift(hours=hours), Network()
        watch(drift, network, steps=900)
        network.busier = 3.0
        return watch(drift, network, steps=60)

    slow, quick = after_a_change(24.0), after_a_change(0.05)

    assert not slow.is_wanted
    assert quick.is_wanted
    assert slow.inputs["response"] < 0.2 < 0.6 < quick.inputs["response"] <= 1


def test_links_that_are_gone_are_forgotten():
    """What moved to another daemon is that one's."""
    drift, network = make_drift(), Network(30, busier=3.0)
    watch(drift, network)
    network.names = network.names[:10]
    status = watch(drift, network, steps=5, now=FORGET_SECONDS)

    assert status.drifting[INPUTS] == 10
    assert status.links == 10


def test_the_status_lists_the_worst_and_no_more_than_stated():
    """Of ten thousand nobody reads them all."""
    network = Network(2 * WORST, busier=3.0)
    status = watch(make_drift(), network)

    assert len(status.worst) == WORST
    assert [one.inputs for one in status.worst] == sorted(
        (one.inputs for one in status.worst), reverse=True
    )


def test_features_that_are_no_longer_observed_are_a_drift():
    """An exporter that was replaced leaves some out."""
    drift, network = make_drift(), Network()
    for _ in range(60):
        windows, verdicts = network.step()
        for window in windows:
            window.values[:] = rows(100.0, response_ms=np.nan)
        zeros = np.zeros((30, 3), np.float32)
        drift.take(windows, verdicts, zeros, network.names, float(network.second))

    assert drift.status.is_wanted


def test_a_bundle_that_does_not_say_what_its_training_was_like_is_refused():
    """Older bundles don't: the daemon goes on without."""
    with pytest.raises(ValueError, match="does not say"):
        Drift(bundle_with(None), Section())


def test_without_a_reference_all_figures_are_there():
    """Those of each input come with the inputs."""
    without = {one.name: one for one in figures()}

    assert set(without) == {one.name for one in make_drift().figures()}
    assert without["drift_share"].values == {(INPUTS,): 0, (EMBEDDING,): 0}
    assert without["drift_links"].values == {(INPUTS,): 0, (EMBEDDING,): 0}
    assert without["drift_wanted"].values == {(): 0}
    assert all(one.meaning.endswith(".") for one in without.values())
