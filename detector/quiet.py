"""Keeps TensorFlow's notes to itself off the terminal.

TensorFlow's C++ parts write about missing graphics cards and compiler flags straight to file
descriptor 2 while it is imported, whatever the log level is set to. None of it is for the person
who trains an encoder on a CPU; all of it is shown if the import fails.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hushed() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and show it only if the block raises."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors still show later
    if not Path("/proc/driver/nvidia/version").exists():
        # Or TensorFlow reports at its first step that it found no driver to ask.
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
