"""Several places where anchors are kept are one to the daemon."""

import pytest

from detector.enrolments import AllEnrolments, EnrolmentsUnavailableError, FolderEnrolments
from detector.enrolments.keeping import newest

from .samples import an_enrolment, changed, ids


class Away:
    """A place that is there only when told so."""

    unreadable = 3

    def __init__(self, *found):
        self.found, self.is_away = found, True
        self._given = None

    def poll(self):
        """Give what is there, unless nobody can say."""
        if self.is_away:
            raise EnrolmentsUnavailableError("away")
        if self._given == self.found:
            return None
        self._given = self.found
        return self.found

    def write(self, enrolment):
        """Keep it."""
        self.found = (*self.found, enrolment)

    def close(self):
        """Nothing to let go of."""


def test_what_two_places_have_is_one_set(tmp_path):
    """A site may move from files to Kafka, and lose nothing."""
    first, second = FolderEnrolments(tmp_path / "a"), FolderEnrolments(tmp_path / "b")
    first.write(an_enrolment())
    second.write(an_enrolment(50.0))

    both = AllEnrolments([first, second])

    assert ids(both.poll()) == ids([an_enrolment(), an_enrolment(50.0)])
    assert both.poll() is None


def test_the_newest_version_counts_wherever_it_lies(tmp_path):
    """One that was disabled in one place is not used because the other still has it."""
    first, second = FolderEnrolments(tmp_path / "a"), FolderEnrolments(tmp_path / "b")
    one = an_enrolment()
    first.write(changed(one, "disabled", status="disabled"))
    second.write(one)

    (found,) = AllEnrolments([first, second]).poll()

    assert found.status == "disabled"
    assert newest([one, changed(one, "disabled", status="disabled"), one])[0].status == "disabled"


def test_while_one_place_is_away_nothing_is_said_and_nothing_forgotten(tmp_path):
    """Half of the anchors would make known faults unknown."""
    folder, away = FolderEnrolments(tmp_path), Away(an_enrolment(50.0))
    folder.write(an_enrolment())
    both = AllEnrolments([folder, away])

    with pytest.raises(EnrolmentsUnavailableError):
        both.poll()
    away.is_away = False

    assert ids(both.poll()) == ids([an_enrolment(), an_enrolment(50.0)])


def test_a_new_one_goes_to_the_first_place(tmp_path):
    """Where there is a broker, every daemon hears of it there."""
    first, second = FolderEnrolments(tmp_path / "a"), FolderEnrolments(tmp_path / "b")

    AllEnrolments([first, second]).write(an_enrolment())

    assert ids(first.poll()) == {an_enrolment().id}
    assert second.poll() == ()


def test_without_any_place_there_is_nothing_and_nothing_can_be_kept():
    """A replay with a plain bundle has no anchors but the bundle's."""
    none = AllEnrolments([])

    assert none.poll() == ()
    assert none.poll() is None
    with pytest.raises(EnrolmentsUnavailableError, match="neither"):
        none.write(an_enrolment())


def test_what_could_not_be_read_is_counted_over_all_places(tmp_path):
    """One number for the metric."""
    assert AllEnrolments([Away(), FolderEnrolments(tmp_path), Away()]).unreadable == 6
