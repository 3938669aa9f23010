"""`anchorwatch label unknown`, as it is typed."""

import json
import shlex

from tests.fakes import make_bundle
from training.enrolling.cli import enroll

from .knowing import WEEK_MS, incident, keep_every_tenth, knowing_bundle
from .stores import NOON_MS, STEP_MS
from .typed import run

ENROLL = ("anchorwatch", "enroll")


def test_unknowns_are_grouped_and_a_group_is_named_as_one(tmp_path):
    """Five pages become one question, and one answer."""
    knowing_bundle(tmp_path / "bundle")
    store = tmp_path / "store"
    for week in range(4):
        incident(store, "half", link=f"trunk {week % 3}", start_ms=NOON_MS + week * WEEK_MS)
    incident(store, "slow", start_ms=NOON_MS + 3 * WEEK_MS // 2)
    places = ("--store", store, "--bundles", tmp_path / "bundle")

    text = run("unknown", *places)
    data = json.loads(run("unknown", *places, "--json").stdout)

    assert text.exit_code == 0
    first, command, second, _ = text.stdout.splitlines()
    assert first.startswith(
        "unknown-1: four times on three links (trunk 0, trunk 1, trunk 2), Tuesdays 22:15; last"
    )
    assert command.startswith("  anchorwatch enroll --bundles ")
    assert " --label NAME --link 'trunk " in command
    assert second.startswith("unknown-2: once on one link (trunk-1); last")
    assert [len(one["episodes"]) for one in data] == [4, 1]
    span_ms = data[0]["typical"]["to_ms"] - data[0]["typical"]["from_ms"]
    assert span_ms == 4 * STEP_MS

    named = run("rename", "retry-storm", "--store", store, "--group", "unknown-1")

    assert named.exit_code == 0
    assert "of 4 episodes on 3 links" in named.stdout
    assert "unknown-1" not in run("unknown", *places).stdout
    after = run("unknown", *places, "--all").stdout
    assert "unknown-1: four times" in after
    assert "4 named retry-storm" in after


def test_the_command_of_a_group_says_where_things_are_as_this_one_did(tmp_path):
    """Whoever pastes it into a shell wants it to run, spaces or not."""
    bundle, store = tmp_path / "a bundle", tmp_path / "store"
    knowing_bundle(bundle)
    incident(store, "half")
    config = tmp_path / "settings.toml"
    config.write_text(f'bundle = "{bundle}"\n[store]\npath = "{store}"\n')

    by_config = run("unknown", "--config", config).stdout.splitlines()[1]
    by_place = run("unknown", "--store", store, "--bundles", bundle).stdout.splitlines()[1]

    assert shlex.split(by_config)[:5] == [*ENROLL, "--config", str(config), "--label"]
    given = ["--bundles", str(bundle), "--store", str(store), "--label"]
    assert shlex.split(by_place)[:7] == [*ENROLL, *given]
    enroll.make_context("enroll", shlex.split(by_place)[2:])  # it takes all of them


def test_an_unknown_without_a_whole_window_is_told_of(tmp_path):
    """What is in no group is still there to be named."""
    knowing_bundle(tmp_path / "bundle")
    store = tmp_path / "store"
    incident(store, "half")
    incident(store, "half", link="trunk-2")
    for file in (store / "host-a").rglob("*.parquet"):
        keep_every_tenth(file, "trunk-2")

    result = run("unknown", "--store", store, "--bundles", tmp_path / "bundle")

    assert result.exit_code == 0
    assert result.stdout.startswith("unknown-1: once on one link (trunk-1)")
    assert result.stderr == "anchorwatch: 1 episode has no whole window and is in no group\n"


def test_how_far_apart_a_group_may_be_can_be_said(tmp_path):
    """Embeddings of a bundle that knows little are near to each other."""
    knowing_bundle(tmp_path / "bundle")
    incident(tmp_path / "store", "half")
    incident(tmp_path / "store", "slow", link="trunk-2")
    places = ("--store", tmp_path / "store", "--bundles", tmp_path / "bundle", "--json")

    assert len(json.loads(run("unknown", *places).stdout)) == 2
    assert len(json.loads(run("unknown", *places, "--reach", 1000).stdout)) == 1


def test_a_bundle_that_knows_no_distance_is_unusable_for_groups(tmp_path):
    """Exit 78, as everywhere: another bundle mends it, another try doesn't."""
    make_bundle(tmp_path / "bundle")
    (tmp_path / "store").mkdir()

    result = run("unknown", "--store", tmp_path / "store", "--bundles", tmp_path / "bundle")

    assert result.exit_code == 78
