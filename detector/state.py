"""A link's steady state: what most of its last windows say.

One window can be wrong, and an engineer who is woken by one mutes the tool. A link's state
becomes a label once *agree* of its last *of* windows were nearest to it, and stays until
another label gets as many.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class LinkState:
    """What is known of one link."""

    source: str = ""
    label: str | None = None  # None until *agree* windows agreed for the first time
    since_ms: int = 0  # end of the first of the windows that made the label steady
    last_ms: int = -1  # end of the newest window
    seen: float = 0.0  # when a window last came, seconds of the caller's clock
    recent: deque[tuple[str, int]] = field(default_factory=deque)  # label, end_ms


class Steady:
    """The steady state of every link, by *agree* of *of* windows.

    >>> steady = Steady(agree=2, of=3)
    >>> [steady.push("trunk-1", end, label).label for end, label in enumerate(
    ...     ("normal", "normal", "blocked", "normal", "blocked", "blocked"))]
    [None, 'normal', 'normal', 'normal', 'blocked', 'blocked']
    """

    def __init__(self, agree: int, of: int, restart_seconds: float = 60.0) -> None:
        if not 0 < agree <= of:
            raise ValueError(f"{agree} of {of} windows can't agree")
        if 2 * agree <= of:
            raise ValueError(f"{agree} of {of} windows could agree on two labels at once")
        self.links: dict[str, LinkState] = {}
        self._agree, self._of = agree, of
        self._restart_ms = round(restart_seconds * 1000)

    def push(
        self, link: str, end_ms: int, label: str, *, source: str = "", seen: float = 0.0
    ) -> LinkState:
        """Take one window's label, and give the link's state after it.

        A window that is a little older than the link's newest changes nothing: it is a repeat,
        or came too late to say how things are. One that is older by more than *restart_seconds*
        means that the exporter's clock was set back: what came before it no longer counts as
        newer, or one wrong clock would silence a link for ever.
        """
        state = self.links.get(link)
        if state is None:
            state = self.links[link] = LinkState(recent=deque(maxlen=self._of))
        state.seen, state.source = seen, source
        if end_ms < state.last_ms - self._restart_ms:
            state.recent.clear()
        elif end_ms <= state.last_ms:
            return state
        state.last_ms = end_ms
        state.recent.append((label, end_ms))
        if label != state.label:
            said = [when for seen, when in state.recent if seen == label]
            if len(said) >= self._agree:
                state.label, state.since_ms = label, said[0]
        return state

    def forget(self, before: float) -> int:
        """Drop links of which no window came since *before*, and say how many."""
        quiet = [link for link, state in self.links.items() if state.seen < before]
        for link in quiet:
            del self.links[link]
        return len(quiet)
