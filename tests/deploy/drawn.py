"""What Grafana would draw of an answer, and whether that can be."""

import math
import re
import time
from collections.abc import Iterator

from tests.deploy.dashboards import Query
from tests.deploy.observing import PromQlError
from tests.deploy.watching import Seen


def troubles(seen: Seen, query: Query) -> Iterator[str]:
    """Say what is wrong with an answer, as Grafana would draw it."""
    try:
        found = seen.answer(query)
    except PromQlError as error:
        yield str(error)
        return
    if not found:
        yield "no data"
    for series in found:
        values = [float(value) for _, value in series.get("values") or [series["value"]]]
        # A quantile of nothing is a gap, as in the first seconds; in the last there is something.
        numbers = [value for value in values if not math.isnan(value)]
        if math.isnan(values[-1]):
            yield f"no number: {series['metric']}"
        elif not all(math.isfinite(value) and is_sane(query, value) for value in numbers):
            yield f"can't be: {series['metric']} {min(numbers)} to {max(numbers)}"
        for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
            if label not in series["metric"]:
                yield f"its legend wants {label!r}: {series['metric']}"


def is_sane(query: Query, value: float) -> bool:
    """Say whether a number can be what its unit says."""
    said = query.panel["fieldConfig"]["defaults"]["mappings"]
    if any(str(round(value)) in mapping["options"] for mapping in said):
        return True  # a word is shown
    if query.panel["type"] == "xychart" or query.panel["title"] == "Changes":
        return abs(value) < 1000
    if query.unit == "percentunit":
        return 0 <= value <= 1
    if query.unit == "dateTimeFromNow":
        return abs(value / 1000 - time.time()) < 3600
    return 0 <= value < 1e13
