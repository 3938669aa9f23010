"""How the loss went, and how many triplets still cost something."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from training.trace import Trace, TraceError

from .style import FAINT, GRID, INK, in_style, roomy

CURVES = {  # what, attribute, colour, line
    "loss": ("loss", "#2f5d8a", "-"),
    "validation loss": ("validation_loss", "#d55e00", "--"),
}
ACTIVE = "#5b8c85"


def loss_figure(trace: Trace) -> Figure:
    """Draw loss and validation loss by epoch, and the share of active triplets beneath.

    Raises:
        TraceError: if none of them was measured.
    """
    curves = {
        what: (*_known(getattr(trace, name)), c, ls) for what, (name, c, ls) in CURVES.items()
    }
    curves = {what: curve for what, curve in curves.items() if len(curve[0])}
    epochs, active = _known(trace.active)
    if not curves and not len(epochs):
        raise TraceError("the trace has neither losses nor active triplets to draw")
    with in_style():
        rows = bool(curves) + bool(len(epochs))
        figure = Figure(figsize=(8, 5.6 if rows == 2 else 4), layout=roomy())
        ratios = [2.2, 1] if rows == 2 else [1]
        panels = list(
            figure.subplots(rows, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        )
        if curves:
            _draw_curves(panels[0], curves)
        if len(epochs):
            _draw_active(panels[-1], epochs, active)
        panels[-1].set_xlabel("epoch")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        figure.suptitle("How the training went", x=0.01, ha="left")
    return figure


def draw_so_far(axes: Any, trace: Trace, moment: float) -> None:
    """Draw the losses small, faint where they are still to come; *moment* in epochs."""
    last = max(1, trace.epochs - 1)
    axes.set(xlim=(0, last), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelsize=8, length=2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", size=9, labelpad=1)
    top, shown = 0.0, []
    for what, (name, colour, line) in CURVES.items():
        epochs, values = _known(getattr(trace, name))
        if not len(epochs):
            continue
        shown.append(what)
        top = max(top, values.max())
        done = epochs[epochs < moment]
        axes.plot(epochs, values, line, color=colour, lw=1, alpha=0.25)
        if moment >= epochs[0]:
            at = np.append(done, moment)
            now = np.interp(at, epochs, values)
            axes.plot(at, now, line, color=colour, lw=1.8, label=what)
            axes.plot(moment, now[-1], "o", ms=5, color=colour, clip_on=False)
        else:
            axes.plot([], [], line, color=colour, lw=1.8, label=what)
    axes.set_ylim(0, top * 1.12 or 1)
    axes.plot([0, moment], [0, 0], color=INK, lw=3, clip_on=False, zorder=5)
    if shown:
        axes.legend(loc="upper right", fontsize=8, ncols=2, borderpad=0, bbox_to_anchor=(1, 1.35))


def _known(values: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Give the epochs at which something was measured, and what."""
    epochs = np.flatnonzero(np.isfinite(values))
    return epochs, values[epochs]


def _draw_curves(axes: Any, curves: dict[str, Any]) -> None:
    for what, (epochs, values, colour, line) in curves.items():
        axes.plot(epochs, values, line, color=colour, lw=2, marker="o", ms=4, label=what, gid=what)
    if "validation loss" in curves:
        epochs, values, colour, _ = curves["validation loss"]
        best = int(values.argmin())
        axes.plot(epochs[best], values[best], "o", ms=11, mfc="none", mec=colour, mew=1.5)
        line = axes.get_lines()[list(curves).index("validation loss")]
        line.set_label(f"validation loss; lowest {values[best]:.3f} in epoch {epochs[best]}")
    axes.set_ylim(0, None)
    axes.margins(y=0.12)
    axes.set_ylabel("loss")
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0)


def _draw_active(axes: Any, epochs: NDArray[np.intp], active: NDArray[np.float64]) -> None:
    axes.fill_between(epochs, active, color=ACTIVE, alpha=0.2, lw=0)
    axes.plot(epochs, active, color=ACTIVE, lw=2, marker="o", ms=4, gid="active")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("active triplets")
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_title(
        "triplets of a batch that still cost something", color=FAINT, weight="normal", size=9
    )
