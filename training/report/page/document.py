"""The whole page, and the study itself in it for programs."""

from collections.abc import Callable

import msgspec

from training.judging.study import Study
from training.report.numbers import plain

from .findings import findings
from .following import changes
from .markup import Markup, tag
from .measured import measured
from .mistakes import confusion, recall
from .naming import leads, naming
from .sheet import style_sheet
from .unseen import enrolled, references, rejected

# Nothing is loaded and nothing runs, whatever a name should hold.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

SECTIONS: dict[str, Callable[[Study], Markup]] = {  # by what a link to it says
    "What was found": findings,
    "Naming": naming,
    "Against the others": leads,
    "Mistakes": confusion,
    "Kinds": recall,
    "Changes": changes,
    "Never learnt": rejected,
    "A few windows": enrolled,
    "References": references,
    "How it was measured": measured,
}


def as_html(study: Study, title: str) -> str:
    """Show a study on one page that needs no other file, no network and no script.

    The same study and title give the same text. The study is in it as JSON, in the element with
    the id `study`; numbers that are none (NaN) are null there.
    """
    made = {name: draw(study) for name, draw in SECTIONS.items()}
    shown = {name: part for name, part in made.items() if part}
    links = [tag("a", name, href=f"#{_anchor(part)}") for name, part in shown.items()]
    head = tag(
        "header",
        tag("h1", title),
        tag("p", _about(study), class_="soft"),
        tag("nav", *links, aria_label="Contents"),
    )
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            tag("style", Markup(style_sheet())),
        ),
        tag("body", head, tag("main", *shown.values()), _for_programs(study)),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _anchor(part: Markup) -> str:
    """Give the id that a section begins with."""
    return part.split('"', 2)[1]


def _about(study: Study) -> str:
    validations = len(study.validations)
    seeds = len(study.seeds)
    return (
        f"{_counted(len(study.captures), 'capture')}, {_counted(validations, 'validation')}, "
        f"{_counted(seeds, 'seed')}; windows of {plain(study.steps * study.step_ms / 1000)} s."
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _for_programs(study: Study) -> Markup:
    """Embed the study, with nothing in it that could end the element early."""
    data = msgspec.json.encode(study).decode()
    for sign in "<>&\u2028\u2029":  # in JSON these stand in strings alone
        data = data.replace(sign, f"\\u{ord(sign):04x}")
    return tag("script", Markup(data), type="application/json", id="study")
