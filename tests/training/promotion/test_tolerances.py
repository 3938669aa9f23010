"""The tolerances: each is turned, and each is as its option and the docs say."""

from dataclasses import fields, replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from detector.shadow.report import CanaryPair, Onsets
from tests.training.promotion.made import make_held_back, make_report
from training.promotion.held_back import held_back_checks
from training.promotion.in_shadow import Reports, shadow_checks
from training.promotion.tolerances import Tolerances, taken_from, tolerance_options

DOCS = Path(__file__).parents[3] / "docs" / "learning-promotion.md"
STRICT = Tolerances(by_chance=0)
NAN = float("nan")
# The tolerance, what it is set to, what just passes, what just doesn't, and whose check says so.
ON_UNSEEN_RUNS = [
    ("least_runs", 20, {}, {"runs": 19}, "runs"),
    ("f1", 0.25, {"lead": -0.25}, {"lead": -0.26}, "macro-F1"),
    ("f1_doubt", 0.25, {"lead_low": -0.25}, {"lead_low": -0.26}, "macro-F1 with other runs"),
    ("f1_doubt", 1.0, {"lead_low": -1.0}, {"lead_low": NAN}, "macro-F1 with other runs"),
    ("found", 0.25, {"candidate": {"found": 65}}, {"candidate": {"found": 64}}, "changes found"),
    (
        "delay_seconds",
        2.0,
        {"candidate": {"delay_seconds": 7.0}},
        {"candidate": {"delay_seconds": 7.1}},
        "delay",
    ),
    (
        "false_a_day",
        2.0,
        {"candidate": {"false": 5}},
        {"candidate": {"false": 6}},
        "false changes",
    ),
    ("by_chance", 1, {"candidate": {"false": 6}}, {"candidate": {"false": 7}}, "false changes"),
]
ON_LIVE_TRAFFIC = [
    ("least_hours", 168.0, {}, {"link_seconds": 604_799.0}, "time"),
    ("skipped", 0.2, {"skipped": 250}, {"skipped": 260}, "skipped"),
    ("unusable", 0.2, {"unusable": 250}, {"unusable": 260}, "unusable"),
    (
        "agreement",
        0.9,
        {"states": {"normal": {"normal": 900, "blocked": 100}}},
        {"states": {"normal": {"normal": 899, "blocked": 101}}},
        "agreement",
    ),
    (
        "missed",
        0.25,
        {"onsets": {"blocked": Onsets(20, 15, 15)}},
        {"onsets": {"blocked": Onsets(20, 14, 14)}},
        "faults missed",
    ),
    ("delay_seconds", 2.0, {"delays_ms": (2000,)}, {"delays_ms": (2001,)}, "delay"),
    (
        "added_a_week",
        4.0,
        {"onsets": {"blocked": Onsets(20, 24, 20)}},
        {"onsets": {"blocked": Onsets(20, 25, 20)}},
        "faults",
    ),
    (
        "unknown_a_week",
        2.0,
        {"unknown": Onsets(3, 5, 3)},
        {"unknown": Onsets(3, 6, 3)},
        "unknowns",
    ),
    ("by_chance", 1, {"unknown": Onsets(3, 6, 3)}, {"unknown": Onsets(3, 7, 3)}, "unknowns"),
    (
        "canaries",
        0.25,
        {"canaries": {"blocked": CanaryPair(90, 100, 65, 100)}},
        {"canaries": {"blocked": CanaryPair(90, 100, 64, 100)}},
        "canaries of blocked",
    ),
    (
        "least_canaries",
        100,
        {"canaries": {"blocked": CanaryPair(90, 99, 0, 99)}},
        {"canaries": {"blocked": CanaryPair(90, 100, 90, 99)}},
        "canaries of blocked",
    ),
]


def failed(checks):
    """Name the checks that were not passed."""
    return [check.name for check in checks if not check.passed]


@pytest.mark.parametrize(("name", "value", "good", "bad", "check"), ON_UNSEEN_RUNS)
def test_a_tolerance_on_unseen_runs_decides(name, value, good, bad, check):
    """As much as is allowed passes, a little more does not, and nothing else minds."""
    allowed = replace(STRICT, f1=1.0, **{name: value}) if name == "f1_doubt" else None
    allowed = allowed or replace(STRICT, **{name: value})

    assert failed(held_back_checks(make_held_back(**good), allowed)) == []
    assert failed(held_back_checks(make_held_back(**bad), allowed)) == [check]


@pytest.mark.parametrize(("name", "value", "good", "bad", "check"), ON_LIVE_TRAFFIC)
def test_a_tolerance_on_live_traffic_decides(name, value, good, bad, check):
    """As much as is allowed passes, a little more does not, and nothing else minds."""
    allowed = replace(STRICT, **{name: value})

    def judged(changes):
        return failed(shadow_checks(Reports(make_report(**changes), 1), allowed, 1.0))

    assert judged(good) == []
    assert judged(bad) == [check]


def test_every_tolerance_is_turned_by_a_test():
    """A new one is not forgotten."""
    turned = {name for name, *_ in (*ON_UNSEEN_RUNS, *ON_LIVE_TRAFFIC)}

    assert turned == {one.name for one in fields(Tolerances)}


def test_every_tolerance_is_an_option_with_its_default():
    """What is allowed is seen in --help and chosen there."""

    @click.command()
    @tolerance_options
    def command(**chosen):
        chosen["other"] = 1
        click.echo(repr(taken_from(chosen)))
        assert chosen == {"other": 1}

    changed = Tolerances(f1=0.5, by_chance=7.0)

    assert CliRunner().invoke(command, []).output.strip() == repr(Tolerances())
    given = ["--f1", "0.5", "--by-chance", "7"]
    assert CliRunner().invoke(command, given).output.strip() == repr(changed)
    assert CliRunner().invoke(command, ["--f1", "1.5"]).exit_code == 2
    assert CliRunner().invoke(command, ["--f1", "-0.1"]).exit_code == 2


def test_the_docs_list_every_tolerance_as_it_is():
    """Who decides what may go live reads it there."""
    text = DOCS.read_text()

    for one in fields(Tolerances):
        facts = one.metadata
        row = (
            f"| `--{one.name.replace('_', '-')}` | {one.default:g} | {facts['meaning']} "
            f"| {facts['reason']} |"
        )
        assert row in text


def test_equal_bundles_pass_the_strictest_tolerances():
    """What is no worse at all is never refused."""
    none = Tolerances(
        f1=0, f1_doubt=0, found=0, delay_seconds=0, false_a_day=0, missed=0, added_a_week=0,
        canaries=0, by_chance=0, skipped=0, unusable=0, agreement=1,
    )  # fmt: skip

    assert failed(held_back_checks(make_held_back(), none)) == []
    assert failed(shadow_checks(Reports(make_report(), 1), none, 0.0)) == []
