"""Write the dashboards: `python deploy/grafana/generate.py` after a change in `boards/`.

Needs nothing but Python. With a folder as its argument it writes there instead.
"""

import json
import sys
from pathlib import Path

from boards import embedding, health, learning, link, overview

BOARDS = (overview, link, embedding, health, learning)
HERE = Path(__file__).parent


def write(folder: Path) -> None:
    """Write each dashboard to *folder*, under its uid without `anchorwatch-`."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        made = board.make()
        name = made["uid"].removeprefix("anchorwatch-")
        text = json.dumps(made, indent=2, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else HERE / "dashboards")
