"""The artifact that a command line names."""

from pathlib import Path
from typing import Annotated

import typer

from ..installation import SERVING_FILE
from ..json_values import quoted
from ..serving import read, variants
from .errors import UsageError

ArtifactsOption = Annotated[
    Path | None,
    typer.Option(
        envvar="DANDELION_ARTIFACTS",
        show_default=False,
        metavar="DIRECTORY",
        help=f"Directory of the artifacts, with a {SERVING_FILE}. Default: ./artifacts if it has "
        "one, else the models that came with the installation.",
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option(
        "--variant", metavar="NAME", help="Variant of the model. Default: the one that is served."
    ),
]


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
