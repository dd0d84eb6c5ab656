"""``serving.toml``: which variants of each model are loaded, and by which policies they decide.

The file is in the directory of the artifacts, next to a directory for each model::

    artifacts/
        serving.toml            [models]
                                spam = "dice-wide"

                                [models.abuse]
                                variant = "bce-wide"
                                variants = ["mse-wide"]
                                shadow = "dice-wide"
                                shadow_share = 0.1
                                default_policy = "teens"

                                [models.abuse.gate]
                                max_recall_drop = 0.02

                                [models.abuse.policies.teens]
                                operating_point = "fpr<=0.005"
                                review = "rate<=0.02"
                                prior = 0.002
                                calibration = "teens.json"

                                [protocols.perspective.attributes]
                                TOXICITY = "abuse@teens"
        spam/dice-wide/         an artifact, see `dandelion.artifact`
        teens.json              what `dandelion evaluate` wrote
"""

import codecs
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from .decision.calibration import PRIORS, is_prior
from .decision.policy import PolicyChoice
from .files import read_bounded
from .gate import DEFAULT_GATE, Gate, GateError, read_gate
from .installation import ADVICE, SERVING_FILE
from .json_values import is_number, quoted
from .manifest import MANIFEST_FILE, is_name

MAX_POLICIES: Final = 16
"""Of a model: each of them is a label of metrics."""

MAX_VARIANTS: Final = 8
"""Of a model, in addition to the one that is served: each takes memory, and has its own metrics."""

SHADOW_SHARE: Final = 0.1
"""Of the texts that a shadow scores, unless it is given."""

MAX_BYTES: Final = 2**20
"""Of ``serving.toml``."""

_MODEL_KEYS: Final = (
    *("variant", "variants", "shadow", "shadow_share"),
    *("default_policy", "policies", "gate"),
)
_POLICY_KEYS: Final = tuple(one.name for one in fields(PolicyChoice))
# What metrics call an operating point that is in a request itself.
REQUEST: Final = "request"

