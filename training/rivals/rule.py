"""The rule that an engineer would write: are questions answered, is much sent again."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from .rival import OTHER_WINDOWS, Floats, Names, Places, Rival, RivalUnavailable, Trained, Windows

QUESTIONS = ("invite", "bye", "register", "options", "cancel", "other_requests")  # none for ACK
WAYS = ("fwd_", "rev_")
ANSWERS = ("2xx", "3xx", "4xx", "5xx", "6xx")
SIP = (*QUESTIONS, *ANSWERS, "sip_retransmissions", "packets")
TCP = ("tcp_syn", "tcp_retransmissions", "packets")


def answer_rule(features: Sequence[str], seed: int) -> Rival:
    """Few questions answered, else many packets sent again, else neither: two thresholds.

    The thresholds and what the three sides mean are those with the best macro-F1 in training.
    Counts whole protocols only: RivalUnavailable unless all of `SIP` or all of `TCP` is there.
    """
    needed = [{way + name for way in WAYS for name in names} for names in (SIP, TCP)]
    whole = set[str]().union(*(names for names in needed if names <= {*features}))
    if not whole:
        sip, tcp = (", ".join(sorted(names - {*features})) for names in needed)
        raise RivalUnavailable(f"answer-ratio rule: SIP lacks {sip}; TCP lacks {tcp}")
    columns = {name: place for place, name in enumerate(features) if name in whole}

    def learn(windows: Windows, truth: Places) -> Names:
        few, many, meaning = _best_pair(*_answers(windows, columns), truth)
        return lambda tile: meaning[_sides(*_answers(tile, columns), few, many)]

    return Trained(learn, OTHER_WINDOWS, seed)


def _answers(windows: Windows, columns: dict[str, int]) -> tuple[Floats, Floats]:
    """Measure the answered share of questions, and the retransmitted share of packets: (windows,).

    Questions are SIP requests, answered by final responses, and TCP's SYN, answered by the other
    side's SYN: links without SIP are judged by their handshakes. Both directions are added. If
    nobody asked, it is whether packets are answered by packets; silence is no answer.
    """
    totals = np.where(np.isfinite(windows), windows, 0).sum(axis=1, dtype=np.float64)

    def count(*names: str) -> Floats:  # (directions, windows)
        there = [[columns[way + n] for n in names if way + n in columns] for way in WAYS]
        return np.stack([totals[:, places].sum(axis=1) for places in there])

    packets, syns = np.sort([count("packets"), count("tcp_syn")], axis=1)  # quieter way first
    asked, answered = np.sum([count(*QUESTIONS), count(*ANSWERS)], axis=1) + syns[::-1]
    answered, asked = np.where(asked > 0, [answered, asked], packets)
    again = count("sip_retransmissions", "tcp_retransmissions").sum(axis=0)
    return answered / np.maximum(asked, 1), again / np.maximum(packets.sum(axis=0), 1)


def _sides(ratio: Floats, share: Floats, few: float, many: float) -> Places:
    return np.where(ratio < few, 0, np.where(share > many, 1, 2))


def _best_pair(ratio: Floats, share: Floats, truth: Places) -> tuple[float, float, Places]:
    """Find the two thresholds, and the label that each of their three sides means."""
    total = np.bincount(truth)
    tried = []
    for few, many in product(_cuts(ratio, truth), _cuts(share, truth)):
        places = _sides(ratio, share, few, many) * len(total) + truth
        counts = np.bincount(places, minlength=3 * len(total)).reshape(3, -1)
        meaning = (counts / total).argmax(axis=1)  # the label with most of its windows there
        hits = np.bincount(meaning, counts[range(3), meaning], len(total))
        claimed = np.bincount(meaning, counts.sum(axis=1), len(total))
        tried.append((float(np.mean(2 * hits / (claimed + total))), few, many, meaning))
    # Of equals the first, so that a threshold that isn't needed has everything on one side.
    return max(tried, key=lambda found: found[0])[1:]


def _cuts(values: Floats, truth: Places) -> list[float]:
    """Give thresholds between neighbouring quantiles of any label, and one beyond either end."""
    count = truth.max() + 1
    levels = np.linspace(0, 1, max(5, 100 // count))
    marks = np.unique([np.quantile(values[truth == label], levels) for label in range(count)])
    return [-1.0, *(marks[1:] + marks[:-1]) / 2, np.inf]
