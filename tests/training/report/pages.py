"""What tests of the page share: a strict reader, and studies that mean harm or lack something."""

import json
import re
from functools import cache
from html.parser import HTMLParser

import msgspec

from tests.training.report.studies import make_study
from training.judging.study import ENCODER, Study
from training.report.page import as_html

TITLE = "The encoder and its rivals"
WHOLE = make_study()
EVIL = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--",
    "]]>",
    "\"'`&amp;&#60;",
    "a\x00b\x1b[31m\nc\u2028\u202e",
    "\u6f22\u5b57\u05d0\u05d1\U0001f600",
    "w" * 200,
    "",
]


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.seen, self.texts, self.hrefs = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        """Open an element."""
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.seen.append((tag, dict(attrs), tuple(self.open)))
        self.texts.append([])
        if tag != "meta":
            self.open.append((tag, len(self.seen) - 1))

    def handle_endtag(self, tag):
        """Close the element that was opened last, and no other."""
        opened, _ = self.open.pop()
        assert opened == tag

    def handle_data(self, data):
        """Give a text to all elements that it is in."""
        for _, place in self.open:
            self.texts[place].append(data)

    def all(self, tag, class_=None, within=None):
        """Give the (attributes, text, place) of each element of a kind, in order."""
        return [
            (attrs, "".join(self.texts[place]), place)
            for place, (name, attrs, opened) in enumerate(self.seen)
            if name == tag
            and (class_ is None or class_ in attrs.get("class", "").split())
            and (within is None or within in [at for _, at in opened])
        ]

    def charts(self, words):
        """Give the place of each picture whose title begins so."""
        return [
            place
            for _, _, place in self.all("svg")
            if self.all("title", within=place)[0][1].startswith(words)
        ]

    def sections(self):
        """Give the names of the sections that are there."""
        return [attrs["id"] for attrs, _, _ in self.all("section")]


def embedded(page):
    """Give the study that is in a page for programs."""
    ((attrs, text, _),) = page.all("script")
    assert attrs["type"] == "application/json"
    return msgspec.json.decode(text, type=Study)


def x_of(attrs):
    """Give where a mark stands, from the left."""
    return float(re.match(r"translate\(([\d.]+) ", attrs["transform"])[1])


def evil(study):
    """Give all names in a study to somebody who means harm."""
    text, number = msgspec.json.encode(study).decode(), len(EVIL)
    names = [
        *WHOLE.validations[0].methods,
        *WHOLE.validations[0].methods[ENCODER].kinds,
        *(
            "lossy",
            "capacity-limited",
            "blocked",
            "mixes",
            "access",
            "sip-testbed-1s.parquet",
        ),
    ]
    for place, name in enumerate(dict.fromkeys(names)):
        if name not in (ENCODER, "normal"):
            worse = EVIL[place % number] + str(place)
            text = text.replace(json.dumps(name), json.dumps(worse))
    return msgspec.json.decode(text, type=Study)


def hollowed(**changes):
    """Give a study of one validation in which all methods lack something."""
    one = WHOLE.validations[0]
    methods = {n: msgspec.structs.replace(j, **changes) for n, j in one.methods.items()}
    return msgspec.structs.replace(
        WHOLE, validations=(msgspec.structs.replace(one, methods=methods),)
    )


@cache
def whole():
    """Show the whole study once for all tests that only look."""
    return as_html(WHOLE, TITLE)


@cache
def whole_page():
    """Read that page once."""
    return Page(whole())
