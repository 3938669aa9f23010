"""The gate: what can't be judged is not good enough, and each check says its numbers."""

from dataclasses import replace

import msgspec
import pytest

from detector.config import State
from tests.fakes import FEATURES, draft_bundle, make_spec
from tests.training.promotion.made import (
    BY,
    confused,
    disturbed,
    make_capture_store,
    make_captures,
    make_store,
    relearnt,
    report,
)
from training.promotion.gate import Evidence, judge
from training.promotion.tolerances import Tolerances


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Give captures of six runs."""
    return make_captures(tmp_path_factory.mktemp("captures") / "lab")


def judged(store, candidate, captures=(), allowed=Tolerances(), **evidence):  # noqa: B008 - frozen
    """Judge a candidate, and give what failed by part and name."""
    found = judge(store, candidate, Evidence(captures=captures, **evidence), allowed)
    return [(check.part, check.name) for check in found.failed]


def test_an_equal_candidate_passes(tmp_path, captures):
    """Another training of the same must be able to go live."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    report(store, candidate)

    found = judge(store, candidate, Evidence(captures=[captures]), Tolerances())

    assert found.failed == []
    assert {check.part for check in found.checks} == {"candidate", "held back", "live"}
    assert found.numbers["held_back_macro_f1_lead"] == 0
    assert found.numbers["live_agreement"] == 1
    assert len(found.numbers) == len(set(found.numbers)) > 20


def test_a_worse_candidate_fails_on_unseen_runs(tmp_path, captures):
    """Even where the shadow has seen nothing but normal traffic."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), confused(draft_bundle()))
    report(store, candidate)

    failed = judged(store, candidate, [captures])

    assert {("held back", "macro-F1"), ("held back", "changes found")} <= {*failed}
    assert {part for part, _ in failed} == {"held back"}


def test_a_worse_candidate_fails_in_the_shadow(tmp_path, captures):
    """Even where captures of last year say that it is as good."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    report(store, candidate, states={"normal": {"blocked": 1000}})

    assert judged(store, candidate, [captures]) == [("live", "agreement")]


def test_without_evidence_nothing_is_proved(tmp_path):
    """Neither captures nor reports: both are failures."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))

    assert judged(store, candidate) == [("held back", "runs"), ("live", "reports")]


def test_leaving_the_shadow_out_is_a_failure_though_there_are_reports(tmp_path, captures):
    """Only --force passes it."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    report(store, candidate)

    assert judged(store, candidate, [captures], with_shadow=False) == [("live", "reports")]


def test_reports_beside_another_live_bundle_prove_nothing(tmp_path, captures):
    """They were better than what was current then."""
    bundles = draft_bundle(), relearnt(draft_bundle()), draft_bundle(seed=5)
    store, (_, candidate, other) = make_store(tmp_path / "s", *bundles)
    report(store, candidate, live=other)

    assert judged(store, candidate, [captures]) == [("live", "reports")]


def test_too_few_unseen_runs_are_a_failure(tmp_path):
    """Of two runs nobody can tell how much is chance."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    report(store, candidate)
    few = make_captures(tmp_path / "few", runs=4)

    assert judged(store, candidate, [few]) == [("held back", "runs")]
    assert judged(store, candidate, [few], Tolerances(least_runs=4)) == []


def test_captures_that_can_not_be_read_are_a_failure_with_the_reason(tmp_path):
    """They are no evidence, and the operator is told which file it is."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")

    found = judge(store, candidate, Evidence(captures=[tmp_path / "broken.csv"]), Tolerances())

    assert "has no column 'link'" in str(found.failed[0])


