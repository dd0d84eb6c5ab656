"""A fitted estimator as an artifact on disk, with its card."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact
from dandelion.evaluation_file import CARD_FILE
from dandelion.manifest import Manifest, is_name

from ..cache import write_atomically
from ..quality.metrics import METRICS
from ..tables import COLUMNS, as_markdown, figure, markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a model is for, and what it is not for, in Markdown; both may be empty."""

    about: str
    not_for: str


def save(  # noqa: PLR0913, PLR0917
    artifact: Artifact,
    directory: Path,
    model: str,
    variant: str,
    threshold: float | None,
    purpose: Purpose,
) -> Path:
    """Write an artifact and its card to ``directory/model/variant``, and return that path.

    Args:
        artifact: of a fitted estimator.
        directory: of artifacts.
        model: the name of the model.
        variant: the name of the variant.
        threshold: instead of the artifact's; None keeps that.
        purpose: for the card.

    Raises:
        ValueError: a name cannot be one, a label has no or too many characters, or the threshold
            is not in [0, 1] or not that of two labels.
        OSError: the directory cannot be written.
    """
    for what, name in (("model", model), ("variant", variant)):
        if not is_name(name):
            raise ValueError(f"{what} is {name!r}; expected a name, such as 'moderation'")
    manifest = artifact.manifest
    if threshold is not None:
        if manifest.threshold is None:
            raise ValueError(f"a model with {len(manifest.labels)} labels has no threshold")
        manifest = replace(
            manifest,
            threshold=float(threshold),
            threshold_rule={"criterion": "fixed", "fitted_on": "nothing"},
            operating_point=None,
            metrics={},  # at another threshold
            by_source=None,
        )
    names = {"model": model, "variant": variant}
    config = {**manifest.config, **names, "about": purpose.about, "not_for": purpose.not_for}
    manifest = replace(manifest, model=model, variant=variant, config=config)
    place = directory / model / variant
    written = artifacts.save(replace(artifact, manifest=manifest), place)
    write_atomically(place / CARD_FILE, _card(written).encode())
    return place


def _card(manifest: Manifest) -> str:
    labels = ", ".join(as_markdown(label) for label in manifest.labels)
    heading = f"""\
# {as_markdown(manifest.model)}

Variant `{manifest.variant}`, version `{manifest.version}`, saved by `DandelionClassifier`. Labels:
{labels}.
"""
    parts = [heading]
    for title, field in (("What it is for", "about"), ("What it is not for", "not_for")):
        if text := manifest.config[field].strip():
            parts.append(f"## {title}\n\n{text}\n")
    return "\n".join([*parts, _threshold(manifest), _quality(manifest), _training(manifest)])


def _threshold(manifest: Manifest) -> str:
    rule: Mapping[str, Any] = manifest.threshold_rule or {}
    if manifest.threshold is None:
        return "## Decision\n\nThe label with the highest score is chosen.\n"
    if rule.get("fitted_on") == "out_of_fold":
        how = f"fitted out of fold to `{manifest.operating_point}`"
    else:
        how = "not fitted to anything here"
    return f"""\
## Decision

A text is {as_markdown(manifest.labels[1])} at a score of {manifest.threshold:.4f} or more. This
threshold was {how}.
"""


def _quality(manifest: Manifest) -> str:
    found = manifest.metrics.get("out_of_fold", {}).get(manifest.default_cut, {})
    shown = [metric for metric in METRICS if found.get(metric) is not None]
    if not shown:
        return "## Quality\n\nNot measured when it was fitted.\n"
    table = markdown_table(
        [COLUMNS[metric] for metric in shown], [[figure(found[metric]) for metric in shown]]
    )
    return f"## Quality\n\nOut of fold, by five networks like it:\n\n{table}"


def _training(manifest: Manifest) -> str:
    return f"""\
## Training

{manifest.dataset["rows"]:,} texts, loss `{manifest.loss}`, seed {manifest.seed}; no test fold was
held out. Configuration, checksums and library versions are in `model.json`.
"""
