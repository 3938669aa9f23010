"""What a method says of whole links is counted window by window and change by change."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.truth import Change
from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.judging.majority import majority
from training.judging.watching import TILE, Count, WatchedLink, Watching

SPEC = WindowSpec(("truth",), 4, 1000)
NAMES = ("normal", "blocked", "limited")
TROUBLE = ["normal"] * 10 + [None] * 2 + ["blocked"] * 10 + ["normal"] * 8
LABELS = st.lists(st.sampled_from([*NAMES, None]), max_size=25)


def known_link(labels, name="run/place", **options):
    """Make a link whose only feature says which label is true in each row."""
    codes = [NAMES.index(label) if label else 9 for label in labels]
    return make_link(labels, np.array(codes, np.float32)[:, None], name=name, **options)


def last_row(windows):
    """Name windows as somebody would who knows the truth of their last row."""
    return [NAMES[int(code)] if code < 9 else "normal" for code in windows[:, -1, 0]]


def always(label):
    """Give a method that always says the same."""
    return lambda windows: [label] * len(windows)


def judged(name, *links, agree=2, of=3, recorded=()):
    """Judge a method on links of the small spec."""
    return Watching(links, SPEC, agree, of, recorded).judged(name)


def said_of(found, truth):
    """Sum up what was said of windows of one label."""
    said = Counter()
    for count in found.counts:
        if count.truth == truth:
            said[count.said] += count.windows
    return dict(said)


def test_a_perfect_method_is_right_throughout_and_late_only_by_the_agreement():
    """No method can be told from a better one if the best doesn't get the full score."""
    found = judged(last_row, known_link(TROUBLE))

    assert found.counts == [
        Count("run", "place", "blocked", "blocked", "blocked", 7),
        Count("run", "place", "normal", "normal", "normal", 7 + 5),
    ]
    # The second of two windows that agree ends two seconds after the first row, and blocked
    # counts from the two rows without a label in which it came about.
    assert found.following.delays_seconds == {"blocked": [4.0], "normal": [2.0]}
    assert found.following.onsets == 2
    assert found.following.false == 0
    assert found.following.hours == (30 - 4) / 3600


@pytest.mark.parametrize(("agree", "of", "delay"), [(1, 1, 3.0), (3, 4, 5.0), (4, 5, 6.0)])
def test_the_agreement_that_is_asked_for_is_waited_for(agree, of, delay):
    """Evaluation must wait as the daemon does, or its delays are not the daemon's."""
    found = judged(last_row, known_link(TROUBLE), agree=agree, of=of)

    assert found.following.delays_seconds["blocked"] == [delay]


def test_a_method_that_always_says_normal_misses_every_change():
    """It is right most of the time, and useless."""
    links = [known_link(TROUBLE, name=f"run{n}/a") for n in range(3)]

    found = judged(always("normal"), *links)

    assert said_of(found, "blocked") == {"normal": 21}
    assert said_of(found, "normal") == {"normal": 36}
    assert found.following.onsets == 6
    assert found.following.delays_seconds == {}
    assert found.following.false == 0


def test_false_changes_of_normal_runs_are_counted_apart():
    """An alarm while nothing at all is wrong is what makes people mute a tool."""
    calm = [known_link(["normal"] * 12, name=f"calm{n}/a") for n in range(3)]
    troubled = known_link(["normal"] * 12 + ["blocked"] * 6, name="troubled/a")

    found = judged(always("limited"), *calm, troubled).following

    assert (found.false, found.false_in_normal) == (4, 3)  # one a link, since the state stays
    assert found.hours == pytest.approx((3 * 8 + 14) / 3600)
    assert found.normal_hours == pytest.approx(3 * 8 / 3600)
    assert found.onsets == 1


def test_a_run_that_lost_the_label_of_its_fault_is_not_normal_throughout():
    """What no method can know is left out, but it did happen, and a change then is not false."""
    recorded = known_link(["normal"] * 12 + ["limited"] * 8 + ["normal"] * 9)
    taken = recorded.only(["normal", "blocked"])
    codes = {0: "normal", 2: "blocked"}

    def sees(windows):
        return [codes[int(code)] for code in windows[:, -1, 0]]

    blind, told = judged(sees, taken), judged(sees, taken, recorded=[recorded])

    # A row of the last five seconds is normal, so it was counted as one that could be judged.
    assert (blind.following.false, blind.following.false_in_normal) == (1, 1)
    assert (told.following.false, told.following.false_in_normal) == (0, 0)
    assert blind.following.normal_hours == pytest.approx(25 / 3600)
    assert told.following.normal_hours == 0
    assert told.counts == blind.counts
    assert said_of(told, "limited") == {}


