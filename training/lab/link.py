"""One link of the lab: its network, its load, and what is done to it."""

import logging
from pathlib import Path

from .faults import Faults
from .load import Load
from .namespaces import LabError
from .network import Network
from .plan import Phase, Run

log = logging.getLogger(__name__)


class Link:
    """A run's link, from `open` to `close`; used by one thread at a time.

    Whoever opens links holds the machine's lock (`namespaces.alone`).
    """

    def __init__(self, number: int, run: Run, folder: Path, seed: int) -> None:
        """Plan the link; nothing is made yet but the folder, for what its programs say.

        Links that exist at the same time need numbers of their own.

        Raises:
            LabError: if the faults of a phase can't be had together.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.run = run
        self.network = Network(number)
        self.load = Load(self.network, run, folder, seed)
        self.faults = Faults(self.network, self.load, run)

    def __enter__(self) -> "Link":
        self.open()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def open(self) -> None:
        """Make the network and start the load; offered is nothing until `set_rates`.

        Raises:
            LabError: if the machine can't; everything is taken down again then.
        """
        try:
            self.network.open()
            self.load.open()
        except BaseException:
            self.close()
            raise

    @property
    def ports(self) -> dict[str, tuple[str, str]]:
        """Where to watch: namespace and port on the caller's and the callee's side of a fault."""
        return {"access": (self.network.router, "r0"), "core": (self.network.router, "r1")}

    def set_rates(self, elapsed_seconds: float) -> None:
        """Offer what is due at this time of the run; to be called each second."""
        self.load.set_rates(elapsed_seconds)

    def apply(self, phase: Phase) -> tuple[int, int]:
        """Clear what is in force and put a phase's faults in force.

        Gives the Unix time in ms before the first command and after the last one: between these
        the link is neither as before nor as wanted.

        Raises:
            LabError: if a command fails, or a program of the callee doesn't start again.
        """
        return self.faults.apply(phase)

    def limiter(self) -> tuple[int, int]:
        """Give the packets that the limits dropped in this phase, and those that wait now."""
        return self.faults.limiter()

    def dead(self) -> list[str]:
        """Give the names of programs that ought to live and don't."""
        return self.load.dead()

    def close(self) -> None:
        """Kill and remove everything of this link. Safe to call twice; raises nothing."""
        for part in (self.load, self.network):
            try:
                part.close()
            except (LabError, OSError) as error:
                log.warning("a link was not taken down", extra={"why": str(error)})
