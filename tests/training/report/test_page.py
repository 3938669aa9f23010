"""The page shows a study to anybody, offline, whatever the names in it are."""

import re

import msgspec
import pytest

from tests.training.report.pages import (
    EVIL,
    TITLE,
    WHOLE,
    Page,
    embedded,
    evil,
    hollowed,
    whole,
    whole_page,
)
from tests.training.report.studies import make_study
from training.judging.study import ENCODER, Estimate, Study
from training.report.page import as_html
from training.report.tables import Tables

NAN = float("nan")


@pytest.fixture
def html():
    """Give the page of the whole study."""
    return whole()


@pytest.fixture
def page():
    """Give the page of the whole study, read."""
    return whole_page()


def test_the_page_is_well_formed_and_has_every_section(page):
    """A browser repairs broken pages, each in its own way."""
    assert page.sections() == [
        *("summary", "naming", "leads", "confusion", "kinds", "changes", "unknown"),
        *("enrolment", "references", "measured"),
    ]
    links = [attrs["href"] for attrs, _, _ in page.all("a")]
    assert links == [f"#{name}" for name in page.sections()]


def test_nothing_comes_from_elsewhere_and_nothing_runs(html, page):
    """It is opened from a disk, years later, by people who trust it."""
    assert not re.search(r"https?:|//|url\(|@import|javascript:", html)
    for tag, attrs, _ in page.seen:
        assert not {name for name in attrs if name in ("src", "srcset") or name.startswith("on")}
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
    policies = [a["content"] for a, _, _ in page.all("meta") if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_study_can_be_read_back_from_the_page(page):
    """Programs compare studies by what is in their pages."""
    assert embedded(page) == WHOLE


def test_the_same_study_gives_the_same_bytes(html):
    """A page in a repository changes only when a number does."""
    assert as_html(make_study(), TITLE) == html


def test_every_cell_of_every_table_is_on_the_page(page):
    """Pictures are for the eye; who quotes a number needs the number."""
    shown = [text for tag in ("td", "th") for _, text, _ in page.all(tag)]
    exact = Tables(digits=4, full=True)
    tables = [*exact.of_study(WHOLE)]
    for validation in WHOLE.validations:
        tables += exact.of_validation(validation)

    missing = {
        cell
        for table in tables
        for row in (table.head, *table.rows)
        for cell in row
        if cell not in shown
    }

    assert len(tables) == 2 + 3 * 8
    assert not missing
    assert f"{WHOLE.validations[2].methods[ENCODER].macro_f1.mean:.4f}"[1:] in shown
    worst = WHOLE.validations[1].methods[ENCODER].changes.delays["lossy"].worst
    assert f"{worst:g}" in shown


def test_the_summary_says_below_where_the_encoder_is_below(page):
    """Honest, or nobody reads it twice."""
    findings = [text for _, text, _ in page.all("li")]
    below = WHOLE.validations[0].methods["gradient-boosted trees"].lead

    assert below.high < 0
    assert f"It is below gradient-boosted trees by {-below.mean:.3f}".replace(
        "0.", "."
    ) in "".join(findings)
    assert "level with convolutional network" in "".join(findings)


def test_hostile_names_are_shown_and_break_nothing(page):
    """Labels, kinds and captures are named by whoever recorded them."""
    study = evil(WHOLE)

    hostile = Page(as_html(study, EVIL[1]))

    assert hostile.sections() == page.sections()
    assert len(hostile.all("tr")) == len(page.all("tr"))
    assert {tag for tag, _, _ in hostile.seen} == {tag for tag, _, _ in page.seen}
    assert embedded(hostile) == study
    assert not set("<>&") & {*hostile.all("script")[0][1]}
    assert hostile.all("h1")[0][1] == EVIL[1]
    cells = "\n".join(text for tag in ("td", "th") for _, text, _ in hostile.all(tag))
    for name in EVIL[:5] + EVIL[7:8]:
        assert name in cells
    assert "a\\x00b\\x1b[31m\\x0ac\\u2028\\u202e" in cells


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"enrolments": ()}, {"enrolment"}),
        ({"reference_spread": {}}, {"references"}),
        ({"validations": WHOLE.validations[:1]}, set()),
        (
            {"validations": ()},
            {"naming", "leads", "confusion", "kinds", "changes", "unknown"},
        ),
    ],
)
def test_a_section_without_numbers_is_left_out(changes, gone):
    """An empty section is a question."""
    whole = ["summary", "naming", "leads", "confusion", "kinds", "changes", "unknown"]
    whole += ["enrolment", "references", "measured"]

    shown = Page(as_html(msgspec.structs.replace(WHOLE, **changes), TITLE))

    assert shown.sections() == [name for name in whole if name not in gone]


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"lead": None}, "leads"),
        ({"kinds": {}}, "kinds"),
        ({"confusion": {}}, "confusion"),
        ({"rejections": ()}, "unknown"),
    ],
)
def test_what_no_method_has_leaves_its_section_out(changes, gone):
    """A capture without kinds is no reason for an empty picture."""
    sections = Page(as_html(hollowed(**changes), TITLE)).sections()

    assert gone not in sections
    assert "naming" in sections


def test_a_study_without_the_encoder_is_shown_too():
    """The plain methods are looked at alone when no encoder was trained."""
    one = WHOLE.validations[0]
    methods = {
        name: msgspec.structs.replace(judged, lead=None)
        for name, judged in one.methods.items()
        if name != ENCODER
    }
    study = msgspec.structs.replace(
        WHOLE, validations=(msgspec.structs.replace(one, methods=methods),), enrolments=()
    )

    shown = Page(as_html(study, TITLE))

    assert not {"summary", "leads", "confusion", "enrolment"} & {*shown.sections()}
    assert len(shown.all("g", "row", within=shown.charts("Macro-F1")[0])) == len(methods)


def test_numbers_that_are_none_are_not_drawn():
    """A method that failed on one fold must not stand at 0, nor break the page."""
    nothing = Estimate(NAN, NAN, NAN, (NAN,))
    study = hollowed(macro_f1=nothing, balanced=nothing, kinds={"normal": NAN}, lead=nothing)

    html = as_html(study, TITLE)

    shown = Page(html)
    assert "leads" not in shown.sections()
    assert shown.charts("Macro-F1") == []
    assert not re.search(r"\bnan\b|\binf\b", html, re.IGNORECASE)


def test_a_study_of_nothing_is_a_page_too():
    """A run that is broken off can still be looked at."""
    empty = Study({}, {}, 15, 1000, (), "", 0.0, ())

    shown = Page(as_html(empty, TITLE))

    assert shown.sections() == ["measured"]
    assert embedded(shown) == empty
