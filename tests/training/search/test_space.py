"""The space is data: what is drawn from it is valid, and pins are obeyed."""

import json
from dataclasses import asdict
from pathlib import Path

import optuna
import pytest
from optuna.trial import FixedTrial

from training.losses import LOSSES, check_loss
from training.search.pin import SpaceError, as_text, parse
from training.search.space import PAIRS, SPACE, Space
from training.settings import Settings

DOCS = Path(__file__).parents[3] / "docs" / "search.md"


def draws(space, count=150):
    """Draw candidates blindly."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    return [space.draw(study.ask()) for _ in range(count)]


@pytest.fixture(scope="module")
def drawn():
    """Give candidates of the whole space."""
    return draws(Space.of(()))


def test_no_loss_is_drawn_with_outputs_that_it_is_not_defined_for(drawn):
    """A training that must fail is a candidate wasted."""
    for settings in drawn:
        check_loss(settings.loss, settings.activation)

    valid = {(loss, outputs) for loss in LOSSES for outputs in LOSSES[loss].outputs}
    assert {(one.loss, one.activation) for one in drawn} == valid
    assert len(valid) < 2 * len(LOSSES)  # there are pairs that must not be drawn


@pytest.mark.parametrize("entry", SPACE, ids=lambda entry: entry.name)
def test_an_entry_is_drawn_within_its_bounds_and_not_always_the_same(entry, drawn):
    """What never changes need not be searched."""
    mine = [one for one in drawn if not entry.losses or one.loss in entry.losses]

    values = {tuple(getattr(one, name) for name in entry.sets) for one in mine}

    assert len(values) > 1
    if entry.choices:
        said = {" ".join(map(as_text, value)) for value in values}
        assert said == set(entry.choices)
    else:
        assert all(entry.least <= value <= entry.most for (value,) in values)


@pytest.mark.parametrize("loss", ["logistic", "contrastive"])
def test_a_loss_without_triplets_keeps_the_usual_miner(loss):
    """Candidates that differ in what does nothing would be ranked twice."""
    assert {one.miner for one in draws(Space.of([f"loss={loss}"]), 20)} == {Settings().miner}


def test_the_default_can_be_drawn():
    """Or candidate 0 would be something else than what training does by default."""
    space = Space.of(())

    assert space.default == Settings()
    assert space.draw(FixedTrial(space.undrawn(Settings()))) == Settings()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_the_default_outputs_do_not_fit_can_be_pinned_alone(loss):
    """Candidate 0 takes outputs that do, and its margin even where the search would not look."""
    space = Space.of([f"loss={loss}", "embedding=99"])

    check_loss(space.default.loss, space.default.activation)
    assert (space.default.loss, space.default.embedding) == (loss, 99)
    assert space.default.margin == Settings().margin
    assert space.draw(FixedTrial(space.undrawn(space.default))) == space.default


def test_a_default_that_the_space_lacks_is_tried_too():
    """Defaults change, and candidate 0 is drawn like all others."""
    (normal,) = (one for one in Space.of(()).entries if one.name == "normal_share")

    assert as_text(Settings().normal_share) in normal.choices


def test_numbers_are_drawn_as_people_would_type_them(drawn):
    """The command that a search ends with is to be read, and to give the very same settings."""
    for settings in drawn:
        for number in (settings.margin, settings.drop, settings.learning_rate):
            assert number == float(f"{number:.3g}")


def test_what_is_pinned_is_never_drawn_otherwise():
    """Pinned means pinned, whether the space has it or not."""
    pins = ["loss=triplet", "units=16,8", "epochs=3", "kinds=yes", "normal-share=0.4"]

    for settings in draws(Space.of(pins), 30):
        assert (settings.loss, settings.units, settings.epochs) == ("triplet", (16, 8), 3)
        assert (settings.kinds, settings.normal_share) == (True, 0.4)


def test_with_the_outputs_pinned_only_losses_that_fit_them_are_drawn():
    """The two are one entry."""
    for settings in draws(Space.of(["activation=sigmoid"]), 60):
        assert settings.activation == "sigmoid"
        check_loss(settings.loss, "sigmoid")


@pytest.mark.parametrize(
    ("pin", "what"),
    [
        ("margn=1", "no setting 'margn'"),
        ("margin", "give NAME=VALUE"),
        ("margin=much", "'much'"),
        ("drop=0.95", "0.95"),
        ("epochs=0", "'0'"),
        ("epochs=1.5", "1.5"),
        ("inputs=all", "ratios, counts, both"),
        ("kinds=perhaps", "say yes or no"),
        ("seed=3", "--seed"),
        ("links", "give NAME=VALUE"),
    ],
)
def test_a_pin_that_can_not_be_is_refused(pin, what):
    """A misspelt setting is an error, never a silent default."""
    with pytest.raises(SpaceError, match=what):
        Space.of([pin])


def test_a_loss_pinned_with_outputs_that_it_is_not_defined_for_is_refused():
    """There is nothing to try."""
    with pytest.raises(SpaceError, match="needs unit outputs"):
        Space.of(["loss=multi-similarity", "activation=sigmoid"])


@pytest.mark.parametrize("name", ["units", "kinds", "drop", "epochs", "loss", "labels"])
def test_a_value_reads_back_as_it_was_written(name):
    """The winner's command has to say what was tried."""
    value = getattr(Settings(), name)

    assert parse(name, as_text(value)) == value


def test_spaces_that_differ_have_other_hashes():
    """A search must not go on in another space."""
    assert Space.of(()).hash == Space.of(()).hash
    assert Space.of(["epochs=3"]).hash != Space.of(["epochs=4"]).hash
    assert json.dumps([asdict(entry) for entry in SPACE])  # it can be hashed at all
    assert len(set(PAIRS)) == len(PAIRS)


def test_the_docs_list_the_space():
    """A page that is out of date is worse than none."""
    text = DOCS.read_text(encoding="utf-8")

    rows = [f"| {entry.name} | {entry.values} | {entry.why} |" for entry in SPACE]
    assert [row for row in rows if row not in text] == []
