"""Following a page of the docs: its commands, one after another, in a shell of their own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.daemon import wait_for

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 180  # for one block of commands


@dataclass(frozen=True)
class Block:
    """Commands of a page, what it says is seen then, and what was."""

    commands: str
    seen: str
    output: str = ""

    @property
    def missing(self) -> list[str]:
        """The lines that the page shows and that were not seen."""
        return [line for line in self.seen.splitlines() if not shows(self.output, line)]


def blocks_of(page: str) -> list[Block]:
    """Take commands, and what they show, off a page of the docs, in their order."""
    fenced = r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?"
    return [Block(*found) for found in re.findall(fenced, (DOCS / page).read_text(), re.DOTALL)]


class Terminal:
    """A shell that is given one block after another, as by somebody who follows the page."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._screen, self._ran = folder, folder / "screen.txt", 0
        with self._screen.open("wb") as screen:
            self._shell = subprocess.Popen(
                ["bash", "-euo", "pipefail"],
                cwd=folder,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # with all that the page starts
            )

    def run(self, commands: str) -> str:
        """Run commands to their end, and give what they wrote."""
        self._ran += 1
        block, over = self._folder / f"block-{self._ran}.sh", f"=== {self._ran} is over\n"
        block.write_text(commands)
        before = len(self._screen.read_text())
        assert self._shell.stdin is not None
        # From a file, or what it starts would read the commands that are to come.
        self._shell.stdin.write(f"source {block} < /dev/null\necho '{over[:-1]}'\n".encode())
        self._shell.stdin.flush()

        def is_over() -> bool:
            return self._screen.read_text().endswith(over) or self._shell.poll() is not None

        try:
            wait_for(f"the end of:\n{commands}", is_over, SECONDS)
        finally:
            output = self._screen.read_text()[before:]
            sys.stdout.write(output)  # for whoever looks why it failed
        assert output.endswith(over), f"it ended the shell:\n{commands}\n{output[-5000:]}"
        return output.removesuffix(over)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        assert self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.close()


def shows(output: str, line: str) -> bool:
    """Say whether a line of a page is among the output's, however wide its columns are.

    `…` stands for anything: what is another number or name each time.

    >>> shows("trunk-7  blocked   12 s  no answers to 31 requests", "trunk-7 blocked … no …")
    True
    >>> shows("trunk-7  blocked   12 s", "trunk-7 blocked 14 s")
    False
    """
    parts = (" ".join(part.split()) for part in line.split("…"))
    wanted = ".*".join(map(re.escape, parts))
    return any(re.search(wanted, " ".join(one.split())) for one in output.splitlines())