ATTRIBUTES: Final[Mapping[str, str]] = {"TOXICITY": "abuse", "SPAM": "spam"}
"""Perspective API's attributes → the models that score them where the file names none."""
_ATTRIBUTES_TABLE: Final = "[protocols.perspective.attributes]"
_ATTRIBUTE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class ServingError(Exception):
    """``serving.toml`` is missing or invalid, or names what does not exist."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """How a model is served.

    Attributes:
        variant: the name of its artifact.
        directory: of the artifact.
        policies: name → policy; at most `MAX_POLICIES`. A path in ``calibration`` is complete.
        default_policy: decides on requests that name neither threshold nor operating point nor
            policy; None for the artifact's threshold.
        file: ``serving.toml``, for errors.
        variants: which are loaded as well, for requests that name them; at most `MAX_VARIANTS`.
        shadow: the variant that scores a sample of the same texts; None for none.
        shadow_share: of the texts in that sample, in (0, 1].
        gate: what a variant must fulfil to be promoted; the service does not use it.
    """

    variant: str
    directory: Path = Path()
    policies: Mapping[str, PolicyChoice] = field(default_factory=dict)
    default_policy: str | None = None
    file: Path = Path(SERVING_FILE)
    variants: tuple[str, ...] = ()
    shadow: str | None = None
    shadow_share: float = SHADOW_SHARE
    gate: Gate = DEFAULT_GATE

    @property
    def loaded(self) -> tuple[str, ...]:
        """Every variant that is loaded, once: the served one, the listed ones, the shadow."""
        shadows = () if self.shadow is None else (self.shadow,)
        return tuple(dict.fromkeys((self.variant, *self.variants, *shadows)))

    def of(self, variant: str) -> "ModelChoice":
        """Return how another variant of the model is served: alone, by the same policies."""
        directory = self.directory.parent / variant
        return replace(self, variant=variant, directory=directory, variants=(), shadow=None)


@dataclass(frozen=True, slots=True)
class AttributeChoice:
    """What scores an attribute of Perspective API.

    Attributes:
        model: with two labels.
        policy: of the model; None for how it decides by default.
    """

    model: str
    policy: str | None = None


def read(artifacts: Path, overrides: Mapping[str, str]) -> dict[str, Path]:
    """Return the artifact that serves each model: what `choices` does, without the policies.

    Returns:
        Model → directory of its artifact, sorted by model.

    Raises:
        ServingError: see `choices`.
    """
    return {model: choice.directory for model, choice in choices(artifacts, overrides).items()}


def choices(
    artifacts: Path, overrides: Mapping[str, str], data: bytes | None = None
) -> dict[str, ModelChoice]:
    """Return how each model is served.

    Args:
        artifacts: the directory that contains ``serving.toml``.
        overrides: model → variant that is served, instead of the file's ``variant``. The file's
            policies, other variants and shadow stay.
        data: what `read_serving_file` has read before; by default the file is read now.

    Returns:
        Model → choice, sorted by model.

    Raises:
        ServingError: the file is missing or invalid, names a variant that does not exist, or no
            model is chosen at all.
    """
    path = artifacts / SERVING_FILE
    found = parse(path, data)
    for model, variant in overrides.items():
        present = found.get(model, ModelChoice(variant, file=path))
        found[model] = replace(present, variant=variant)
    if not found:
        raise ServingError(f"{path}: no model is chosen. Add one under [models]: spam = 'dice'")
    _check_variants(artifacts, path, {model: choice.variant for model, choice in found.items()})
    for model, choice in found.items():
        _check_others(artifacts, path, model, choice)
    return {
        model: replace(found[model], directory=artifacts / model / found[model].variant)
        for model in sorted(found)
    }


def perspective_attributes(
    artifacts: Path, overrides: Mapping[str, str], data: bytes | None = None
) -> dict[str, AttributeChoice]:
    """Return which attributes of Perspective API are served, and by which models.

    Args:
        artifacts: see `choices`.
        overrides: see `choices`.
        data: see `choices`.

    Returns:
        Attribute → model and policy: the table ``[protocols.perspective.attributes]``, without one
        those of `ATTRIBUTES` whose models are served.

    Raises:
        ServingError: see `choices`; or the table names a model or a policy that does not exist.
    """
    chosen = choices(artifacts, overrides, data)
    path = artifacts / SERVING_FILE
    table = _values(path, data).get("protocols", {}).get("perspective", {}).get("attributes")
    if table is None:
        return {name: AttributeChoice(one) for name, one in ATTRIBUTES.items() if one in chosen}
    return {name: _attribute(path, chosen, name, value) for name, value in table.items()}


def _attribute(
    path: Path, chosen: Mapping[str, ModelChoice], name: str, value: str
) -> AttributeChoice:
    model, has_policy, policy = value.partition("@")
    if model not in chosen:
        raise _wrong(path, _ATTRIBUTES_TABLE, name, value, f"a model; {_near(model, [*chosen])}")
    if not has_policy:
        return AttributeChoice(model)
    policies = [*chosen[model].policies]
    if policy not in policies:
        known = f"a policy of {model} after the @; {_near(policy, policies)}"
        raise _wrong(path, _ATTRIBUTES_TABLE, name, value, known)
    return AttributeChoice(model, policy)


def _check_variants(artifacts: Path, path: Path, chosen: Mapping[str, str]) -> None:
    """Check that the artifacts exist.

    Raises:
        ServingError: one does not.
    """
    for model, variant in chosen.items():
        available = variants(artifacts, model)
        if variant in available:
            continue
        if available:
            problem = f"{artifacts / model} has no such variant; {_near(variant, available)}"
        else:
            problem = f"{artifacts} has no such model; {_near(model, _names(artifacts))}"
        raise ServingError(
            f"{_shown(model)} = {quoted(variant)} is chosen (by {path}, --models or "
            f"DANDELION_MODELS), but {problem}. Choose another, or train it: {ADVICE.train}"
        )


def _check_others(artifacts: Path, path: Path, model: str, choice: ModelChoice) -> None:
    """Check that the artifacts of the other variants exist, once that of the served one does.

    Raises:
        ServingError: one does not; names the file, the table and the key.
    """
    available = variants(artifacts, model)
    named = dict.fromkeys(choice.variants, "variants")
    if choice.shadow is not None:
        named.setdefault(choice.shadow, "shadow")
    for variant, key in named.items():
        if variant not in available:
            raise ServingError(
                f"{path}: [models.{_shown(model)}] {key} names {quoted(variant)}, but "
                f"{artifacts / model} has no such variant; {_near(variant, available)}. "
                f"Choose another, or train it: {ADVICE.train}"
            )


def variants(artifacts: Path, model: str) -> list[str]:
    """Return the names of a model's artifacts, sorted; none if the model does not exist."""
    if not is_name(model):  # not looked for: it may lead out of the directory, or be too long
        return []
    return sorted(
        path.parent.name
        for path in (artifacts / model).glob(f"*/{MANIFEST_FILE}")
        if is_name(path.parent.name)
    )


