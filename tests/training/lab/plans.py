"""Plans for tests, as strategies: any that the lab could be given."""

from hypothesis import strategies as st

from training.lab.plan import (
    DIRECTED,
    LIMITS,
    Change,
    Direction,
    Fault,
    Form,
    Kind,
    Load,
    Phase,
    Plan,
    Rate,
    Run,
    Traffic,
)

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
SECONDS = st.floats(1e-3, 86_400 * 7)
CHANGES = st.builds(Change, start=st.floats(0, 1e6), seconds=SECONDS, factor=st.floats(0, 20))
RATES = st.builds(
    Rate,
    per_second=st.floats(0, 2000),
    form=st.sampled_from(Form),
    period=SECONDS,
    depth=st.floats(0, 1),
    changes=st.lists(CHANGES, max_size=2).map(tuple),
)
LOADS = st.builds(Load, st.sampled_from(Traffic), RATES, st.booleans())


@st.composite
def make_faults(draw):
    """Draw a fault with the level and direction that its kind takes."""
    kind = draw(st.sampled_from(Kind))
    direction = draw(st.sampled_from(Direction)) if kind in DIRECTED else Direction.BOTH
    most = 10 if kind in LIMITS else 1
    has_level = kind in LIMITS or kind is Kind.LOSS
    return Fault(kind, direction, draw(st.floats(1e-6, most)) if has_level else 0.0)


PHASES = st.builds(
    Phase, SECONDS, st.lists(make_faults(), max_size=2).map(tuple), restart=st.booleans()
)
RUNS = st.builds(
    Run,
    name=NAMES,
    load=st.lists(LOADS, min_size=1, max_size=3).map(tuple),
    phases=st.lists(PHASES, min_size=1, max_size=3).map(tuple),
    family=st.text(max_size=4),
)
PLANS = st.builds(
    Plan,
    NAMES,
    st.lists(RUNS, min_size=1, max_size=3, unique_by=lambda run: run.name).map(tuple),
    st.integers(0, 2**63 - 1),
)
