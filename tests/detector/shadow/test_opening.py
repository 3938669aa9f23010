"""Opening a shadow: all but the bundle is as it is live, or bundles would not be compared."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from detector.config import Canary, Settings, Shadow, State
from detector.oncall.difference import Canary as Planted
from detector.oncall.difference import Recorded
from detector.shadow.opening import open_shadow
from detector.sight import Sight
from detector.state import NORMAL
from tests.fakes import NOON_MS, WallClock, make_rows, make_spec

from .live import SPEC, Knowing, Live, sight


def with_canary() -> Sight:
    """Look through a bundle that has a recorded fault to plant."""
    bundle = sight().bundle
    recorded = Recorded(
        (Planted("blocked", "blocked", "lab-1/access", NOON_MS),),
        make_rows(NORMAL, 1),
        make_rows("blocked", SPEC.steps)[None],
    )
    recorded = replace(recorded, after=np.nan_to_num(recorded.after))
    manifest = msgspec.structs.replace(bundle.manifest, canaries=recorded.canaries)
    return Sight.of(replace(bundle, manifest=manifest, canaries=recorded), Knowing())


def tried(candidate=None, seconds=120, **sections):
    """Try a candidate on a day with a fault, by settings."""
    settings, clock = Settings(bundle="", **sections), WallClock()
    live = Live(10)
    shadow = open_shadow(settings, candidate or sight(), live.sight, "here", clock)
    for shown in live.steps(seconds):
        if live.second == 60:
            live.is_now["trunk-0"] = "blocked"
        shadow.take(*shown)
        shadow.step()
        clock.sleep(1.0)
    return shadow.report()


def test_it_goes_by_the_daemons_rule():
    """Else a delay would be that of the rule."""
    assert tried().median_delay_ms == 0
    assert tried(state=State(evidence=20.0)).median_delay_ms > 0


def test_it_plants_canaries_as_the_settings_say():
    """The candidate's own, so that it is asked what it is made for."""
    assert tried(with_canary(), canary=Canary(every_seconds=5.0)).canaries["blocked"].shadow_found
    assert tried(with_canary(), canary=Canary(every_seconds=0.0)).canaries == {}


def test_it_watches_the_links_that_the_settings_say():
    """And is named by its bundle, beside the live one's."""
    report = tried(shadow=Shadow(links=0.5))

    assert 0 < report.windows < 1200
    assert (report.candidate, report.live, report.daemon) == (sight().bundle.id, "", "here")


def test_a_candidate_that_can_not_read_what_comes_is_refused():
    """Whoever opens it says so in the log."""
    with pytest.raises(ValueError, match="5 steps"):
        open_shadow(
            Settings(bundle=""), sight(spec=make_spec(steps=5)), sight(), "here", WallClock()
        )
