"""How a variant is trained: a readable TOML file, ``configs/<model>/<variant>.toml``."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from dandelion.decision import operating_points
from dandelion.quantization import Precision

from .configuration_tables import (
    Augmentation,
    Name,
    Rate,
    SourceChoice,
    StaticVectors,
    Wide,
    WindowChoice,
)
from .data.datasets import SOURCES, Source
from .data.sources import source_named
from .errors import ConfigurationError
from .losses import options
from .losses.options import Option
from .losses.registry import LOSSES

__all__ = [
    "CONFIGS",
    "MACRO_F1",
    "WITHOUT_EFFECT",
    "Augmentation",
    "Configuration",
    "Sampling",
    "SourceChoice",
    "StaticVectors",
    "Wide",
    "WindowChoice",
    "choose",
    "load",
    "load_all",
    "override",
    "parse",
    "path_of",
    "sources_of",
    "wide_recipe",
]

CONFIGS = Path("configs")

WITHOUT_EFFECT: Final = frozenset({"variant", "shipped", "about", "not_for"})
"""Fields of a configuration that change nothing in what is fitted."""

MACRO_F1: Final = "macro_f1"
"""The operating point of a variant that names none."""

_REMOVED: Final = {
    "limits": 'was removed; set operating_point, such as "fpr<=0.01[ordinary]", and name its '
    'sources under [groups]: ordinary = ["sms_ham"]'
}


class Sampling(StrEnum):
    """How an epoch's texts are drawn from the training fold."""

    NONE = "none"
    OVERSAMPLE = "oversample"
    """Every class as often as the largest, its texts repeated."""
    UNDERSAMPLE = "undersample"
    """Every class as often as the smallest, drawn anew each epoch."""
    EFFECTIVE_NUMBER = "effective_number"
    """As many texts as there are, each drawn with a probability proportional to 1 ÷ its class's
    effective number (1 − βⁿ) / (1 − β), β = .999 (Cui et al. 2019)."""


