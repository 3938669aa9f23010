"""Progress is a bar for people and lines for logs."""

import io

from training.progress import EpochBar


class Terminal(io.StringIO):
    """Text that a person looks at."""

    def isatty(self):
        """Say that it is a terminal."""
        return True


def test_a_log_gets_one_line_for_each_epoch():
    """Half a bar in a log file can't be searched, and control characters don't belong there."""
    out = io.StringIO()

    with EpochBar(out) as bar:
        bar("all", 1, 2, {"loss": 0.5, "val_loss": 0.25})
        bar("all", 2, 2, {"loss": 0.125})

    lines = out.getvalue().splitlines()
    assert lines == [
        "all: epoch 1/2  loss 0.5000 val_loss 0.2500",
        "all: epoch 2/2  loss 0.1250",
    ]


def test_a_terminal_gets_one_bar_that_fills_up():
    """How long it will take is what one wants to see at a glance."""
    out = Terminal()

    with EpochBar(out) as bar:
        bar("all", 1, 4, {"loss": 0.5})
        bar("all", 4, 4, {"loss": 0.25})

    first, last = out.getvalue().split("\r")[1:]
    assert 0 < first.count("#") < last.count("#")
    assert " " not in last[last.index("[#") : last.index("#]")]
    assert "epoch 4/4  loss 0.2500" in last
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\n")
