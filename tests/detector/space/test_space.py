"""Where links lie among the anchors: of some links, faults first, and of none that is gone."""

import numpy as np
import pytest

from detector.config import Settings
from detector.oncall.opening import open_model, open_sight
from detector.space.space import KNOWN, Space
from detector.state import LinkState
from detector.status import LinkStatus, worst_first
from detector.verdict import Verdict


@pytest.fixture
def sight(bundle_path):
    """Give what a small bundle sees."""
    settings = Settings(bundle=str(bundle_path))
    return open_sight(settings, open_model(settings))


class Links:
    """Links as the daemon's loop has them, and batches of their windows."""

    def __init__(self, sight):
        self.states = {}
        self.size = sight.bundle.anchor_embeddings.shape[1]

    def have(self, **labels):
        """Have links in states, each changed later than the one before."""
        for name, label in labels.items():
            since_ms = len(self.states)
            self.states[name] = LinkState(name, "probe-1", label, since_ms)
        return self

    def worst(self):
        """Give them as the status lists them."""
        return worst_first(
            [LinkStatus(s.name, s.source, s.label, s.since_ms) for s in self.states.values()], 1000
        )

    def batch(self, *names, value=0.5, end_ms=1000):
        """Make verdicts and embeddings of a window of each."""
        verdicts = [
            Verdict(name, "probe-1", 0, end_ms, "normal", "normal", 0.1, 0.5, "a",
                    {"normal": value, "blocked": 2 * value}, "b1", strangeness=value)
            for name in names
        ]  # fmt: skip
        return verdicts, np.full((len(names), self.size), value, np.float32)


def shown(status):
    """Give the names of the links that are told of."""
    return [spot.link for spot in status.links]


def test_a_link_is_shown_with_its_newest_window(sight):
    """Whoever looks wants to know where it is now."""
    space, links = Space(sight, 10), Links(sight).have(a="blocked")
    space.look(links.states, links.worst())
    space.take(*links.batch("a", value=0.25))
    space.take(*links.batch("a", value=0.75, end_ms=2000))

    (spot,) = space.look(links.states, links.worst()).links

    assert (spot.link, spot.source, spot.state) == ("a", "probe-1", "blocked")
    assert (spot.end_ms, spot.strangeness) == (2000, 0.75)
    assert spot.distances == {"normal": 0.75, "blocked": 1.5}
    (anchor, *_) = space.status.anchors
    assert spot.at != anchor.at


def test_points_and_anchors_lie_in_the_same_view(sight):
    """A link right on an anchor must be drawn right on it."""
    space, links = Space(sight, 10), Links(sight).have(a="blocked")
    place = [anchor.label for anchor in sight.names].index("blocked")
    verdicts, _ = links.batch("a")
    space.look(links.states, links.worst())
    space.take(verdicts, sight.bundle.anchor_embeddings[place : place + 1])

    (spot,) = space.look(links.states, links.worst()).links

    anchor = space.status.anchors[place]
    assert spot.at == pytest.approx(anchor.at, abs=1e-6)
    assert (anchor.label, anchor.origin) == ("blocked", "trained")


def test_faults_come_before_others_and_others_stay(sight):
    """Ten thousand links must not cost ten thousand points, and the one that matters is there."""
    space, links = Space(sight, 2), Links(sight).have(a="normal", b="normal", c="normal")
    space.look(links.states, links.worst())
    space.take(*links.batch("a", "b", "c"))
    first = shown(space.look(links.states, links.worst()))
    links.have(**dict.fromkeys(set("abc") - set(first), "blocked"))
    space.look(links.states, links.worst())
    space.take(*links.batch("a", "b", "c"))

    then = shown(space.look(links.states, links.worst()))

    assert len(first) == len(then) == 2
    assert then[0] not in first
    assert then[1] in first


def test_of_links_that_are_gone_or_silent_nothing_is_shown(sight):
    """A point that stays where it was looks like a link that is well."""
    space, links = Space(sight, 10), Links(sight).have(a="normal", b="normal")
    space.look(links.states, links.worst())
    space.take(*links.batch("a", "b"))
    both = shown(space.look(links.states, links.worst()))
    del links.states["a"]
    links.have(b="silent")

    left = shown(space.look(links.states, links.worst()))

    assert sorted(both) == ["a", "b"]
    assert left == []


def test_another_bundle_is_another_space(sight):
    """Where a window lay in the old one says nothing in the new."""
    space, links = Space(sight, 10), Links(sight).have(a="normal")
    space.look(links.states, links.worst())
    space.take(*links.batch("a"))
    space.exchange(sight)

    status = space.look(links.states, links.worst())

    assert shown(status) == []
    assert status.bundle == sight.bundle.id
    assert status.dimensions == links.size
    assert len(status.known) <= KNOWN


def test_nothing_in_depth_costs_nothing(sight):
    """`in_depth = 0` is for whoever has neither room nor use for it."""
    space, links = Space(sight, 0), Links(sight).have(a="blocked")
    space.look(links.states, links.worst())
    space.take(*links.batch("a"))

    assert shown(space.look(links.states, links.worst())) == []


def test_in_numbers_it_is_the_same(sight):
    """Grafana has nothing but Prometheus."""
    space, links = Space(sight, 10), Links(sight).have(a="blocked")
    space.look(links.states, links.worst())
    space.take(*links.batch("a"))
    (spot,) = space.look(links.states, links.worst()).links

    figures = {figure.name: figure.values for figure in space.figures()}

    assert figures["link_distance"]["a", "probe-1", "blocked"] == 1.0
    assert figures["link_strangeness"]["a", "probe-1"] == 0.5
    assert [figures["link_point"]["a", "probe-1", "blocked", axis] for axis in "xyz"] == [*spot.at]
    anchor = space.status.anchors[0]
    where = [figures["anchor_point"][anchor.name, anchor.label, "trained", axis] for axis in "xyz"]
    assert where == [*anchor.at]