def _names(artifacts: Path) -> list[str]:
    """Return the names of the models that have an artifact, sorted."""
    found = {path.parent.parent.name for path in artifacts.glob(f"*/*/{MANIFEST_FILE}")}
    return sorted(filter(is_name, found))


def _near(name: str, available: list[str]) -> str:
    """Return the name that was probably meant, and those that exist."""
    near = difflib.get_close_matches(name, available, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}available: {', '.join(available) or 'none'}"


def read_serving_file(artifacts: Path) -> bytes:
    """Return the content of ``serving.toml``.

    Args:
        artifacts: the directory that contains it.

    Raises:
        ServingError: it cannot be read.
    """
    path = artifacts / SERVING_FILE
    try:
        return read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise ServingError(
            f"{path}: cannot be read ({error.strerror}). "
            "Choose the directory that contains it with --artifacts or DANDELION_ARTIFACTS."
        ) from error


def parse(path: Path, data: bytes | None) -> dict[str, ModelChoice]:
    """Read how each model is served, but for the directories, and whether these exist.

    Raises:
        ServingError: the file is missing or invalid.
    """
    return {model: _model(path, model, one) for model, one in _values(path, data)["models"].items()}


def _hint(error: Exception) -> str:
    """Return what is probably meant where a model is written twice, else nothing."""
    if "Cannot overwrite a value" not in str(error):
        return ""
    return ". Write a model once: as a line of [models], or as a table such as [models.spam]"


def _values(path: Path, data: bytes | None) -> dict[str, Any]:
    """Read the file: its table of models, and that of the protocols if it has one.

    Raises:
        ServingError: the file is missing, or is not such tables.
    """
    if data is None:
        data = read_serving_file(path.parent)
    if data.startswith(codecs.BOM_UTF8):
        raise ServingError(f"{path}: begins with a byte order mark. Save it as UTF-8 without one.")
    try:
        values = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ServingError(f"{path}: not UTF-8, from byte {error.start + 1}") from error
    except (ValueError, RecursionError) as error:
        raise ServingError(f"{path}: invalid TOML: {error}{_hint(error)}") from error
    values = {"models": {}} | values
    if set(values) - {"models", "protocols"} or not isinstance(values["models"], dict):
        raise ServingError(
            f"{path}: expected one table, [models], with lines: spam = 'dice'; and at most "
            f"{_ATTRIBUTES_TABLE}"
        )
    _check_protocols(path, values.get("protocols", {}))
    return values


def _check_protocols(path: Path, protocols: object) -> None:
    """Check the tables of the protocols, but not whether the models exist.

    Raises:
        ServingError: they are wrong; names the file and the key.
    """
    found: Any = {"protocols": protocols}
    for table, keys in (
        ("[protocols]", ("perspective",)),
        ("[protocols.perspective]", ("attributes",)),
        (_ATTRIBUTES_TABLE, None),
    ):
        name = table.strip("[]").rpartition(".")[2]
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise ServingError(f"{path}: {name} = {quoted(found)}; expected a table {table}")
        if keys is not None:
            _check_keys(path, table, found, keys)
    for name, value in found.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise ServingError(
                f"{path}: {_ATTRIBUTES_TABLE} has {quoted(name)}; expected the name of an "
                "attribute in capitals, such as TOXICITY"
            )
        if not isinstance(value, str):
            raise _wrong(
                path, _ATTRIBUTES_TABLE, name, value, "a model, or model@policy, in quotes"
            )


def _model(path: Path, model: str, value: object) -> ModelChoice:
    """Check a model's line or table.

    Raises:
        ServingError: it is wrong; names the file and the key.
    """
    if isinstance(value, str):
        return ModelChoice(value, file=path)
    if not isinstance(value, dict):
        raise ServingError(
            f"{path}: {_shown(model)} = {quoted(value)}; expected the name of a variant in quotes"
        )
    table = f"[models.{_shown(model)}]"
    _check_keys(path, table, value, _MODEL_KEYS)
    variant, default = value.get("variant"), value.get("default_policy")
    policies = value.get("policies", {})
    if not isinstance(variant, str):
        raise _wrong(path, table, "variant", variant, "the name of a variant in quotes")
    if not isinstance(policies, dict) or not all(isinstance(x, dict) for x in policies.values()):
        raise _wrong(path, table, "policies", policies, f"tables {table[:-1]}.policies.NAME]")
    if len(policies) > MAX_POLICIES:
        raise ServingError(
            f"{path}: {table} has {len(policies)} policies; expected at most {MAX_POLICIES}"
        )
    found = {name: _policy(path, table, name, one) for name, one in policies.items()}
    if default is not None and (not isinstance(default, str) or default not in found):
        known = f"one of its policies; {_near(str(default), sorted(found))}"
        raise _wrong(path, table, "default_policy", default, known)
    others, shadow, share = _others(path, table, value)
    return ModelChoice(
        variant,
        policies=found,
        default_policy=default,
        file=path,
        variants=others,
        shadow=shadow,
        shadow_share=share,
        gate=_gate(path, table, value.get("gate", {})),
    )


