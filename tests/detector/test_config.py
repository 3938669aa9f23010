"""Settings: read once, laid over by the environment, and strict about names."""

import contextlib
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config import ConfigError, Settings
from detector.loading import PREFIX, load

NEEDED = {f"{PREFIX}BUNDLE": "b"}


def load_text(tmp_path, text, **environ):
    """Load settings from a file with this text."""
    file = tmp_path / "anchorwatch.toml"
    file.write_text(text)
    return load(file, {f"{PREFIX}{name}": value for name, value in environ.items()})


def load_environ(**environ):
    """Load settings from the environment alone."""
    return load(None, NEEDED | {f"{PREFIX}{name}": value for name, value in environ.items()})


def test_a_name_with_one_line_too_few_is_not_passed_over():
    """What nobody reads nobody misses, until the daemon watches the wrong topic."""
    usual = {"ANCHORWATCH__BUNDLE": "b", "ANCHORWATCH_PORT": "tcp://10.0.0.1", "PATH": "/bin"}

    assert load(None, usual).bundle == "b"
    with pytest.raises(ConfigError, match="write ANCHORWATCH__KAFKA__GROUP"):
        load(None, {**usual, "ANCHORWATCH_KAFKA__GROUP": "night"})


def test_a_file_gives_what_it_says_and_defaults_for_the_rest(tmp_path):
    """Most files hold three lines."""
    settings = load_text(
        tmp_path,
        'bundle = "b"\nsinks = ["kafka", "terminal"]\n[state]\nevidence = 4\ndoubt = 0.2\n',
    )

    assert (settings.bundle, settings.sinks) == ("b", ("kafka", "terminal"))
    assert (settings.state.evidence, settings.state.doubt) == (4, 0.2)
    assert msgspec.structs.replace(
        settings, bundle="", sinks=(), state=Settings(bundle="").state
    ) == (Settings(bundle="", sinks=()))


def test_the_environment_is_laid_over_the_file(tmp_path):
    """A container gets one image with one file, and what differs from its environment."""
    text = 'bundle = "b"\n[state]\nevidence = 4\ndoubt = 0.2\n'

    settings = load_text(tmp_path, text, STATE__EVIDENCE="5", HTTP__PORT="0", KAFKA__GROUP="night")

    assert (settings.state.evidence, settings.state.doubt) == (5, 0.2)
    assert (settings.http.port, settings.kafka.group) == (0, "night")


def test_other_variables_are_none_of_ours():
    """Kubernetes sets ANCHORWATCH_PORT beside a Service of that name."""
    settings = load(None, NEEDED | {"ANCHORWATCH_PORT": "tcp://10.0.0.1:80", "PATH": "/bin"})

    assert settings == Settings(bundle="b")


@pytest.mark.parametrize(
    ("text", "paths"), [("a", ("a",)), ("a,b c,d", ("a", "b c", "d")), ("", ()), (",a,", ("a",))]
)
def test_lists_are_written_with_commas_in_the_environment(text, paths):
    """An empty variable is an empty list, and not the current directory."""
    assert load_environ(CAPTURES__PATHS=text).captures.paths == paths


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"KAKFA__TOPIC": "x"}, "unknown field `kakfa`"),
        ({"KAFKA__TOPIK": "x"}, "unknown field `topik` - at `$.kafka`"),
        ({"": "x"}, "unknown field ``"),
        ({"KAFKA": "x"}, "Expected `object`, got `str` - at `$.kafka`"),
        ({"BUNDLE__PATH": "x"}, "'bundle' is not a table"),
        ({"SOURCE": "carrier pigeon"}, "Invalid enum value 'carrier pigeon'"),
        ({"SINKS": "kafka,pigeon"}, "; it can be 'kafka', 'terminal'"),
        ({"SINKS": ""}, "name at least one"),
        ({"ENGINE__NAME": "pytorch"}, "Invalid enum value 'pytorch'"),
        ({"KAFKA__SASL__MECHANISM": "scram"}, "; it can be 'PLAIN', 'SCRAM-SHA-256',"),
        ({"KAFKA__WINDOWS": "a b"}, "[kafka] windows: 'a b' is no topic's name"),
        ({"KAFKA__STATES": ".."}, "[kafka] states: '..' is no topic's name"),
        ({"KAFKA__EVENTS": "e" * 250}, "is no topic's name"),
        (
            {"KAFKA__DEAD_LETTERS": "anchorwatch.windows"},
            "[kafka] windows and dead_letters are the same topic, 'anchorwatch.windows'",
        ),
        ({"ENGINE__THREADS": "-1"}, ">= 0"),
        ({"LOG__LEVEL": "loud"}, "Invalid enum value 'loud'"),
        ({"HTTP__PORT": "65536"}, "<= 65535"),
        ({"HTTP__PORT": "http"}, "Expected `int`"),
        ({"HTTP__MAX_LINKS": "0"}, ">= 1"),
        ({"HTTP__STALLED_SECONDS": "0"}, "> 0"),
        ({"BATCH__WINDOWS": "0"}, ">= 1"),
        ({"BATCH__WAIT_SECONDS": "-0.1"}, ">= 0"),
        ({"CAPTURES__SPEED": "0"}, "> 0"),
        ({"CAPTURES__HOP_SECONDS": "nan"}, "> 0"),
        ({"CAPTURES__HOP_SECONDS": "inf"}, "<= 1000000000"),
        ({"STATE__RESTART_SECONDS": "inf"}, "<= 1000000000"),
        ({"STATE__EVIDENCE": "0"}, "> 0"),
        ({"STATE__EVIDENCE": "nan"}, "> 0"),
        ({"STATE__DOUBT": "1"}, "< 1"),
        ({"STATE__DOUBT": "-0.1"}, ">= 0"),
        ({"STATE__HOLD_SECONDS": "-1"}, ">= 0"),
        ({"STATE__RECOVERY_SECONDS": "inf"}, "<= 1000000000"),
        ({"STATE__RECOVERY_EVIDENCE": "0.5"}, ">= 1"),
        ({"STATE__FLAP_CHANGES": "1"}, ">= 2"),
        ({"STATE__FLAP_SECONDS": "0"}, "> 0"),
        ({"STATE__FLAP_CALM_SECONDS": "nan"}, ">= 0"),
        ({"STATE__AGREE": "3"}, "unknown field `agree` - at `$.state`"),
        ({"UNKNOWN__ENABLED": "perhaps"}, "Expected `bool`"),
        ({"UNKNOWN__FALSE_ALARMS_A_LINK_WEEK": "0"}, "> 0"),
        ({"SILENCE__ENABLED": "perhaps"}, "Expected `bool`"),
        ({"SILENCE__MISSED_WINDOWS": "0"}, "> 0"),
        ({"SILENCE__LEAST_SECONDS": "0.5"}, ">= 1"),
        ({"SILENCE__IDLE_SHARE": "1.1"}, "<= 1"),
        ({"SILENCE__CONTACT_SECONDS": "0"}, "> 0"),
        ({"SILENCE__RETIRE_SECONDS": "0"}, "> 0"),
        ({"EVENTS__DIALECT": "klingon"}, "Invalid enum value 'klingon'"),
        ({"EVENTS__GATHER_SECONDS": "3601"}, "<= 3600"),
        ({"EVENTS__GATHER_LINKS": "1"}, ">= 2"),
        ({"EVENTS__GROUP": "(site"}, "[events] group '(site' is not a regular expression"),
        ({"EVENTS__GROUP": "^site"}, "[events] group '^site' has 0 capturing groups"),
        ({"REASONS__SECONDS": "-1"}, ">= 0"),
        ({"CANARY__EVERY_SECONDS": "-1"}, ">= 0"),
        ({"CANARY__AT_ONCE": "0"}, ">= 1"),
        ({"KAFKA__SESSION_SECONDS": "inf"}, "<= 86400"),
        ({"KAFKA__DELIVERY_SECONDS": "0.5"}, ">= 1"),
    ],
)
def test_a_setting_that_can_not_be_used_is_named(environ, why):
    """A misspelt setting that is passed over is found when the link is already down."""
    with pytest.raises(ConfigError, match=re.escape(why)):
        load_environ(**environ)


