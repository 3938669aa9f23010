"""Both bundles on the same windows: runs that one has learnt from, and labels, are out of it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from detector.capture import CaptureError
from detector.encoder import open_encoder
from detector.oncall.strangeness import Calibration, Known, Tail
from detector.sight import Sight
from detector.window import WindowSpec
from tests.fakes import FEATURES, draft_bundle, make_capture, make_spec
from tests.training.promotion.made import confused, make_captures, relearnt
from training.promotion.unseen import joint, judge_both, unseen_links


def judged(live, candidate, paths, only=()):
    """Judge two bundles on captures."""
    links = unseen_links(live, candidate, paths, only)
    return judge_both(*(Sight.of(one, open_encoder(one)) for one in (live, candidate)), links)


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Give captures of six runs."""
    return make_captures(tmp_path_factory.mktemp("captures") / "lab")


def test_equal_bundles_are_equally_good(captures):
    """Whatever chance there is in it is the same for both."""
    found = judged(draft_bundle(), relearnt(draft_bundle()), [captures])

    assert found.live == found.candidate
    assert (found.lead, found.lead_low, found.lead_high) == (0, 0, 0)
    assert found.runs == 6
    assert found.onsets == 24
    assert found.live.found == 24
    assert found.live.macro_f1 > 0.9
    assert found.labels == ("blocked", "capacity-limited", "normal")


def test_a_confused_bundle_is_worse_in_every_number(captures):
    """Each of them is to be refused for."""
    found = judged(draft_bundle(), confused(draft_bundle()), [captures])

    assert found.lead < -0.5
    assert found.lead_high < 0
    assert found.candidate.found < found.live.found
    assert found.candidate.false > found.live.false


def test_a_better_bundle_leads(captures):
    """The sign of the difference is the candidate's."""
    found = judged(confused(draft_bundle()), draft_bundle(), [captures])

    assert found.lead > 0.5
    assert found.lead_low > 0


@pytest.mark.parametrize("which", ["runs", "validation_runs"])
@pytest.mark.parametrize("side", [0, 1])
def test_what_one_of_them_has_seen_judges_neither(captures, which, side):
    """Who has learnt from it knows it by heart."""
    both = [draft_bundle(), relearnt(draft_bundle())]
    both[side] = relearnt(both[side], **{which: ("lab-4", "lab-5")})

    links = unseen_links(*both, [captures])

    assert sorted(link.run for link in links) == ["lab-6", "lab-7", "lab-8", "lab-9"]


def test_captures_that_were_learnt_from_are_no_evidence(tmp_path):
    """The base captures alone can't show that a candidate is good."""
    seen = make_captures(tmp_path / "seen", runs=3, first=1)  # lab-1 to lab-3, as in training

    with pytest.raises(CaptureError, match="has seen every run"):
        unseen_links(draft_bundle(), relearnt(draft_bundle()), [seen])


def test_only_links_that_both_are_meant_for_are_judged(captures, tmp_path):
    """A bundle of access links says nothing of trunks, unless somebody asks."""
    make_capture(tmp_path / "more.parquet", {"lab-9/core": ["normal"] * 40})
    paths = [captures, tmp_path / "more.parquet"]
    live, candidate = draft_bundle(), relearnt(draft_bundle(), links=("*/access",))

    assert {link.link for link in unseen_links(live, candidate, paths)} == {
        f"lab-{run}/access" for run in range(4, 10)
    }
    chosen = unseen_links(live, candidate, paths, ("*/core",))
    assert [link.link for link in chosen] == ["lab-9/core"]


def without(bundle, label):
    """Give a bundle that has no name for a label."""
    keep = [place for place, name in enumerate(bundle.labels) if name != label]
    manifest = msgspec.structs.replace(
        bundle.manifest,
        anchors=tuple(bundle.manifest.anchors[place] for place in keep),
        labels=tuple(name for name in bundle.manifest.labels if name != label),
    )
    return replace(
        bundle,
        manifest=manifest,
        anchor_windows=bundle.anchor_windows[keep],
        anchor_embeddings=bundle.anchor_embeddings[keep],
    )


