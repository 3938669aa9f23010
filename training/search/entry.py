"""An entry of the space: one thing that is tried, and how a trial chooses it."""

from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial

from training.settings import Settings

from .pin import SETTINGS, as_text, parse


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that is tried: some choices, or the numbers from *least* to *most*."""

    name: str  # in the journal
    sets: tuple[str, ...]  # settings; a choice has a word for each
    why: str
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    log: bool = False  # whether it is the factor that counts
    losses: tuple[str, ...] = ()  # tried only with these; none = with all

    def draw(self, trial: BaseTrial) -> dict[str, Any]:
        """Let a trial choose."""
        if self.choices:
            words = trial.suggest_categorical(self.name, self.choices).split(" ")
            return {name: parse(name, word) for name, word in zip(self.sets, words, strict=True)}
        if self._is_whole:
            least, most = int(self.least), int(self.most)
            return {self.sets[0]: trial.suggest_int(self.name, least, most, log=self.log)}
        number = trial.suggest_float(self.name, self.least, self.most, log=self.log)
        return {self.sets[0]: float(f"{number:.3g}")}  # no more than a person would type

    def undrawn(self, settings: Settings) -> Any:
        """Give what a trial would have to choose to get these settings."""
        values = [getattr(settings, name) for name in self.sets]
        return " ".join(map(as_text, values)) if self.choices else values[0]

    @property
    def values(self) -> str:
        """What it may be, for people."""
        if self.choices:
            return ", ".join(f"`{choice}`" for choice in self.choices)
        return f"{self.least:g} to {self.most:g}" + (", by factors" if self.log else "")

    @property
    def _is_whole(self) -> bool:
        return isinstance(SETTINGS[self.sets[0]].default, int)
