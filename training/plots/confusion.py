"""The confusion matrix: what windows of each label were said to be."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from .style import INK, in_order, in_style, looks, roomy, shown

BLUES = LinearSegmentedColormap.from_list("blues", ["#f7f9fb", "#9dbbd8", "#1f4e79"])


def confusion_figure(counts: Mapping[str, Mapping[str, int]], title: str) -> Figure:
    """Draw shares of each true label's windows, with their numbers; a row adds up to 100 %."""
    rows = in_order(counts)
    columns = in_order({said for row in counts.values() for said in row})
    table = np.array([[counts[true].get(said, 0) for said in columns] for true in rows])
    shares = table / table.sum(axis=1, keepdims=True).clip(min=1)
    colours = looks({*rows, *columns})
    with in_style():
        size = (2.9 + 1.55 * len(columns), 2.3 + 1.15 * len(rows))
        figure = Figure(figsize=(max(6.2, size[0]), size[1]), layout=roomy())
        axes = figure.subplots()
        axes.imshow(shares, cmap=BLUES, vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(*shares.shape):
            share, pale = shares[row, column], shares[row, column] < 0.55
            axes.text(
                column,
                row,
                f"{100 * share:.1f} %\n{table[row, column]}",
                ha="center",
                va="center",
                size=12 if share else 9,
                weight="bold" if row < len(columns) and rows[row] == columns[column] else "normal",
                color=(INK if share else "#9aa1a9") if pale else "white",
                linespacing=1.4,
            )
        names = [shown(label, 22) for label in columns]
        axes.set_xticks(range(len(columns)), names)
        axes.set_yticks(range(len(rows)), [shown(label, 22) for label in rows])
        for ticks, labels in ((axes.get_xticklabels(), columns), (axes.get_yticklabels(), rows)):
            for tick, label in zip(ticks, labels, strict=True):
                tick.set(weight="bold", color=colours[label].colour)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
        axes.grid(which="minor", color="white", lw=3)
        axes.tick_params(which="minor", length=0)
        axes.set_xlabel("nearest anchor", labelpad=8)
        axes.set_ylabel("true label", labelpad=8)
        figure.suptitle(title, x=0.02, ha="left")
    return figure