def test_a_damaged_candidate_fails_at_once_and_can_not_be_forced(tmp_path, captures):
    """Daemons would refuse it, and none would start with it."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    (store.folder(candidate) / "anchors.safetensors").write_bytes(b"")

    (check,) = judge(store, candidate, Evidence(captures=[captures]), Tolerances()).checks

    assert (check.name, check.passed, check.can_be_forced) == ("self-test", False, False)
    assert "anchors.safetensors is not the file that the manifest lists" in check.says


def test_a_candidate_that_embeds_otherwise_than_it_says_fails_its_self_test(tmp_path):
    """Its weights are not those that its anchors were embedded with."""
    wrong = replace(draft_bundle(), weights=disturbed(draft_bundle(), 0.5).weights)
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), wrong)

    (check,) = judge(store, candidate, Evidence(), Tolerances()).checks

    assert not check.passed
    assert "self-test: " in check.says


def test_a_damaged_current_version_leaves_nothing_to_compare_with(tmp_path, captures):
    """That is a failure, but one that may be forced: anything that works is better."""
    store, (live, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    (store.folder(live) / "weights.safetensors").unlink()

    found = judge(store, candidate, Evidence(captures=[captures]), Tolerances())

    assert [(check.name, check.can_be_forced) for check in found.failed] == [("current", True)]


def test_where_nothing_is_current_nothing_can_be_worse(tmp_path):
    """The first version of a store needs no proof."""
    store, (live, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    (store.path / "current").unlink()

    assert judged(store, candidate) == []
    assert judged(store, live) == []


def test_a_candidate_that_reads_other_windows_can_not_be_swapped_in(tmp_path, captures):
    """Those that come would not fit it; and nothing can be judged side by side."""
    longer = draft_bundle(spec=make_spec(steps=5))
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), longer)
    report(store, candidate)

    found = judge(store, candidate, Evidence(captures=[captures]), Tolerances())

    assert [check.name for check in found.failed] == ["windows", "runs"]
    assert "windows of 5 steps" in found.failed[0].says
    assert "after a restart" in found.failed[0].says


def test_a_candidate_that_needs_another_feature_can_not_be_swapped_in(tmp_path):
    """Exporters send what the bundle in use asks for."""
    small = draft_bundle()
    window = make_spec(features=(*FEATURES, "jitter_ms"))
    more = replace(
        small,
        manifest=msgspec.structs.replace(small.manifest, window=window),
        anchor_windows=small.anchor_windows.take([0, 1, 2, 3, 3], axis=2),
        golden_windows=small.golden_windows.take([0, 1, 2, 3, 3], axis=2),
    )
    store, (_, candidate) = make_store(tmp_path / "s", small, more)

    found = judge(store, candidate, Evidence(), Tolerances())

    assert "needs the feature 'jitter_ms'" in found.failed[0].says


def test_a_candidate_that_forgot_a_label_is_refused_though_no_capture_has_it(tmp_path):
    """The fault would have another name from then on."""
    whole = draft_bundle()
    keep = [place for place, label in enumerate(whole.labels) if label != "blocked"]
    less = replace(
        whole,
        manifest=msgspec.structs.replace(
            whole.manifest,
            labels=("capacity-limited", "normal"),
            anchors=tuple(whole.manifest.anchors[place] for place in keep),
        ),
        anchor_windows=whole.anchor_windows[keep],
        anchor_embeddings=whole.anchor_embeddings[keep],
    )
    store, (_, candidate) = make_store(tmp_path / "s", whole, less)

    found = judge(store, candidate, Evidence(), Tolerances())

    assert str(found.failed[0]) == "candidate, labels: it has no name for blocked"


def test_states_are_judged_by_the_rule_that_the_daemon_has(tmp_path, captures):
    """Who lets states change later finds faults later, with any bundle."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    usual, slow = (
        judge(store, candidate, Evidence(captures=[captures], rule=rule), Tolerances()).numbers
        for rule in (State(), State(evidence=9))
    )

    assert slow["held_back_live_delay_seconds"] > usual["held_back_live_delay_seconds"]


def test_what_daemons_captured_and_people_named_is_evidence(tmp_path):
    """The traffic of the links in question says more than a lab's."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    report(store, candidate)
    seen = "2023-11-14T22"
    learnt = relearnt(draft_bundle(), seed=5, runs=(seen,))
    other = store.add(learnt, **BY)
    make_capture_store(tmp_path / "captures", hours=6)

    found = judge(store, candidate, Evidence(captures=[tmp_path / "captures"]), Tolerances())
    without = judge(store, other, Evidence(captures=[tmp_path / "captures"]), Tolerances())

    assert found.failed == []
    assert found.numbers["held_back_runs"] == 6
    assert found.numbers["held_back_onsets"] == 12
    assert without.numbers["held_back_runs"] == 5


def test_a_label_file_that_can_not_be_read_is_a_failure_with_the_reason(tmp_path):
    """Without it nobody knows what the rows were."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    make_capture_store(tmp_path / "captures", hours=1)
    (tmp_path / "captures" / "labels" / "1-x.json").write_text("{")

    found = judge(store, candidate, Evidence(captures=[tmp_path / "captures"]), Tolerances())

    assert "1-x.json" in found.failed[0].says


def test_judging_says_what_it_is_at(tmp_path, captures):
    """A store of weeks takes minutes."""
    store, (_, candidate) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    said = []

    judged(store, candidate, [captures], tell=said.append)

    assert said == [
        f"does {candidate} work?",
        "runs that neither bundle has seen",
        "what daemons report of it",
    ]
