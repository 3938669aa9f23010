"""The tables of a study: cells and what they mean, for the terminal and the page alike.

A further table is a method of `Tables` that gives None when the study has nothing for it, and a
line in `of_validation` or `of_study`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.judging.study import ENCODER, Estimate, Number, Study, Validation

from .numbers import (
    NOTHING,
    delayed_labels,
    has_leads,
    interval,
    kinds,
    ordered,
    plain,
    rate,
    rejections,
    said,
    share,
    signed,
    spread,
    standing,
)

Rows = Sequence[Sequence[str]]
INTERVAL = "95 % interval"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells with a name, and what the numbers mean for who has not read the docs."""

    title: str
    head: Sequence[str]
    rows: Rows
    note: str


def _table(title: str, head: Sequence[str], rows: Rows, note: str) -> Table | None:
    return Table(title, head, rows, note) if rows else None


@dataclass(frozen=True, slots=True)
class Tables:
    """Makes the tables, with shares written to as many *digits*."""

    digits: int = 3
    full: bool = False  # also the columns for which a terminal has no room

    def of_validation(self, validation: Validation) -> list[Table]:
        """Give the tables that this validation has numbers for."""
        makers = (
            *(self.windows, self.changes, self.delays, self.kinds, self.confusion, self.places),
            *(self.rejections, self.unavailable),
        )
        return [table for make in makers if (table := make(validation))]

    def of_study(self, study: Study) -> list[Table]:
        """Give the tables that are about no single validation."""
        made = (self.enrolments(study), self.reference_spread(study))
        return [table for table in made if table]

    def windows(self, validation: Validation) -> Table | None:
        """How well each method names windows, and where the encoder stands to it."""
        compared = has_leads(validation.methods.values())
        head = ["method", "macro-F1", INTERVAL, "over seeds", "balanced accuracy", INTERVAL]
        rows = []
        for name in ordered(validation.methods):
            one = validation.methods[name]
            row = [name, *self._estimate(one.macro_f1), spread(one.macro_f1, self.digits)]
            row += self._estimate(one.balanced)
            rows.append([*row, *self._lead(one.lead)] if compared else row)
        note = (
            "macro-F1 is the mean over the labels of how well windows are named, from 0 to 1; "
            "its interval holds 95 of 100 resamplings of the runs. "
            "Over seeds: the lowest and the highest of the single seeds. "
            "Balanced accuracy is the mean over the labels of the share of windows named rightly."
        )
        if compared:
            head += ["encoder's lead", INTERVAL, "encoder is"]
            note += (
                " Lead: the encoder's macro-F1 less this method's on the same runs; "
                "the encoder is above or below where the interval excludes 0, else level."
            )
        return _table("naming windows", head, rows, note)

    def changes(self, validation: Validation) -> Table | None:
        """How each method's state followed whole runs."""
        labels = delayed_labels(validation)
        head = ["method", "changes found", "false a link-day, normal runs"]
        head += ["false a link-day, all runs"]
        head += [f"median delay s, {label}" for label in labels]
        if self.full:
            head += ["false", "of these in normal runs", "link-hours", "of normal runs"]
        rows = []
        for name in ordered(validation.methods):
            one = validation.methods[name].changes
            waits = [one.delays.get(label) for label in labels]
            row = [name, f"{one.found} of {one.onsets}"]
            row += [rate(one.false_in_normal, one.normal_hours), rate(one.false, one.hours)]
            row += [plain(wait.median) if wait else NOTHING for wait in waits]
            if self.full:
                row += [str(one.false), str(one.false_in_normal)]
                row += [plain(one.hours), plain(one.normal_hours)]
            rows.append(row)
        note = (
            "A change is found when the steady state becomes its label before the next change. "
            "False ones wake somebody for nothing: how many a link would cause in a day, in runs "
            "that are normal throughout and in all. "
            "Delay: seconds from the change to the state, of those found."
        )
        return _table("following changes", head, rows, note)

    def delays(self, validation: Validation) -> Table | None:
        """All that is known of the delays; the medians alone are in `changes` too."""
        rows = [
            [name, label, plain(wait.median), plain(wait.worst), str(wait.found)]
            for name in ordered(validation.methods)
            for label, wait in sorted(validation.methods[name].changes.delays.items())
        ]
        head = ["method", "changed to", "median delay s", "worst delay s", "found"]
        note = "Seconds from a change to the state, of those that were found."
        return _table("delays", head, rows if self.full else [], note)

    def kinds(self, validation: Validation) -> Table | None:
        """Recall of each kind, the encoder's worst first."""
        names = ordered(validation.methods)
        of = validation.methods
        rows = [
            [kind, *(self._share(of[name].kinds.get(kind)) for name in names)]
            for kind in kinds(validation)
        ]
        note = (
            "Share of the windows of each kind of fault that got the fault's label; "
            "the kinds that the encoder knows least come first."
        )
        return _table("recall by kind", ["kind", *names], rows, note)

    def confusion(self, validation: Validation) -> Table | None:
        """Count what the encoder took for what."""
        encoder = validation.methods.get(ENCODER)
        if encoder is None:
            return None
        labels = said(encoder.confusion)
        rows = [
            [truth, *(str(row.get(label, 0)) for label in labels)]
            for truth, row in encoder.confusion.items()
        ]
        note = "Windows: a line for what was true, a column for what the encoder said."
        return _table("what the encoder takes for what", ["truth", *labels], rows, note)

    def places(self, validation: Validation) -> Table | None:
        """Macro-F1 by where the link was watched."""
        names = ordered(validation.methods)
        watched = sorted({place for one in validation.methods.values() for place in one.places})
        of = validation.methods
        rows = [
            [name, *(self._share(of[name].places.get(at)) for at in watched)] for name in names
        ]
        note = "macro-F1 of the windows that were seen at each place of a link."
        return _table("by place", ["method", *watched], rows if watched else [], note)

    def rejections(self, validation: Validation) -> Table | None:
        """How windows of labels that nobody learnt stand out."""
        head = ["unseen", "method", "AUROC", "against normal", "flagged", "of episodes"]
        head += ["budget a link-day", "known flagged at .95", "normal hours"]
        rows = [
            [
                *(unseen, name),
                *map(self._share, (one.auroc, one.auroc_normal, one.flagged)),
                *(str(one.episodes), plain(one.budget)),
                *(self._share(one.false_at_95), plain(one.normal_hours)),
            ]
            for unseen, name, one in rejections(validation)
        ]
        note = (
            "How well windows of a label that was never learnt stand out as unknown. "
            "AUROC: .5 is chance, 1 is perfect; against all known windows, then "
            "normal ones alone. "
            "Flagged: share of the unseen episodes flagged by a threshold that allows as many "
            "false events a link-day as the budget, set on as many hours of normal traffic. "
            "Known flagged at .95: share of known windows flagged where 95 % of the unseen are."
        )
        return _table("labels that were never learnt", head, rows, note)

    def unavailable(self, validation: Validation) -> Table | None:
        """Which methods could not run."""
        note = "These methods can't read these captures, and stand in no table."
        return _table("could not run", ["method", "why"], [*validation.unavailable.items()], note)

    def enrolments(self, study: Study) -> Table | None:
        """How well a label is known of which a method was shown a few windows."""
        head = ["unseen", "method", "references", "recall", INTERVAL, "captured", "of normal"]
        head += ["known before", "and after", "ceiling"]
        if self.full:
            head += ["captured, interval", "of normal, interval", "draws"]
        rows = []
        for one in study.enrolments:
            row = [one.unseen, one.method, str(one.references), *self._estimate(one.recall)]
            means = (one.captured.mean, one.captured_normal.mean, one.known_before)
            row += map(self._share, (*means, one.known_after, one.ceiling))
            if self.full:
                row += [
                    interval(each, self.digits) for each in (one.captured, one.captured_normal)
                ]
                row.append(str(one.draws))
            rows.append(row)
        note = (
            "A label that training did not have, shown in a few reference windows. "
            "Recall: share of its windows in other runs that are recognised. "
            "Captured: share of the windows of other faults, and of normal ones, "
            "that are taken for it. "
            "Known: macro-F1 of the other labels before and after. Ceiling: recall of a "
            "classifier that learnt the label from all runs but one. "
            "Intervals are over draws of references."
        )
        return _table("learning a label from a few windows", head, rows, note)

    def reference_spread(self, study: Study) -> Table | None:
        """How much hangs on the choice of the reference windows."""
        rows = [
            [name, *self._estimate(one), spread(one, self.digits)]
            for name, one in study.reference_spread.items()
        ]
        note = "The encoder's macro-F1 when other windows are its references."
        head = ["validation", "macro-F1", INTERVAL, "over seeds"]
        return _table("other references", head, rows, note)

    def _estimate(self, estimate: Estimate) -> list[str]:
        return [share(estimate.mean, self.digits), interval(estimate, self.digits)]

    def _lead(self, lead: Estimate | None) -> list[str]:
        if lead is None:
            return [NOTHING] * 3
        return [signed(lead.mean, self.digits), interval(lead, self.digits), standing(lead)]

    def _share(self, value: Number) -> str:
        return share(value, self.digits)


def sources(captures: Mapping[str, str]) -> Table | None:
    """Give which captures were read, to the byte."""
    note = "The same hash is the same file."
    return _table("captures", ["file", "SHA-256"], [*captures.items()], note)
