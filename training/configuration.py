"""How a variant is trained: one readable TOML file each, ``configs/<model>/<variant>.toml``."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dandelion.artifact import Precision

from .errors import ConfigurationError
from .losses import LOSSES, options_of

CONFIGS = Path("configs")

_Rate = Annotated[float, Field(gt=0, le=1)]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_-]*$")]


class Configuration(BaseModel):
    """Everything that decides how a variant is trained, but for data and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: _Name
    """The task: which data set is learnt."""
    variant: _Name
    """The name of this configuration."""

    loss: str
    """A name in training/losses.py."""
    loss_options: dict[str, float] = {}
    """Keyword arguments of the loss."""

    dimensions: int = Field(50, ge=1)
    """Numbers in a word vector."""
    hidden: int = Field(128, ge=1)
    """Units in each of the two hidden layers."""
    word_dropout: float = Field(0.3, ge=0, lt=1)
    """Share of tokens left out of each text, anew each epoch (Iyyer et al. 2015, section 2.2)."""
    fine_tune: bool = True
    """Whether word vectors are trained too, or stay GloVe's."""
    min_count: int = Field(2, ge=1)
    """How often a token that GloVe lacks must occur in training to have a row."""
    extra_words: int = Field(10_000, ge=0)
    """GloVe's most frequent words beyond the training texts' that keep their vectors."""
    precision: Precision = "int8"
    """How the embedding is stored."""

    layer_rate: _Rate = 1e-3
    """Adam's learning rate for the layers."""
    embedding_rate: _Rate = 1e-3
    """Adam's learning rate for the embedding."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay, on the layers."""
    batch_size: int = Field(64, ge=1)
    """Texts in a batch."""
    stratified: bool = False
    """Whether every batch has the training fold's share of positives."""
    epochs: int = Field(30, ge=1)
    """Passes over the training fold at most."""
    patience: int = Field(5, ge=1)
    """Epochs without a better validation macro-F1 before the run stops."""
    restore: Literal["best", "last"] = "best"
    """Which epoch's weights are kept."""

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        if name not in LOSSES:
            raise ValueError(f"no loss {name!r}; there are: {', '.join(LOSSES)}")
        return name

    @model_validator(mode="after")
    def _known_options(self) -> Self:
        known = options_of(self.loss)
        unknown = sorted(set(self.loss_options) - known)
        if unknown:
            raise ValueError(
                f"loss_options: {self.loss!r} has no {', '.join(unknown)}; "
                f"there are: {', '.join(sorted(known)) or 'none'}"
            )
        return self


def path_of(model: str, variant: str, directory: Path = CONFIGS) -> Path:
    """Return the place of a variant's file."""
    return directory / model / f"{variant}.toml"


def load(model: str, variant: str, directory: Path = CONFIGS) -> Configuration:
    """Read ``<directory>/<model>/<variant>.toml``.

    Raises:
        ConfigurationError: it is missing or wrong; every mistake is named.
    """
    path = path_of(model, variant, directory)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = sorted(file.stem for file in (directory / model).glob("*.toml"))
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}). "
            f"Variants of {model!r} here: {', '.join(known) or 'none'}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from error
    return parse({"model": model, "variant": variant} | values, str(path))


def parse(values: Mapping[str, Any], source: str) -> Configuration:
    """Check a configuration's values.

    Raises:
        ConfigurationError: they are wrong; the message names ``source`` and every mistake.
    """
    try:
        return Configuration.model_validate(values)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()
        )
        raise ConfigurationError(f"{source}: {mistakes}") from error


def load_all(directory: Path = CONFIGS) -> list[Configuration]:
    """Read every configuration, sorted by model and variant.

    Raises:
        ConfigurationError: there is none, or one is wrong.
    """
    paths = sorted(directory.glob("*/*.toml"))
    if not paths:
        raise ConfigurationError(f"{directory}: holds no configuration (<model>/<variant>.toml)")
    return [load(path.parent.name, path.stem, directory) for path in paths]
