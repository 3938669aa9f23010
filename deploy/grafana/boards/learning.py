"""The learning loop: what is kept, what was enrolled, how a candidate does, whether it drifts."""

from . import keeping, trial
from .asking import of, or_never, row
from .grid import Row, dashboard, headed, to
from .looks import BAD, CALM, GOOD, ODD, Json, fixed, from_on, named, says, thresholds
from .panels import ask, ask_now, lines, stat


def make() -> Json:
    """Make the dashboard."""
    rows = [
        Row(
            4,
            [
                (5, store_works()),
                (5, bundle()),
                (5, enrolments_read()),
                (4, candidate()),
                (5, drift_now()),
            ],
        ),
        headed("What is kept of the traffic"),
        Row(8, [(8, keeping.kept()), (8, keeping.rows_kept()), (8, keeping.size())]),
        Row(7, [(8, keeping.queue()), (8, keeping.reach()), (8, keeping.written())]),
        headed("What was enrolled, and which bundles were looked at"),
        Row(7, [(8, keeping.anchors()), (8, keeping.enrolments()), (8, keeping.loads())]),
        headed("A candidate in the shadow"),
        Row(8, [(8, trial.agreement()), (8, trial.onsets()), (8, trial.shadow_recall())]),
        Row(
            7, [(8, trial.shadow_delay()), (8, trial.shadow_work()), (8, trial.shadow_left_out())]
        ),
        headed("Whether traffic is as it was in training"),
        Row(8, [(8, drift_shares()), (8, drift_links()), (8, drift_inputs())]),
    ]
    return dashboard(
        "learning",
        "Anchorwatch: the learning loop",
        "The capture store, enrolled anchors, the candidate in the shadow, and drift.",
        rows,
        shows="6h",
        refresh="30s",
    )


def store_works() -> Json:
    """Say whether captures can be written."""
    return stat(
        "Capture store",
        "Whether what is to be kept of the traffic can be written. Failing: the disk is full or "
        "not there. Verdicts go on, but nothing can be learnt from this time.",
        "none",
        ask_now(f"max({of('anchorwatch_store_failing')}) or on () vector(-1)"),
        mappings=says(minus1=("not kept", CALM), _0=("well", GOOD), _1=("FAILING", BAD)),
        thresholds=thresholds((0, GOOD), (1, BAD), base=CALM),
        noValue="NO DATA",
        links=[to("detector", "How the detector does")],
    )


def bundle() -> Json:
    """Say whether a bundle is refused."""
    refused = f"max({of('anchorwatch_bundle_refused')} + {of('anchorwatch_reload_failing')})"
    return stat(
        "Bundle",
        "Whether every daemon uses the bundle that it should. Refused: it goes on with the one "
        "before; restarted now, it would not start.",
        "none",
        ask_now(refused),
        mappings=[*says(_0=("as it should be", GOOD)), from_on(1, "REFUSED", BAD)],
        thresholds=thresholds((1, BAD)),
        noValue="NO DATA",
        links=[to("overview", "All links")],
    )


def enrolments_read() -> Json:
    """Say whether enrolled anchors can be read."""
    return stat(
        "Enrolled anchors",
        "Whether somebody can say what was enrolled. Away: the daemons go on with the anchors "
        "that they have and don't notice new ones.",
        "none",
        ask_now(f"max({of('anchorwatch_enrolments_away')})"),
        mappings=says(_0=("read", GOOD), _1=("AWAY", BAD)),
        thresholds=thresholds((1, BAD)),
        noValue="NO DATA",
    )


def candidate() -> Json:
    """Say whether a candidate is tried."""
    state = f"max(2 * {of('anchorwatch_shadow_failed')} + {of('anchorwatch_shadow_running')})"
    return stat(
        "Candidate",
        "Whether a candidate is tried on the live traffic, beside the bundle in use. Failed: it "
        "can't be tried any longer, the log says why; live verdicts are not touched.",
        "none",
        ask_now(state),
        mappings=[
            *says(_0=("no candidate", CALM), _1=("being tried", GOOD)),
            from_on(2, "FAILED", BAD),
        ],
        thresholds=thresholds((1, GOOD), (2, BAD), base=CALM),
        noValue="NO DATA",
    )


def drift_now() -> Json:
    """Say whether a training is wanted."""
    return stat(
        "Traffic",
        "Whether traffic still is as it was in training. Unlike: verdicts are worth less than "
        "they were; look at the drift below, and retrain.",
        "none",
        ask_now(f"max({of('anchorwatch_drift_wanted')})"),
        mappings=says(_0=("as in training", GOOD), _1=("UNLIKE TRAINING", ODD)),
        thresholds=thresholds((1, ODD)),
        noValue="NO DATA",
    )


def drift_shares() -> Json:
    """Draw how much traffic is outside of where training's was."""
    return lines(
        "Windows unlike the training's",
        "Share of windows of normal links that lie outside of where 95 in 100 of the training's "
        "were, by inputs and by embedding. Above the line for long, by all links: drift.",
        "percentunit",
        ask(f"max by (what) ({of('anchorwatch_drift_share')})", "{{what}}"),
        min=0,
        limit=True,
        thresholds=thresholds((0.1, ODD)),
    )


def drift_links() -> Json:
    """Draw how many links drift."""
    return lines(
        "Links that drift",
        "Links whose own traffic is unlike the training's, of those of which enough was seen to "
        "say. A few are links that were not in the training; a tenth of them is drift.",
        "none",
        ask(f"sum by (what) ({of('anchorwatch_drift_links')})", "{{what}}"),
        ask(f"sum({of('anchorwatch_drift_judged_links')})", "judged"),
        min=0,
        overrides=[named("judged", fixed(CALM))],
    )


def drift_inputs() -> Json:
    """Draw which inputs are outside of their ranges."""
    each = of("anchorwatch_drift_inputs")
    most = f"topk(10, max by (input) ({each}))"
    return lines(
        "Inputs outside of their range",
        "Share of windows in which an input of the encoder is outside of its range in training, "
        "of the ten that are most. Where to look when traffic drifts.",
        "percentunit",
        ask(or_never(most, each, row(input="none yet")), "{{input}}"),
        min=0,
    )
