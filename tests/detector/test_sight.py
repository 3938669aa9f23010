"""Sight: a bundle, and the anchors that were enrolled since, as one."""

import msgspec
import numpy as np
import pytest

from detector.encoder import open_encoder
from detector.enrolment import Act, Enrolment, enrol
from detector.sight import Sight
from detector.window import WindowSpec
from tests.fakes import NOON_MS, make_rows
from tests.trained import trained_bundle, unseen_links

ACT = Act(at_ms=NOON_MS, who="tests", what="enrolled")


def chatter(rows: int = 4):
    """Make rows of a fault that the small bundle has not learnt: all is sent four times."""
    values = make_rows("normal", rows)
    values[:, 2], values[:, 3] = 300, 400
    return values


def show(values, label="chatter", *, link="trunk-9", spec: WindowSpec, **more) -> Enrolment:
    """Enrol windows: (windows, steps, features)."""
    return enrol(
        label=label, link=link, start_ms=NOON_MS, spec=spec, values=values, act=ACT, **more
    )


@pytest.fixture
def spec(bundle):
    """Give what the small bundle reads."""
    return bundle.manifest.window


def test_a_window_that_was_shown_is_named_as_whoever_showed_it_said(bundle, encoder, spec):
    """That is the promise: one example."""
    windows = np.stack([make_rows("normal", 4), chatter(), make_rows("blocked", 4)])
    sight = Sight.of(bundle, encoder, [show(chatter()[None], spec=spec)])

    found = [sight.labels[place] for place in sight.see(windows).nearest.label]

    assert found == ["normal", "chatter", "blocked"]
    assert sight.labels == ("blocked", "capacity-limited", "chatter", "normal")


def test_an_anchor_that_a_bundle_cannot_use_costs_no_other(bundle, encoder, spec):
    """Anchors come from other sites, with other probes."""
    longer = msgspec.structs.replace(spec, steps=3)
    short = show(chatter(3)[None], "short", spec=longer)
    sight = Sight.of(bundle, encoder, [short, show(chatter()[None], spec=spec)])

    assert [one.label for one in sight.enrolled] == ["chatter"]
    assert list(sight.unusable) == [short.id]
    assert "3 steps" in sight.unusable[short.id]


def test_a_verdict_names_the_anchor_that_it_resembles(bundle, encoder, spec):
    """An enrolment may be of several windows, and each is an anchor."""
    windows = np.stack([chatter(), chatter() * np.float32(1.1)])
    other = make_rows("normal", 4)
    other[:, 2] = 1000
    first, second = show(windows, spec=spec), show(other[None], "storm", spec=spec)
    sight = Sight.of(bundle, encoder, [first, second])

    nearest = sight.see(np.stack([*windows, other])).nearest

    assert [sight.names[place].name for place in nearest.anchor] == [
        *(first.name, first.name, second.name)
    ]


def test_features_of_an_anchor_are_found_by_name(bundle, encoder, spec):
    """Another bundle reads the same counters in another order."""
    order = (3, 1, 0, 2)
    other = WindowSpec(tuple(spec.features[place] for place in order), 6, 1000)
    values = np.concatenate([np.zeros((2, 4), np.float32), chatter()[:, list(order)]])
    sight = Sight.of(bundle, encoder, [show(values[None], spec=other)])

    seen = sight.see(chatter()[None])

    assert sight.labels[seen.nearest.label[0]] == "chatter"
    assert seen.nearest.distances[0, seen.nearest.label[0]] == pytest.approx(0, abs=1e-3)


def test_what_was_shown_is_unknown_no_more_and_all_else_is_as_before():
    """Else a new name would be called unknown, or change what is said of everybody."""
    bundle = trained_bundle()
    spec = bundle.manifest.window
    encoder = open_encoder(bundle, "onnxruntime", threads=1)
    windows = np.concatenate([link.windows(spec.steps)[::20] for link in unseen_links()])
    strange = windows[:1] * np.float32(1)
    strange[:, :, ::2] = strange[:, :, ::2] * 50 + 9
    before = Sight.of(bundle, encoder, budget_a_week=1e6)
    assert before.see(strange).strangeness[0] > 1

    after = Sight.of(bundle, encoder, [show(strange, spec=spec)], 1e6)
    seen = after.see(strange)
    assert after.labels[seen.nearest.label[0]] == "chatter"
    assert seen.strangeness[0] < 0.01
    old, new = before.see(windows), after.see(windows)
    same = [
        before.labels[a] == after.labels[b]
        for a, b in zip(old.nearest.label, new.nearest.label, strict=True)
    ]
    assert np.mean(same) > 0.95
    np.testing.assert_allclose(new.strangeness[same], old.strangeness[same], rtol=1e-3)