def test_a_label_that_only_the_candidate_knows_neither_helps_nor_harms(tmp_path):
    """Or a new fault would make up for an old one that was forgotten."""
    labels = [*["normal"] * 15, *["capacity-limited"] * 15, *["normal"] * 15]
    file = make_capture(tmp_path / "lab.parquet", {f"lab-{n}/access": labels for n in (4, 5)})

    found = judged(without(draft_bundle(), "capacity-limited"), draft_bundle(), [file])

    assert found.labels == ("normal",)
    assert found.onsets == 0
    assert found.candidate.false == 0  # it said capacity-limited, which nobody can hold against it
    assert found.candidate.macro_f1 == 1


def test_a_label_that_the_candidate_has_forgotten_counts_against_it(captures):
    """What it has no name for it says wrongly."""
    found = judged(draft_bundle(), without(draft_bundle(), "capacity-limited"), [captures])

    assert found.lead < -0.2
    assert "capacity-limited" in found.labels


def test_what_a_candidate_calls_unknown_it_has_not_found(captures):
    """States are those that the daemon would give, and to it what is too strange has no name."""
    live = draft_bundle()
    wary = [knowing(live, scale) for scale in (1e-4, 1e4)]

    much, nothing = (judged(live, one, [captures]) for one in wary)

    assert nothing.candidate == nothing.live
    assert much.candidate.found < much.live.found
    assert much.lead == 0  # its nearest anchors are the same


def knowing(bundle, scale):
    """Give a bundle that knows normal traffic, and how far other traffic may be from it."""
    calibration = Calibration(scale, Tail(1.0, 1, 168.0, 1.0), {}, neighbours=1)
    points = bundle.anchor_embeddings[[label == "normal" for label in bundle.labels]]
    manifest = msgspec.structs.replace(bundle.manifest, known=calibration)
    return replace(bundle, manifest=manifest, known=Known(points, calibration))


def test_bundles_that_read_features_in_another_order_see_the_same(captures):
    """A retraining may list them otherwise."""
    live, order = draft_bundle(), [2, 0, 3, 1]
    window = make_spec(features=tuple(FEATURES[place] for place in order))
    turned = replace(
        live,
        manifest=msgspec.structs.replace(live.manifest, window=window),
        anchor_windows=live.anchor_windows[:, :, order],
        golden_windows=live.golden_windows[:, :, order],
    )

    found = judged(live, turned, [captures])

    assert found.candidate == found.live


def test_windows_that_one_of_them_can_not_read_judge_neither(tmp_path):
    """Side by side means on the same windows."""
    links = {f"lab-{run}/access": ["normal"] * 30 for run in range(4, 6)}
    file = make_capture(tmp_path / "lab.parquet", links)
    import pandas as pd

    table = pd.read_parquet(file)
    table.loc[table["link"] == "lab-4/access", "response_ms"] = np.nan
    table.to_parquet(file)
    live = draft_bundle()
    strict = msgspec.structs.replace(live.manifest, window=make_spec(optional=()))
    needs_all = replace(relearnt(live), manifest=strict)

    assert judged(live, relearnt(live), [file]).runs == 2
    assert judged(live, needs_all, [file]).runs == 1
    assert judged(needs_all, live, [file]).runs == 1


def test_what_both_read_together_is_as_strict_as_each():
    """The stricter of the two decides what a usable window is."""
    one = WindowSpec(("a", "b"), 4, 1000, optional=("b",), min_observed=0.25)
    other = WindowSpec(("b", "c"), 4, 1000, optional=("c",), min_observed=0.75)

    assert joint(one, other) == WindowSpec(("a", "b", "c"), 4, 1000, ("c",), 0.75)
    assert joint(one, one) == one


def test_captures_without_a_label_that_the_live_bundle_knows_say_nothing(tmp_path):
    """Traffic that nobody has named can't tell who is right."""
    file = make_capture(tmp_path / "lab.parquet", {"lab-4/access": [None] * 30})

    with pytest.raises(CaptureError, match="one label throughout"):
        judged(draft_bundle(), relearnt(draft_bundle()), [file])
