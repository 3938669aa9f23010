"""Every setting with its default, its bounds and its meaning: as a settings file, and as a page.

All of it is read off the classes in `config`: types, bounds and defaults as the daemon checks
them, meanings from the comments beside them. So a new setting needs nothing here.
After a change there: `python -m detector.defaults docs/settings.md deploy/anchorwatch.toml`.
"""

import ast
import inspect
import io
import json
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import inspect as types

from .config import Settings
from .loading import PREFIX

WIDTH = 99  # columns of the settings file
BUNDLES = "/var/lib/anchorwatch/bundles"  # where an installed daemon has its bundle store
ENDLESS = 1e9  # an upper bound that only keeps out what is no number of anything
FILE_HEAD = f"""\
# Settings of anchorwatchd, each at its default: uncomment what is to be otherwise.
# A name that is misspelt is an error, and `anchorwatchd --check --config FILE` finds it.
#
# The environment comes before this file. A variable's name is {PREFIX}, the table and the
# setting in capitals, with two underscores in between; lists are written with commas:
#
#     {PREFIX}KAFKA__BOOTSTRAP=kafka-1:9092,kafka-2:9092
#     {PREFIX}BUNDLE={BUNDLES}
"""
PAGE_HEAD = f"""\
# Settings

Made from `detector/config.py` by `python -m detector.defaults docs/settings.md \
deploy/anchorwatch.toml`, and not by hand.

`anchorwatchd --config FILE` reads a TOML file. Only `bundle` has to be in it; a setting that is \
not there has its default.
`anchorwatchd --defaults` prints a file with every setting at its default, commented out; \
[`deploy/anchorwatch.toml`](../deploy/anchorwatch.toml) is one for an installed daemon.
`anchorwatchd --check --config FILE` checks settings and bundle and ends: 0 if they can be used, \
78 if not.

The environment comes before the file: `{PREFIX}KAFKA__GROUP=night` is `group` of `[kafka]`. \
Lists are written with commas (`kafka,terminal`), and nothing at all is an empty list.
A name that is misspelt is an error, in the file and in the environment.

What belongs to the model (features, window, thresholds, labels) is in the bundle and no setting.
Numbers without an upper bound here end at 1e9, so infinity is refused.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as people write it and read about it."""

    name: str
    default: str  # as TOML has it; "" = it has none, and must be given
    meaning: str
    bounds: str  # in words; "" = any text
    variable: str  # in the environment

    @property
    def comment(self) -> str:
        """What stands beside it in a settings file."""
        return f"{self.meaning} ({self.bounds})" if self.bounds else self.meaning


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the settings file; the one named "" is what stands before all tables."""

    name: str
    about: str
    settings: tuple[Setting, ...]


def sections(
    kind: type[msgspec.Struct] = Settings, tables: tuple[str, ...] = ()
) -> Iterator[Section]:
    """Give a class of settings as a table, and then those within it, in the order of the code."""
    described = types.type_info(kind)
    if not isinstance(described, types.StructType):
        raise TypeError(f"{kind} is no class of settings")
    meanings = meanings_of(kind)
    plain = [one for one in described.fields if not isinstance(one.type, types.StructType)]
    yield Section(
        ".".join(tables),
        inspect.cleandoc(kind.__doc__ or ""),
        tuple(_setting(one, meanings[one.name], tables) for one in plain),
    )
    for field in described.fields:
        if isinstance(field.type, types.StructType):
            yield from sections(field.type.cls, (*tables, field.name))


def meanings_of(kind: type) -> dict[str, str]:
    """Read what the comments above and beside each setting of a class say; "" where none does."""
    source = textwrap.dedent(inspect.getsource(kind))
    above: dict[int, str] = {}  # comments that have a line for themselves, by line
    beside: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = token.line.lstrip().startswith("#")
            (above if alone else beside)[token.start[0]] = token.string.lstrip("# ")
    meanings = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno
            while first - 1 in above:
                first -= 1
            said = [above[line] for line in range(first, node.lineno)]
            said += [beside[node.end_lineno]] if node.end_lineno in beside else []
            meanings[node.target.id] = " ".join(said).removesuffix(".")
    return meanings


def settings_file(bundle: str | None = None) -> str:
    """Give a settings file with all settings commented out but *bundle*, if one is given.

    A comment begins with `# `, a setting that only has to be uncommented with `#` alone.
    """
    parts = [FILE_HEAD]
    for section in sections():
        lines = [f"[{section.name}]"] if section.name else []
        if section.name:
            lines += _wrapped(section.about)
        for one in section.settings:
            given = f"{one.name} = {one.default or json.dumps(bundle or BUNDLES)}"
            mark = "" if one.name == "bundle" and bundle else "#"
            lines += _commented(f"{mark}{given}", one.comment)
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def settings_page() -> str:
    """Give the text of `docs/settings.md`."""
    parts = [PAGE_HEAD]
    for section in sections():
        title = f"`[{section.name}]`" if section.name else "Before all tables"
        rows = [
            "| setting | default | meaning | in the environment |",
            "| --- | --- | --- | --- |",
        ]
        for one in section.settings:
            default = f"`{one.default}`" if one.default else "none: has to be given"
            cells = (f"`{one.name}`", default, _linked(one.comment), f"`{one.variable}`")
            rows.append(f"| {' | '.join(cells)} |")
        about = ["", _linked(" ".join(section.about.split()))] if section.name else []
        parts.append("\n".join([f"## {title}", *about, "", *rows, ""]))
    return "\n".join(parts)


def _setting(field: types.Field, meaning: str, tables: Sequence[str]) -> Setting:
    default = "" if field.default is msgspec.NODEFAULT else json.dumps(field.default)
    variable = PREFIX + "__".join((*tables, field.name)).upper()
    return Setting(field.name, default, meaning, _bounds(field.type), variable)


def _bounds(kind: types.Type) -> str:
    """Say in words what a type allows."""
    if isinstance(kind, types.LiteralType):
        return ", ".join(json.dumps(value) for value in kind.values)
    if isinstance(kind, types.VarTupleType):
        inner = _bounds(kind.item_type)
        return f"some of {inner}" if inner else ""
    if not isinstance(kind, types.IntType | types.FloatType):
        return ""
    most = kind.le if kind.le is not None and kind.le < ENDLESS else None
    if kind.ge is not None and most is not None:
        return f"{kind.ge} to {most}"
    ends = {"at least": kind.ge, "above": kind.gt, "at most": most, "below": kind.lt}
    return ", ".join(f"{word} {end}" for word, end in ends.items() if end is not None)


def _linked(text: str) -> str:
    """Make links of the pages that are named in a text."""
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)


def _commented(setting: str, comment: str) -> list[str]:
    beside = f"{setting}  # {comment}" if comment else setting
    return [beside] if len(beside) <= WIDTH else [*_wrapped(comment), setting]


def _wrapped(text: str) -> list[str]:
    paragraphs = [" ".join(one.split()) for one in text.split("\n\n")]
    return [
        f"# {line}" for paragraph in paragraphs for line in textwrap.wrap(paragraph, WIDTH - 2)
    ]


if __name__ == "__main__":
    page, file = map(Path, sys.argv[1:])
    page.write_text(settings_page())
    file.write_text(settings_file(BUNDLES))
