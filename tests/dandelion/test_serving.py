"""``serving.toml``."""

import os
import shutil
from pathlib import Path

import pytest

from dandelion.decision.policy import PolicyChoice
from dandelion.installation import SERVING_FILE
from dandelion.serving import (
    AttributeChoice,
    ModelChoice,
    ServingError,
    choices,
    perspective_attributes,
    read,
    variants,
)

from ..conftest import ROOT


def serving(directory: Path, text: str) -> Path:
    (directory / SERVING_FILE).write_text(text)
    return directory


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "artifacts" / "spam" / "dice", tmp_path / "spam" / "dice")
    shutil.copytree(ROOT / "artifacts" / "spam" / "dice", tmp_path / "spam" / "other")
    return serving(tmp_path, '[models]\nspam = "dice"\n')


def test_the_committed_file_serves_both_models() -> None:
    assert {"cyberbullying", "spam"} <= set(read(ROOT / "artifacts", {}))


def test_overrides_take_precedence(artifacts: Path) -> None:
    assert read(artifacts, {}) == {"spam": artifacts / "spam" / "dice"}
    assert read(artifacts, {"spam": "other"}) == {"spam": artifacts / "spam" / "other"}


def test_overrides_alone_suffice(artifacts: Path) -> None:
    assert list(read(serving(artifacts, ""), {"spam": "other"})) == ["spam"]


