"""Making a release of this checkout, whatever isn't committed in it, at a fixed time."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRIED_OUT = {"UNCOMMITTED": "yes", "SOURCE_DATE_EPOCH": "1795500000"}


def release(out: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script; *out* is a folder that isn't there yet."""
    return subprocess.run(
        [ROOT / "deploy" / "release.sh", out],
        env=os.environ | TRIED_OUT | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
