"""Strangers: what a method makes of labels and kinds that nobody taught it.

Do they stand out from what it knows, and does it find them again once it was shown a few
windows? The encoder is asked beside the linear discriminant, its plain rival in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.capture import LinkCapture
from detector.encoder import Encoder
from detector.inputs import Inputs
from detector.window import WindowSpec
from training.labelled import LabelledWindows

from .ceiling import find_ceiling
from .episodes import Enrolment as Enrolled
from .episodes import EpisodeError, Spread, enrol, matching
from .methods import Bank, EncoderMethod, LinearDiscriminant, Method
from .rejection import Rejection as Rejected
from .rejection import judge_rejection
from .study import ENCODER, Enrolment, Estimate, Number, Rejection, measured

DISCRIMINANT = "linear discriminant on ratios"
BANK_WINDOWS = 4_000  # known windows that a stranger is compared with
BUDGET_A_DAY = 1.0  # false events of one link


@dataclass(frozen=True, kw_only=True)
class Strangers:
    """Links with all their labels, and the methods that are to judge them."""

    links: Sequence[LinkCapture]
    spec: WindowSpec
    known: tuple[str, ...]  # labels that the methods have learnt
    methods: Mapping[str, Method]
    seed: int = 0

    @classmethod
    def of(
        cls,
        links: Sequence[LinkCapture],
        learnt: LabelledWindows,
        encoder: Encoder,
        anchors: tuple[NDArray[np.float32], tuple[str, ...]],
        seed: int,
    ) -> "Strangers":
        """Let an encoder and its rival judge *links*; both know the windows that were *learnt*.

        *anchors* are the points that the encoder compares with, and their labels.
        """
        places = learnt.evenly(BANK_WINDOWS, seed)
        windows, labels = learnt.cut(places), learnt.labels[places].astype(str).tolist()
        points, names = anchors
        methods: dict[str, Method] = {
            ENCODER: EncoderMethod(
                encoder=encoder,
                points=points,
                labels=names,
                bank=Bank(points=encoder.embed(windows)),
            ),
            DISCRIMINANT: LinearDiscriminant.fit(encoder.inputs, windows, labels),
        }
        known = tuple(sorted(set(labels)))
        return cls(links=links, spec=learnt.spec, known=known, methods=methods, seed=seed)

    def rejected(self, unseen: Sequence[str] = ()) -> dict[str, list[Rejection]]:
        """Judge how *unseen* kinds, and labels that nobody learnt, stand out; by method."""
        pure = LabelledWindows(self.links, self.spec, tail=self.spec.steps)
        present = {str(label) for label in pure.labels}
        unknown: list[tuple[str, ...]] = [(one,) for one in sorted(present - {*self.known})]
        unknown += [tuple(unseen)] if unseen else []
        found: dict[str, list[Rejection]] = {}
        for patterns in unknown:
            for name, method in self.methods.items():
                try:
                    judged = judge_rejection(
                        method,
                        self.links,
                        self.spec,
                        unknown=patterns,
                        known=self.known,
                        budgets_a_day=(BUDGET_A_DAY,),
                        seed=self.seed,
                    )
                except EpisodeError:
                    continue  # there is no episode long enough, or nothing normal beside it
                found.setdefault(name, []).append(_rejection(",".join(patterns), judged))
        return found

    def enrolled(self, unseen: Sequence[str]) -> list[Enrolment]:
        """Show every method a few windows of the *unseen* kinds, and judge it on the others."""
        pure = LabelledWindows(self.links, self.spec, tail=self.spec.steps)
        is_new = matching(pure, unseen)
        label = f"like {','.join(unseen)}"
        inputs = next(
            method.summary.inputs
            for method in self.methods.values()
            if isinstance(method, LinearDiscriminant)
        )
        try:
            most = _ceiling(pure, is_new, inputs, self.seed)
            return [
                _enrolment(",".join(unseen), name, one, most)
                for name, method in self.methods.items()
                for one in enrol(
                    method, pure, is_new, label=label, known=self.known, seed=self.seed
                )
            ]
        except EpisodeError:
            return []


def _rejection(unseen: str, judged: Rejected) -> Rejection:
    flagged = judged.flagged[0]
    return Rejection(
        unseen=unseen,
        auroc=measured(judged.auroc.value),
        auroc_normal=measured(judged.auroc_normal.value),
        false_at_95=measured(judged.false_positives),
        flagged=measured(flagged.share),
        episodes=flagged.episodes,
        budget=flagged.budget_a_day,
        normal_hours=flagged.normal_hours,
    )


def _ceiling(
    windows: LabelledWindows, is_new: NDArray[np.bool_], inputs: Inputs, seed: int
) -> Number:
    """Give the recall that could be had; None where the runs can't be parted for that."""
    try:
        return measured(find_ceiling(windows, is_new, inputs, seed=seed).recall)
    except ValueError:  # scikit-learn's own too: what is not new may all be in one run
        return None


def _enrolment(unseen: str, method: str, one: Enrolled, most: Number) -> Enrolment:
    return Enrolment(
        unseen=unseen,
        method=method,
        references=one.references,
        recall=_estimate(one.recall),
        captured=_estimate(one.captured_faults),
        captured_normal=_estimate(one.captured_normal),
        known_before=measured(one.known_before.mean),
        known_after=measured(one.known_after.mean),
        ceiling=most,
        draws=one.draws,
    )


def _estimate(spread: Spread) -> Estimate:
    return Estimate(measured(spread.mean), measured(spread.low), measured(spread.high))
