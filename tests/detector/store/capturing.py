"""A process that captures under load until it is killed: `capturing.py FOLDER SECOND`.

It begins with windows that many seconds after noon. Its clock runs thousands of times as fast as
life, so that hours are over again and again.
"""

import sys
import time
from pathlib import Path

from detector.oncall.moment import Moment
from detector.store import CaptureStore
from tests.detector.store.judged import SPEC, feed, figures, judged, quick

LINKS = 50


def main() -> None:
    """Capture until the end, and say so once the first files are there."""
    began = time.monotonic()

    def clock() -> Moment:
        since = time.monotonic() - began
        return Moment(since, time.time() + since * 20_000)

    store = CaptureStore(quick(flush_seconds=0.002), SPEC, Path(sys.argv[1]), "a", clock=clock)
    second, is_told = int(sys.argv[2]), False
    while True:
        label = "blocked" if second % 20 < 5 else "normal"
        feed(store, [judged(second, label, link=f"trunk-{n}") for n in range(LINKS)])
        second += 1
        if not is_told and figures(store)["rows.fault"] > 3 * LINKS:
            print("capturing", flush=True)  # noqa: T201
            is_told = True


if __name__ == "__main__":
    main()
