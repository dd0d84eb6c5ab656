"""Every setting of the service."""

import difflib
import ipaddress
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NotJSONError

from dandelion.installation import default_artifacts
from dandelion.remote import is_address

from . import address
from .service_links import is_service_link

PREFIX = "DANDELION_"
_NESTED = "__"

# Every number has an upper bound that everything which computes with it can represent.
_MAX_COUNT: Final = 2**31 - 1  # of bytes, too
_MAX_BYTES: Final = 2**50  # of a file
_MAX_CONNECTIONS: Final = 1_000_000
_MAX_THREADS: Final = 1024
_DAY_S: Final = 86_400
_DAY_MS: Final = 1000 * _DAY_S
_MIN_TIMEOUT_S: Final = 0.01  # connections are checked several times in it
_MAX_PROBLEM_CHARS: Final = 500
# Of the key of an HMAC: shorter ones are weaker than the hash (RFC 2104, section 3).
_MIN_SECRET_BYTES: Final = 32

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")

_log = logging.getLogger("dandelion")

# As a browser sends it (RFC 6454, section 6.2): compared byte by byte.
_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
_DEFAULT_PORT: Final = re.compile(r"http://.*:80|https://.*:443")
_ROOT_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")


def _parse_number(value: str) -> float:
    """Return a number that is written in digits, with or without a fraction and an exponent."""
    if not _NUMBER.fullmatch(value):
        raise ValueError("expected a number in the digits 0 to 9, such as 2.5")
    return float(value)


_PARSERS: Final[Mapping[str, Callable[[str], object]]] = {
    "host": address.parse_host,
    "port": address.parse_port,
    "uds": address.parse_uds,
    "keys_file": address.parse_uds,
    "log_level": str.lower,
    "artifacts": lambda value: value if is_address(value) else Path(value),
}
_PARSERS_BY_TYPE: Final[Mapping[Any, Callable[[str], object]]] = {
    int: address.parse_whole,
    float: _parse_number,
}


class SettingsError(Exception):
    """Settings are invalid; the message lists every problem."""


