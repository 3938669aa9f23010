"""The detector's own health: is it fast enough, is it fed, does it still see."""

from . import seeing, speed
from .asking import WATCHING, of, rate
from .grid import Row, dashboard, headed, to
from .looks import BAD, CALM, GOOD, ODD, Json, says, thresholds
from .panels import ask, ask_now, lines, stat, table


def make() -> Json:
    """Make the dashboard."""
    rows = [
        Row(
            4,
            [
                (4, watching()),
                (4, progress()),
                (4, contact()),
                (4, refused()),
                (4, lag_now()),
                (4, peers()),
            ],
        ),
        headed("How fast it is"),
        Row(8, [(8, speed.throughput()), (8, speed.delay()), (8, speed.embedding())]),
        Row(8, [(8, speed.batches()), (8, speed.lag()), (8, speed.rejected())]),
        headed("Whether it still sees"),
        Row(8, [(8, seeing.recall()), (8, seeing.canary_delay()), (8, seeing.canaries())]),
        Row(8, [(8, seeing.unknown()), (8, seeing.opinions()), (8, seeing.noticed())]),
        headed("The process, and what it reads from"),
        Row(8, [(8, memory()), (8, processor()), (8, trouble())]),
        Row(7, [(14, bundles()), (10, heard())]),
    ]
    return dashboard(
        "detector",
        "Anchorwatch: the detector itself",
        "Throughput, delay, lag, the self-test, and the process.",
        rows,
    )


def watching() -> Json:
    """Count daemons that watch."""
    return stat(
        "Daemons watching",
        "Daemons that have links to judge, whose loop goes round and that hear of the broker. "
        "Fewer than you run: look at the panels to the right, then at the log of the one missing.",
        "none",
        ask_now(f"count({WATCHING}) or vector(0)"),
        thresholds=thresholds((1, GOOD), base=BAD),
        noValue="NO DATA",
        links=[to("overview", "All links")],
    )


def progress() -> Json:
    """Say how long ago the slowest loop went round."""
    age = f"max(time() - {of('anchorwatch_progress_timestamp_seconds')})"
    return stat(
        "Longest without a step",
        "How long ago the loop of the slowest daemon last finished a step. It goes round several "
        "times a second; after a minute the daemon counts as stalled and should be restarted.",
        "s",
        ask_now(age),
        decimals=1,
        min=0,
        thresholds=thresholds((10, ODD), (60, BAD)),
        noValue="NO DATA",
    )


def contact() -> Json:
    """Say how long ago the broker was heard of."""
    age = f"max(time() - {of('anchorwatch_broker_contact_timestamp_seconds')})"
    return stat(
        "Longest without the broker",
        "How long ago the daemon that hears least last heard of the broker. Nothing is judged "
        "meanwhile, and no link is called silent.",
        "s",
        ask_now(age),
        decimals=1,
        min=0,
        thresholds=thresholds((10, ODD), (60, BAD)),
        noValue="NO DATA",
    )


def refused() -> Json:
    """Say whether the broker lets the daemons in."""
    return stat(
        "Broker lets us in",
        "Whether the broker takes every daemon's certificate, password and rights. Refused: "
        "waiting does not mend it; look at [kafka.tls], [kafka.sasl] and the broker's own log.",
        "none",
        ask_now(f"max({of('anchorwatch_broker_refused')})"),
        mappings=says(_0=("yes", GOOD), _1=("REFUSED", BAD)),
        thresholds=thresholds((1, BAD)),
        noValue="NO DATA",
    )


def lag_now() -> Json:
    """Say how much is not yet read."""
    return stat(
        "Lag",
        "Records on the windows' topic that no daemon has read yet. Steady and small is well; "
        "growing means that there are too few daemons, or one is stuck.",
        "short",
        ask_now(f"sum({of('anchorwatch_lag_messages')}) or vector(0)"),
        thresholds=thresholds((1000, ODD), (10_000, BAD)),
        noValue="NO DATA",
    )


def peers() -> Json:
    """Say how many others each daemon hears."""
    return stat(
        "Others of the group heard",
        "How many other daemons of its group each daemon hears: one less than there are. Where "
        "they differ, some don't hear each other, and may call links silent too soon.",
        "none",
        ask_now(of("anchorwatch_peers"), "{{instance}}"),
        filled=False,
        color={"mode": "fixed", "fixedColor": CALM},
        noValue="NO DATA",
    )


def memory() -> Json:
    """Draw the memory of the processes."""
    return lines(
        "Memory",
        "Memory that each daemon holds. It grows with the number of links and then stays; if it "
        "grows for days with the same links, say so in a bug report.",
        "bytes",
        ask(of("process_resident_memory_bytes"), "{{instance}}"),
        min=0,
    )


def processor() -> Json:
    """Draw the processor time of the processes."""
    return lines(
        "Processor",
        "Cores that each daemon uses. Near as many as it may have: add daemons before lag grows.",
        "none",
        ask(rate("process_cpu_seconds_total"), "{{instance}}"),
        axis="cores",
        min=0,
    )


def trouble() -> Json:
    """Draw what goes wrong with the broker, and what was left out in haste."""
    return lines(
        "Rebalances, commits that failed, reasons left out",
        "In each ten minutes. A rebalance when a daemon comes or goes is well; many mean daemons "
        "that are too slow or die. A commit that failed means that windows may be judged twice.",
        "none",
        ask(f"sum(increase({of('anchorwatch_rebalances_total')}[10m]))", "rebalances"),
        ask(f"sum(increase({of('anchorwatch_commits_failed_total')}[10m]))", "commits failed"),
        ask(f"sum(increase({of('anchorwatch_reasons_skipped_total')}[10m]))", "reasons left out"),
        min=0,
    )


def bundles() -> Json:
    """List which bundle each daemon uses."""
    each = f"max by (job, instance, bundle, engine, version) ({of('anchorwatch_bundle_info')})"
    columns = {"job": "job", "instance": "daemon", "bundle": "bundle", "engine": "engine"}
    return table(
        "Bundle in use",
        "What each daemon judges by. Daemons of one group with different bundles for more than a "
        "minute: one refused the new one; its log says why.",
        each,
        columns | {"version": "version"},
        noValue="NO DATA",
    )


def heard() -> Json:
    """Draw how long ago broker and step were."""
    return lines(
        "Since the broker was heard, since the last step",
        "Seconds, of each daemon. The first grows alone: the broker is away or refuses us. Both "
        "grow: the daemon itself stands still.",
        "s",
        ask(
            f"time() - {of('anchorwatch_broker_contact_timestamp_seconds')}", "broker {{instance}}"
        ),
        ask(f"time() - {of('anchorwatch_progress_timestamp_seconds')}", "step {{instance}}"),
        min=0,
    )
