"""What enrolling one incident is worth: the rule of `Sight`, and others, on kinds never taught.

    python -m tests.bench.enrolment training/captures training/recordings --work build/enrolment

For each seed and each kind of fault an encoder is trained without all runs that have it, and
without a quarter of the others. Then windows of one incident, in one run, are enrolled, and all
links of the other runs are judged over time by the daemon's rule: whether the kind's episodes get
its name, which other faults do, and how often links of normal runs. What each incident gave is
kept in WORK, so that tables can be made anew without judging anew.

A *reach* is how many times as far from an enrolled window as from the known ones around it a
window may be and still be claimed; infinite is the nearest anchor alone.
*chosen* lets the preview choose, as `anchorwatch enroll` does: the largest reach without a false
alarm in one half of the normal runs that takes little of other faults; false alarms are then
counted in the other half. What other faults lose was seen when it was chosen.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.anchors import AnchorSet, Nearest
from detector.bundle import Bundle, load, save
from detector.capture import LinkCapture
from detector.encoder import Encoder, open_encoder
from detector.oncall.rates import least_events, most_events
from detector.state import NORMAL, Steady, sayings
from detector.window import is_count
from training.data import Pool, pool
from training.enrolling.preview import MOST_TAKEN
from training.enrolling.preview import REACHES as ALLOWED
from training.settings import Settings
from training.split import kind_folds, run_folds
from training.train import train

LABELS = ("normal", "blocked", "capacity-limited")
UNSEEN = ("capacity-limited", "blocked", "carrier_loss", "peer_dead", "police_*", "lossy")
FORMS: dict[str, dict[str, Any]] = {
    "default": {},
    "16-D": {
        "embedding": 16,
        "activation": "unit",
        "loss": "supervised-contrastive",
        "margin": 0.1,
        "kinds": True,
    },
}
COUNTS = (1, 4, 8, 16)  # windows of the incident
REACHES = (*ALLOWED, np.inf)
LOADS = ((), (0.5, 2.0))  # copies of each window, with so many times its counters
INCIDENTS = 6  # of each cell
LEAST_ROWS = 31  # of an episode, for 16 windows a second apart and one more
LATE_MS = 5000  # an onset so long after an episode's end is still its own
NEW = "\U0010ffff"  # sorts behind every other label

Floats = NDArray[np.float32]


class Found(msgspec.Struct):
    """What came of enrolling one incident."""

    form: str
    unseen: str
    seed: int
    windows: int
    loads: int
    reach: float | None  # None: infinite
    counts: dict[str, int]  # what was found of how many
    hours: float  # of links that are normal throughout, half of them in `false_0`


@dataclass(frozen=True)
class Episode:
    """A stretch of one link with one fault."""

    start_ms: int
    end_ms: int
    kind: str
    is_new: bool


@dataclass(frozen=True, eq=False)
class Track:
    """One link of a run that was left out, embedded."""

    link: LinkCapture
    rows: NDArray[np.intp]  # at which its usable windows begin
    ends_ms: NDArray[np.int64]
    points: Floats
    base: Floats  # distance to the nearest anchor of each label
    known: Floats  # mean distance to the five nearest known windows
    truth: NDArray[np.str_]  # of windows of one label throughout, else ""
    is_new: NDArray[np.bool_]
    episodes: tuple[Episode, ...]

    @cached_property
    def is_other(self) -> NDArray[np.bool_]:
        """Which windows are of another fault."""
        other: NDArray[np.bool_] = ~self.is_new & ~np.isin(self.truth, ["", NORMAL])
        return other

    @cached_property
    def is_calm(self) -> bool:
        """Whether the run is normal throughout."""
        return not {*self.link.labels} - {NORMAL, None}


@dataclass(frozen=True)
class Cell:
    """One encoder, and what it has not seen."""

    form: str
    unseen: str
    seed: int
    bundle: Bundle
    encoder: Encoder
    tracks: list[Track]

    @classmethod
    def of(cls, form: str, unseen: str, seed: int, captures: Sequence[Path], work: Path) -> "Cell":
        """Train it if it isn't there, and embed what it has not seen."""
        everything = pool(captures, Settings())
        left_out = _left_out(everything, unseen, seed)
        path = work / f"{form}-{unseen.replace('*', '')}-{seed}"
        if not (path / "manifest.json").exists():
            click.echo(f"training {path.name}", err=True)
            changes = FORMS[form] | {"labels": LABELS, "leave_out": tuple(sorted(left_out))}
            settings = Settings(seed=seed, refit=False, **changes)
            save(train(captures, settings, lambda *_: None), path)
        bundle = load(path)
        encoder = open_encoder(bundle, "onnxruntime", threads=1)
        links = [link for link in everything.everywhere if link.run in left_out]
        tracks = [_track(link, bundle, encoder, unseen) for link in links]
        tracks = [track for track in tracks if len(track.rows)]
        return cls(form, unseen, seed, bundle, encoder, tracks)

    def findings(self) -> Iterator[Found]:
        """Enrol some incidents, each in all ways."""
        rng = np.random.default_rng(self.seed)
        incidents = [
            (track, rows)
            for track in self.tracks
            for episode in track.episodes
            if episode.is_new and len(rows := _inside(track, episode)) >= max(COUNTS)
        ]
        calm = [track for track in self.tracks if track.is_calm]
        hours = sum(len(track.ends_ms) for track in calm) / 3600
        for number in rng.permutation(len(incidents))[:INCIDENTS]:
            track, rows = incidents[number]
            for count in COUNTS:
                for loads in LOADS:
                    points = self._points(track, self._chosen(track, rows, count), loads)
                    for reach in REACHES if not loads else (1.0,):
                        counts = self._judged(track.link.run, points, reach)
                        bound = None if np.isinf(reach) else reach
                        yield Found(
                            self.form,
                            self.unseen,
                            self.seed,
                            count,
                            len(loads),
                            bound,
                            counts,
                            hours,
                        )

    def _chosen(self, track: Track, rows: NDArray[np.intp], count: int) -> NDArray[np.intp]:
        """Spread windows over those that don't look normal, as `enroll` does."""
        labels = sorted(set(self.bundle.labels))
        scale = self.bundle.known.calibration.scale  # type: ignore[union-attr]
        is_odd = (track.base[rows].argmin(1) != labels.index(NORMAL)) | (track.known[rows] > scale)
        odd = rows[is_odd] if is_odd.any() else rows[[track.known[rows].argmax()]]
        places = np.linspace(0, len(odd) - 1, count) if count > 1 else [(len(odd) - 1) / 2]
        return odd[np.unique(np.rint(places).astype(int))]

    def _points(self, track: Track, chosen: NDArray[np.intp], loads: Sequence[float]) -> Floats:
        spec = self.bundle.manifest.window
        counters = np.array([is_count(name) for name in spec.features])
        raw = track.link.windows(spec.steps)[track.rows[chosen]]
        copies = [np.where(counters, raw * np.float32(load), raw) for load in (1.0, *loads)]
        return self.encoder.embed(np.concatenate(copies))

    def _judged(self, run: str, points: Floats, reach: float) -> dict[str, int]:
        """Judge all links of other runs."""
        near, strange = self._seen(points, reach)
        is_it = (near.label == near.distances.shape[1] - 1) & (strange <= 1)
        found, first = dict.fromkeys(COUNTED, 0), 0
        calm = sorted({track.link.run for track in self.tracks if track.is_calm})
        for track in self.tracks:
            where = slice(first, first + len(track.rows))
            first = where.stop
            if track.link.run == run:
                continue
            mine = is_it[where]
            for name, some in (("new", track.is_new), ("other", track.is_other)):
                found[f"{name}_windows"] += int(some.sum())
                found[f"{name}_windows_hit"] += int((mine & some).sum())
            onsets = self._onsets(track, near.part(where), strange[where]) if mine.any() else []
            for episode in track.episodes:
                name = "new" if episode.is_new else "other"
                until_ms = episode.end_ms + LATE_MS
                found[f"{name}_episodes"] += 1
                found[f"{name}_episodes_hit"] += any(
                    episode.start_ms < at_ms <= until_ms for at_ms in onsets
                )
            if track.is_calm:
                found[f"false_{calm.index(track.link.run) % 2}"] += len(onsets)
        return found

    @cached_property
    def stacked(self) -> tuple[Floats, Floats, Floats, Floats]:
        """What is compared of all links: points, base, the runner-up of it, known."""
        points, base, known = (
            np.concatenate([getattr(track, name) for track in self.tracks])
            for name in ("points", "base", "known")
        )
        second = np.sort(base, axis=1)[:, min(1, base.shape[1] - 1)]
        return points, base, second, known

    def _seen(self, added: Floats, reach: float) -> tuple[Nearest, Floats]:
        """Do what `Sight` does, with another reach."""
        points, base, second, known = self.stacked
        squared = np.square(points).sum(1)[:, None] - 2 * points @ added.T
        mine = np.sqrt(np.maximum(squared + np.square(added).sum(1), 0).min(1))
        behind = np.maximum(mine, second)
        mine = np.where(mine < reach * np.maximum(known, 1e-30), mine, behind)
        by_label = np.concatenate([base, mine[:, None]], axis=1)
        best, runner_up = np.partition(by_label, 1, axis=1)[:, :2].T
        label = by_label.argmin(1)
        shares = by_label / np.maximum(best + runner_up, 1e-30)[:, None]
        labels = (*sorted(set(self.bundle.labels)), NEW)
        calibration = self.bundle.known.calibration  # type: ignore[union-attr]
        limits = np.array([calibration.threshold(name, 1.0) for name in labels])
        own = np.where(label == len(labels) - 1, mine, known)
        strange = own / (limits[label] * calibration.scale)
        return Nearest(by_label, label, label, runner_up - best, shares), strange.astype(
            np.float32
        )

    def _onsets(self, track: Track, near: Nearest, strange: Floats) -> list[int]:
        """Give when the link's state became the new label, Unix milliseconds."""
        steady = Steady((*sorted(set(self.bundle.labels)), NEW))
        for said in sayings(near, track.ends_ms, self.bundle.manifest.window.span_ms, strange):
            steady.push("", said)
        return [turn.at_ms for turn in steady.take_turns() if turn.state == NEW]


