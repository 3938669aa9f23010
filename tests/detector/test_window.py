"""Windows: which shapes a spec allows, and which names may travel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.window import LINK_BYTES, WindowError, check_name
from tests.fakes import make_spec


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"steps": 0}, "at least one step"),
        ({"step_ms": 0}, "one millisecond"),
        ({"features": (), "optional": ()}, "one feature"),
        ({"features": ("requests", "requests"), "optional": ()}, "named twice"),
        ({"optional": ("jitter",)}, "not among the features"),
        ({"min_observed": 1.1}, "from 0 to 1"),
        ({"min_observed": -0.1}, "from 0 to 1"),
        ({"min_observed": float("nan")}, "from 0 to 1"),
    ],
)
def test_a_spec_that_no_window_can_meet_is_refused(changes, why):
    """A bundle with such a spec would reject everything, and look like silence."""
    with pytest.raises(ValueError, match=why):
        make_spec(**changes)


def test_a_spec_tells_what_follows_from_it():
    """Shapes and times are worked out in one place, for training and daemon alike."""
    spec = make_spec(steps=5, step_ms=200, optional=("answers",))

    assert spec.shape == (5, 4)
    assert spec.span_ms == 1000
    assert spec.required.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a\nb",
        "a\r",
        "a\tb",
        "\x00",
        "\x1b[31mred",
        "\x7f",
        "a\u2028b",
        "\u202egnirts",
        "\ufeff",
        "lone \ud800 surrogate",
        "x" * (LINK_BYTES + 1),
        "é" * (LINK_BYTES // 2 + 1),
    ],
)
def test_a_name_that_could_break_a_page_or_a_log_line_is_refused(name):
    """One such name would make every scrape fail, or forge a line that somebody acts on."""
    with pytest.raises(WindowError) as caught:
        check_name("link", name)

    assert caught.value.reason == "name"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("name", ["trunk 7", 'a"b\\c{d="e"}', "Zürich/北京", "x" * LINK_BYTES])
def test_an_unusual_but_printable_name_is_fine(name):
    """Operators name links as they like."""
    check_name("link", name)


@given(st.text(max_size=250))
def test_the_rule_for_names_is_the_one_that_is_stated(name):
    """Whoever writes an exporter has to know beforehand which names will pass."""
    allowed = name and name.isprintable() and len(name.encode(errors="replace")) <= LINK_BYTES

    try:
        check_name("link", name)
        passed = True
    except WindowError:
        passed = False

    assert passed == bool(allowed)