class Configuration(BaseModel):
    """Everything that decides how a variant is trained, except data and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: Name
    """The task: which data set is learnt."""
    variant: Name
    """The name of this configuration."""
    shipped: bool = True
    """Whether `train-all` trains it; if not, only the report shows it."""

    sources: tuple[SourceChoice, ...] = ()
    """What is learnt from; by default the model's benchmark, see `training.data.datasets`."""
    match_length: bool = False
    """Whether texts are drawn so that their length says nothing, see `training.data.length`."""
    windows: WindowChoice | None = None
    """How long texts are cut, of two labels only; None for not at all."""
    out_of_fold: bool = False
    """Whether the threshold and the windows' penalty are fitted on out-of-fold scores of training
    and validation, and the network on both. Otherwise they are fitted on validation, and the
    penalty is 0."""
    operating_point: str = MACRO_F1
    """How the default threshold is chosen, see `dandelion.decision.operating_points`. Any but
    ``macro_f1`` is fitted out of fold."""
    groups: dict[Name, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    """Name → sources that the operating point may name together."""
    about: str = ""
    """What the variant is for, one sentence or more in Markdown; with it, `train-all` writes a
    model card when the variant is served."""
    not_for: str = ""
    """What it is not for."""

    augmentation: Augmentation | None = None
    """Changed copies of training texts that are learnt as well; None for none. Not together with
    `types_weight`."""

    loss: str
    """A name in `training.losses.registry`."""
    loss_options: dict[str, Option] = {}
    """Keyword arguments of the loss, checked as its signature declares them."""
    types_weight: float = Field(0.0, ge=0)
    """Weight of a cross-entropy over the data set's finer classes, added to the loss. With it the
    network has a logit for each of them, and its score is the probability of any but the first."""

    dimensions: int = Field(50, ge=1)
    """Numbers in a word vector."""
    static: StaticVectors | None = None
    """Static sentence vectors, which a token's row has behind its word vector; None for none."""
    hidden: int = Field(128, ge=1)
    """Units in each of the two hidden layers."""
    word_dropout: float = Field(0.3, ge=0, lt=1)
    """Share of tokens left out of each text, drawn anew each epoch (Iyyer et al. 2015, 2.2)."""
    fine_tune: bool = True
    """Whether word vectors are trained, or stay GloVe's."""
    min_count: int = Field(2, ge=1)
    """How often a token that GloVe lacks must occur in the training fold to have a row."""
    extra_words: int = Field(10_000, ge=0)
    """GloVe's most frequent words beyond the training texts' that keep their vectors."""
    precision: Precision = "int8"
    """How the embedding and the grams are stored."""
    wide: Wide | None = None
    """The wide path; without it the network is the plain three-layer DAN."""

    layer_rate: Rate = 1e-3
    """Adam's learning rate for the layers."""
    embedding_rate: Rate = 1e-3
    """Adam's learning rate for the embedding."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay, on the layers."""
    batch_size: int = Field(64, ge=1)
    """Texts in a batch."""
    sampling: Sampling = Sampling.NONE
    """How an epoch's texts are drawn."""
    stratified: bool = False
    """Whether every batch has each class's share of the texts that are drawn."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How every learning rate changes: not at all, or down to 0 along a cosine."""
    averaging: float = Field(0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which is then kept; 0 for none."""
    prior_bias: bool = False
    """Whether the first logits are the classes' log-odds in the training fold."""
    warm_up_epochs: int = Field(0, ge=0)
    """Epochs under cross-entropy before the loss takes over."""
    clip_norm: float | None = Field(None, gt=0)
    """Largest norm of the layers' gradient; None for any."""
    logit_penalty: float = Field(0.0, ge=0)
    """Weight of the mean squared logit, added to the loss."""
    epochs: int = Field(30, ge=1)
    """Largest number of passes over the training fold."""
    patience: int = Field(5, ge=1)
    """Epochs without a better validation macro-F1 before the run stops."""
    restore: Literal["best", "last"] = "best"
    """Which epoch's weights are kept."""

    @property
    def folded(self) -> bool:
        """Whether anything is fitted on out-of-fold scores."""
        return self.out_of_fold or self.operating_point != MACRO_F1

    def without_folds(self) -> Self:
        """Return the same with a threshold fitted on validation: five fits less."""
        return self.model_copy(
            update={"out_of_fold": False, "operating_point": MACRO_F1, "groups": {}}
        )

    @field_validator("operating_point")
    @classmethod
    def _normalised_point(cls, text: str) -> str:
        return str(operating_points.parse(text))

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        if name not in LOSSES:
            raise ValueError(f"unknown loss {name!r}; available: {', '.join(LOSSES)}")
        return name

    @model_validator(mode="after")
    def _possible_options(self) -> Self:
        if self.augmentation is not None and self.types_weight:
            raise ValueError("augmentation and types_weight cannot be combined; leave one out")
        try:
            options.check(LOSSES[self.loss].function, self.loss_options)
        except ValueError as error:
            raise ValueError(f"loss_options of {self.loss!r}: {error}") from None
        return self


def wide_recipe(
    model: str, variant: str, loss: str, loss_options: Mapping[str, Option] | None = None
) -> Configuration:
    """Return the wide and deep recipe, for data that nothing was tuned for.

    Args:
        model: the task's name.
        variant: the configuration's name.
        loss: its name.
        loss_options: of the loss.

    Raises:
        ConfigurationError: there is no such loss, or a name has other characters than a to z, 0 to
            9, _ and -.
    """
    values = {
        "model": model,
        "variant": variant,
        "loss": loss,
        "loss_options": dict(loss_options or {}),
        "extra_words": 0,
        "batch_size": 64,
        "epochs": 8,
        "schedule": "cosine",
        "restore": "last",
        "wide": Wide(surface_dimensions=16, rate=0.01),
    }
    return parse(values, "command line")


def path_of(model: str, variant: str, directory: Path = CONFIGS) -> Path:
    """Return the path of a variant's file."""
    return directory / model / f"{variant}.toml"


def load(model: str, variant: str, directory: Path = CONFIGS) -> Configuration:
    """Read ``<directory>/<model>/<variant>.toml``.

    Raises:
        ConfigurationError: it is missing or wrong; the message names every problem.
    """
    path = path_of(model, variant, directory)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}). {_variants(model, directory)}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from error
    return parse({"model": model, "variant": variant} | values, str(path))