COUNTED = (
    *("new_windows", "new_windows_hit", "new_episodes", "new_episodes_hit"),
    *("other_windows", "other_windows_hit", "other_episodes", "other_episodes_hit"),
    *("false_0", "false_1"),
)


def _left_out(everything: Pool, unseen: str, seed: int) -> frozenset[str]:
    runs = kind_folds(everything.links, [unseen])[0].runs
    rest = [link for link in everything.links if link.run not in runs]
    return runs | run_folds(rest, 4, seed)[seed % 4].runs


def _track(link: LinkCapture, bundle: Bundle, encoder: Encoder, unseen: str) -> Track:
    spec = bundle.manifest.window
    rows = np.flatnonzero(link.usable(spec))
    points = encoder.embed(link.windows(spec.steps)[rows])
    pairs = np.array([f"{one}\n{kind}" for one, kind in zip(link.labels, link.kinds, strict=True)])
    inside = np.lib.stride_tricks.sliding_window_view(pairs, min(spec.steps, len(pairs)))[rows]
    is_pure = (inside == inside[:, :1]).all(axis=1) & (link.labels[rows] != None)  # noqa: E711
    new = {pair: any(fnmatchcase(name, unseen) for name in pair.split("\n")) for pair in {*pairs}}
    return Track(
        link=link,
        rows=rows,
        ends_ms=link.start_ms + spec.span_ms + rows * link.step_ms,
        points=points,
        base=AnchorSet(bundle.anchor_embeddings, bundle.labels).classify(points).distances,
        known=bundle.known.distances(points),  # type: ignore[union-attr]
        truth=np.where(is_pure, link.labels[rows].astype(str), ""),
        is_new=is_pure & np.array([new[pair] for pair in pairs[rows]], bool),
        episodes=tuple(_episodes(link, pairs, new)),
    )


