"""The artifact that a command line names."""

from pathlib import Path
from typing import Annotated

import typer

from ..installation import SERVING_FILE, default_artifacts
from ..json_values import quoted
from ..remote import is_address
from ..remote_artifacts import Wanted, fetch
from ..serving import read, variants
from .errors import UsageError

ArtifactsOption = Annotated[
    str | None,
    typer.Option(
        envvar="DANDELION_ARTIFACTS",
        show_default=False,
        metavar="DIRECTORY",
        help=f"Directory of the artifacts, with a {SERVING_FILE}. Default: ./artifacts if it has "
        "one, else the models that came with the installation. Or an address such as "
        "s3://bucket/artifacts (extra `s3`), which is fetched into a local cache.",
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option(
        "--variant", metavar="NAME", help="Variant of the model. Default: the one that is served."
    ),
]


def locate(artifacts: str | None, model: str | None = None, variant: str | None = None) -> Path:
    """Return the directory of the artifacts that the command line names, fetched if need be.

    Args:
        artifacts: a directory or an address; None for the default.
        model: the one that is needed; None for all.
        variant: of it, if another one is needed than the served one.

    Raises:
        ArtifactError, ServingError: see `dandelion.remote_artifacts.fetch`.
    """
    if artifacts is None:
        return default_artifacts()
    if not is_address(artifacts):
        return Path(artifacts)
    return fetch(artifacts, Wanted(model=model, variant=variant)).directory


def locate_to_edit(artifacts: str | None) -> Path:
    """Return the directory of the artifacts whose ``serving.toml`` a command edits.

    Raises:
        UsageError: it is an address.
    """
    if is_address(artifacts):
        raise UsageError(
            f"--artifacts: {SERVING_FILE} is edited in a directory of this machine, not at an "
            "address; edit a copy, then copy it there and reload the service"
        )
    return locate(artifacts)


def choose(artifacts: Path, model: str, variant: str | None) -> Path:
    """Return the directory of the artifact that the command line names.

    Raises:
        UsageError: there is no such model or variant.
        ServingError: ``serving.toml``, which chooses the variant, is missing or invalid.
    """
    available = variants(artifacts, model)
    if variant is not None and available:
        if variant not in available:
            raise UsageError(
                f"unknown variant {quoted(variant)} of {model}. Available variants: "
                f"{', '.join(available)}"
            )
        return artifacts / model / variant
    chosen = read(artifacts, {})
    if model not in chosen:
        hint = f"Available models: {', '.join(chosen)}"
        if available:
            hint = f"It is not served; choose one with --variant: {', '.join(available)}"
        raise UsageError(f"unknown model {quoted(model)}. {hint}")
    return chosen[model]
