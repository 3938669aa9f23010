"""Features: the list is what rows hold, and the page says the same."""

from pathlib import Path

from detector.probe.features import COUNTER_FEATURES, PACKET_FEATURES, names, renewed
from detector.probe.sip import METHODS

PAGE_PATH = Path(__file__).parents[3] / "docs" / "features.md"


def test_the_page_is_not_stale():
    """`python -m detector.probe.features docs/features.md` makes its tables anew."""
    page = PAGE_PATH.read_text()

    assert renewed(page) == page
    assert all(f"| `{one.name}` |" in page for one in PACKET_FEATURES + COUNTER_FEATURES)


def test_every_feature_has_a_name_of_its_own():
    """Columns are found by name."""
    for features in (PACKET_FEATURES, COUNTER_FEATURES):
        assert len(set(names(features))) == 2 * len(features)


def test_the_kinds_of_messages_follow_each_other():
    """Places are computed from the first of them."""
    listed = [feature.name for feature in PACKET_FEATURES]
    expected = [method.decode().lower() for method in METHODS] + ["other_requests"]
    expected += [f"{digit}xx" for digit in range(1, 7)]

    assert listed[listed.index("invite") :][: len(expected)] == expected
