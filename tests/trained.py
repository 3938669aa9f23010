"""A real encoder, trained once in a few seconds for all tests that need one that knows traffic.

It learns from the capture that ships, without the runs in which faults come and go, so that
those can be judged. It is not as good as what `anchorwatch train` makes by default.
"""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from detector.bundle import Bundle, load, save
from detector.capture import SHIPPED, LinkCapture, read_links
from training.settings import Settings

LEFT_OUT = "d0[1-5]_*"
LAB_1 = SHIPPED.parent / "recordings" / "lab-1" / "rows.parquet"
SETTINGS = Settings(
    labels=("normal", "blocked", "capacity-limited"),
    leave_out=(LEFT_OUT,),
    epochs=5,
    refit=False,
)


@cache
def trained_path() -> Path:
    """Train, save and give the folder; the same for all who ask in one process."""
    from training.train import train  # TensorFlow takes seconds to import

    path = Path(mkdtemp(prefix="trained-")) / "bundle"
    save(train([SHIPPED], SETTINGS, lambda *_: None), path)
    return path


@cache
def trained_bundle() -> Bundle:
    """Give the bundle as it loads."""
    return load(trained_path())


@cache
def unseen_links() -> tuple[LinkCapture, ...]:
    """Give the links at `access` of the runs that it has not learnt from."""
    window = trained_bundle().manifest.window
    return tuple(read_links([SHIPPED], window, [f"{LEFT_OUT}/access"]))


@cache
def normal_links() -> tuple[LinkCapture, ...]:
    """Give the links of twelve runs of the lab that are normal throughout, none learnt from."""
    window = trained_bundle().manifest.window
    return tuple(read_links([LAB_1], window, ["s1_[AB]_normal_*/access"])[:12])
