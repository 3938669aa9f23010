"""Watching: asking and drawing again and again, or once where nothing can be redrawn."""

import io
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from detector.board import MOST_LINKS, USUAL_LINKS, Wanted
from detector.status import Status

from .asking import NoStatusError, fetch, read
from .picture import picture
from .words import lasting

PIPED_COLUMNS = 140  # where there is no terminal that has some


def show(
    page: str, states: Sequence[str], names: Sequence[str], every_seconds: float | None
) -> None:
    """Show the status at *page*, anew *every_seconds* until interrupted; None: once.

    Without a terminal it is shown once, with as many links as a daemon tells.

    Raises:
        NoStatusError: if there is none to begin with.
    """
    console = open_console()
    is_live = console.is_terminal and not console.is_dumb_terminal
    most = USUAL_LINKS if is_live else MOST_LINKS
    wanted = Wanted(most, tuple(states), tuple(names))

    def ask() -> Status:
        return read(fetch(page, wanted))

    if is_live and every_seconds is not None:
        with closing(Screen(console, wanted)) as screen:
            watch(ask, screen.draw, every_seconds)
    else:
        draw(console, wanted, ask())


def open_console() -> Console:
    """Open standard output, whatever letters its encoding lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size((PIPED_COLUMNS, 0)).columns
    return console


def draw(console: Console, wanted: Wanted, status: Status) -> None:
    """Print one picture; a terminal gets no more than it has room for."""
    width, height = console.size
    _print(console, picture(status, wanted, width, height - 1 if console.is_terminal else None))


class Screen:
    """A terminal of which every picture takes the whole; the last stays when that is over."""

    def __init__(self, console: Console, wanted: Wanted) -> None:
        self._console, self._wanted = console, wanted
        self._lines: list[Text] = []
        self._live = Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def draw(self, status: Status, trouble: Sequence[str]) -> None:
        """Show a status, and why there is nothing newer."""
        self._lines = picture(status, self._wanted, *self._console.size, trouble)
        self._live.start()
        self._live.update(Group(*self._lines), refresh=True)

    def close(self) -> None:
        """Give the terminal back, with the last picture on it. Safe to call twice."""
        self._live.stop()
        _print(self._console, self._lines)
        self._lines = []


def _print(console: Console, lines: Sequence[Text]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True)


def watch(
    ask: Callable[[], Status],
    draw: Callable[[Status, Sequence[str]], None],
    every_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask and draw until interrupted; a daemon that goes away may come back.

    Raises:
        NoStatusError: if it isn't there to begin with.
    """
    status, answered = ask(), clock()
    trouble: tuple[str, ...] = ()
    while True:
        draw(status, trouble)
        sleep(every_seconds)
        try:
            status, answered, trouble = ask(), clock(), ()
        except NoStatusError as error:
            silence = lasting(clock() - answered)
            trouble = (f"NO ANSWER for {silence}, all below is older", str(error))