def test_a_false_change_beside_what_lost_its_label_stays_false():
    """Only what happens in the gap is nobody's fault."""
    recorded = known_link(["normal"] * 12 + ["limited"] * 8 + ["normal"] * 9)

    found = judged(always("blocked"), recorded.only(["normal"]), recorded=[recorded])

    assert (found.following.false, found.following.false_in_normal) == (1, 0)


def test_a_link_that_begins_well_has_not_changed():
    """A link that is first seen and is well is no news."""
    link = known_link(["normal"] * 9)

    changes = WatchedLink(link, SPEC).changes(majority(["normal"] * 6, 2, 3))

    assert changes == []


def test_a_link_that_begins_blocked_is_reported():
    """An alarm at the first sight of a link is one."""
    link = known_link(["blocked"] * 9)

    changes = WatchedLink(link, SPEC).changes(majority(["blocked"] * 6, 2, 3))

    assert changes == [Change("run/place", START_MS + 5000, "blocked")]


def test_a_state_that_is_not_known_yet_is_no_change():
    """A link that is first seen is neither well nor ill until enough was said."""
    states = [None, None, "blocked", "blocked", None, "normal"]

    changes = WatchedLink(known_link(["normal"] * 9), SPEC).changes(states)

    assert [(one.at_ms - START_MS, one.label) for one in changes] == [
        *((6000, "blocked"), (9000, "normal")),
    ]


def test_there_is_a_state_for_each_usable_window():
    """One that slipped by a window would be counted at another moment."""
    with pytest.raises(ValueError, match="zip"):
        WatchedLink(known_link(["normal"] * 9), SPEC).changes(["normal"] * 5)


