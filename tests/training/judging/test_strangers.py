"""What nobody taught a method is found to be strange, or is learnt from a few windows."""

from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pytest

from detector.inputs import Inputs, InputSpec, Level
from detector.window import WindowSpec
from tests.training.captures import START_MS, make_link
from training.judging.cell import Cell
from training.judging.methods import LinearDiscriminant
from training.judging.strangers import BANK_WINDOWS, BUDGET_A_DAY, DISCRIMINANT, Strangers
from training.judging.study import ENCODER
from training.labelled import LabelledWindows

SPEC = WindowSpec(("what",), 5, 1000)
INPUTS = Inputs(InputSpec((0.0,), (), (Level("what", "what"),)), SPEC)
CODES = {"normal": 0, "blocked": 40, "lossy": 400}
KNOWN = ("blocked", "normal")


@dataclass(frozen=True)
class Codes:
    """Names a window by the nearest code that it knows; far from all of them is strange."""

    known: tuple[tuple[float, str], ...] = ((0.0, "normal"), (40.0, "blocked"))

    def name(self, windows):
        """Give the label of the nearest code."""
        return [
            min(self.known, key=lambda one: abs(one[0] - at))[1] for at in self._codes(windows)
        ]

    def strangeness(self, windows):
        """Give the distance to it."""
        return np.array(
            [min(abs(at - code) for code, _ in self.known) for at in self._codes(windows)]
        )

    def with_references(self, label, windows):
        """Know the references' codes too."""
        more = tuple((at, label) for at in self._codes(windows))
        return replace(self, known=self.known + more)

    def _codes(self, windows):
        return windows[:, -1, 0].tolist()


class Embedding:
    """Embeds a window as its last row."""

    inputs = INPUTS

    def embed(self, windows):
        """Give (windows, 1)."""
        return windows[:, -1]


def link(number, *parts, place="a"):
    """Give a link of a run: for each (label, rows) that many rows, a little different each."""
    labels = [label for label, rows in parts for _ in range(rows)]
    noise = np.random.default_rng(number).uniform(-3, 3, len(labels))
    values = (np.array([CODES[label] for label in labels]) + noise).astype(np.float32)[:, None]
    kinds = [f"{label} kind" for label in labels]
    start = START_MS + number * 3_600_000
    return make_link(labels, values, name=f"run {number}/{place}", kinds=kinds, start_ms=start)


def whole(number):
    """Give a link that sees all there is."""
    return link(number, ("normal", 60), ("lossy", 30), ("blocked", 20), ("normal", 20))


def strangers(*links, methods=None, known=KNOWN):
    """Ask a method that knows the codes, unless others are given."""
    links = links or tuple(whole(number) for number in range(3))
    return Strangers(links=links, spec=SPEC, known=known, methods=methods or {ENCODER: Codes()})


def taught(*links):
    """Let the encoder and its rival learn what is known from two other runs."""
    learnt = [link(7, ("normal", 40), ("blocked", 40)), link(8, ("normal", 40), ("blocked", 40))]
    windows = LabelledWindows(learnt, SPEC, tail=5)
    points = np.array([[0.0], [40.0]], np.float32)
    links = links or tuple(whole(number) for number in range(3))
    return Strangers.of(links, windows, Embedding(), (points, ("normal", "blocked")), 0)


def test_labels_that_nobody_learnt_are_judged_without_being_asked_for():
    """A recording may hold faults that the bundle has no name for."""
    found = strangers().rejected()

    ((name, (one,)),) = found.items()
    assert (name, one.unseen) == (ENCODER, "lossy")
    assert one.auroc == one.auroc_normal == 1.0
    assert one.false_at_95 == 0.0
    assert (one.flagged, one.episodes, one.budget) == (1.0, 3, BUDGET_A_DAY)
    assert one.normal_hours == pytest.approx(3 * (56 + 16) / 3600)