class Settings(BaseSettings):
    """Every setting of the service, read from environment variables named ``DANDELION_…``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=_NESTED,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = address.DEFAULT_HOST
    """Address to listen on; `0.0.0.0` is every interface by IPv4, `::` by IPv6 and IPv4."""
    port: int = Field(address.DEFAULT_PORT, ge=0, le=address.MAX_PORT)
    """Port to listen on; 0 picks a free one and logs it."""
    uds: Path | None = None
    """Path of a Unix domain socket to listen on; host and port are then ignored."""
    workers: int = Field(1, ge=1, le=1000)
    """Worker processes; the models are loaded once and shared by them (Linux)."""

    artifacts: Path | str = Field(default_factory=default_artifacts)
    """Directory of the artifacts and `serving.toml`, or its address, such as
    `s3://bucket/artifacts` (extra `s3`); default: `./artifacts` if it has a
    `serving.toml`, else the installed ones."""
    cache_dir: Path | None = None
    """Directory into which artifacts at an address are fetched; by default `dandelion` in
    `$XDG_CACHE_HOME`, or in `~/.cache`."""
    models: dict[str, str] = {}
    """Variant that serves a model, overriding `serving.toml`: `DANDELION_MODELS__SPAM=mse`."""

    max_texts: int = Field(4096, ge=1, le=_MAX_COUNT)
    """Maximum number of texts in a request."""
    max_text_chars: int = Field(100_000, ge=1, le=_MAX_COUNT)
    """Maximum number of characters in a text, before and after Unicode normalization (NFKC)."""
    max_request_chars: int = Field(8_000_000, ge=1, le=_MAX_COUNT)
    """Maximum number of characters in all texts of a request, after normalization."""
    max_body_bytes: int = Field(8_000_000, ge=1, le=_MAX_COUNT)
    """Maximum size of a request body in bytes."""
    max_url_bytes: int = Field(8192, ge=64, le=_MAX_COUNT)
    """Maximum length of a request's URL in bytes."""
    max_header_bytes: int = Field(32_768, ge=256, le=_MAX_COUNT)
    """Maximum size of a request's header section in bytes, and of the chunk extensions and
    trailers of a chunked body."""
    max_headers: int = Field(100, ge=1, le=_MAX_COUNT)
    """Maximum number of header fields in a request."""

    max_connections: int = Field(1000, ge=1, le=_MAX_CONNECTIONS)
    """Maximum number of open connections per worker; at the limit, a new one replaces the one that
    has waited longest for headers from its client."""
    max_bytes_in_flight: int = Field(32_000_000, ge=1, le=_MAX_COUNT)
    """Maximum number of bytes, in request bodies over 64 KiB, that a worker reads or classifies at
    a time; at least `DANDELION_MAX_BODY_BYTES` is used."""
    max_texts_in_flight: int = Field(16_384, ge=1, le=_MAX_COUNT)
    """Maximum number of texts, in large batches, that a worker classifies at a time or that wait
    for a thread; at least `DANDELION_MAX_TEXTS` is used."""
    max_waiting: int = Field(256, ge=0, le=_MAX_COUNT)
    """Maximum number of requests per worker that wait for capacity; further ones get 429."""
    max_wait_ms: int = Field(2000, ge=0, le=_DAY_MS)
    """Milliseconds that a request waits for capacity before it gets 429: for bytes in flight, and
    again for texts."""
    request_timeout_ms: int = Field(10_000, ge=1, le=_DAY_MS)
    """Milliseconds to respond after the body has arrived; a request that takes longer gets 504."""

    header_timeout_s: float = Field(10, ge=_MIN_TIMEOUT_S, le=_DAY_S, allow_inf_nan=False)
    """Seconds from the start of a connection, or from the first byte of a further request on it,
    to the end of the headers."""
    body_timeout_s: float = Field(30, ge=_MIN_TIMEOUT_S, le=_DAY_S, allow_inf_nan=False)
    """Seconds that a request's body may take to arrive before it gets 408; also the time that a
    client has to read a response too large for the buffers."""
    keep_alive_s: float = Field(75, ge=_MIN_TIMEOUT_S, le=_DAY_S, allow_inf_nan=False)
    """Seconds that an idle connection stays open; load balancers usually keep theirs for 60."""
    drain_s: float = Field(5, ge=0, le=_DAY_S, allow_inf_nan=False)
    """Seconds to keep serving after SIGTERM while `/readyz` responds with 503, so that load
    balancers stop sending requests before the service stops; SIGINT skips this, 0 turns it off."""
    shutdown_grace_s: int = Field(30, ge=0, le=_DAY_S)
    """Seconds that requests in flight have to finish after that."""
    reload_timeout_s: float = Field(120, ge=_MIN_TIMEOUT_S, le=_DAY_S, allow_inf_nan=False)
    """Seconds that a reload may take until its workers serve; after that it has failed, and the
    previous workers keep serving."""
    reload_drain_s: float = Field(60, ge=0, le=_DAY_S, allow_inf_nan=False)
    """Maximum seconds after a reload for which the previous workers keep their open connections:
    each gets `Connection: close` with its next response."""

    keys_file: Path | None = None
    """File of the API keys that requests need, see `dandelion keys new`; each reload reads it
    again. Without keys, anyone who can reach the service may use it."""
    keys: SecretStr = SecretStr("")
    """API keys, as in `DANDELION_KEYS_FILE`; not an option, since other users see command lines."""

    cors_origins: str = ""
    """Origins whose pages may call the service from a browser, separated by commas; `*` for all."""
    trusted_proxies: str = ""
    """Addresses or networks, separated by commas, whose `X-Forwarded-For` header is trusted: the
    access log then has the client's address, not the proxy's. `*` for all."""
    root_path: str = ""
    """Prefix that the service's paths have at a proxy, such as `/dandelion`, whether or not the
    proxy removes it."""
    protocols: str = ""
    """Other services' protocols to serve in addition, separated by commas: `perspective`,
    `open-inference`."""
    skip_damaged: bool = False
    """Whether the service starts without a model whose artifact is damaged, instead of not at
    all."""

    engine: Literal["auto", "compiled", "numpy"] = "auto"
    """What computes the scores; `auto` is `compiled` if that engine was built, else `numpy`."""
    blas_threads: int = Field(1, ge=1, le=_MAX_THREADS)
    """Threads of NumPy's linear algebra; more than one slows down these small networks."""

    log_format: Literal["console", "json"] = "console"
    """Format of log lines: `console` or `json`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged: `debug`, `info`, `warning` or `error`, in any case."""
    access_log: bool = False
    """Whether requests to a model are logged, not only those that fail with 5xx."""
    access_log_share: float = Field(1, ge=0, le=1, allow_inf_nan=False)
    """Share of the requests that the access log includes, drawn at random; those that fail with 5xx
    are always logged."""

    traces: bool = False
    """Whether requests to a model are traced by OpenTelemetry (extra `otel`); its variables
    `OTEL_…` set where traces are sent and which are sampled."""

    record_file: Path | None = None
    """File of the decision record, as JSON Lines: a line for each decision, without the text; by
    default decisions are not recorded."""
    record_max_bytes: int = Field(0, ge=0, le=_MAX_BYTES)
    """Size of the decision record at which it is rotated; 0 for never."""
    record_files: int = Field(9, ge=1, le=1000)
    """How many rotated files of the decision record are kept; the oldest is deleted."""
    record_hmac_key: SecretStr | None = None
    """Secret of at least 32 bytes; with it, the decision record has an HMAC of each text. Not an
    option, since other users see command lines."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment without what Kubernetes has set in it."""
        environment = EnvSettingsSource(settings_cls)
        environment.env_vars = {
            name: value
            for name, value in environment.env_vars.items()
            if not is_service_link(name.upper(), value or "")
        }
        return init_settings, environment

    @field_validator("*", mode="before")
    @classmethod
    def _parse(cls, value: object, info: ValidationInfo) -> object:
        """Read text more strictly than by default, which takes ``+9_420.0`` for a port."""
        name = info.field_name or ""
        parse = _PARSERS.get(name) or _PARSERS_BY_TYPE.get(cls.model_fields[name].annotation)
        return parse(value) if parse and isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: str) -> str:
        for origin in entries(value):
            if value.strip() != "*" and not _is_origin(origin):
                raise ValueError(
                    f"{origin!r} is not an origin as browsers send it; expected one such as "
                    "https://example.com or http://localhost:3000, without a path or a scheme's "
                    "default port, or * alone"
                )
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        for proxy in entries(value):
            if value.strip() == "*":
                continue
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise ValueError(
                    f"{error}; expected addresses or networks, such as 10.0.0.7 or 10.0.0.0/8, "
                    "or * alone"
                ) from error
        return value

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, value: str) -> str:
        if not _ROOT_PATH.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a prefix of paths; expected one such as /dandelion, with a "
                "leading slash and without a trailing one"
            )
        return value

    @field_validator("record_hmac_key")
    @classmethod
    def _check_hmac_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(secret_bytes(value)) < _MIN_SECRET_BYTES:
            raise ValueError(f"expected at least {_MIN_SECRET_BYTES} bytes")
        return value


