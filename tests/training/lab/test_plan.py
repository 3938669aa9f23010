"""A plan is what its file says, and one that can't be made is refused before anything runs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.lab.plans import PLANS
from training.lab import plan as module
from training.lab.plan import (
    Direction,
    Fault,
    Form,
    Kind,
    Load,
    Phase,
    Plan,
    PlanError,
    Rate,
    Run,
    Traffic,
    as_toml,
    read,
)

RUN = """
[[runs]]
name = "a"
load = [{ traffic = "call", rate = { per_second = 10 } }]
phases = [{ seconds = 60 }]
"""
PLAN = 'name = "p"\n' + RUN


def reading(tmp_path, text):
    """Read a plan from a file with this text."""
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def with_fault(fault):
    """Give the text of a plan whose second phase has this fault."""
    return PLAN.replace(
        "{ seconds = 60 }", f"{{ seconds = 60 }}, {{ seconds = 9, faults = [{fault}] }}"
    )


@given(PLANS)
def test_what_is_written_is_read(tmp_path_factory, plan):
    """A drawn plan is kept as a file, and made from it."""
    assert reading(tmp_path_factory.mktemp("plans"), as_toml(plan)) == plan


def test_any_character_of_a_family_is_written_as_toml_wants_it(tmp_path):
    """TOML escapes one more than JSON does."""
    family = "".join(map(chr, range(256)))
    plan = Plan("p", (Run("a", (Load(Traffic.CALL, Rate(1.0)),), (Phase(1.0),), family),))

    assert reading(tmp_path, as_toml(plan)) == plan


def test_the_text_has_a_line_for_each_stream_and_phase():
    """People read it, and change it by hand."""
    load = Load(Traffic.CALL_TCP, Rate(2.5, Form.WALK), reverse=True)
    block = Phase(40.0, (Fault(Kind.SHAPER, Direction.FORWARD, 0.5),))

    text = as_toml(Plan("p", (Run("a", (load,), (Phase(60.0), block), "T"),), 7))

    assert (
        text
        == """\
name = "p"
seed = 7

[[runs]]
name = "a"
family = "T"
load = [
    { traffic = "call-tcp", rate = { per_second = 2.5, form = "walk" }, reverse = true },
]
phases = [
    { seconds = 60 },
    { seconds = 40, faults = [{ kind = "shaper", direction = "forward", level = 0.5 }] },
]
"""
    )


def test_the_example_in_the_docstring_is_a_plan(tmp_path):
    """Who begins begins from it."""
    _, _, example = module.__doc__.partition("by hand:\n")

    plan = reading(tmp_path, "\n".join(line.removeprefix("    ") for line in example.splitlines()))

    assert plan.name == "two-faults"
    assert [phase.seconds for phase in plan.runs[0].phases] == [60, 40, 60, 80]
    assert plan.runs[0].seconds == 240


def test_what_a_plan_leaves_out_has_its_default(tmp_path):
    """A plan by hand is short."""
    plan = reading(tmp_path, PLAN)

    assert plan == Plan("p", (Run("a", (Load(Traffic.CALL, Rate(10.0)),), (Phase(60.0),)),), 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = ", "Invalid value"),
        (RUN, "missing required field `name`"),
        ('name = "p"\nruns = []', "length >= 1"),
        (PLAN.replace('"p"', '"two faults"'), "matching regex"),
        (PLAN.replace('"a"', '"../a"'), "matching regex"),
        (PLAN.replace('"a"', r'"a\n"'), "matching regex"),
        (PLAN.replace('"a"', f'"{"a" * 65}"'), "matching regex"),
        (PLAN.replace("[[runs]]", "speed = 2\n[[runs]]"), "unknown field `speed`"),
        (PLAN.replace("per_second", "per_minute"), "missing required field `per_second`|unknown"),
        (PLAN.replace("per_second = 10", "per_second = 10, perod = 3"), "unknown field `perod`"),
        (PLAN.replace("per_second = 10", "per_second = -1"), "`float` >= 0"),
        (PLAN.replace("per_second = 10", "per_second = 10, depth = 1.5"), "`float` <= 1"),
        (PLAN.replace("= 60", "= 0"), "`float` > 0"),
        (PLAN.replace("= 60", "= 60, fault = []"), "unknown field `fault`"),
        (PLAN.replace("{ seconds = 60 }", ""), "length >= 1"),
        (PLAN.replace('"call"', '"fax"'), "Invalid enum value 'fax'"),
        (PLAN + RUN, "run 'a' is there twice"),
        (with_fault('{ kind = "fire" }'), "Invalid enum value 'fire'"),
        (with_fault('{ kind = "block", direction = "up" }'), "Invalid enum value 'up'"),
        (with_fault('{ kind = "shaper" }'), "run 'a', phase 1: shaper needs a level"),
        (with_fault('{ kind = "queue", level = 0 }'), "phase 1: queue needs a level"),
        (with_fault('{ kind = "policer", level = 11 }'), "`float` <= 10"),
        (with_fault('{ kind = "loss" }'), "loss needs a level between 0 and 1"),
        (with_fault('{ kind = "loss", level = 1.01 }'), "loss needs a level between 0 and 1"),
        (with_fault('{ kind = "block", level = 0.5 }'), "block has no level"),
        (with_fault('{ kind = "peer-dead", level = 0.5 }'), "peer-dead has no level"),
        (
            with_fault('{ kind = "carrier-loss", direction = "forward" }'),
            "carrier-loss has no direction",
        ),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(tmp_path, text, why):
    """With the file, the place and the reason, before a namespace is made."""
    with pytest.raises(PlanError, match=why) as caught:
        reading(tmp_path, text)

    assert "plan.toml" in str(caught.value) or "run 'a'" in str(caught.value)


def test_every_level_and_direction_that_a_kind_takes_is_taken(tmp_path):
    """The other side of the refusals."""
    plan = reading(
        tmp_path,
        with_fault(
            '{ kind = "shaper", direction = "reverse", level = 10 },'
            '{ kind = "loss", level = 1 }, { kind = "block", direction = "forward" }'
        ),
    )

    assert plan.runs[0].phases[1].faults == (
        Fault(Kind.SHAPER, Direction.REVERSE, 10.0),
        Fault(Kind.LOSS, level=1.0),
        Fault(Kind.BLOCK, Direction.FORWARD),
    )


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """With its name."""
    with pytest.raises(PlanError, match=r"nowhere\.toml"):
        read(tmp_path / "nowhere.toml")


@given(
    st.binary() | st.lists(st.sampled_from([*PLAN.split(), "\n", "-1", '""', "[["])).map(" ".join)
)
def test_any_file_is_a_plan_or_a_plan_error(tmp_path_factory, content):
    """Nothing in it can end the command with a traceback."""
    path = tmp_path_factory.mktemp("plans") / "plan.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with contextlib.suppress(PlanError):
        assert read(path).runs
