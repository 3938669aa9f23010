"""Speed: is the detector fast enough, and is it fed with what it can use."""

from .asking import of, quantile, rate
from .looks import ODD, STATES, Json, fixed, override, thresholds
from .panels import ask, lines


def throughput() -> Json:
    """Draw how many windows are judged."""
    return lines(
        "Windows judged",
        "Windows that got a verdict each second, by the label it gave. The sum should be links "
        "divided by the seconds between their windows; less means that some aren't read.",
        "suffix: /s",
        ask(f"sum by (label) ({rate('anchorwatch_windows_total')})", "{{label}}"),
        stacked=True,
        axis="windows",
        overrides=[override(f"^{state}$", fixed(colour)) for state, colour in STATES.items()],
    )


def delay() -> Json:
    """Draw how late verdicts are."""
    histogram = "anchorwatch_verdict_delay_seconds"
    return lines(
        "Delay of verdicts",
        "From the end of a window until its verdict is safe: half are sooner than p50, one in a "
        "hundred is later than p99. Seconds are exporters that gather, or lag; minutes are clocks "
        "that differ, or a replay of old traffic.",
        "s",
        ask(quantile(0.5, histogram), "p50"),
        ask(quantile(0.99, histogram), "p99"),
        min=0,
        limit=True,
        thresholds=thresholds((5, ODD)),
    )


def embedding() -> Json:
    """Draw how long a batch takes in the encoder."""
    histogram = "anchorwatch_embed_seconds"
    return lines(
        "Time to embed a batch",
        "How long the encoder takes for a batch. It grows with the batch; with small batches and "
        "a long time something else uses the processor.",
        "s",
        ask(quantile(0.5, histogram), "p50"),
        ask(quantile(0.99, histogram), "p99"),
        min=0,
    )


def batches() -> Json:
    """Draw how large batches are."""
    name = "anchorwatch_batch_windows"
    mean = f"sum({rate(f'{name}_sum')}) / sum({rate(f'{name}_count')})"
    return lines(
        "Windows in a batch",
        "How many windows are judged at once. Always as many as [batch] windows allows: the "
        "daemon can't keep up and catches up in large batches.",
        "none",
        ask(mean, "mean"),
        ask(quantile(0.99, name), "p99"),
        min=0,
    )


def lag() -> Json:
    """Draw lag by partition."""
    return lines(
        "Lag by partition",
        "Records that are not yet read, of each partition. One that grows alone has too many "
        "links, or its daemon is stuck; all that grow together want more daemons.",
        "short",
        ask(
            f"sum by (topic, partition) ({of('anchorwatch_lag_messages')})",
            "{{topic}} {{partition}}",
        ),
        axis="records",
        min=0,
    )


def rejected() -> Json:
    """Draw what could not be used."""
    return lines(
        "Rejected",
        "Windows and records each minute that could not be used and went to the dead letters, by "
        "reason. Any at all is an exporter that is set up wrongly; the dead letter says which.",
        "suffix: /min",
        ask(f"60 * sum by (reason) ({rate('anchorwatch_rejected_total')})", "{{reason}}"),
        bars=True,
        min=0,
    )
