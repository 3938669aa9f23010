"""Commands that the docs show are commands that there are, with the options that they have."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from detector.cli import main as anchorwatchd
from tests.docs.following import DOCS
from training.cli import main as anchorwatch

PROGRAMS = {"anchorwatch": anchorwatch, "anchorwatchd": anchorwatchd}
PAGES = [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]
# After these a command begins, as at the beginning of a line.
BEFORE = {"until", "while", "if", "then", "do", "sudo", "exec", "time", "!", "--", "run"}
LACKING = "?"  # what an option may take that is named in a sentence


def commands_of(text: str) -> Iterator[list[str]]:
    """Find the command lines of our programs in a page: in blocks of code, and in sentences."""
    text = re.sub(r"```(text|json|toml|yaml|ini)\n.*?```", "", text, flags=re.DOTALL)
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    blocks += re.findall(r"(?m)^(?:    .*\n)+", text)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            yield from commands_in(line)
    for span in re.findall(r"`([^`\n]+)`", text):
        # In a sentence an option may be named without a value.
        yield from ([*words, LACKING] for words in commands_in(span))


def commands_in(line: str) -> Iterator[list[str]]:
    """Find the commands of our programs in a line of a shell.

    >>> list(commands_in("until A=1 bin/anchorwatchd --ready; do anchorwatch top 2> log; done"))
    [['anchorwatchd', '--ready'], ['anchorwatch', 'top']]
    >>> list(commands_in("systemctl restart anchorwatchd   # anchorwatch top"))
    []
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # an apostrophe: a sentence, or half a here document
        return
    for place, word in enumerate(words):
        path, _, name = word.rpartition("/")
        before = words[place - 1] if place else ";"
        is_begun = (
            path.endswith("bin") or before in BEFORE or re.fullmatch(r"[;&|(){}]+|\w+=.*", before)
        )
        if name in PROGRAMS and is_begun:
            yield [name, *arguments(words[place + 1 :])]


def arguments(words: list[str]) -> list[str]:
    """Give the words up to where the shell's own begin."""
    for place, word in enumerate(words):
        if re.fullmatch(r"[;&|<>()]+", word):
            is_number = place and words[place - 1].isdecimal() and word[0] in "<>"
            return words[: place - 1] if is_number else words[:place]
    return words


def parse(words: list[str]) -> None:
    """Read a command line as the program would, but for what the arguments mean.

    Raises:
        click.UsageError: if the program would not take it.
    """
    name, *rest = words
    command: click.Command = PROGRAMS[name]
    context = click.Context(command, info_name=name)
    while isinstance(command, click.Group):
        if rest[:1] in ([], ["..."], [LACKING]) or rest[0].startswith("-"):
            return
        found = command.get_command(context, rest[0])
        if found is None:
            raise click.UsageError(f"no such command: {rest[0]}")
        command, context, rest = found, click.Context(found, context), rest[1:]
    # Dots stand for whatever else there is, or for an option's value.
    pairs = zip(["", *rest], rest, strict=False)
    rest = [one for before, one in pairs if one != "..." or before.startswith("-")]
    if rest[-1:] == [LACKING] and not needs_value(command, rest):
        rest.pop()
    given, left, _ = command.make_parser(context).parse_args(list(rest))
    if left:
        raise click.UsageError(f"more arguments than it takes: {left}")
    # What was not given is absent, or whatever click takes for nothing.
    there = {name for name, text in given.items() if isinstance(text, str | list | tuple) and text}
    lacking = {one.name for one in command.params if one.required} - there
    if lacking and not {LACKING, "..."} & {*words}:
        raise click.UsageError(f"lacks {', '.join(map(str, lacking))}")


def needs_value(command: click.Command, rest: list[str]) -> bool:
    """Tell whether the last word before the lacking one is an option that takes a value."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    return any(rest[-2:-1] == [name] and not o.is_flag for o in options for name in o.opts)


COMMANDS = [(page.name, words) for page in PAGES for words in commands_of(page.read_text())]


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(words)}" for page, words in COMMANDS]
)
def test_a_command_of_the_docs_is_one_that_the_programs_take(page, words):
    """What is copied from a page at night has to work."""
    try:
        parse(words)
    except click.UsageError as error:
        pytest.fail(f"{page}: {' '.join(words)}: {error.format_message()}")


def test_commands_are_found_where_they_are():
    """A test that finds none would pass for ever."""
    pages = {page for page, _ in COMMANDS}

    assert {"README.md", "operations.md", "first-fault.md", "learning.md", "top.md"} <= pages
    assert len(COMMANDS) > 150
    assert ["anchorwatchd", "--check"] in [words[:2] for _, words in COMMANDS]


@pytest.mark.parametrize(
    "line",
    [
        "anchorwatch enrol --label x",
        "anchorwatch label renam x",
        "anchorwatch train captures --ouput bundle",
        "anchorwatchd --chek",
        "anchorwatchd settings.toml",
        "anchorwatch rollback a b c",
        "anchorwatch top --links",
        "anchorwatch train captures",
        "anchorwatch promote bundles",
    ],
)
def test_a_command_that_is_none_is_noticed(line):
    """Each of these was typed by somebody once."""
    (words,) = commands_in(line)

    with pytest.raises(click.UsageError):
        parse(words)
