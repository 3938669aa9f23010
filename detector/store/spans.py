"""Spans: of which stretches of its time a link's rows are stored already."""

MOST = 8  # remembered; of windows without a gap between them there is one


class Spans:
    """Stretches of time, the newest few, in the order in which they were added to.

    Half a step either way is the same row: exporters jitter.

    >>> spans = Spans(step_ms=1000)
    >>> spans.add(0, 4000)
    >>> spans.missing(2000, 4), spans.missing(2100, 4), spans.missing(-2000, 4)
    ([2, 3], [2, 3], [0, 1])
    """

    __slots__ = ("_half_ms", "_spans", "_step_ms")

    def __init__(self, step_ms: int) -> None:
        self._step_ms, self._half_ms = step_ms, step_ms // 2
        self._spans: list[tuple[int, int]] = []

    def missing(self, start_ms: int, steps: int) -> list[int]:
        """List which steps of a window that begins at *start_ms* are in no span."""
        step_ms, half_ms = self._step_ms, self._half_ms
        places = range(steps)
        for begin_ms, end_ms in self._spans:
            # The steps from `first` to before `last` are in this span.
            first = -((start_ms + half_ms - begin_ms) // step_ms)
            last = -((start_ms + half_ms - end_ms) // step_ms)
            if first < steps and last > 0:
                places = [n for n in places if not first <= n < last]  # type: ignore[assignment]
        return list(places)

    def add(self, begin_ms: int, end_ms: int) -> None:
        """Note a stretch; those that it touches become one with it."""
        rest = []
        for span in self._spans:
            if span[0] <= end_ms + self._half_ms and span[1] >= begin_ms - self._half_ms:
                begin_ms, end_ms = min(begin_ms, span[0]), max(end_ms, span[1])
            else:
                rest.append(span)
        self._spans = [*rest[-(MOST - 1) :], (begin_ms, end_ms)]
