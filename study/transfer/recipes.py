"""What is compared: our candidates, and baselines with the same help and as many trials."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from training import configuration
from training.configuration import Configuration
from training.errors import ConfigurationError

from ..baselines.models import Baseline, fasttext_subwords
from .units import Help, help_of

Family = Literal["network", "linear", "fasttext"]

OURS: Final = "ours"
LR: Final = "TF-IDF words, characters + LR"
SVC: Final = "TF-IDF words, characters + LinearSVC"
FASTTEXT: Final = "fastText subwords"
FITTED: Final = (OURS, LR, SVC, FASTTEXT)

CANDIDATES: Final = Path(__file__).with_name("candidates.toml")

# Recipe → trial → its options, the cheapest first. Two each, around the settings of
# `study.baselines.models`, which were found on the benchmark.
_TRIALS: Final[Mapping[str, Mapping[str, Mapping[str, float]]]] = {
    LR: {"C = 1": {"C": 1.0}, "C = 10": {"C": 10.0}},
    SVC: {"C = 0.1": {"C": 0.1}, "C = 1": {"C": 1.0}},
    FASTTEXT: {"5 epochs": {"epoch": 5}, "10 epochs": {"epoch": 10}},
}


@dataclass(frozen=True)
class Trial:
    """One setting of a recipe.

    Attributes:
        recipe: one of `FITTED`.
        name: unique within the recipe.
        help: what it learns from.
        config: of ours; None for a baseline.
        options: of a baseline.
    """

    recipe: str
    name: str
    help: Help
    config: Configuration | None = None
    options: tuple[tuple[str, float], ...] = ()

    @property
    def family(self) -> Family:
        """Trials of a family share the costly part of a fit."""
        if self.config is not None:
            return "network"
        return "fasttext" if self.recipe == FASTTEXT else "linear"

    def estimator(self) -> Any:
        """Return the linear model, not fitted."""
        options = dict(self.options)
        if self.recipe == SVC:
            return LinearSVC(**options, random_state=0)
        # More steps than any fit here needs to converge.
        return LogisticRegression(**options, max_iter=2000)

    def fasttext(self) -> Baseline:
        """Return how fastText is fitted."""
        return fasttext_subwords(dict(self.options))

    def settings(self) -> dict[str, Any]:
        """Return everything that decides a fit, apart from texts and rows."""
        if self.config is not None:
            return self.config.model_dump(mode="json", exclude={"variant", "shipped"})
        copies = self.help.augmentation
        return {
            "recipe": self.recipe,
            "options": dict(self.options),
            "sources": [choice.model_dump(mode="json") for choice in self.help.choices],
            "match_length": self.help.match_length,
            "augmentation": None if copies is None else copies.model_dump(mode="json"),
        }


def trials(configs: Sequence[Configuration]) -> dict[str, list[Trial]]:
    """Return each recipe's trials, the cheapest first.

    Where our candidates learn from different sources or copies, a baseline tries each of these too.
    """
    found = {OURS: [Trial(OURS, one.variant, help_of(one), config=one) for one in configs]}
    helps = _named(list(dict.fromkeys(help_of(one) for one in configs)))
    for recipe, settings in _TRIALS.items():
        found[recipe] = [
            Trial(recipe, name + given, helps[given], options=tuple(options.items()))
            for given in helps
            for name, options in settings.items()
        ]
    return found


def _named(helps: Sequence[Help]) -> dict[str, Help]:
    """Return each choice of sources and copies by a suffix for names of trials: how it differs."""
    texts = list(dict.fromkeys(one.without_copies() for one in helps))
    copies = list(dict.fromkeys(one.augmentation for one in helps))
    made = [one for one in copies if one is not None]
    named = {}
    for one in helps:
        name = f", sources {texts.index(one.without_copies()) + 1}" if len(texts) > 1 else ""
        if len(copies) > 1:
            if one.augmentation is None:
                name += ", no copies"
            else:
                number = f" {made.index(one.augmentation) + 1}" if len(made) > 1 else ""
                name += ", copies" + number
        named[name] = one
    return named


def candidates(model: str, path: Path = CANDIDATES) -> list[Configuration]:
    """Return the variants that were written down to choose from, the cheapest first.

    Raises:
        ConfigurationError: there are none for the model, or one is wrong.
    """
    listed = tomllib.loads(path.read_text(encoding="utf-8"))
    if model not in listed:
        raise ConfigurationError(
            f"{path} lists no candidates for {model!r}, only for {', '.join(listed)}; name a "
            "--variant"
        )
    return [configuration.load(model, variant) for variant in listed[model]]
