"""Artifacts at an address such as ``s3://bucket/artifacts``, fetched into the cache.

What is fetched is what ``serving.toml`` names, and what a caller names in addition. Nothing is
listed, so permission to read objects is enough.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from . import evaluation_file, reference_file, remote, serving
from .artifact import MAX_BYTES
from .artifact_cache import CACHE_VARIABLE, Copy, Draft, cache_directory, last_used
from .installation import SERVING_FILE
from .manifest import (
    MANIFEST_FILE,
    MAX_JSON_BYTES,
    ArtifactError,
    is_name,
    load_manifest,
    sha256,
)
from .policy_file import MAX_POLICY_BYTES
from .remote import MissingError, RemoteError, join, shown
from .serving import ModelChoice, ServingError

# Next to an artifact, but no part of it: without them it is complete.
_OPTIONAL: Final = {
    evaluation_file.EVALUATION_FILE: evaluation_file.MAX_BYTES,
    evaluation_file.CARD_FILE: evaluation_file.MAX_BYTES,
    reference_file.REFERENCE_FILE: reference_file.MAX_BYTES,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is fetched of an address.

    Attributes:
        overrides: model → variant, instead of the one that ``serving.toml`` names.
        model: the one model whose artifacts are complete; of others only ``model.json`` is fetched.
            None for all.
        variant: of ``model``, in addition to those that ``serving.toml`` names.
        serving_file: content that replaces ``serving.toml``; None for what is there now.
        skip_damaged: whether a damaged artifact may be incomplete.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    variant: str | None = None
    serving_file: str | None = None
    skip_damaged: bool = False


def fetch(address: str, wanted: Wanted | None = None, cache: Path | None = None) -> Copy:
    """Fetch the artifacts at an address.

    ``serving.toml``, each ``model.json`` and what has no checksum there are read anew; of the other
    files, those that the cache lacks.

    Args:
        address: of the directory that contains ``serving.toml``.
        wanted: what to fetch; by default all that ``serving.toml`` names.
        cache: its directory; by default `cache_directory`.

    Raises:
        ArtifactError: a file is missing, damaged, too large or cannot be read; the cache cannot be
            written; or fsspec is not installed.
        ServingError: ``serving.toml`` is invalid.
    """
    wanted, cache = wanted or Wanted(), cache or cache_directory()
    try:
        with Draft(address, cache) as draft:
            damaged = _add_served(draft, address, wanted)
            directory, digest = draft.keep({"model": wanted.model, "variant": wanted.variant})
            return Copy(shown(address), directory, digest, damaged)
    except MissingError as error:
        raise ArtifactError(str(error)) from error
    except RemoteError as error:
        raise ArtifactError(f"{error}{_advice(address, cache)}") from error
    except OSError as error:
        raise _not_written(cache, error) from error


def fetch_artifact(address: str, cache: Path | None = None) -> Path:
    """Fetch one artifact; returns the directory of its copy.

    Args:
        address: of the artifact's directory.
        cache: its directory; by default `cache_directory`.

    Raises:
        ArtifactError: see `fetch`.
    """
    cache = cache or cache_directory()
    try:
        with Draft(address, cache) as draft:
            _add_artifact(draft, address, "")
            return draft.keep({})[0]
    except RemoteError as error:
        raise ArtifactError(str(error)) from error
    except OSError as error:
        raise _not_written(cache, error) from error


def _add_served(draft: Draft, address: str, wanted: Wanted) -> dict[str, str]:
    """Add what ``serving.toml`` names; returns why artifacts are not complete, see `Copy`."""
    if wanted.serving_file is None:
        _add(draft, address, SERVING_FILE, serving.MAX_BYTES)
    else:
        data = wanted.serving_file.encode()
        draft.add(SERVING_FILE, partial(_write, data))
    try:
        # A path without a directory: those of policy files are then relative to the address.
        chosen = serving.parse(Path(SERVING_FILE), (draft.directory / SERVING_FILE).read_bytes())
    except ServingError as error:
        raise ServingError(f"{shown(address)}/{error}") from error
    for model, variant in wanted.overrides.items():
        chosen[model] = replace(chosen.get(model, ModelChoice(variant)), variant=variant)
    named = {(model, one) for model, choice in chosen.items() for one in choice.loaded}
    if wanted.model is not None and wanted.variant is not None:
        named.add((wanted.model, wanted.variant))
    damaged = {}
    for model, variant in sorted(named):
        if not (is_name(model) and is_name(variant)):
            continue  # `serving.choices` refuses it
        name = f"{model}/{variant}"
        try:
            _add_artifact(draft, address, name, is_complete=wanted.model in {None, model})
        except (ArtifactError, MissingError) as error:
            if not wanted.skip_damaged:
                raise
            damaged[name] = str(error)
    for choice in chosen.values():
        for policy in choice.policies.values():
            if policy.calibration is not None:
                _add_policy(draft, address, policy.calibration)
    return damaged


def _add_artifact(draft: Draft, address: str, name: str, *, is_complete: bool = True) -> None:
    """Add an artifact, compared with the checksums of its ``model.json``.

    Args:
        draft: of the copy.
        address: of the copy.
        name: of the artifact's directory below the address; "" for the address itself.
        is_complete: whether more is added than ``model.json``.
    """
    prefix = f"{name}/" if name else ""
    _add(draft, address, f"{prefix}{MANIFEST_FILE}", MAX_JSON_BYTES)
    if not is_complete:
        return
    try:
        manifest = load_manifest(draft.directory / name)
    except ArtifactError as error:
        there = str(error).replace(str(draft.directory), shown(address).rstrip("/"))
        raise ArtifactError(there) from error
    for file, max_bytes in MAX_BYTES.items():
        if file in manifest.files:
            _add(draft, address, f"{prefix}{file}", max_bytes, manifest.files[file])
    for file, max_bytes in _OPTIONAL.items():
        with suppress(MissingError):
            _add(draft, address, f"{prefix}{file}", max_bytes)


def _add_policy(draft: Draft, address: str, name: str) -> None:
    """Add a policy file; where there is none, the policy cannot be fitted."""
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts:
        raise ArtifactError(
            f"{join(shown(address), SERVING_FILE)}: the policy file {name!r} is not below the "
            "address of the artifacts; put it there"
        )
    with suppress(MissingError):
        _add(draft, address, "/".join(parts), MAX_POLICY_BYTES)


def _add(
    draft: Draft, address: str, name: str, max_bytes: int, expected: str | None = None
) -> None:
    """Add a file.

    Raises:
        MissingError, RemoteError: it cannot be fetched.
        ArtifactError: its checksum is not ``expected``.
    """
    source = join(address, name)

    def obtain(target: Path) -> str:
        digest = remote.copy(source, target, max_bytes)
        if expected is not None and digest != expected:
            raise ArtifactError(
                f"{shown(source)}: damaged: its checksum differs from {MANIFEST_FILE}'s. Copy the "
                "artifact there again; a new one gets a new variant's name"
            )
        return digest

    draft.add(name, obtain, expected)


def _write(data: bytes, target: Path) -> str:
    target.write_bytes(data)
    return sha256(data)


def _advice(address: str, cache: Path) -> str:
    """Return where the last complete copy is, for the error of a failed fetch."""
    found = last_used(address, cache)
    if found is None:
        return ""
    used, directory = found
    return f". To go on with the copy that was last used, {used} UTC, give {directory} instead"


def _not_written(cache: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"{cache}: the cache of artifacts cannot be written ({error.strerror}); "
        f"choose another directory with {CACHE_VARIABLE}"
    )
