"""Groups: which links belong together, and how many there are of each sort."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.oncall.groups import Groups

PATTERN = "^([^/]+)/"
LINKS = st.sampled_from(["s7/a", "s7/b", "s8/a", "lone", "/odd"])
SOURCES = st.sampled_from(["probe-1", "probe-2"])


@pytest.mark.parametrize(
    ("pattern", "link", "group"),
    [
        ("", "s7/a", "probe-1"),
        (PATTERN, "s7/a", "s7"),
        (PATTERN, "s8/a/b", "s8"),
        ("/([^/]+)$", "s7/a", "a"),
        ("card ([0-9]+)", "router 3 card 12 port 4", "12"),  # anywhere in the name
        (PATTERN, "a", "probe-1"),  # nothing found
        ("^(?:([0-9]+)|.)/?", "a", "probe-1"),  # found, but not the part that counts
        ("^([0-9]*)", "a", "probe-1"),  # the part that counts is empty
        ("(.*)", "", "probe-1"),  # of an exporter's event
    ],
)
def test_the_group_is_the_exporter_or_what_the_name_says(pattern, link, group):
    """What fails together is a site here and a card there; without a group nobody is left."""
    assert Groups(pattern).of(link, "probe-1") == group


@given(st.lists(st.tuples(LINKS, SOURCES)), st.sampled_from(["", PATTERN]), st.data())
def test_a_group_has_as_many_links_as_came_and_did_not_go(known, pattern, data):
    """Whether an event waits for company hangs on it, for months of coming and going."""
    groups = Groups(pattern)
    for link, source in known:
        groups.add(link, source)
    gone = data.draw(st.integers(0, len(known)), "gone")
    for link, source in known[:gone]:
        groups.remove(link, source)

    left = Counter(groups.of(link, source) for link, source in known[gone:])
    for group in ("s7", "s8", "probe-1", "probe-2", "never heard of"):
        assert groups.size(group) == left[group]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(site", "group '.site' is not a regular expression"),
        ("^site", "group '.site' has 0 capturing groups, it needs one"),
        ("(a)(b)", "has 2 capturing groups, it needs one"),
        ("(?:a)", "has 0 capturing groups"),
    ],
)
def test_a_pattern_that_finds_no_group_or_two_is_refused(pattern, why):
    """A typing error would else gather nothing, and nobody would know until the outage."""
    with pytest.raises(ValueError, match=why):
        Groups(pattern)