def test_models_are_sorted(artifacts: Path) -> None:
    for name in ("a", "z"):
        shutil.copytree(artifacts / "spam" / "dice", artifacts / name / "dice")
    assert list(read(artifacts, {"z": "dice", "a": "dice"})) == ["a", "spam", "z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no model is chosen\. Add one under \[models\]"),
        ("models = 3", r"expected one table, \[models\]"),
        ("[models]\n[more]\n", r"expected one table, \[models\]"),
        ("[models]\nspam = 3", "spam = 3; expected the name of a variant in quotes"),
        ("[models]\nspam = dice", "invalid TOML"),
        (
            '[models]\nspam = "dcie"',
            r"spam = 'dcie' is chosen .*did you mean dice\? available: dice, other\. .*train-all",
        ),
        ('[models]\nspam = "../spam/dice"', "has no such variant; available: dice"),
        (
            '[models]\nspamm = "dice"',
            r"spamm = 'dice'.* has no such model; did you mean spam\? available: spam\.",
        ),
        ('[models]\nnone = "dice"', "none = 'dice'.* has no such model; available: spam"),
        ("[models]\n" + "a" * 300 + ' = "dice"', "'aaa.*aaa' = 'dice' is chosen .* spam"),
        ('[models]\nspam = "' + "a" * 300 + '"', "spam = 'aaa.*aaa' is chosen .* dice, other"),
        (
            '[models]\n"../spam" = "dice"',
            "'../spam' = 'dice' is chosen .* has no such model; did you mean spam",
        ),
        ('[models]\n"" = "dice"', "'' = 'dice' is chosen .* has no such model; available: spam"),
        (
            '[models]\n"a\\u0000b" = "dice"',
            "x00b' = 'dice' is chosen .* has no such model; available: spam",
        ),
        ('[models]\nspam = ""', "spam = '' is chosen .* available: dice"),
        ('[models]\nspam = "."', "spam = '.' is chosen .* available: dice"),
        ("[models]\nspam = " + "[" * 10_000, "invalid TOML"),
        ("[models]\nspam = ['" + "a" * 10_000 + "']", "spam = .* expected the name of a variant"),
        ("\ufeff[models]\n", "begins with a byte order mark. Save it as UTF-8 without one"),
        ("[models]\nspam = 'dice'\nspam = 'other'", "invalid TOML: Cannot overwrite a value"),
        (
            "[models]\nspam = 'dice'\n[models.spam]\nvariant = 'dice'",
            "Write a model once: as a line of .models., or as a table",
        ),
    ],
)
def test_an_invalid_file_is_refused_in_one_line(artifacts: Path, text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message) as refused:
        read(serving(artifacts, text), {})
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_a_file_that_is_not_utf_8_is_refused(artifacts: Path) -> None:
    (artifacts / SERVING_FILE).write_bytes(b"[models]\nspam = '\xff'")
    with pytest.raises(ServingError, match=r"serving\.toml: not UTF-8, from byte 18"):
        read(artifacts, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")
@pytest.mark.parametrize("kind", ["directory", "pipe", "huge"])
def test_what_is_no_file_of_a_sensible_size_is_refused(artifacts: Path, kind: str) -> None:
    path = artifacts / SERVING_FILE
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    with pytest.raises(ServingError, match=r"serving\.toml: cannot be read \("):
        read(artifacts, {})


@pytest.mark.parametrize("name", ["a" * 300, "..", "../spam", "", "a\0b", "a/b"])
def test_an_override_is_a_name(artifacts: Path, name: str) -> None:
    with pytest.raises(ServingError, match="has no such variant"):
        read(artifacts, {"spam": name})
    with pytest.raises(ServingError, match="has no such model"):
        read(artifacts, {name: "dice"})


def test_the_models_of_an_empty_directory_are_none(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="has no such model; available: none"):
        read(serving(tmp_path, "[models]\nspam = 'dice'"), {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"serving\.toml: cannot be read.*DANDELION_ARTIFACTS"):
        read(tmp_path, {})


def test_variants_are_directories_with_a_manifest(artifacts: Path) -> None:
    (artifacts / "spam" / "notes").mkdir()
    assert variants(artifacts, "spam") == ["dice", "other"]
    assert variants(artifacts, "ham") == []


POLICIES = """
# Read by `dandelion serve`. Lines and tables may be mixed.
[models]
spam = "dice"                     # a line: the artifact's own threshold

[models.other]                    # a table: with policies
variant = "dice"
default_policy = "teens"          # decides where a request names nothing

[models.other.policies.teens]
operating_point = "fpr<=0.005"    # a promise at 95 %
prior = 0.002                     # one message in 500
review = "rate<=0.02"
calibration = "teens.json"        # next to this file

[models.other.policies."over 18"]
# an empty policy: the artifact's threshold by another name
"""


@pytest.fixture
def two_models(artifacts: Path) -> Path:
    shutil.copytree(artifacts / "spam", artifacts / "other")
    return artifacts


def test_a_model_may_be_a_table_with_policies(two_models: Path) -> None:
    found = choices(serving(two_models, POLICIES), {})
    assert found == {
        "other": ModelChoice(
            "dice",
            two_models / "other" / "dice",
            {
                "teens": PolicyChoice(
                    "fpr<=0.005", 0.002, "rate<=0.02", str(two_models / "teens.json")
                ),
                "over 18": PolicyChoice(),
            },
            "teens",
            two_models / SERVING_FILE,
        ),
        "spam": ModelChoice("dice", two_models / "spam" / "dice", file=two_models / SERVING_FILE),
    }
    assert read(two_models, {}) == {model: one.directory for model, one in found.items()}


def test_an_override_keeps_the_policies(two_models: Path) -> None:
    chosen = choices(serving(two_models, POLICIES), {"other": "other"})["other"]
    assert chosen.directory == two_models / "other" / "other"
    assert list(chosen.policies) == ["teens", "over 18"]
    assert chosen.default_policy == "teens"


OTHERS = """
[models.spam]
variant = "dice"
variants = ["other", "dice"]
shadow = "third"
"""


@pytest.fixture
def three_variants(artifacts: Path) -> Path:
    shutil.copytree(artifacts / "spam" / "dice", artifacts / "spam" / "third")
    return artifacts


def test_other_variants_and_a_shadow_are_loaded_once(three_variants: Path) -> None:
    chosen = choices(serving(three_variants, OTHERS), {})["spam"]
    assert (chosen.variants, chosen.shadow) == (("other", "dice"), "third")
    assert chosen.shadow_share == 0.1
    assert chosen.loaded == ("dice", "other", "third")
    other = chosen.of("third")
    assert other.directory == three_variants / "spam" / "third"
    assert (other.variant, other.loaded, other.file) == ("third", ("third",), chosen.file)
    whole = choices(serving(three_variants, f"{OTHERS}shadow_share = 1"), {})["spam"]
    assert whole.shadow_share == 1.0


@pytest.mark.parametrize("name", ["dice", "other", "third"])
def test_an_override_keeps_the_other_variants_and_the_shadow(
    three_variants: Path, name: str
) -> None:
    chosen = choices(serving(three_variants, OTHERS), {"spam": name})["spam"]
    assert (chosen.variant, chosen.shadow) == (name, "third")
    assert chosen.loaded[0] == name
    assert sorted(chosen.loaded) == ["dice", "other", "third"]


def test_an_override_does_not_load_the_variant_of_the_file(three_variants: Path) -> None:
    text = "[models.spam]\nvariant = 'dice'\nshadow = 'third'"
    chosen = choices(serving(three_variants, text), {"spam": "other"})["spam"]
    assert chosen.loaded == ("other", "third")


DICE = "[models.spam]\nvariant = 'dice'\n"
TEENS = "[models.spam]\nvariant = 'dice'\n[models.spam.policies.teens]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.spam]\n", r"\[models\.spam\] has no 'variant'; expected the name of a variant"),
        ("[models.spam]\nvariant = 3", r"\[models\.spam\] has variant = 3; expected the name"),
        (
            "[models.spam]\nvariant = 'dice'\npolicy = {}",
            r"\[models\.spam\] has an unknown key 'policy'; did you mean policies\?",
        ),
        (
            "[models.spam]\nvariant = 'dice'\npolicies = 3",
            r"has policies = 3; expected tables \[models\.spam\.policies\.NAME\]",
        ),
        (
            "[models.spam]\nvariant = 'dice'\npolicies.teens = 'fpr<=0.1'",
            r"has policies = .*; expected tables \[models\.spam\.policies\.NAME\]",
        ),
        (
            "[models.spam]\nvariant = 'dice'\ndefault_policy = 'teens'",
            "has default_policy = 'teens'; expected one of its policies; available: none",
        ),
        (
            "[models.spam]\nvariant = 'dice'\ndefault_policy = 'teen'\npolicies.teens = {}",
            "has default_policy = 'teen'; .* did you mean teens",
        ),
        (
            f"{TEENS}priors = 0.1",
            r"\[models\.spam\.policies\.teens\] has an unknown key 'priors'; did you mean prior\?",
        ),
        (f"{TEENS}prior = 1", r"policies\.teens\] has prior = 1; expected a number from 0.000001"),
        (f"{TEENS}prior = true", r"has prior = True; expected a number from 0.000001 to 0.9999"),
        (f"{TEENS}prior = nan", r"has prior = nan; expected a number from 0.000001 to 0.9999"),
        (f"{TEENS}operating_point = 0.5", "has operating_point = 0.5; expected an operating point"),
        (f"{TEENS}review = ''", "has review = ''; expected an operating point in quotes"),
        (f"{TEENS}calibration = []", r"has calibration = \[\]; expected the name of a file"),
        (f"{TEENS}threshold = '0.5'", r"has threshold = '0.5'; expected a number in \[0, 1\]"),
        (f"{TEENS}threshold = true", r"has threshold = True; expected a number in \[0, 1\]"),
        (f"{TEENS}threshold = nan", r"has threshold = nan; expected a number in \[0, 1\]"),
        (f"{TEENS}review_threshold = 2", r"has review_threshold = 2; expected a number in"),
        (
            f"{TEENS}threshold = 0.5\noperating_point = 'f1'",
            "has 'operating_point' and 'threshold'; expected one of them",
        ),
        (
            f"{TEENS}review_threshold = 0.5\nreview = 'f1'",
            "has 'review' and 'review_threshold'; expected one of them",
        ),
        (TEENS.replace("teens", "request"), "a policy 'request'; expected a name .* other than"),
        (TEENS.replace("teens", "'a/b'"), "has a policy 'a/b'; expected a name that could be"),
        (
            "[models.spam]\nvariant = 'dice'\n"
            + "".join(f"policies.p{number} = {{}}\n" for number in range(17)),
            r"\[models\.spam\] has 17 policies; expected at most 16",
        ),
        ("[models.spam]\nvariant = 'dcie'", "spam = 'dcie' is chosen .*did you mean dice"),
        (f"{DICE}variant_s = []", "has an unknown key 'variant_s'; did you mean variants"),
        (f"{DICE}variants = 'other'", r"variants = 'other'; expected a list of names"),
        (f"{DICE}variants = [3]", r"variants = \[3\]; expected a list of names of variants"),
        (
            f"{DICE}variants = ['othr']",
            r"\[models\.spam\] variants names 'othr', but .*spam has no such variant; did",
        ),
        (
            f"{DICE}variants = ['otehr']",
            "did you mean other\\? available: dice, other. .*train-all",
        ),
        (f"{DICE}variants = ['../x']", r"variants names '\.\./x', but .* no such variant"),
        (
            f"{DICE}variants = {['other'] * 9}",
            r"\[models\.spam\] has 9 variants; expected at most 8",
        ),
        (f"{DICE}shadow = 3", "has shadow = 3; expected the name of a variant in quotes"),
        (f"{DICE}shadow = 'othr'", "shadow names 'othr', but .*did you mean other"),
        (f"{DICE}shadow = 'other'\nshadow_share = 0", "shadow_share = 0; expected a number above"),
        (f"{DICE}shadow = 'other'\nshadow_share = 1.01", r"1\.01; expected a number above 0"),
        (f"{DICE}shadow = 'other'\nshadow_share = nan", "= nan; expected a number above 0"),
        (f"{DICE}shadow = 'other'\nshadow_share = true", "= True; expected a number above 0"),
        (f"{DICE}shadow = 'other'\nshadow_share = '1'", "= '1'; expected a number above 0"),
        (f"{DICE}shadow_share = 0.5", "shadow_share = 0.5; expected 'shadow' next to it"),
    ],
)
def test_an_invalid_table_is_refused_in_one_line(artifacts: Path, text: str, message: str) -> None:
    with pytest.raises(ServingError, match=message) as refused:
        choices(serving(artifacts, text), {})
    assert str(refused.value).startswith(str(artifacts / SERVING_FILE)) or "dcie" in text
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