def _episodes(
    link: LinkCapture, pairs: NDArray[np.str_], new: dict[str, bool]
) -> Iterator[Episode]:
    edges = np.flatnonzero(pairs[1:] != pairs[:-1]) + 1
    for begin, end in zip([0, *edges], [*edges, len(pairs)], strict=True):
        if link.labels[begin] not in (None, NORMAL) and end - begin >= LEAST_ROWS:
            times = [link.start_ms + int(row) * link.step_ms for row in (begin, end)]
            yield Episode(*times, str(link.kinds[begin]), new[pairs[begin]])


def _inside(track: Track, episode: Episode) -> NDArray[np.intp]:
    """Give the places of the windows that lie in an episode."""
    is_in = (track.ends_ms > episode.start_ms) & (track.ends_ms <= episode.end_ms)
    return np.flatnonzero(is_in & track.is_new)


def chosen(found: Iterable[Found]) -> list[Found]:
    """Give for each incident what its preview would choose by the first half of normal runs."""
    groups: list[list[Found]] = []
    for one in found:
        if one.reach == REACHES[0]:
            groups.append([])
        groups[-1].append(one)
    good = [[one for one in group if _is_good(one)] for group in groups]
    return [group[-1] for group in good if group]


def _is_good(one: Found) -> bool:
    taken = one.counts["other_windows_hit"] / one.counts["other_windows"]
    may_be = one.reach is not None and one.reach <= max(ALLOWED)
    return may_be and not one.counts["false_0"] and taken <= MOST_TAKEN


