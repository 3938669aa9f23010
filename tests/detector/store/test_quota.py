"""The quota: what goes, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from detector.store.quota import too_much, too_old
from detector.store.row import KINDS
from detector.store.shelf import File, stamp
from tests.fakes import NOON_MS

NOON = NOON_MS / 1000


def make_file(kind="normal", hours_ago=0.0, size=10, number=0):
    """Make a file that was written some time before noon."""
    return File(kind, *stamp(NOON - hours_ago * 3600), number, size)


FILES = st.lists(
    st.builds(make_file, st.sampled_from(KINDS), st.integers(0, 99), st.integers(0, 50)),
    max_size=30,
).map(lambda files: [file._replace(number=n) for n, file in enumerate(files)])


@given(FILES, st.integers(0, 500))
def test_what_stays_fits_and_what_goes_had_to(files, most_bytes):
    """A quota that removes more than it needs to loses what nobody can bring back."""
    gone = too_much(files, None, most_bytes)

    excess = sum(file.size for file in files) - most_bytes
    assert sum(file.size for file in gone) >= min(excess, sum(file.size for file in files))
    assert not gone or sum(file.size for file in gone[:-1]) < excess


@given(FILES, st.integers(0, 500))
def test_nothing_goes_while_something_of_less_worth_stays(files, most_bytes):
    """A week of ordinary traffic is worth less than the one fault that nobody saw before."""
    gone = too_much(files, None, most_bytes)

    stay = [file for file in files if file not in gone]
    for file in gone:
        for other in stay:
            worth, age = KINDS.index(file.kind), (file.day, file.time)
            assert (-worth, age) <= (-KINDS.index(other.kind), (other.day, other.time))


def test_new_normal_traffic_does_not_push_out_faults():
    """A store full of faults stays one."""
    faults = [make_file("fault", hours, 50, hours) for hours in (1, 2)]
    new = make_file("normal", 0, 10, 3)

    assert too_much(faults, new, 100) == [new]
    assert too_much(faults, make_file("fault", 0, 10, 3), 100) == [faults[1]]


def test_what_is_too_old_goes_whatever_it_is():
    """Traffic may be kept only as long as somebody was told that it is."""
    files = [make_file(kind, hours) for kind in KINDS for hours in (23.9, 24.1)]

    old = too_old(files, NOON, 1.0)

    assert old == [make_file(kind, 24.1) for kind in KINDS]
