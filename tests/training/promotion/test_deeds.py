"""Deeds: what proved itself is current, what did not is refused, and the history says so."""

import pytest

from detector.bundle import BundleError
from tests.fakes import draft_bundle, make_spec
from tests.training.promotion.made import confused, make_captures, make_store, relearnt, report
from training.promotion.deeds import By, PromotionError, promote, put_into_shadow, roll_back
from training.promotion.gate import Evidence
from training.promotion.tolerances import Tolerances

ME = By(who="me", why="because", now_ms=lambda: 7)
NO_PROOF = Evidence()


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Give captures of six runs."""
    return make_captures(tmp_path_factory.mktemp("captures") / "lab")


@pytest.fixture
def stored(tmp_path):
    """Give a store with an equal and a worse candidate beside the current version, and all ids."""
    bundles = draft_bundle(), relearnt(draft_bundle()), confused(draft_bundle())
    return make_store(tmp_path / "store", *bundles)


def test_what_proved_itself_is_current_and_leaves_the_shadow(stored, captures):
    """And the history says by which numbers."""
    store, (live, equal, _) = stored
    store.set_shadow(equal, "me", "", 1)
    report(store, equal)

    judgement, action = promote(store, equal, Evidence(captures=[captures]), Tolerances(), ME)

    entry = store.history().entries[-2]
    assert action == "promoted"
    assert (store.current, store.shadow, store.previous()) == (equal, None, live)
    assert (entry.action, entry.bundle, entry.was, entry.who) == ("promoted", equal, live, "me")
    assert (entry.why, entry.at_ms, entry.failed) == ("because", 7, ())
    assert entry.numbers == judgement.numbers
    assert entry.numbers["live_hours"] == 168


def test_a_refusal_changes_nothing_but_the_history(stored, captures):
    """Somebody will want to know next month why this bundle was not used."""
    store, (live, _, worse) = stored
    report(store, worse)
    store.set_shadow(worse, "me", "", 1)

    judgement, action = promote(store, worse, Evidence(captures=[captures]), Tolerances(), ME)

    entry = store.history().entries[-1]
    assert action == "refused"
    assert (store.current, store.shadow) == (live, worse)
    assert (entry.action, entry.bundle, entry.was) == ("refused", worse, live)
    assert entry.failed == tuple(map(str, judgement.failed))
    assert entry.failed[0].startswith("held back, macro-F1: ")
    assert entry.numbers["held_back_macro_f1_lead"] < -0.5


def test_force_is_logged_with_what_failed(stored):
    """Who forced it, why, and against which advice."""
    store, (live, _, worse) = stored

    judgement, action = promote(store, worse, NO_PROOF, Tolerances(), ME, force=True)

    entry = store.history().entries[-1]
    assert action == "forced"
    assert store.current == worse
    assert (entry.action, entry.was, entry.why) == ("forced", live, "because")
    assert entry.failed == tuple(map(str, judgement.failed))
    assert len(entry.failed) == 2


def test_what_proved_itself_needs_no_force(stored, captures):
    """The history says promoted then, for there was nothing to be forced."""
    store, (_, equal, _) = stored
    report(store, equal)
    evidence = Evidence(captures=[captures])

    assert promote(store, equal, evidence, Tolerances(), ME, force=True)[1] == "promoted"


def test_what_does_not_work_is_refused_with_force_too(stored):
    """No daemon could start with it."""
    store, (live, equal, _) = stored
    (store.folder(equal) / "golden.safetensors").unlink()

    _, action = promote(store, equal, NO_PROOF, Tolerances(), ME, force=True)

    assert action == "refused"
    assert store.current == live
    assert store.history().entries[-1].action == "refused"


def test_what_is_current_is_not_promoted_again(stored):
    """Nothing can be worse than itself."""
    store, (live, *_) = stored
    before = store.history()

    with pytest.raises(PromotionError, match="is the current one already"):
        promote(store, live, NO_PROOF, Tolerances(), ME)
    assert store.history() == before


def test_a_judgement_beside_what_is_not_current_any_more_does_not_count(stored, captures):
    """Somebody else promoted or rolled back while this was judged."""
    store, (live, equal, worse) = stored
    report(store, equal)

    def meddle(what):
        if "report" in what:
            store.switch(worse, "somebody else", "forced", "", 1)

    evidence = Evidence(captures=[captures], tell=meddle)
    with pytest.raises(BundleError, match=f"{worse} is current by now, and {live} no more"):
        promote(store, equal, evidence, Tolerances(), ME, force=True)

    assert store.current == worse


def test_going_back_and_going_back_again(stored):
    """One command each time, further each time, and then there is no more."""
    store, (live, equal, worse) = stored
    for one in (equal, worse):
        promote(store, one, NO_PROOF, Tolerances(), ME, force=True)

    assert roll_back(store, None, ME) == (equal, "")
    assert roll_back(store, None, ME) == (live, "")
    with pytest.raises(PromotionError, match="no version that is there was current before"):
        roll_back(store, None, ME)

    entry = store.history().entries[-1]
    assert (entry.action, entry.bundle, entry.was, entry.why, entry.who) == (
        *("rolled-back", live, equal, "because", "me"),
    )


def test_a_rollback_can_be_taken_back_by_name(stored):
    """It had proved itself once."""
    store, (live, equal, _) = stored
    promote(store, equal, NO_PROOF, Tolerances(), ME, force=True)
    roll_back(store, None, ME)

    assert roll_back(store, equal, ME) == (equal, "")
    assert roll_back(store, None, ME) == (live, "")


def test_going_back_is_no_way_round_the_gate(stored):
    """What was never current has to be promoted."""
    store, (live, equal, worse) = stored
    promote(store, worse, NO_PROOF, Tolerances(), ME)  # refused, which is in the history too

    for one in (equal, worse):
        with pytest.raises(PromotionError, match="was never current, so it has to be promoted"):
            roll_back(store, one, ME)
    with pytest.raises(PromotionError, match="is the current one already"):
        roll_back(store, live, ME)


def test_nobody_goes_back_to_what_does_not_work(stored):
    """Going from bad to nothing helps nobody; the operator can name another."""
    store, (live, equal, worse) = stored
    for one in (equal, worse):
        promote(store, one, NO_PROOF, Tolerances(), ME, force=True)
    (store.folder(equal) / "weights.safetensors").unlink()

    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        roll_back(store, None, ME)
    assert store.current == worse

    assert roll_back(store, live, ME) == (live, "")


def test_going_back_from_what_does_not_work_is_possible(stored):
    """That is when it is needed most."""
    store, (live, equal, _) = stored
    promote(store, equal, NO_PROOF, Tolerances(), ME, force=True)
    (store.folder(equal) / "manifest.json").write_text("{")

    assert roll_back(store, None, ME) == (live, "")


def test_going_back_to_other_windows_needs_a_restart_and_says_so(tmp_path):
    """Daemons would refuse it while they run."""
    store, (live, longer) = make_store(
        tmp_path / "s", draft_bundle(), draft_bundle(spec=make_spec(steps=5))
    )
    promote(store, longer, NO_PROOF, Tolerances(), ME, force=True)

    now, warning = roll_back(store, None, ME)

    assert now == live
    assert "windows of 4 steps" in warning
    assert "restart the daemons" in warning


def test_only_what_works_is_tried_in_the_shadow(tmp_path):
    """A daemon would have to find it out, each time it starts."""
    bundles = draft_bundle(), relearnt(draft_bundle()), draft_bundle(spec=make_spec(steps=5))
    store, (_, equal, longer) = make_store(tmp_path / "s", *bundles)

    with pytest.raises(PromotionError, match="windows of 5 steps"):
        put_into_shadow(store, longer, ME)
    assert put_into_shadow(store, equal, ME) == ""
    assert store.shadow == equal
    assert store.history().entries[-1].action == "shadowed"
    store.set_shadow(None, "me", "", 1)
    (store.folder(equal) / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        put_into_shadow(store, equal, ME)
    assert store.shadow is None


def test_without_a_current_version_there_is_nothing_to_try_one_beside(tmp_path):
    """Daemons have nothing that judges."""
    store, (live, _) = make_store(tmp_path / "s", draft_bundle(), relearnt(draft_bundle()))
    (store.path / "current").unlink()

    with pytest.raises(PromotionError, match="no version is current"):
        put_into_shadow(store, live, ME)