def choose(
    model: str, variant: str | None, loss: str | None, settings: Sequence[str] = ()
) -> Configuration:
    """Return a variant's file, or the defaults with a loss, as the command line overrides it.

    Args:
        model: the task.
        variant: the name of the configuration; by default the loss's.
        loss: its name; by default the file's.
        settings: see `override`.

    Raises:
        ConfigurationError: neither is given, they contradict each other, or a setting is wrong.
    """
    name = variant or loss
    if name is None:
        raise ConfigurationError("give a --variant of configs/, or a --loss")
    path = path_of(model, name)
    if path.exists():
        committed = load(model, name)
        if loss not in {None, committed.loss}:
            raise ConfigurationError(
                f"{path} has the loss {committed.loss!r}, not {loss!r}; choose another --variant"
            )
        return override(committed, settings)
    if loss is None:
        raise ConfigurationError(
            f"{path}: no such file, so give a --loss. {_variants(model, CONFIGS)}"
        )
    return override({"model": model, "variant": name, "loss": loss}, settings)


def override(base: Configuration | Mapping[str, object], settings: Sequence[str]) -> Configuration:
    """Override fields of a configuration, also those of tables: ``wide.rate=0.01``.

    Args:
        base: what is overridden.
        settings: ``FIELD=VALUE`` each, in TOML.

    Raises:
        ConfigurationError: a setting is not FIELD=VALUE, has a command line option of its own, or
            its value is wrong.
    """
    try:
        overrides = tomllib.loads("\n".join(settings))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"--set: {error}; expected FIELD=VALUE, text in quotes") from error
    fixed = {"model", "variant", "loss"} & set(overrides)
    if fixed:
        raise ConfigurationError(f"--set: {', '.join(sorted(fixed))}: use the option of that name")
    values = base.model_dump() if isinstance(base, Configuration) else dict(base)
    for field, value in overrides.items():
        inner = values.get(field)
        is_table = isinstance(value, dict) and isinstance(inner, dict)
        values[field] = inner | value if is_table else value
    return parse(values, "command line")


def parse(values: Mapping[str, object], source: str) -> Configuration:
    """Check a configuration's values.

    Raises:
        ConfigurationError: they are wrong; the message names ``source`` and every problem.
    """
    try:
        return Configuration.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors()))
        raise ConfigurationError(f"{source}: {problems}") from error


def load_all(directory: Path = CONFIGS) -> list[Configuration]:
    """Read every configuration, sorted by model and variant.

    Raises:
        ConfigurationError: there is none, or one is wrong.
    """
    paths = sorted(directory.glob("*/*.toml"), key=lambda path: (path.parent.name, path.stem))
    if not paths:
        raise ConfigurationError(f"{directory}: contains no configuration (<model>/<variant>.toml)")
    return [load(path.parent.name, path.stem, directory) for path in paths]


def sources_of(model: str | None, directory: Path = CONFIGS) -> list[Source]:
    """Return the files that shipped variants learn from, of one model or of all.

    The benchmarks come first. Sources that are generated have no file.

    Raises:
        ConfigurationError: a configuration is wrong.
    """
    found = [source for name, source in SOURCES.items() if model in {None, name}]
    if directory.is_dir():
        found += [
            source_named(choice.name)
            for config in load_all(directory)
            if config.shipped and model in {None, config.model}
            for choice in config.sources
        ]
    return list(dict.fromkeys(one for one in found if one.generate is None))


_TABLES: Final[Mapping[str, type[BaseModel]]] = {
    "static": StaticVectors,
    "wide": Wide,
    "sources": SourceChoice,
    "windows": WindowChoice,
    "augmentation": Augmentation,
}


def _problem(detail: ErrorDetails) -> str:
    """Describe one of pydantic's errors."""
    *outer, field = detail["loc"] or ("",)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        if not outer and field in _REMOVED:
            return f"{field}: {_REMOVED[str(field)]}"
        table = _TABLES.get(str(outer[0])) if outer else None
        known = list((table or Configuration).model_fields)
        near = difflib.get_close_matches(str(field), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"available: {', '.join(known)}"
        message = f"unknown field; {hint}"
    name = ".".join(map(str, detail["loc"]))
    return f"{name}: {message}" if name else message


def _variants(model: str, directory: Path) -> str:
    known = sorted(file.stem for file in (directory / model).glob("*.toml"))
    return f"Variants of {model!r} here: {', '.join(known) or 'none'}"