def test_states_of_its_own_are_what_a_methods_changes_are():
    """Evaluation must wait as the daemon does, or its delays are not the daemon's."""
    asked = []

    def states(rows, ends_ms):
        asked.append((rows[:, 0].tolist(), ((ends_ms - START_MS) // 1000).tolist()))
        return ["normal"] * 15 + ["blocked"] * 12

    link = known_link(TROUBLE)
    watching = Watching([link], SPEC, 1, 1)
    points = watching.described(lambda windows: windows[:, -1])
    usual = watching.judged(lambda rows: last_row(rows[:, None]), points)

    found = watching.judged(lambda rows: last_row(rows[:, None]), points, states)

    codes = [NAMES.index(label) if label else 9 for label in TROUBLE[3:]]
    assert asked == [(codes, list(range(4, 31)))]
    # Blocked from the row 10, of which the state tells at the end of the window of row 15.
    assert found.following.delays_seconds == {"blocked": [9.0]}
    assert usual.following.delays_seconds == {"blocked": [3.0], "normal": [1.0]}
    assert found.counts == usual.counts  # windows are named as they are, whatever the state


def test_the_ends_of_windows_are_those_that_can_be_judged():
    """Windows that the daemon would refuse have none, and the others keep theirs."""
    link = known_link(["normal"] * 20)
    link.values[6:14] = np.nan

    watched = WatchedLink(link, SPEC)

    expected = [START_MS + (row + 4) * 1000 for row in watched.rows]
    assert 0 < len(expected) < 17
    assert watched.ends_ms.tolist() == expected


def test_windows_that_the_daemon_would_refuse_are_not_judged():
    """Lost telemetry is no alarm there, so it is no false alarm here."""
    link = known_link(["normal"] * 20)
    link.values[6:14] = np.nan

    def alarm(windows):
        return ["blocked" if np.isnan(w).mean() > 0.5 else "normal" for w in windows]

    found = judged(alarm, link)

    assert np.isnan(link.windows(4)).mean(axis=1).max() == 1
    assert found.following.false == 0
    assert said_of(found, "normal") == {"normal": len(WatchedLink(link, SPEC).rows)}


def test_links_shorter_than_a_window_say_nothing_and_end_nothing():
    """Links come and go while somebody records."""
    short, whole = known_link(["blocked"] * 3, name="short/a"), known_link(TROUBLE)
    watching = Watching([short, whole], SPEC, 2, 3)

    points = watching.described(lambda windows: windows[:, -1])
    pure, truth = watching.pure(points)

    assert judged(last_row, short).counts == []
    assert watching.judged(last_row).counts == judged(last_row, whole).counts
    assert pure.shape == (19, 1)
    assert Counter(truth.tolist()) == {"normal": 12, "blocked": 7}


def test_of_links_that_are_all_too_short_nothing_is_pure():
    """There is nothing to choose other references for."""
    watching = Watching([known_link(["blocked"] * 3)], SPEC)

    points, truth = watching.pure(watching.described(lambda windows: windows[:, -1]))

    assert len(points) == len(truth) == 0


def test_where_a_link_was_watched_is_the_end_of_its_name():
    """The same traffic looks different at the other end."""
    links = [known_link(TROUBLE, name=name) for name in ("r1/access", "r1/core", "trunk")]

    found = judged(last_row, *links)

    assert {(count.run, count.place) for count in found.counts} == {
        *(("r1", "access"), ("r1", "core"), ("trunk", "")),
    }


def test_windows_without_a_kind_count_as_their_label():
    """Captures need no kinds, and none called None may appear."""
    link = known_link(TROUBLE, kinds=[None] * 30)

    found = judged(last_row, link)

    assert [(count.truth, count.kind) for count in found.counts] == [
        *(("blocked", "blocked"), ("normal", "normal")),
    ]


def test_a_window_is_of_the_kind_that_it_ends_in():
    """One mechanism may take over from another under the same label."""
    link = known_link(["blocked"] * 10, kinds=["filter"] * 4 + ["carrier"] * 6)

    found = judged(last_row, link)

    assert {count.kind: count.windows for count in found.counts} == {"filter": 1, "carrier": 6}


def test_what_has_no_label_is_not_judged():
    """Nobody knows what would be right there, for however long."""
    found = judged(last_row, known_link(["normal"] * 5 + [None] * 20 + ["blocked"] * 5))

    assert {count.truth: count.windows for count in found.counts} == {"normal": 2, "blocked": 2}


@given(st.lists(LABELS, min_size=1, max_size=3), st.integers(0, 999))
def test_windows_are_counted_as_a_plain_loop_counts_them(truths, seed):
    """It is where an engineer looks for what is taken for what."""
    links = [
        make_link(labels, name=f"r{place}/a", kinds=[label and label[0] for label in labels])
        for place, labels in enumerate(truths)
    ]
    said = np.random.default_rng(seed).choice(NAMES, 30)

    watching = Watching(links, SPEC, 2, 3)
    found = watching.judged(lambda tile: [said[int(row)] for row in tile[:, 0, 0]])

    plain = Counter()
    for link in links:
        for row in range(len(link.labels) - 3):
            labels = set(link.labels[row : row + 4])
            if len(labels) == 1 and None not in labels:
                (truth,) = labels
                plain[link.run, truth, truth[0], str(said[row])] += 1
    assert {(c.run, c.truth, c.kind, c.said): c.windows for c in found.counts} == plain


@given(st.lists(LABELS, min_size=1, max_size=3), st.integers(0, 999))
def test_what_is_described_once_is_judged_as_if_it_were_raw(truths, seed):
    """Embedding takes nearly all the time, and several judgements share it."""
    links = [make_link(labels, name=f"r{place}/a") for place, labels in enumerate(truths)]
    said = np.random.default_rng(seed).choice(NAMES, 30)
    watching = Watching(links, SPEC, 2, 3)

    raw = watching.judged(lambda tile: [said[int(row)] for row in tile[:, 0, 0]])
    points = watching.described(lambda windows: windows[:, 0])
    once = watching.judged(lambda rows: [said[int(row)] for row in rows[:, 0]], points)

    assert once == raw
    pure, truth = watching.pure(points)
    plain = [
        (row, link.labels[row])
        for link in links
        for row in range(len(link.labels) - 3)
        if link.labels[row] is not None and len(set(link.labels[row : row + 4])) == 1
    ]
    assert list(zip(pure.ravel().tolist(), truth.tolist(), strict=True)) == plain


def test_a_long_link_is_named_in_parts():
    """Days of traffic would not fit into memory, cut into windows that overlap."""
    seen, link = [], known_link(["normal"] * (TILE + 10))

    def name(windows):
        seen.append(len(windows))
        return ["normal"] * len(windows)

    found = judged(name, link)

    assert seen == [TILE, 7]
    assert said_of(found, "normal") == {"normal": TILE + 7}
