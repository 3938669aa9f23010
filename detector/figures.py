"""Figures: what a part of the daemon has to say of itself in numbers, before it is a metric.

A part gives its figures when it is asked, from any thread; `metrics` makes Prometheus's text of
them. So no part but `metrics` and `series` knows of Prometheus.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple


class Figure(NamedTuple):
    """One metric as it is now.

    >>> Figure("store_bytes", "Size of the capture store, bytes.", {(): 12.0}).values
    {(): 12.0}
    """

    name: str  # without `anchorwatch_`; a counter's without `_total`
    meaning: str  # one sentence, with the unit
    values: Mapping[tuple[str, ...], float] = MappingProxyType({})  # by the labels' values
    labels: tuple[str, ...] = ()  # their names
    kind: Literal["gauge", "counter"] = "gauge"
