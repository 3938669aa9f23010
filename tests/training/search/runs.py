"""Small searches: settings that take no time, and the command in this process or its own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from training.search.cli import search

TINY = {  # all that makes a training quick
    "steps": "10",
    "half_lives_seconds": "1.5",
    "units": "4",
    "batch": "8",
    "batches": "2",
    "epochs": "2",
    "inputs": "ratios",
    "load_span": "1",
    "thin": "0",
    "missing": "0",
    "validation_share": "0.34",
}
FEW = ("--batches", "2", "--windows", "200", "--folds", "2")


def words(capture: Path, work: Path, *more: str, pins: dict[str, str] | None = None) -> list[str]:
    """Give the arguments of a tiny search; *more* of them may change it."""
    fixed = TINY | (pins or {})
    return [
        *(str(capture), "--work", str(work), *FEW),
        *(word for name, value in fixed.items() for word in ("--fix", f"{name}={value}")),
        *more,
    ]


def run(capture: Path, work: Path, *more: str, pins: dict[str, str] | None = None) -> Result:
    """Search in this process, and leave its signals as they were."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    arguments = words(capture, work, *more, pins=pins)
    try:
        return CliRunner().invoke(search, arguments, catch_exceptions=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def found(capture: Path, work: Path, *more: str, pins: dict[str, str] | None = None) -> dict:
    """Search in this process and give what it found."""
    result = run(capture, work, "--json", *more, pins=pins)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def start(capture: Path, work: Path, *more: str) -> "subprocess.Popen[str]":
    """Search in a process of its own."""
    code = "from training.search.cli import search; search()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words(capture, work, *more)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
