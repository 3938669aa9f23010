"""Progress of long work, on stderr: a bar for people, lines for logs."""

import sys
from collections.abc import Mapping
from typing import TextIO

WIDTH = 24  # of the bar, characters


class EpochBar:
    """Shows how far a training is, and how well it goes."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._shown = False

    def __call__(self, what: str, epoch: int, epochs: int, measured: Mapping[str, float]) -> None:
        """Note that *epoch* of *epochs* of *what* is done."""
        if epoch == 1 and self._shown and self._out.isatty():
            self._out.write("\n")
        self._shown = True
        numbers = " ".join(f"{name} {value:.4f}" for name, value in measured.items())
        if self._out.isatty():
            done = "#" * (WIDTH * epoch // epochs)
            self._out.write(f"\r\x1b[K[{done:<{WIDTH}}] {what}: epoch {epoch}/{epochs}  {numbers}")
        else:
            self._out.write(f"{what}: epoch {epoch}/{epochs}  {numbers}\n")
        self._out.flush()

    def __enter__(self) -> "EpochBar":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._out.isatty():
            self._out.write("\n")  # the bar stays, what follows has a line of its own