def test_of_known_labels_alone_nothing_is_rejected():
    """There is nothing to be flagged."""
    found = strangers(link(0, ("normal", 30), ("blocked", 30))).rejected()

    assert found == {}


def test_unseen_kinds_of_a_known_label_are_judged_together():
    """Another mechanism behind a known label is a stranger too."""
    links = [whole(number) for number in range(3)]
    kinds = replace(links[0], kinds=np.where(links[0].labels == "blocked", "odd", links[0].kinds))

    found = strangers(kinds, *links[1:]).rejected(("odd", "odder"))

    assert [one.unseen for one in found[ENCODER]] == ["lossy", "odd,odder"]
    assert found[ENCODER][1].auroc < 0.9  # it looks like what is known
    assert found[ENCODER][1].episodes == 1


def test_where_nothing_is_normal_there_is_nothing_to_hold_it_against():
    """The rest of the study is worth having all the same."""
    found = strangers(link(0, ("blocked", 30), ("lossy", 30))).rejected()

    assert found == {}


def test_the_encoder_and_its_plain_rival_are_asked_the_same():
    """What the plain rival does as well, nobody needs an encoder for."""
    asked = taught()

    found = asked.rejected(("lossy kind",))

    assert [*found] == [ENCODER, DISCRIMINANT]
    assert asked.known == KNOWN
    for judged in found.values():
        assert [one.unseen for one in judged] == ["lossy", "lossy kind"]
        assert judged[0].auroc == pytest.approx(1, abs=0.01)
        assert judged[0].episodes == judged[1].episodes == 3


def test_strangeness_is_that_of_the_windows_that_were_learnt():
    """An encoder's few anchors say little of how wide what is known lies."""
    method = taught().methods[ENCODER]

    strange = method.strangeness(np.full((1, 5, 1), 400, np.float32))

    assert len(method.bank.points) == 2 * 2 * 36
    assert len(method.bank.points) <= BANK_WINDOWS
    assert strange[0] == pytest.approx(360, abs=5)
    assert isinstance(taught().methods[DISCRIMINANT], LinearDiscriminant)


def test_a_label_is_found_again_after_a_few_windows():
    """It is what an operator does with an incident."""
    found = taught().enrolled(("lossy kind",))

    assert {(one.method, one.references) for one in found} == {
        (method, count) for method in (ENCODER, DISCRIMINANT) for count in (1, 3, 5)
    }
    for one in found:
        assert one.unseen == "lossy kind"
        assert one.recall.mean == pytest.approx(1, abs=0.05)
        assert one.captured_normal.mean == 0
        assert one.known_before == pytest.approx(1, abs=0.05)
        assert one.ceiling > 0.95
        assert one.draws == 20


def test_without_other_faults_none_can_be_captured():
    """A study with NaN in it could be written, and never be read again."""
    links = [link(number, ("normal", 40), ("lossy", 40)) for number in range(3)]

    asked = taught(*links)
    one, *_ = enrolled = asked.enrolled(("lossy",))

    assert (one.captured.mean, one.captured.low, one.captured.high) == (None, None, None)
    assert one.captured_normal.mean == 0
    cell = Cell("kinds", "lossy", 0, 1.0, rejections=asked.rejected(), enrolments=enrolled)
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell


def test_without_anything_known_its_macro_f1_is_none():
    """All other windows may be of the run that the references are from."""
    links = [link(0, ("normal", 30), ("lossy", 30)), link(1, ("lossy", 30))]

    found = taught(*links).enrolled(("lossy",))

    assert found
    # The references of some draws are from the only run with anything known.
    assert {(one.known_before, one.known_after, one.ceiling) for one in found} == {(None,) * 3}


@pytest.mark.parametrize("unseen", ["lossy", "gone"])
def test_what_is_in_one_run_or_none_is_not_enrolled(unseen):
    """Shown and judged on the same run, anything looks good."""
    links = [whole(0), link(1, ("normal", 30), ("blocked", 30))]

    assert taught(*links).enrolled((unseen,)) == []
