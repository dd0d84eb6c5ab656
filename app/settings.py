"""Every setting of the service, in one class."""

import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as NotJSONError

PREFIX = "DANDELION_"
_NESTED = "__"


class SettingsError(Exception):
    """One or more settings are wrong; the message names every mistake."""


class Settings(BaseSettings):
    """What the service can be told, by environment variables with the prefix ``DANDELION_``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=_NESTED,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one and logs it."""

    workers: int = Field(1, ge=1)
    """Processes that answer side by side; the models are loaded once and shared (Linux)."""

    artifacts: Path = Path("artifacts")
    """Directory of the artifacts, `serving.toml` among them."""
    models: dict[str, str] = {}
    """Variant that serves a model, over `serving.toml`: `DANDELION_MODELS__SPAM=mse`."""

    max_texts: int = Field(4096, ge=1)
    """Texts in a request at most."""
    max_text_chars: int = Field(100_000, ge=1)
    """Characters in a text at most."""
    max_body_bytes: int = Field(8_000_000, ge=1)
    """Bytes in a request's body at most."""

    engine: Literal["auto", "compiled", "numpy"] = "auto"
    """What computes the scores; `auto` is `compiled` where a C compiler built it, else `numpy`."""
    blas_threads: int = Field(1, ge=1)
    """Threads of NumPy's linear algebra; more than one slows these small networks down."""
    shutdown_grace_s: int = Field(30, ge=0)
    """Seconds that requests in flight have to finish after SIGTERM."""

    log_format: Literal["console", "json"] = "console"
    """How log lines look: `console` or `json`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe lines that are written."""
    access_log: bool = False
    """Whether every request to classify is logged, not only those answered with 5xx."""


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: some are wrong or unknown; every mistake is named at once.
    """
    mistakes = _unknown(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        mistakes += [
            f"{_variable(detail['loc'])}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        ]
    except NotJSONError:  # of the one field that can be JSON
        variable = _variable(["models"])
        mistakes.append(
            f"{variable}: not a JSON object; set a variable for each model: {variable}__SPAM=mse"
        )
    if mistakes:
        raise SettingsError("; ".join(mistakes))
    return settings


def _unknown(environ: Mapping[str, str]) -> list[str]:
    """Tell of variables with the prefix that no field has."""
    names = list(Settings.model_fields)
    mistakes = []
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX):
            continue
        name = variable.upper().removeprefix(PREFIX).lower()
        field, nested, _ = name.partition(_NESTED)
        if field in names and (not nested or field == "models"):
            continue
        near = difflib.get_close_matches(field, names, n=1)
        hint = f"did you mean {_variable(near)}?" if near else f"there are: {', '.join(names)}"
        mistakes.append(f"{variable}: no such setting; {hint}")
    return mistakes


def _variable(location: tuple[int | str, ...] | list[str]) -> str:
    return PREFIX + _NESTED.join(str(part).upper() for part in location)


def table() -> str:
    """Describe every setting, as a Markdown table."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        lines.append(f"| `{_variable([name])}` | `{default}` | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
