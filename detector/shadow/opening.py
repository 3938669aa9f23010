"""Opening: what is needed to try a candidate, put together as the settings say."""

import time
from collections.abc import Callable

from detector.config import Settings
from detector.oncall.moment import Moment
from detector.oncall.opening import open_canaries
from detector.sight import Sight

from .shadow import Shadow, now
from .trial import Trial

BREATH_SECONDS = 5e-5  # long enough for another thread to get hold of Python's lock


def open_shadow(
    settings: Settings,
    candidate: Sight,
    live: Sight,
    daemon: str,
    clock: Callable[[], Moment] = now,
) -> Shadow:
    """Make a shadow that is to be started; the candidate's encoder should have one thread.

    Raises:
        ValueError: if the candidate can't read the windows that come for the live bundle.
    """
    trial = Trial(
        candidate,
        live.bundle.manifest.window,
        settings.state,
        open_canaries(settings, candidate),
        lambda: time.sleep(BREATH_SECONDS),
    )
    return Shadow(
        trial,
        settings.shadow,
        candidate=candidate.bundle.id,
        live=live.bundle.id,
        daemon=daemon,
        clock=clock,
    )
