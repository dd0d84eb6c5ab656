"""What is left out as one, for each model, and what its sources call positive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from training.configuration import Augmentation, Configuration, SourceChoice
from training.errors import ConfigurationError

from ..schema.transfer import Label


@dataclass(frozen=True, slots=True)
class Unit:
    """Sources of one origin: learned from together, or left out together.

    Attributes:
        name: in tables.
        sources: that are measured, each apart.
        label: what they call positive, compared with the model's meaning.
        also: further sources of the same texts, left out as well but not measured.
    """

    name: str
    sources: tuple[str, ...]
    label: Label
    also: tuple[str, ...] = ()

    @property
    def all_sources(self) -> tuple[str, ...]:
        """All that a fit without the unit does without."""
        return self.sources + self.also


@dataclass(frozen=True, slots=True)
class Plan:
    """The units of a model.

    Attributes:
        learned: each is left out in turn.
        foreign: no fit learns from them.
    """

    learned: tuple[Unit, ...]
    foreign: tuple[Unit, ...]

    def units(self) -> tuple[Unit, ...]:
        """Return all of them."""
        return self.learned + self.foreign

    def named(self, names: Sequence[str]) -> tuple[Unit, ...]:
        """Return the learned units of these names."""
        return tuple(unit for unit in self.learned if unit.name in names)


# Hate alone is narrower than abuse; what readers call toxic also covers what is merely rude.
_CIVIL: Final = Unit("Civil Comments", ("civil_comments",), "broader", ("civil_harmless",))
_DAVIDSON: Final = Unit(
    "Davidson", ("davidson",), "narrower", ("davidson_offensive", "davidson_harmless")
)
_WIKIPEDIA: Final = Unit(
    "Wikipedia",
    ("wikipedia_talk", "wikipedia_context"),
    "broader",
    ("wikipedia_harmless", "wikipedia_context_harmless"),
)
_CONVABUSE: Final = Unit("ConvAbuse", ("convabuse",), "equal", ("convabuse_harmless",))
_STORMFRONT: Final = Unit("Stormfront", ("stormfront",), "narrower")

PLANS: Final[Mapping[str, Plan]] = {
    "abuse": Plan((_CIVIL, _DAVIDSON, _WIKIPEDIA, _CONVABUSE), (_STORMFRONT,)),
    "spam": Plan(
        (
            Unit("SMS Spam", ("sms_spam",), "equal", ("sms_ham",)),
            Unit("Mishra & Soni", ("mishra_soni",), "equal"),
        ),
        # What advertises a channel or a page counts as spam there.
        (Unit("YouTube", ("youtube_spam",), "broader"),),
    ),
    "cyberbullying": Plan(
        (Unit("Tweets", ("cyberbullying_tweets",), "equal"),),
        (_CIVIL, _DAVIDSON, _WIKIPEDIA, _CONVABUSE, _STORMFRONT),
    ),
}

# What a configuration without `sources` learns from.
_DEFAULTS: Final = {"spam": "sms_spam", "cyberbullying": "cyberbullying_tweets"}


def plan_of(model: str, configs: Sequence[Configuration]) -> Plan:
    """Return the units of a model; those that no candidate learns from are measured only.

    Raises:
        ConfigurationError: there is none for the model.
    """
    try:
        plan = PLANS[model]
    except KeyError:
        raise ConfigurationError(
            f"no sources are known to measure {model!r} on; known: {', '.join(PLANS)}"
        ) from None
    used = {choice.name for config in configs for choice in help_of(config).choices}
    learned = tuple(unit for unit in plan.learned if used & set(unit.all_sources))
    return Plan(learned, tuple(unit for unit in plan.units() if unit not in learned))


@dataclass(frozen=True)
class Help:
    """What a recipe learns from, apart from the texts themselves.

    Attributes:
        choices: the sources and their weights.
        match_length: whether the weights make the length of a text worthless.
        augmentation: changed copies of training texts; None for none.
    """

    choices: tuple[SourceChoice, ...]
    match_length: bool = False
    augmentation: Augmentation | None = None

    def without_copies(self) -> "Help":
        """Return the texts alone, which copies are made of."""
        return replace(self, augmentation=None)


def help_of(config: Configuration) -> Help:
    """Return what a variant learns from; the baselines get the same.

    Raises:
        ConfigurationError: it names no sources, and its model has no default.
    """
    if config.sources:
        return Help(config.sources, config.match_length, config.augmentation)
    if config.model not in _DEFAULTS:
        raise ConfigurationError(
            f"{config.model}/{config.variant}: names no sources; add [[sources]] to its file"
        )
    choices = (SourceChoice(name=_DEFAULTS[config.model]),)
    return Help(choices, config.match_length, config.augmentation)