@pytest.mark.parametrize("word", ["true", "false", "1", "0"])
def test_what_is_on_or_off_is_written_in_words_or_as_a_bit(word):
    """Environments know no types, and people write what they are used to."""
    settings = load_environ(SILENCE__ENABLED=word, UNKNOWN__ENABLED=word)

    is_on = word in ("true", "1")
    assert (settings.silence.enabled, settings.unknown.enabled) == (is_on, is_on)


@pytest.mark.parametrize(
    ("section", "name"),
    [("reasons", "seconds"), ("canary", "every_seconds"), ("events", "gather_seconds")],
)
def test_what_can_be_turned_off_is_turned_off_by_0(section, name):
    """A small machine does without, and one rule for how is easy to remember."""
    settings = load_environ(**{f"{section}__{name}".upper(): "0"})

    assert getattr(getattr(settings, section), name) == 0


def test_a_group_with_one_pair_of_parentheses_is_taken():
    """The environment must not cut it at a comma or a colon."""
    pattern = "^(?:site:)?([^/,]+)/"

    assert load_environ(EVENTS__GROUP=pattern).events.group == pattern


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bundle = ", "not TOML"),
        ("[state\n", "not TOML"),
        ("", "missing required field `bundle`"),
        ("bundle = 7", "Expected `str`, got `int`"),
        ('bundle = "b"\n[http]\nport = "x"', "$.http.port"),
        ('bundle = "b"\nhttp = 7', "$.http"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(tmp_path, text, why):
    """Whoever has three of them has to know which."""
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        load_text(tmp_path, text)

    assert str(caught.value).startswith(str(tmp_path / "anchorwatch.toml"))
    assert "\n" not in str(caught.value)


def test_a_variable_that_says_nothing_is_not_blamed(tmp_path):
    """Nobody finds what is wrong with a variable that he never set."""
    file = tmp_path / "anchorwatch.toml"
    file.write_text('bundle = "b"\n[http]\nport = 99999\n')

    with pytest.raises(ConfigError) as caught:
        load(file, {"ANCHORWATCH__BUNDLE": ""})

    assert "ANCHORWATCH" not in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_text_is_named(tmp_path):
    """The usual mistake is a wrong path in a unit file."""
    (tmp_path / "latin.toml").write_bytes(b'bundle = "\xe9"')

    with pytest.raises(ConfigError, match=r"gone\.toml: No such file"):
        load(tmp_path / "gone.toml", {})
    with pytest.raises(ConfigError, match=r"latin\.toml: not TOML"):
        load(tmp_path / "latin.toml", {})


NAMES = st.sampled_from(
    ["KAFKA", "STATE", "BUNDLE", "SINKS", "EVIDENCE", "EVENTS", "GROUP", "PORT", ""]
) | st.text(max_size=4)


@given(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("__".join), st.text(max_size=8))
)
def test_any_environment_gives_settings_or_a_config_error(environ):
    """A traceback is no way to say that a variable is misspelt."""
    with contextlib.suppress(ConfigError):
        assert isinstance(load_environ(**environ), Settings)