ATTRIBUTES = """
[protocols.perspective.attributes]
TOXICITY = "other@over 18"
SPAM_2 = "spam"
"""


def test_attributes_are_scored_by_models_and_policies(two_models: Path) -> None:
    serving(two_models, POLICIES + ATTRIBUTES)
    assert perspective_attributes(two_models, {}) == {
        "TOXICITY": AttributeChoice("other", "over 18"),
        "SPAM_2": AttributeChoice("spam"),
    }
    assert list(choices(two_models, {})) == ["other", "spam"]


def test_without_a_table_attributes_are_those_whose_models_are_served(artifacts: Path) -> None:
    assert perspective_attributes(artifacts, {}) == {"SPAM": AttributeChoice("spam")}
    shutil.copytree(artifacts / "spam", artifacts / "abuse")
    assert perspective_attributes(artifacts, {"abuse": "dice"}) == {
        "TOXICITY": AttributeChoice("abuse"),
        "SPAM": AttributeChoice("spam"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("protocols = 3", r"protocols = 3; expected a table \[protocols\]"),
        ("[protocols.perspectiv]", r"\[protocols\] has an unknown key 'perspectiv'; did you mean"),
        ("[protocols]\nperspective = 3", r"perspective = 3; expected a table \[protocols\.persp"),
        ("[protocols.perspective]\nattribute = 3", "unknown key 'attribute'; did you mean attrib"),
        ("[protocols.perspective]\nattributes = []", r"attributes = \[\]; expected a table"),
        ("[protocols.perspective.attributes]\ntoxicity = 'spam'", "has 'toxicity'; expected the n"),
        ("[protocols.perspective.attributes]\nA = 3", "has A = 3; expected a model, or model@pol"),
    ],
)
def test_an_invalid_table_of_protocols_is_always_refused(
    artifacts: Path, text: str, message: str
) -> None:
    serving(artifacts, f"{text}\n[models]\nspam = 'dice'\n")
    with pytest.raises(ServingError, match=message):
        choices(artifacts, {})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("spamm", "A = 'spamm'; expected a model; did you mean spam"),
        ("abuse", "A = 'abuse'; expected a model; available: other, spam"),
        ("other@teen", "A = 'other@teen'; expected a policy of other after the @; did you mean te"),
        ("spam@teens", "expected a policy of spam after the @; available: none"),
    ],
)
def test_attributes_of_what_does_not_exist_are_refused(
    two_models: Path, value: str, message: str
) -> None:
    serving(two_models, f"{POLICIES}[protocols.perspective.attributes]\nA = '{value}'\n")
    with pytest.raises(ServingError, match=message):
        perspective_attributes(two_models, {})
