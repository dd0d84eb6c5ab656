"""``dandelion models``: which models there are, and how good they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ..manifest import MANIFEST_FILE, ArtifactError, Manifest, check_model, load_manifest
from ..serving import read
from .artifacts import ArtifactsOption, locate
from .columns import columns
from .errors import check_output, readable_errors

_LEGEND: Final = (
    "* served. Metrics: the test fold of one split; other splits and other data give other figures."
)


@dataclass(frozen=True, slots=True)
class _Listed:
    """What `models` lists about an artifact; metrics on the test fold, at its own threshold."""

    model: str
    variant: str
    version: str
    served: bool
    bytes: int
    labels: tuple[str, ...]
    threshold: float | None
    macro_f1: float | None
    mcc: float | None
    auroc: float | None
    threshold_rule: Mapping[str, Any] | None
    by_source: Mapping[str, Any] | None


def models(
    artifacts: ArtifactsOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per line.")
    ] = False,
) -> None:
    """List the available models.

    The metrics are those on the test fold of the data set that the model was trained with, at its
    own threshold. On your texts they may be lower.
    """
    with readable_errors():
        check_output()
        directory = locate(artifacts)
        served = {path: model for model, path in read(directory, {}).items()}
        listed, unusable = [], []
        for path in sorted(file.parent for file in directory.glob(f"*/*/{MANIFEST_FILE}")):
            try:
                manifest = load_manifest(path)
            except ArtifactError as error:
                unusable.append(str(error))
                continue
            is_served = path in served
            if is_served:
                try:
                    check_model(manifest, served[path], path)
                except ArtifactError as error:
                    unusable.append(str(error))
                    is_served = False
            listed.append(_list(path, manifest, is_served=is_served))
        if as_json:
            for one in listed:
                typer.echo(json.dumps(asdict(one)))
        else:
            typer.echo(f"Artifacts: {directory.absolute()}\n")
            typer.echo(f"{_table(listed)}\n\n{_LEGEND}")
        if unusable:
            raise ArtifactError("; ".join(unusable))


def _list(path: Path, manifest: Manifest, *, is_served: bool) -> _Listed:
    metrics = manifest.metrics.get("test", {}).get(manifest.default_cut, {})
    return _Listed(
        manifest.model,
        manifest.variant,
        manifest.version,
        is_served,
        sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
        manifest.labels,
        manifest.threshold,
        metrics.get("macro_f1"),
        metrics.get("mcc"),
        metrics.get("auroc"),
        manifest.threshold_rule,
        manifest.by_source,
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _table(listed: Sequence[_Listed]) -> str:
    """Lay out what is listed in columns as wide as they need to be."""
    rows: list[tuple[str, ...]] = [
        ("", "MODEL", "VARIANT", "LABELS", "SIZE", "MACRO-F1", "MCC", "AUROC")
    ]
    for one in listed:
        size, labels = f"{one.bytes / 1e6:.1f} MB", str(len(one.labels))
        metrics = map(_figure, (one.macro_f1, one.mcc, one.auroc))
        rows.append(("*" if one.served else "", one.model, one.variant, labels, size, *metrics))
    return columns(rows, left=3)
