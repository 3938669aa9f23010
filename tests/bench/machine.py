"""What the machine at hand can do at most, measured in the same run as what is held against it."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from detector.architecture import Architecture


def rate(work: Callable[[], object], count: int, seconds: float = 2.0) -> float:
    """Give the median rate of *work*, which does *count* things, a second."""
    work()
    rates = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or len(rates) < 3:
        begun = time.perf_counter()
        work()
        rates.append(count / (time.perf_counter() - begun))
    return statistics.median(rates)


def matrix_flops(size: int = 1024) -> float:
    """Float32 operations a second of NumPy's matrix product."""
    a = np.random.default_rng(0).random((size, size), np.float32)
    return rate(lambda: a @ a, 2 * size**3)


def window_flops(architecture: Architecture, steps: int) -> float:
    """Operations of one window's matrix products in the encoder."""
    width, flops = architecture.inputs, 0
    for units in architecture.units:
        flops += steps * 2 * 4 * units * (width + units)
        width = units
    return float(flops + 2 * width * architecture.embedding)


def describe() -> str:
    """Say which machine this is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'unknown'}"
