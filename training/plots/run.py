"""What a bundle makes of links as time goes: distances to anchors, the steady state, the truth."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.watched import Watched

from .style import INK, Look, in_order, in_style, looks, shown

UNKNOWN, HATCH = "#dfe3e7", "#aeb5bd"
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 12.0, 0.75, 0.3, 0.2, 0.6  # of the figure, inches
PANEL, STRIP, GAP = 2.65, 0.27, 0.75  # of one link, inches; the gap is for title and ticks
TITLE = 0.42  # of the uppermost link
LINE, COLUMNS = 0.25, 5  # of the legend; inches, labels in a line
SHADE = 0.16  # of the truth behind
LETTERS_A_PICTURE = 130  # that fit into a strip over its whole width


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which one label holds."""

    label: str | None
    start: float  # minutes from the link's first step
    end: float


def run_figure(links: Sequence[Watched]) -> Figure:
    """Draw a panel for each link, with a strip for its steady state beneath."""
    told = {str(label) for link in links for label in link.truth if label is not None}
    said = {state for link in links for state in link.state if state is not None}
    found = looks(told | said | {label for link in links for label in link.labels})
    with in_style():
        lines = [*_lines(links, found, told, said)]
        top = TOP + LINE * len(lines)
        height = top + TITLE + PANEL * len(links) - GAP + BOTTOM
        figure = Figure(figsize=(WIDTH, height))
        for place, link in enumerate(links):
            low = BOTTOM + PANEL * (len(links) - 1 - place)
            box = (LEFT, low + STRIP + 0.05, WIDTH - LEFT - RIGHT, PANEL - STRIP - GAP)
            upper = figure.add_axes(_share(box, height))
            lower = figure.add_axes(_share((LEFT, low, box[2], STRIP), height), sharex=upper)
            _draw_link(upper, link, found)
            _draw_state(lower, link, found)
        lower.set_xlabel("minutes from the start")
        for place, handles in enumerate(lines):
            figure.legend(
                handles=handles,
                loc="upper left",
                bbox_to_anchor=((LEFT - 0.35) / WIDTH, 1 - (TOP + LINE * place) / height),
                ncols=len(handles),
                borderpad=0,
                borderaxespad=0,
                columnspacing=1.6,
            )
    return figure


def _share(
    box: tuple[float, float, float, float], height: float
) -> tuple[float, float, float, float]:
    """Turn (left, bottom, width, height) from inches into shares of the figure."""
    return box[0] / WIDTH, box[1] / height, box[2] / WIDTH, box[3] / height


def spans(
    labels: Sequence[str | None], times: NDArray[np.floating[Any]], step: float
) -> list[Span]:
    """Join neighbouring entries of one label; each lasts until the next, or one *step*."""
    found: list[Span] = []
    for label, time in zip(labels, times, strict=True):
        if found and found[-1].label == label and time - found[-1].end < step / 2:
            found[-1] = Span(label, found[-1].start, time + step)
        else:
            found.append(Span(label, time, time + step))
    return found


def _draw_link(axes: Any, link: Watched, found: dict[str, Look]) -> None:
    step = link.step_minutes
    _draw_truth(axes, link, found)
    times, distances = _with_gaps(link.minutes, link.distances, step)
    nearest = np.where(np.isnan(distances).any(axis=1), -1, distances.argmin(axis=1))
    for place, label in enumerate(link.labels):
        line = distances[:, place]
        colour = found[label].colour
        axes.plot(times, line, color=colour, lw=1.0, alpha=0.75, gid=f"distance {label}")
        # The nearest label is what a window says: its line is drawn strong.
        strong = np.where(nearest == place, line, np.nan)
        axes.plot(times, strong, color=colour, lw=2.6, gid=f"nearest {label}")
    if not len(link.minutes):
        axes.text(0.5, 0.5, "no window can be judged", transform=axes.transAxes, ha="center")
    axes.set_xlim(0, link.length_minutes)
    axes.set_ylim(0, (np.nanmax(distances) if len(link.minutes) else 1) * 1.16)
    axes.set_ylabel("distance")
    axes.set_title(shown(link.name, 80), pad=6)
    axes.tick_params(axis="x", labelbottom=False, length=0)
    for mark, colour, whole, places in (
        ("v", INK, True, link.found_minutes),
        ("v", INK, False, link.missed_minutes),
    ):
        axes.plot(
            places,
            np.full(len(places), 0.965),
            mark,
            ms=8,
            mfc=colour if whole else "white",
            mec=INK,
            mew=1,
            transform=axes.get_xaxis_transform(),
            zorder=6,
            gid="found" if whole else "missed",
        )