def entries(value: str) -> list[str]:
    """Return what a setting separates by commas.

    Example:
        >>> entries("https://a.example, https://b.example")
        ['https://a.example', 'https://b.example']
    """
    return [entry for part in value.split(",") if (entry := part.strip())]


def _is_origin(value: str) -> bool:
    return bool(_ORIGIN.fullmatch(value)) and not _DEFAULT_PORT.fullmatch(value)


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings from the environment and the command line.

    Args:
        overrides: field → value, from the command line; takes precedence over the environment.

    Raises:
        SettingsError: settings are invalid or unknown; all of them are listed at once.
    """
    overrides = overrides or {}
    problems = _unknown(os.environ)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [
            f"{option(field) if field in overrides else variable(field, *nested)}: "
            f"{detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False)
            for field, *nested in [map(str, detail["loc"])]
        ]
    except (NotJSONError, RecursionError):  # raised for the one field that may be JSON
        problems.append(
            f"{variable('models')}: not a JSON object; set one variable per model: "
            f"{variable('models', 'spam')}=mse"
        )
    if problems:
        raise SettingsError("; ".join(map(_in_one_line, problems)))
    return settings


def _in_one_line(problem: str) -> str:
    """Shorten a description that may quote whatever was given."""
    shown = " ".join(problem.split())
    return shown if len(shown) <= _MAX_PROBLEM_CHARS else f"{shown[:_MAX_PROBLEM_CHARS]}…"


def _unknown(environ: Mapping[str, str]) -> list[str]:
    """Describe each variable that has the prefix, but is not a setting."""
    names = list(Settings.model_fields)
    available = ", ".join(map(variable, names))
    problems = []
    for given in sorted(environ):
        if not given.upper().startswith(PREFIX) or is_service_link(given, environ[given]):
            continue
        name = given.upper().removeprefix(PREFIX).lower()
        field, nested, _ = name.partition(_NESTED)
        if field in names and (not nested or field == "models"):
            continue
        near = difflib.get_close_matches(field, names, n=1)
        hint = f"did you mean {variable(*near)}?" if near else f"available: {available}"
        problems.append(f"{_in_one_line(given)}: no such setting; {hint}")
    return problems


def log_service_links() -> None:
    """Log the variables that have the prefix, but were set by Kubernetes."""
    names = [
        name
        for name, value in sorted(os.environ.items())
        if name.startswith(PREFIX) and is_service_link(name, value)
    ]
    if names:
        _log.debug(
            "ignoring variables that Kubernetes has set for Services",
            extra={"variables": ",".join(names)},
        )


def variable(field: str, *nested: str) -> str:
    """Return the environment variable of a field, or of an entry in it.

    Example:
        >>> variable("models", "spam")
        'DANDELION_MODELS__SPAM'
    """
    return PREFIX + _NESTED.join((field, *nested)).upper()


def option(field: str) -> str:
    """Return the option of a field on the command line.

    Example:
        >>> option("max_texts")
        '--max-texts'
    """
    return f"--{field.replace('_', '-')}"


def secret_bytes(secret: SecretStr) -> bytes:
    """Return a secret as it stands in the environment."""
    return secret.get_secret_value().encode("utf-8", "surrogateescape")


def is_secret(field: str) -> bool:
    """Return whether a field is a secret, which has no option: others could read it.

    Example:
        >>> is_secret("record_hmac_key"), is_secret("record_file")
        (True, False)
    """
    annotation = Settings.model_fields[field].annotation
    return SecretStr in (annotation, *get_args(annotation))


def source(field: str) -> str:
    """Return both places that a value may come from, for an error about it.

    Example:
        >>> source("port")
        '--port / DANDELION_PORT'
    """
    return f"{option(field)} / {variable(field)}"


def table() -> str:
    """Return a Markdown table of every setting."""
    lines = ["| variable | default | range | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = f"`{default}`" if default is not None and str(default) else ""
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{variable(name)}` | {shown} | {bounds(name)} | {meaning} |")
    return "\n".join(lines) + "\n"


def bounds(field: str) -> str:
    """Return the smallest and the largest value of a number; nothing for other fields.

    Example:
        >>> bounds("port")
        '0 to 65535'
    """
    metadata = Settings.model_fields[field].metadata
    smallest = [bound.ge for bound in metadata if hasattr(bound, "ge")]
    largest = [bound.le for bound in metadata if hasattr(bound, "le")]
    return f"{smallest[0]} to {largest[0]}" if smallest and largest else ""


if __name__ == "__main__":
    sys.stdout.write(table())
