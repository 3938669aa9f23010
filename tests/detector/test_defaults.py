"""The settings file and the page that are made of the classes of settings."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from detector.config import Settings
from detector.defaults import (
    BUNDLES,
    Section,
    Setting,
    meanings_of,
    sections,
    settings_file,
    settings_page,
)
from detector.loading import load

ROOT = Path(__file__).parents[2]
MADE_BY = "python -m detector.defaults docs/settings.md deploy/anchorwatch.toml"
SETTINGS = [(section, one) for section in sections() for one in section.settings]
NAMES = [f"{section.name}.{one.name}" for section, one in SETTINGS]


class Inner(msgspec.Struct, frozen=True):
    """How it is inside: docs/inner.md."""

    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5  # of the cake


class Outer(msgspec.Struct, frozen=True):
    """All of it."""

    needed: str
    # above, in
    # two lines.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9469
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 1.0  # beside # with a hash
    inner: Inner = Inner()
    kinds: tuple[Literal["a", "b"], ...] = ("a",)
    mark: str = "# no comment"
    is_on: bool = True  # at the end


def uncommented(text: str) -> str:
    """Give a settings file as it is when every setting in it is uncommented."""
    return re.sub(r"(?m)^#(?=[a-z])", "", text)


def default_of(setting: Setting) -> Any:
    """Give a setting's default; of the bundle, which has none, any."""
    return tomllib.loads(f"x = {setting.default}")["x"] if setting.default else "b"


def spelt(setting: Setting) -> str:
    """Give a setting's default as the environment has it."""
    default = default_of(setting)
    return ",".join(default) if isinstance(default, list) else str(default)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon's program where nothing is set in the environment."""
    program = "from detector.cli import main; main(prog_name='anchorwatchd')"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={key: text for key, text in os.environ.items() if "ANCHORWATCH" not in key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_settings_file_of_an_installed_daemon_is_up_to_date():
    """What is installed must not speak of settings that are gone."""
    there = (ROOT / "deploy" / "anchorwatch.toml").read_text()

    assert there == settings_file(BUNDLES), f"make it anew: {MADE_BY}"


def test_the_page_of_the_settings_is_up_to_date():
    """A page that is made by hand is wrong after the third change."""
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page(), (
        f"make it anew: {MADE_BY}"
    )


def test_uncommenting_every_line_gives_the_defaults(tmp_path):
    """The file says what holds without it, or it lies to whoever copies a line of it."""
    file = tmp_path / "anchorwatch.toml"
    file.write_text(uncommented(settings_file()))

    assert load(file, {}) == Settings(bundle=BUNDLES)
    assert len(tomllib.loads(file.read_text())) == len(Settings.__struct_fields__)


def test_the_file_as_it_is_installed_can_be_used_at_once(tmp_path):
    """One line of it counts; tables that stand empty are no harm."""
    file = tmp_path / "anchorwatch.toml"
    file.write_text(settings_file("/srv/my bundles"))

    assert load(file, {}) == Settings(bundle="/srv/my bundles")


def test_one_line_can_be_uncommented_alone(tmp_path):
    """Its table's head stands already, so nobody has to look for it."""
    file = tmp_path / "anchorwatch.toml"
    text = settings_file(BUNDLES).replace('#group = "anchorwatch"', 'group = "night"')
    file.write_text(text.replace("#check_hostname = true", "check_hostname = false"))

    settings = load(file, {})

    assert settings.kafka.group == "night"
    assert not settings.kafka.tls.check_hostname


@pytest.mark.parametrize(("section", "setting"), SETTINGS, ids=NAMES)
def test_every_setting_can_be_set_by_the_variable_that_the_page_names(section, setting):
    """A variable that is passed over is noticed when the wrong broker is read."""
    settings: object = load(None, {"ANCHORWATCH__BUNDLE": "b", setting.variable: spelt(setting)})

    for table in filter(None, section.name.split(".")):
        settings = getattr(settings, table)
    assert setting.variable.startswith("ANCHORWATCH__")  # others are passed over
    found = getattr(settings, setting.name)
    assert (list(found) if isinstance(found, tuple) else found) == default_of(setting)


@pytest.mark.parametrize(("section", "setting"), SETTINGS, ids=NAMES)
def test_every_setting_says_what_it_means(section, setting):
    """Put a comment above or beside it in its class: it is all that an operator gets to read."""
    assert setting.meaning, f"[{section.name}] {setting.name}"


def test_no_line_of_the_file_is_too_long_for_a_terminal():
    """It is edited in one, at night."""
    assert max(map(len, settings_file(BUNDLES).splitlines())) <= 99


def test_comments_above_and_beside_a_setting_are_its_meaning():
    """Both are where people write them, and a hash within a text is none."""
    assert meanings_of(Outer) == {
        "needed": "",
        "port": "above, in two lines",
        "seconds": "beside # with a hash",
        "inner": "",
        "kinds": "",
        "mark": "",
        "is_on": "at the end",
    }


def test_bounds_are_those_that_are_checked():
    """What the page allows and the daemon refuses costs a restart; so does the other way round."""
    outer, inner = sections(Outer)

    assert {one.name: one.bounds for one in outer.settings + inner.settings} == {
        "needed": "",
        "port": "0 to 65535",
        "seconds": "at least 0",
        "kinds": 'some of "a", "b"',
        "mark": "",
        "is_on": "",
        "share": "above 0, at most 1",
    }


def test_tables_within_tables_have_the_whole_name():
    """TOML writes them `[outer.inner]`, and the environment with two underscores more."""
    outer, inner = sections(Outer, ("outer",))

    assert (outer.name, inner.name) == ("outer", "outer.inner")
    assert inner.about == "How it is inside: docs/inner.md."
    assert inner.settings[0].variable == "ANCHORWATCH__OUTER__INNER__SHARE"
    assert (outer.settings[0].default, inner.settings[0].default) == ("", "0.5")
    assert isinstance(outer, Section)


def test_the_page_has_a_table_for_every_table_and_a_row_for_every_setting():
    """With what it is called in the environment, which nobody should have to work out."""
    page = settings_page()

    for section, setting in SETTINGS:
        assert f"## `[{section.name}]`" in page or not section.name
        assert f"| `{setting.variable}` |" in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(SETTINGS)
    assert {row.count("|") for row in rows} == {5}


def test_pages_that_the_page_names_are_links_to_files_that_are_there():
    """A link that leads nowhere is worse than none."""
    links = re.findall(r"\]\(([^)]+)\)", settings_page())

    assert {"judging.md", "events.md"} <= {*links}  # of a table, and of a setting
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_the_daemon_prints_the_file_and_ends():
    """`anchorwatchd --defaults > anchorwatch.toml` is how a settings file begins."""
    done = run("--defaults", "--config", "/nowhere")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == settings_file(BUNDLES)