def _draw_truth(axes: Any, link: Watched, found: dict[str, Look]) -> None:
    grid = np.arange(len(link.truth)) * link.step_minutes
    for span in spans(list(link.truth), grid, link.step_minutes):
        if span.label is None:
            axes.axvspan(
                span.start, span.end, fc=UNKNOWN, ec=HATCH, hatch="////", lw=0, gid="truth"
            )
            continue
        axes.axvspan(
            span.start, span.end, fc=found[span.label].colour, alpha=SHADE, lw=0, gid="truth"
        )


def _draw_state(axes: Any, link: Watched, found: dict[str, Look]) -> None:
    """Draw the steady state as a strip, and the changes of it that did not happen."""
    for span in spans(link.state, link.minutes, link.step_minutes):
        if span.label is None:
            continue
        width = span.end - span.start
        axes.axvspan(span.start, span.end, fc=found[span.label].colour, lw=0, gid="state")
        text = shown(span.label, 24)
        if width / link.length_minutes * LETTERS_A_PICTURE > len(text) + 2:
            axes.text(
                span.start + width / 2,
                0.47,
                text,
                ha="center",
                va="center",
                size=8.5,
                weight="bold",
                color=_readable_on(found[span.label].colour),
                clip_on=True,
            )
    axes.plot(
        link.false_minutes,
        np.full(len(link.false_minutes), 1.0),
        "X",
        ms=9,
        mfc="white",
        mec=INK,
        mew=1.2,
        clip_on=False,
        zorder=6,
        gid="false",
    )
    axes.set(ylim=(0, 1), yticks=[])
    axes.set_ylabel("state", rotation=0, ha="right", va="center")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 5, 10]))
    axes.spines["left"].set_visible(False)


def _readable_on(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def _with_gaps(
    minutes: NDArray[np.float64], distances: NDArray[np.float32], step: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Put a NaN wherever windows are missing, so that no line is drawn over the gap."""
    gaps = np.flatnonzero(np.diff(minutes) > 1.5 * step) + 1
    return np.insert(minutes, gaps, np.nan), np.insert(distances, gaps, np.nan, axis=0)


def _lines(
    links: Sequence[Watched], found: dict[str, Look], told: set[str], said: set[str]
) -> Iterator[list[Line2D | Patch]]:
    """Give the legend line by line; each begins with what it is of.

    Distances, truth, changes, and states that are neither anchored nor true, such as `unknown`.
    """
    anchored = set(itertools.chain.from_iterable(link.labels for link in links))
    distances: list[Line2D | Patch] = [
        Line2D([], [], color=found[label].colour, lw=2.6, label=shown(label, 20))
        for label in in_order(anchored)
    ]
    truth: list[Line2D | Patch] = [
        Patch(fc=found[label].colour, alpha=SHADE, label=shown(label, 20))
        for label in in_order(told)
    ]
    if any(label is None for link in links for label in link.truth):
        truth.append(Patch(fc=UNKNOWN, ec=HATCH, hatch="////", lw=0, label="not known"))
    states: list[Line2D | Patch] = [
        Patch(fc=found[label].colour, label=shown(label, 20))
        for label in in_order(said - told - anchored)
    ]
    marks = (
        ("v", INK, "true change, found", "found_minutes"),
        ("v", "white", "true change, missed", "missed_minutes"),
        ("X", "white", "false change", "false_minutes"),
    )
    changes: list[Line2D | Patch] = [
        Line2D([], [], ls="", marker=mark, ms=8, mfc=colour, mec=INK, label=text)
        for mark, colour, text, name in marks
        if any(len(getattr(link, name)) for link in links)
    ]
    lines = {"distance to": distances, "truth": truth, "state": states, "changes": changes}
    for what, handles in lines.items():
        for start in range(0, len(handles), COLUMNS):
            head = Line2D([], [], ls="", label=what if start == 0 else "")
            yield [head, *handles[start : start + COLUMNS]]
