"""Keeping: what is kept of the traffic, what was enrolled, which bundles were looked at."""

from .asking import of, rate
from .looks import BAD, CALM, GOOD, ODD, Json, fixed, named, says, thresholds
from .panels import ask, ask_now, lines, stat


def kept() -> Json:
    """Draw what becomes of windows in the store."""
    return lines(
        "Windows, by what the store did with them",
        "Kept in a file, passed over, skipped in haste, or lost to the disk. Most are passed "
        "over; any that are skipped or lost mean that disk or processor are too slow for it.",
        "suffix: /s",
        ask(f"sum by (outcome) ({rate('anchorwatch_store_windows_total')})", "{{outcome}}"),
        min=0,
        overrides=[
            named("kept", fixed(GOOD)),
            named("passed", fixed(CALM)),
            named("skipped", fixed(ODD)),
            named("lost", fixed(BAD)),
        ],
    )


def rows_kept() -> Json:
    """Draw how many rows were written."""
    return lines(
        "Rows written",
        "Rows that went to the store each minute, by why they were kept. It writes once a minute.",
        "suffix: /min",
        ask(f"60 * sum by (kind) ({rate('anchorwatch_store_rows_total')})", "{{kind}}"),
        min=0,
    )


def size() -> Json:
    """Draw how large the store is."""
    return lines(
        "Size of the store",
        "What the files of each daemon take. At [store] most_gb the oldest normal traffic goes "
        "first, so a line that is level there is well.",
        "decbytes",
        ask(of("anchorwatch_store_bytes"), "{{instance}}"),
        ask(f"sum({of('anchorwatch_store_memory_bytes')})", "in memory, all together"),
        min=0,
    )


def queue() -> Json:
    """Draw how many windows wait."""
    return lines(
        "Windows that wait",
        "Windows of which the store has looked at none yet, and files that it has. A queue that "
        "stays is a disk that is too slow; then windows are skipped.",
        "short",
        ask(f"max({of('anchorwatch_store_queue_windows')})", "windows"),
        ask(f"sum({of('anchorwatch_store_files')})", "files"),
        min=0,
    )


def reach() -> Json:
    """Draw from how long before a change rows can be kept."""
    return lines(
        "Reach before a change",
        "From how long before a change of state rows can still be kept, of the daemon that "
        "remembers least. Less than [store] around_seconds: give it more memory_mb.",
        "s",
        ask(f"min({of('anchorwatch_store_reach_seconds')})", "reach"),
        min=0,
    )


def written() -> Json:
    """Say when something was last written."""
    when = f"max({of('anchorwatch_store_written_timestamp_seconds')})"
    return stat(
        "Last written",
        "When captures were last written. On a network that is well that may be minutes ago; "
        "hours mean that nothing is kept.",
        "dateTimeFromNow",
        ask_now(f"1000 * {when}"),
        filled=False,
        mappings=says(_0=("not yet", CALM)),
        thresholds=thresholds(base=CALM),
        noValue="NO DATA",
    )


def anchors() -> Json:
    """Say how many anchors there are."""
    return stat(
        "Anchors in use",
        "Reference windows that verdicts are made of, by label and by who has them: the bundle, "
        "or enrolled since.",
        "none",
        ask_now(f"max by (label, origin) ({of('anchorwatch_anchors')})", "{{label}} ({{origin}})"),
        filled=False,
        color={"mode": "fixed", "fixedColor": CALM},
        noValue="NO DATA",
    )


def enrolments() -> Json:
    """Say what became of enrolled anchors."""
    return stat(
        "Enrolments",
        "Anchors that somebody enrolled, by whether they are in use and why not. Unusable: the "
        "bundle lacks what they were made with; enrol the incident anew.",
        "none",
        ask_now(f"max by (status) ({of('anchorwatch_enrolments')})", "{{status}}"),
        ask_now(f"sum({of('anchorwatch_enrolments_unreadable_total')})", "unreadable"),
        filled=False,
        color={"mode": "fixed", "fixedColor": CALM},
        noValue="NO DATA",
    )


def loads() -> Json:
    """Say how many bundles were looked at."""
    return stat(
        "Bundles looked at since the start",
        "How often a bundle was exchanged while the daemons ran, and how often one could not be "
        "used. Refused ones: see the log, or `anchorwatch bundles`.",
        "none",
        ask_now(f"sum by (outcome) ({of('anchorwatch_bundle_loads_total')})", "{{outcome}}"),
        filled=False,
        color={"mode": "fixed", "fixedColor": CALM},
        noValue="NO DATA",
    )
