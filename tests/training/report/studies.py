"""Studies made by hand, as large and as odd as real ones get."""

import random

from training.judging.study import (
    ENCODER,
    Changes,
    Delay,
    Enrolment,
    Estimate,
    Judged,
    Rejection,
    Study,
    Validation,
)

METHODS = {  # to how good it is
    "answer-ratio rule": 0.86,
    ENCODER: 0.93,
    "logistic regression": 0.90,
    "MiniRocket + ridge": 0.905,
    "gradient-boosted trees": 0.945,
    "nearest neighbour (one reference)": 0.62,
    "nearest neighbour (all windows)": 0.83,
    "convolutional network": 0.925,
}
KINDS = {  # to how hard it is
    "normal": 0.02,
    "link_down": 0.01,
    "blackhole": 0.02,
    "prohibit": 0.03,
    "carrier_loss": 0.01,
    "peer_hung": 0.27,
    "peer_dead": 0.06,
    "block_fwd": 0.05,
    "block_rev": 0.45,
    "block_both": 0.02,
    "htb_fwd": 0.1,
    "htb_rev": 0.13,
    "htb_both": 0.08,
    "tbf_fwd": 0.09,
    "tbf_rev": 0.07,
    "police_fwd": 0.16,
    "police_both": 0.12,
    "police_fwd+tbf_rev": 0.3,
    "htb_both+loss_rev": 0.62,
    "htb_rev+tbf_fwd": 0.81,
}
LABELS = ("blocked", "capacity-limited", "lossy", "normal")
WAYS = {
    "runs": ("Whole runs are left out, of mixes that training has seen.", 0.0, 1.0),
    "mixes": ("Whole traffic mixes are left out, so that their loads are new.", 0.035, 1.5),
    "labs": ("Learnt in one lab, judged in another that it knows nothing of.", 0.09, 2.2),
}
SEEDS = (0, 1, 2)


def estimate(rng, mean, wide=0.02, most=1.0):
    """Make a number with an interval and a number for each seed around it."""
    low, high = mean - wide * rng.uniform(0.7, 1.2), mean + wide * rng.uniform(0.7, 1.2)
    seeds = tuple(round(mean + rng.uniform(-0.4, 0.4) * wide, 4) for _ in SEEDS)
    return Estimate(round(mean, 4), round(low, 4), round(min(most, high), 4), seeds)


def make_judged(rng, method, good, worse, encoder_is):
    """Make what one method might have done."""
    mean = good - worse * rng.uniform(0.8, 1.2)
    confusion = {}
    for truth in LABELS:
        windows = 9_000 if truth == "normal" else 1_400
        wrong = {label: int(windows * (1 - mean) * rng.uniform(0, 0.4)) for label in LABELS}
        confusion[truth] = wrong | {truth: windows - sum(wrong.values())}
    lead = encoder_is - mean
    return Judged(
        macro_f1=estimate(rng, mean),
        balanced=estimate(rng, mean + 0.01),
        lead=None if method == ENCODER else estimate(rng, lead, 0.012 + abs(lead) * 0.1),
        places={"access": round(mean - 0.01, 4), "core": round(mean + 0.01, 4)},
        kinds={
            kind: round(max(0.0, 1 - hard * rng.uniform(0.7, 1.3) - (0.95 - good) / 2), 4)
            for kind, hard in KINDS.items()
        },
        confusion=confusion,
        changes=Changes(
            onsets=508,
            found=int(508 * min(1, mean + rng.uniform(-0.04, 0.04))),
            false=int(400 * (1.05 - mean) + rng.uniform(0, 60)),
            false_in_normal=int(150 * (1.02 - mean) + rng.uniform(0, 20)),
            hours=58.9,
            normal_hours=48.25,
            delays={
                label: Delay(round(rng.uniform(5, 14)), round(rng.uniform(20, 60), 1), 100)
                for label in LABELS
            },
        ),
        rejections=make_rejections(rng, method),
    )


def make_rejections(rng, method):
    """Make what two methods that know how far a window is might have done with new labels."""
    if method not in (ENCODER, "nearest neighbour (all windows)", "logistic regression"):
        return ()
    return tuple(
        Rejection(
            unseen,
            *(round(rng.uniform(0.6, 0.97), 4) for _ in range(2)),
            false_at_95=round(rng.uniform(0.1, 0.6), 4),
            flagged=round(rng.uniform(0.2, 0.8), 4),
            episodes=42,
            budget=0.5,
            normal_hours=48.25,
        )
        for unseen in ("lossy", "capacity-limited")
    )


def make_enrolments(rng):
    """Make what a few references might have done."""
    ceilings = {"lossy": 0.913, "peer_hung": 0.842}
    return tuple(
        Enrolment(
            unseen=unseen,
            method=method,
            references=references,
            recall=estimate(rng, good + 0.09 * at, 0.08),
            captured=estimate(rng, 0.05 + 0.02 * at + (0.9 - good) / 4, 0.02),
            captured_normal=estimate(rng, 0.02 + 0.004 * at, 0.006),
            known_before=0.93,
            known_after=round(0.925 - 0.004 * at, 4),
            ceiling=ceilings[unseen],
            draws=20,
        )
        for unseen in ceilings
        for method, good in ((ENCODER, 0.68), ("nearest neighbour (all windows)", 0.5))
        for at, references in enumerate((1, 3, 10))
    )


def make_study(seed=1):
    """Make a study as large as a real one: 3 validations, 8 methods, 20 kinds."""
    rng = random.Random(seed)
    validations = []
    for way, (meaning, worse, spread) in WAYS.items():
        best = METHODS[ENCODER] - worse
        methods = {
            name: make_judged(rng, name, good, worse * spread, best)
            for name, good in METHODS.items()
        }
        validations.append(
            Validation(
                name=way,
                meaning=meaning,
                folds=tuple(f"{way} {number}" for number in range(1, 5)),
                runs=129,
                windows=13_200,
                methods=methods,
                unavailable={"inception time": "needs a package that is not installed"},
            )
        )
    return Study(
        captures={
            "sip-testbed-1s.parquet": "3f" * 32,
            "lab-1/rows.parquet": "a7" * 32,
        },
        settings={"steps": 30, "units": "64", "margin": 0.5, "refit": True, "epochs": 24},
        steps=30,
        step_ms=1000,
        seeds=SEEDS,
        bundle="5d1f0c2a99b4",
        seconds=412.7,
        validations=tuple(validations),
        enrolments=make_enrolments(rng),
        reference_spread={way: estimate(rng, 0.9) for way in WAYS},
    )
