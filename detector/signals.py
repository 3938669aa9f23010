"""Stopping and reloading when told to: by an operator, or by whatever supervises the process."""

import signal
import threading
from types import FrameType


def stop_on_signals(stopping: threading.Event) -> None:
    """Let SIGTERM and SIGINT set an event; whoever runs a loop ends it after the batch in hand."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def reload_on_hangup(asked: threading.Event) -> None:
    """Let SIGHUP set an event; whoever loads bundles looks at it."""
    signal.signal(signal.SIGHUP, lambda _number, _frame: asked.set())
