"""What a few windows of one incident are worth is counted on other runs, with what it costs."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from detector.inputs import Inputs, InputSpec, Level
from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.judging.ceiling import find_ceiling
from training.judging.episodes import EpisodeError, Spread, enrol, matching
from training.labelled import LabelledWindows

SPEC = WindowSpec(("what", "run"), 5, 1000)
INPUTS = Inputs(InputSpec((0.0,), (), (Level("what", "what"),)), SPEC)
CODES = {"normal": 0, "blocked": 1, "lossy": 2, "carrier": 3}
KNOWN = ("normal", "blocked")


@dataclass(frozen=True)
class Codes:
    """Names a window by its code; a reference's code is known from then on.

    *reach* is how far from a reference's code a window is still taken for it.
    """

    names: tuple[tuple[float, str], ...] = ((0, "normal"), (1, "blocked"))
    shown: tuple[tuple[float, str], ...] = ()
    reach: float = 0.0
    seen: tuple = ()  # references, as they were given

    def name(self, windows):
        """Name by references first, then by what is known, else normal."""
        known = dict(self.names)

        def said(code):
            near = [label for at, label in self.shown if abs(at - code) <= self.reach]
            return near[0] if near else known.get(code, "normal")

        return [said(float(code)) for code in windows[:, -1, 0]]

    def with_references(self, label, windows):
        """Know the references' codes too."""
        shown = tuple((float(code), label) for code in windows[:, -1, 0])
        LOG.append((label, windows))
        return replace(self, shown=self.shown + shown)


LOG: list = []


def link(number, *parts, place="a"):
    """Give a link of a run: for each (label, kind, code, rows) that many rows."""
    labels = [label for label, _, _, rows in parts for _ in range(rows)]
    kinds = [kind for _, kind, _, rows in parts for _ in range(rows)]
    codes = [code for _, _, code, rows in parts for _ in range(rows)]
    values = np.stack([codes, np.full(len(codes), number)], axis=1).astype(np.float32)
    start = START_MS + number * 3_600_000
    return make_link(labels, values, name=f"run {number}/{place}", kinds=kinds, start_ms=start)


def incident(number, kind="lossy", code=2, rows=30, place="a"):
    """Give a link that is well, then has the fault that is new, then a known one."""
    return link(
        number,
        ("normal", "normal", 0, 20),
        ("lossy", kind, code, rows),
        ("blocked", "filter", 1, 20),
        place=place,
    )


def cut(*links):
    """Give the windows of one label throughout."""
    return LabelledWindows(links, SPEC, tail=5)


def judge(windows, method=None, label="new", **options):
    """Enrol what is lossy, with few draws."""
    options = {"known": KNOWN, "draws": 6} | options
    return enrol(method or Codes(), windows, matching(windows, ["lossy"]), label=label, **options)


def test_a_method_that_knows_it_at_once_finds_all_and_takes_nothing():
    """The best that there is gets the full score, or nothing could be told from it."""
    found = judge(cut(*[incident(n) for n in range(4)]))

    assert [one.references for one in found] == [1, 3, 5]
    for one in found:
        assert (one.recall, one.loss) == (Spread(1, 1, 1), Spread(0, 0, 0))
        assert one.captured_faults == one.captured_normal == Spread(0, 0, 0)
        assert one.known_before == one.known_after == Spread(1, 1, 1)
        assert (one.draws, one.runs) == (6, 4)


def test_a_method_that_takes_everything_for_it_is_seen_through():
    """Its recall is full too; what it takes, and what it loses, say the rest."""
    found, *_ = judge(cut(*[incident(n) for n in range(4)]), Codes(reach=9))

    assert found.recall.mean == found.captured_faults.mean == found.captured_normal.mean == 1
    assert found.known_after.mean == 0
    assert found.loss.mean == found.known_before.mean == 1


def test_a_kind_that_is_like_a_known_fault_takes_its_windows():
    """Normal traffic stays what it was; the two columns are not one."""
    found, *_ = judge(cut(*[incident(n) for n in range(4)]), Codes(reach=1))

    assert found.captured_faults.mean == 1
    assert found.captured_normal.mean == 0
    assert 0 < found.loss.mean < 1


def test_no_window_of_the_references_run_is_judged():
    """An incident that is recognised in itself proves nothing."""
    links = [incident(n, code=2 + n) for n in range(4)]  # each known by itself alone

    found, *_ = judge(cut(*links))

    assert found.recall == Spread(0, 0, 0)


def test_the_other_place_of_the_references_run_is_not_judged_either():
    """Both saw one and the same traffic."""
    links = [incident(n, code=2 + n, place=place) for n in range(4) for place in "ab"]

    found, *_ = judge(cut(*links))

    assert found.recall == Spread(0, 0, 0)


def test_draws_differ_and_their_spread_is_told():
    """Which incident an operator points at is chance."""
    links = [incident(0, code=5), incident(1), incident(2)]

    found, *_ = judge(cut(*links), draws=60)

    # One from the odd run finds nothing; any other misses the odd run's windows.
    assert found.recall.low == 0
    assert found.recall.high == pytest.approx(1 / 2)
    assert 0 < found.recall.mean < found.recall.high


