"""Groups: which links belong together, and how many of each group are known."""

import re
from collections import Counter


class Groups:
    """Finds a link's group by its name, or takes that of its exporter.

    >>> groups = Groups("^([^/]+)/")
    >>> groups.add("site-7/trunk-2", "probe-1")
    >>> groups.of("site-7/trunk-3", "probe-1"), groups.size("site-7")
    ('site-7', 1)
    """

    def __init__(self, pattern: str = "") -> None:
        """Use a regular expression with one capturing group; without, exporters are the groups.

        Raises:
            ValueError: if it is none, or has another number of groups.
        """
        try:
            self._pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            raise ValueError(f"group {pattern!r} is not a regular expression: {error}") from error
        if self._pattern and self._pattern.groups != 1:
            found = self._pattern.groups
            raise ValueError(f"group {pattern!r} has {found} capturing groups, it needs one")
        self._sizes: Counter[str] = Counter()

    def of(self, link: str, source: str) -> str:
        """Give a link's group; where the expression finds nothing, its exporter."""
        found = self._pattern.search(link) if self._pattern else None
        return (found[1] if found else "") or source

    def size(self, group: str) -> int:
        """Count the links of a group."""
        return self._sizes[group]

    def add(self, link: str, source: str) -> None:
        """Know one more link."""
        self._sizes[self.of(link, source)] += 1

    def remove(self, link: str, source: str) -> None:
        """Forget a link that was known."""
        group = self.of(link, source)
        self._sizes[group] -= 1
        if self._sizes[group] <= 0:
            del self._sizes[group]
