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
    """Settings are invalid; the message lists every problem."""


class Settings(BaseSettings):
    """The settings of the service, read from environment variables named ``DANDELION_…``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=_NESTED,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for every interface."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 picks a free one and logs it."""

    workers: int = Field(1, ge=1)
    """Worker processes; the models are loaded once and shared between them (Linux)."""

    artifacts: Path = Path("artifacts")
    """Directory that holds the artifacts and `serving.toml`."""
    models: dict[str, str] = {}
    """Variant to serve a model with, overriding `serving.toml`: `DANDELION_MODELS__SPAM=mse`."""

    max_texts: int = Field(4096, ge=1)
    """Maximum number of texts in a request."""
    max_text_chars: int = Field(100_000, ge=1)
    """Maximum number of characters in a text."""
    max_body_bytes: int = Field(8_000_000, ge=1)
    """Maximum size of a request body in bytes."""

    engine: Literal["auto", "compiled", "numpy"] = "auto"
    """What computes the scores; `auto` is `compiled` where a C compiler built it, else `numpy`."""
    blas_threads: int = Field(1, ge=1)
    """Threads of NumPy's linear algebra; more than one slows down these small networks."""
    shutdown_grace_s: int = Field(30, ge=0)
    """Seconds that requests in flight have to finish after SIGTERM."""

    log_format: Literal["console", "json"] = "console"
    """Format of log lines: `console` or `json`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    access_log: bool = False
    """Whether every request to a model is logged, not only those that fail with 5xx."""


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: settings are invalid or unknown; all of them are listed at once.
    """
    problems = _unknown(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [
            f"{_variable(detail['loc'])}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        ]
    except NotJSONError:  # raised for the one field that may be JSON
        variable = _variable(["models"])
        problems.append(
            f"{variable}: not a JSON object; set one variable per model: {variable}__SPAM=mse"
        )
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _unknown(environ: Mapping[str, str]) -> list[str]:
    """Describe each variable that has the prefix, but is not a setting."""
    names = list(Settings.model_fields)
    problems = []
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX):
            continue
        name = variable.upper().removeprefix(PREFIX).lower()
        field, nested, _ = name.partition(_NESTED)
        if field in names and (not nested or field == "models"):
            continue
        near = difflib.get_close_matches(field, names, n=1)
        hint = f"did you mean {_variable(near)}?" if near else f"available: {', '.join(names)}"
        problems.append(f"{variable}: no such setting; {hint}")
    return problems


def _variable(location: tuple[int | str, ...] | list[str]) -> str:
    return PREFIX + _NESTED.join(str(part).upper() for part in location)


def table() -> str:
    """Return a Markdown table of every setting."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        lines.append(f"| `{_variable([name])}` | `{default}` | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