@pytest.mark.parametrize("count", [1, 3, 5])
def test_references_are_of_one_link_and_share_no_row(count):
    """Three windows that overlap are not three."""
    LOG.clear()
    links = [incident(n, place=place) for n in range(3) for place in "ab"]
    for owner, one in enumerate(links):
        one.values[:, 1] = 1000 * owner + np.arange(len(one.values))

    judge(cut(*links), counts=[count], draws=20)

    assert len(LOG) == 20
    for label, windows in LOG:
        rows = windows[:, :, 1]
        assert label == "new"
        assert rows.shape == (count, 5)
        assert len(np.unique(rows)) == rows.size
        assert len(np.unique(rows // 1000)) == 1
        assert (windows[:, :, 0] == 2).all()
    assert len({windows[:, :, 1].tobytes() for _, windows in LOG}) > 5


def test_references_are_found_even_where_there_is_only_just_room():
    """Five windows that must lie edge to edge are not found by chance."""
    found = judge(cut(*[incident(n, rows=25) for n in range(3)]), counts=[5])

    assert found[0].recall.mean == 1


def test_a_count_that_no_incident_has_is_left_out():
    """The table has a gap there, and not a number of something else."""
    found = judge(cut(incident(0, rows=16), incident(1, rows=9), incident(2, rows=9)))

    assert [(one.references, one.runs) for one in found] == [(1, 3), (3, 1)]


def test_one_run_is_not_enough():
    """There would be nothing to judge on."""
    windows = cut(incident(0), incident(0, place="b"), link(1, ("normal", "normal", 0, 20)))

    with pytest.raises(EpisodeError, match="'new' is not in two runs"):
        judge(windows)
    with pytest.raises(EpisodeError, match="not in two runs"):
        find_ceiling(windows, matching(windows, ["lossy"]), INPUTS)


def test_the_label_must_be_new():
    """Or what the method said before would count as found."""
    with pytest.raises(EpisodeError, match="'blocked' is a label that the method knows"):
        judge(cut(incident(0), incident(1)), label="blocked")


def test_other_unknown_faults_count_as_captured_and_not_as_lost():
    """Nobody can lose what had no name."""
    parts = [("flapping", "flap", 2, 20), ("normal", "normal", 0, 20), ("blocked", "f", 1, 20)]

    found, *_ = judge(cut(*[incident(n) for n in range(3)], link(9, *parts)))

    assert found.captured_faults.mean == pytest.approx(16 / (16 + 16 + 2 * 16))
    assert found.loss.mean == 0


def test_without_any_other_fault_there_is_no_share_of_them():
    """No number is better than a zero that looks like an achievement."""
    links = [link(n, ("normal", "normal", 0, 20), ("lossy", "lossy", 2, 20)) for n in range(3)]

    found, *_ = judge(cut(*links))

    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert data["captured_faults"] == {"mean": None, "low": None, "high": None}
    assert data["recall"]["mean"] == data["references"] == 1


def test_windows_are_chosen_by_label_or_kind():
    """What is new may be a label, or one mechanism of a label."""
    windows = cut(incident(0, kind="loss_fwd"), incident(1, kind="loss_rev"))

    assert matching(windows, ["lossy"]).sum() == 2 * 26
    assert matching(windows, ["loss_f*"]).sum() == 26
    assert set(windows.runs[matching(windows, ["loss_f*"])]) == {"run 0"}
    assert not matching(windows, []).any()


def test_the_same_seed_gives_the_same_enrolment():
    """A report can be had again."""
    windows = cut(incident(0, code=5), *[incident(n) for n in range(1, 4)])

    assert judge(windows, seed=1) == judge(windows, seed=1)
    assert judge(windows, draws=5, seed=1) != judge(windows, draws=5, seed=4)


def test_the_ceiling_of_what_the_counters_hold_is_high():
    """Each run is judged by what was learnt from others."""
    windows = cut(*[incident(n) for n in range(5)])

    found = find_ceiling(windows, matching(windows, ["lossy"]), INPUTS)

    assert (found.windows, found.runs) == (5 * 26, 5)
    assert found.recall == found.balanced_accuracy == 1
    assert found.captured_faults == found.captured_normal == 0


def test_the_ceiling_of_what_looks_like_something_else_is_low():
    """Then no method is to be blamed."""
    links = [incident(n, code=1) for n in range(6)]
    rng = np.random.default_rng(0)
    for one in links:
        one.values[:, 0] += rng.integers(0, 3, len(one.values)) / 10

    found = find_ceiling(cut(*links), matching(cut(*links), ["lossy"]), INPUTS)

    assert found.captured_faults > 0.2
    assert found.captured_normal == 0
    assert found.balanced_accuracy < 0.9
    assert json.loads(json.dumps(found.as_json()))["runs"] == 6


def test_the_ceiling_does_not_know_the_judged_run():
    """Were windows dealt and not runs, each run would be known by a mark of its own."""
    marks = tuple(f"mark {n}" for n in range(6))
    spec = WindowSpec(marks, 5, 1000)
    inputs = Inputs(InputSpec((0.0,), (), tuple(Level(name, name) for name in marks)), spec)
    links = []
    for n in range(6):
        one = incident(n)
        values = np.zeros((len(one.values), 6), np.float32)
        values[one.labels == "lossy", n] = 9
        links.append(replace(one, values=values))
    windows = LabelledWindows(links, spec, tail=5)

    found = find_ceiling(windows, matching(windows, ["lossy"]), inputs)

    assert found.recall == 0
    assert found.balanced_accuracy == 0.5