def _gate(path: Path, model_table: str, values: object) -> Gate:
    if not isinstance(values, dict):
        raise _wrong(path, model_table, "gate", values, f"a table {model_table[:-1]}.gate]")
    try:
        return read_gate(values)
    except GateError as error:
        raise ServingError(
            f"{path}: {model_table[:-1]}.gate] {error.key}: expected {error}"
        ) from error


def _others(
    path: Path, table: str, values: Mapping[str, Any]
) -> tuple[tuple[str, ...], str | None, float]:
    """Check which other variants are loaded; returns the listed ones, the shadow, its share.

    Raises:
        ServingError: a key is wrong; names the file and the key.
    """
    listed, shadow = values.get("variants", []), values.get("shadow")
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise _wrong(path, table, "variants", listed, "a list of names of variants in quotes")
    if len(listed) > MAX_VARIANTS:
        raise ServingError(
            f"{path}: {table} has {len(listed)} variants; expected at most {MAX_VARIANTS}"
        )
    if shadow is not None and not isinstance(shadow, str):
        raise _wrong(path, table, "shadow", shadow, "the name of a variant in quotes")
    share = values.get("shadow_share", SHADOW_SHARE)
    if not is_number(share) or not 0 < share <= 1:
        expected = "a number above 0 and at most 1: the share of the texts that the shadow scores"
        raise _wrong(path, table, "shadow_share", share, expected)
    if shadow is None and "shadow_share" in values:
        expected = "'shadow' next to it: the name of a variant in quotes"
        raise _wrong(path, table, "shadow_share", share, expected)
    return tuple(listed), shadow, float(share)


def _policy(path: Path, model_table: str, name: str, values: Mapping[str, Any]) -> PolicyChoice:
    """Check a policy, but for the grammar of its operating points.

    Raises:
        ServingError: it is wrong; names the file and the key.
    """
    if not is_name(name) or name == REQUEST:
        raise ServingError(
            f"{path}: {model_table} has a policy {quoted(name)}; expected a name that could be "
            f"that of a directory, other than {REQUEST!r}"
        )
    table = f"{model_table[:-1]}.policies.{name}]"
    _check_keys(path, table, values, _POLICY_KEYS)
    for key in ("operating_point", "review", "calibration"):
        value = values.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            expected = "the name of a file" if key == "calibration" else "an operating point"
            raise _wrong(path, table, key, value, f"{expected} in quotes")
    prior = values.get("prior")
    if prior is not None and (not is_number(prior) or not is_prior(prior)):
        raise _wrong(path, table, "prior", prior, PRIORS)
    for key, other in (("threshold", "operating_point"), ("review_threshold", "review")):
        value = values.get(key)
        if value is None:
            continue
        if not is_number(value) or not 0 <= value <= 1:
            raise _wrong(path, table, key, value, "a number in [0, 1]")
        if other in values:
            raise ServingError(f"{path}: {table} has {other!r} and {key!r}; expected one of them")
    choice = PolicyChoice(**values)
    if choice.calibration is not None:
        choice = replace(choice, calibration=str(path.parent / choice.calibration))
    return choice


def _check_keys(
    path: Path, table: str, values: Mapping[str, Any], allowed: tuple[str, ...]
) -> None:
    for key in values:
        if key not in allowed:
            raise ServingError(
                f"{path}: {table} has an unknown key {quoted(key)}; {_near(key, [*allowed])}"
            )


def _wrong(path: Path, table: str, key: str, value: object, expected: str) -> ServingError:
    found = f"{key} = {quoted(value)}" if value is not None else f"no {key!r}"
    return ServingError(f"{path}: {table} has {found}; expected {expected}")


def _shown(model: str) -> str:
    return model if is_name(model) else quoted(model)