def row(name: str, found: Sequence[Found], among: int, halves: Sequence[int] = (0, 1)) -> str:
    """Make a line of a table: the mean over kinds of what was found."""

    def share(what: str) -> float:
        shares = []
        for unseen in sorted({one.unseen for one in found}):
            some = [one.counts for one in found if one.unseen == unseen]
            shares.append(sum(c[f"{what}_hit"] for c in some) / sum(c[what] for c in some))
        return float(np.mean(shares))

    false = sum(one.counts[f"false_{half}"] for one in found for half in halves)
    weeks = sum(one.hours for one in found) / 168 * len(halves) / 2
    spread = f"{least_events(false) / weeks:.0f}-{most_events(false) / weeks:.0f}"
    names = ("new_episodes", "new_windows", "other_episodes", "other_windows")
    shares = " | ".join(f"{share(what):.2f}" for what in names)
    return f"| {name} | {len(found)} of {among} | {shares} | {false / weeks:.0f} ({spread}) |"


def table(found: Sequence[Found], title: str, key: Callable[[Found], object]) -> None:
    """Print a line for each value of *key*, fixed reaches first."""
    click.echo(f"\n**{title}**\n")
    click.echo(
        "| enrolled | incidents | episodes named | windows named | other faults' episodes taken "
        "| windows taken | false alarms a link-week |\n" + "| --- " * 7 + "|"
    )
    for value in dict.fromkeys(map(key, found)):
        some = [one for one in found if key(one) == value]
        among = len(some) // len({one.reach for one in some})
        for reach in sorted({one.reach or np.inf for one in some}):
            same = [one for one in some if (one.reach or np.inf) == reach]
            click.echo(row(f"{value}, reach {reach:g}", same, among))
        if len({one.reach for one in some}) > 1:
            click.echo(row(f"{value}, reach chosen", chosen(some), among, (1,)))


@click.command()
@click.argument("captures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Keeps everything")
@click.option("--seeds", default=3, show_default=True)
@click.option("--form", "forms", multiple=True, default=[*FORMS], type=click.Choice([*FORMS]))
def main(captures: tuple[Path, ...], work: Path, seeds: int, forms: tuple[str, ...]) -> None:
    """Enrol incidents of kinds that training never saw."""
    work.mkdir(parents=True, exist_ok=True)
    found: list[Found] = []
    for form in forms:
        for seed in range(seeds):
            for unseen in UNSEEN:
                kept = work / f"{form}-{unseen.replace('*', '')}-{seed}.json"
                if not kept.exists():
                    cell = Cell.of(form, unseen, seed, captures, work)
                    kept.write_bytes(msgspec.json.encode([*cell.findings()]))
                    click.echo(f"judged {kept.stem}", err=True)
                found += msgspec.json.decode(kept.read_bytes(), type=list[Found])
    for form in forms:
        mine = [one for one in found if one.form == form]
        plain = [one for one in mine if not one.loads]
        table(plain, f"{form}: windows of one incident", lambda one: f"{one.windows} windows")
        copies = [one for one in mine if one.loads and one.reach == 1]
        table(
            copies,
            f"{form}: with copies at half and twice the load",
            lambda one: f"{one.windows} windows",
        )
        each = [one for one in plain if one.windows == 8]
        table(each, f"{form}: 8 windows, by what was never taught", lambda one: one.unseen)


if __name__ == "__main__":
    main()
