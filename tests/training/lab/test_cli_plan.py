"""`anchorwatch lab plan`: a plan in a file, what it holds on stderr."""

import pytest
from click.testing import CliRunner

from training.cli import main
from training.lab.plan import Kind, Traffic, read


def call(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(main, ["lab", "plan", *map(str, arguments)])


def test_a_plan_is_written_and_summed_up(tmp_path):
    """The file for the lab, the table for whoever decides whether it is enough."""
    out = tmp_path / "plan.toml"

    done = call("--seed", 7, "--out", out)

    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("seed-7: 1")
    assert "\npeer_dead " in done.stderr
    assert "too short" not in done.stderr
    plan = read(out)
    assert (plan.name, plan.seed) == ("seed-7", 7)
    assert sum(run.seconds for run in plan.runs) / 3600 == pytest.approx(30, abs=0.5)


def test_the_same_seed_gives_the_same_bytes():
    """On stdout, with nothing beside it."""
    first, second, other = (call("--seed", seed, "--out", "-") for seed in (3, 3, 4))

    assert first.stdout == second.stdout != other.stdout
    assert first.stdout.startswith('name = "seed-3"\nseed = 3\n')


def test_each_option_changes_the_plan(tmp_path):
    """Hours, kinds, traffic, lengths and name are as told."""
    out = tmp_path / "plan.toml"
    sizes = ("--normal-hours", 0.5, "--fault-hours", 1, "--longest", 30, "--name", "mine")
    chosen = ("--kinds", "block", "--kinds", "loss", "--without", "loss", "--without", "http")

    done = call("--seed", 1, "--out", out, *sizes, *chosen)

    plan = read(out)
    assert done.exit_code == 0
    assert plan.name == "mine"
    phases = [phase for run in plan.runs for phase in run.phases]
    assert {fault.kind for phase in phases for fault in phase.faults} == {Kind.BLOCK}
    assert max(phase.seconds for phase in phases if phase.faults) == 30
    assert Traffic.HTTP not in {load.traffic for run in plan.runs for load in run.load}
    normal = [run.seconds for run in plan.runs if "_normal_" in run.name]
    assert sum(normal) == pytest.approx(1800, abs=5)


def test_a_plan_that_is_too_short_says_what_it_lacks():
    """It is made all the same: for trying things out it may be enough."""
    done = call("--seed", 1, "--normal-hours", 0, "--fault-hours", 0.2, "--out", "-")

    assert done.exit_code == 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith("too short to cover every fault: ")
    assert " of 6 runs" in last


def test_a_plan_without_faults_is_not_told_off_for_lacking_them():
    """Nobody asked for any."""
    done = call("--seed", 1, "--normal-hours", 1, "--fault-hours", 0, "--out", "-")

    assert done.exit_code == 0
    assert "too short" not in done.stderr


def test_a_file_that_is_there_is_kept_unless_told_to_replace_it(tmp_path):
    """Plans are changed by hand."""
    out = tmp_path / "plan.toml"
    out.write_text("mine")

    kept = call("--seed", 1, "--out", out)

    assert kept.exit_code == 2
    assert "--replace" in kept.stderr
    assert out.read_text() == "mine"
    assert call("--seed", 1, "--out", out, "--replace").exit_code == 0
    assert read(out).seed == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--normal-hours", 0, "--fault-hours", 0], "nothing to do"),
        (["--name", "a b"], "matching regex"),
        (["--kinds", "fire"], "'fire' is not one of"),
        (["--without", "fax"], "'fax' is not one of"),
        ([f"--without={name}" for name in Traffic], "no mix of traffic"),
        (["--seed", -1], "not in the range"),
        (["--longest", 0], "not in the range"),
    ],
)
def test_what_gives_no_plan_is_wrong_usage(tmp_path, arguments, why):
    """One line that says why, and no file."""
    out = tmp_path / "plan.toml"

    done = call("--seed", 1, "--out", out, *arguments)

    assert done.exit_code == 2
    assert why in done.stderr
    assert not out.exists()


def test_the_tool_lists_the_lab():
    """Who looks for it finds it."""
    assert "lab " in CliRunner().invoke(main, ["--help"]).stdout
    assert "plan " in CliRunner().invoke(main, ["lab", "--help"]).stdout
