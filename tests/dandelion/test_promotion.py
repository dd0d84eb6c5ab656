"""``dandelion promote`` without a service: the gate, ``serving.toml``, the history, rollback."""

import json
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from dandelion import promotion, retraining_file
from dandelion.artifact import save
from dandelion.command import app
from dandelion.commands import promote as command
from dandelion.commands.errors import FAILED, GATE, WRONG_USAGE, UsageError
from dandelion.commands.running_service import running_service, shadow_counts
from dandelion.gate import ShadowCounts
from dandelion.manifest import Manifest, load_manifest
from dandelion.retraining_file import RetrainingFileError

from .examples import THREE, make_artifact
from .verdicts import verdict_of

SERVING = """\
# of the forum
[models]
spam = "old"  # since May
"""
NO_SHADOW = "\n[models.spam.gate]\nmin_shadow_texts = 0\n"


def variant(artifacts: Path, name: str, seed: int) -> Manifest:
    made = make_artifact(seed=seed)
    return save(
        replace(made, manifest=replace(made.manifest, variant=name)), artifacts / "spam" / name
    )


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """The served variant ``old``, and ``new``, which was compared with it and passes the gate."""
    old, new = variant(tmp_path, "old", 0), variant(tmp_path, "new", 1)
    retraining_file.write(verdict_of(new, old), tmp_path / "spam" / "new")
    (tmp_path / "serving.toml").write_text(SERVING)
    return tmp_path


def run(artifacts: Path, *arguments: str, service: object = None) -> Result:
    options = [f"--artifacts={artifacts}", *([] if service else ["--no-reload"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "running_service", lambda *_: service)
        return CliRunner().invoke(app, ["promote", *arguments, *options])


def served(artifacts: Path) -> dict[str, object]:
    found = tomllib.loads((artifacts / "serving.toml").read_text())["models"]["spam"]
    return {"variant": found} if isinstance(found, str) else found


def lines(artifacts: Path) -> Sequence[dict[str, object]]:
    return [json.loads(line) for line in (artifacts / "promotions.jsonl").read_text().splitlines()]


class FakeService:
    """A service that reloads, or does not, and has counted the texts of a shadow."""

    def __init__(self, code: int = 0, texts: int = 5000, disagreements: int = 20) -> None:
        self.code, self.texts, self.disagreements = code, texts, disagreements
        self.reloads = 0

    def reload(self) -> int:
        self.reloads += 1
        return self.code

    def get(self, path: str) -> bytes:
        assert path == "/metrics"
        of = 'model="spam",shadow="new"'
        return (
            f"# TYPE dandelion_shadow_texts_total counter\n"
            f'dandelion_shadow_texts_total{{model="spam",shadow="new2"}} 77.0\n'
            f"dandelion_shadow_texts_total{{{of}}} {self.texts}.0\n"
            f'dandelion_shadow_disagreements_total{{{of},kind="a"}} {self.disagreements}.0\n'
            f'dandelion_shadow_disagreements_total{{{of},kind="b"}} 1.0\n'
        ).encode()


def test_first_the_shadow_then_served_then_back(artifacts: Path) -> None:
    service = FakeService(texts=0)
    assert run(artifacts, "spam", service=service).exit_code == 0
    assert served(artifacts) == {"variant": "old", "shadow": "new"}
    service.texts = 5000
    done = run(artifacts, "spam", "new", service=service)
    assert done.exit_code == 0, done.output
    assert served(artifacts) == {"variant": "new", "shadow": "old"}
    assert service.reloads == 2
    assert (artifacts / "serving.toml").read_text().startswith("# of the forum\n")
    for expected in ({"variant": "old", "shadow": "new"}, {"variant": "old"}):
        assert run(artifacts, "spam", "--rollback", service=service).exit_code == 0
        assert served(artifacts) == expected
    assert run(artifacts, "spam", "--rollback").exit_code == FAILED
    assert [one["step"] for one in lines(artifacts)] == ["shadow", "serving", *["rollback"] * 2]
    assert all(one["passed"] for one in lines(artifacts)[1]["requirements"])  # type: ignore[union-attr]


def test_a_failed_reload_leaves_the_file_as_it_was(artifacts: Path) -> None:
    before = (artifacts / "serving.toml").read_bytes()
    done = run(artifacts, "spam", service=FakeService(code=1))
    assert (done.exit_code, lines(artifacts)) == (FAILED, [])
    assert (artifacts / "serving.toml").read_bytes() == before


@pytest.mark.parametrize("changes", [{"recall": -0.5}, {"fpr": 0.5}, {"gain": 0.0}])
def test_what_does_not_pass_the_gate_changes_nothing(
    artifacts: Path, changes: dict[str, float]
) -> None:
    old, new = (load_manifest(artifacts / "spam" / name) for name in ("old", "new"))
    retraining_file.write(verdict_of(new, old, **changes), artifacts / "spam" / "new")
    done = run(artifacts, "spam")
    assert (done.exit_code, served(artifacts)) == (GATE, {"variant": "old"})
    assert done.output.count("FAILED") == 1
    assert run(artifacts, "spam", "--force", "the scam of today").exit_code == 0
    (line,) = lines(artifacts)
    assert line["forced"] == "the scam of today"
    assert served(artifacts) == {"variant": "old", "shadow": "new"}


def test_the_shadow_must_have_scored_enough_since_it_became_the_shadow(artifacts: Path) -> None:
    service = FakeService(texts=4900)
    assert run(artifacts, "spam", service=service).exit_code == 0
    service.texts = 5000
    done = run(artifacts, "spam", "new", service=service)
    assert done.exit_code == GATE
    assert "100 texts were scored as the shadow; at least 1,000" in done.output
    service.texts = 5900
    assert run(artifacts, "spam", "new", service=service).exit_code == 0


def test_figures_of_the_shadow_cannot_be_had_without_a_service(artifacts: Path) -> None:
    assert run(artifacts, "spam").exit_code == 0
    done = run(artifacts, "spam", "new")
    assert (done.exit_code, "leave out --no-reload" in done.output) == (GATE, True)
    with (artifacts / "serving.toml").open("a") as file:
        file.write(NO_SHADOW)
    assert run(artifacts, "spam", "new").exit_code == 0
    assert served(artifacts)["variant"] == "new"


def test_serving_at_once_needs_a_gate_that_asks_for_no_shadow(artifacts: Path) -> None:
    assert run(artifacts, "spam", "--serve", service=FakeService()).exit_code == GATE
    (artifacts / "serving.toml").write_text(SERVING.replace('spam = "old"', 'spam = "old"'))
    with (artifacts / "serving.toml").open("w") as file:
        file.write(f'[models.spam]\nvariant = "old"\n{NO_SHADOW}')
    assert run(artifacts, "spam", "--serve").exit_code == 0
    assert served(artifacts)["variant"] == "new"


def test_a_verdict_on_other_artifacts_does_not_count(artifacts: Path) -> None:
    variant(artifacts, "old", 7)  # what is served was replaced
    done = run(artifacts, "spam", "new")
    assert (done.exit_code, "retrain to compare" in done.output) == (GATE, True)
    variant(artifacts, "old", 0)
    shutil.copy(artifacts / "spam" / "new" / "verdict.json", artifacts)
    variant(artifacts, "new", 9)
    shutil.move(artifacts / "verdict.json", artifacts / "spam" / "new")
    assert run(artifacts, "spam", "new").exit_code == GATE


def test_a_damaged_artifact_is_not_promoted(artifacts: Path) -> None:
    with (artifacts / "spam" / "new" / "vocabulary.txt").open("a") as file:
        file.write("x\n")
    done = run(artifacts, "spam", "new")
    assert (done.exit_code, "checksum" in done.output) == (FAILED, True)


def test_a_variant_without_a_verdict_needs_a_reason(artifacts: Path) -> None:
    (artifacts / "spam" / "new" / "verdict.json").unlink()
    assert run(artifacts, "spam", "new").exit_code == GATE
    assert run(artifacts, "spam", "new", "--force", "compared by hand").exit_code == 0


def test_the_newest_comparison_with_what_is_served_is_the_default(artifacts: Path) -> None:
    newer = variant(artifacts, "newer", 3)
    old = load_manifest(artifacts / "spam" / "old")
    created = "2026-02-01T00:00:00+00:00"
    retraining_file.write(verdict_of(newer, old, created=created), artifacts / "spam" / "newer")
    assert run(artifacts, "spam").exit_code == 0
    assert served(artifacts)["shadow"] == "newer"


def test_a_policy_file_of_the_old_artifact_stops_it_before_anything_is_changed(
    artifacts: Path,
) -> None:
    (artifacts / "serving.toml").write_text(
        f'[models.spam]\nvariant = "old"\nshadow = "new"\n{NO_SHADOW}'
        '[models.spam.policies.teens]\ncalibration = "teens.json"\n'
    )
    done = run(artifacts, "spam", "new")
    assert (done.exit_code, "write it again" in done.output) == (FAILED, True)
    assert served(artifacts)["variant"] == "old"


def test_an_edit_after_a_promotion_is_not_overwritten_by_a_rollback(artifacts: Path) -> None:
    assert run(artifacts, "spam").exit_code == 0
    path = artifacts / "serving.toml"
    path.write_text(path.read_text().replace('shadow = "new"', 'shadow = "old"'))
    done = run(artifacts, "spam", "--rollback")
    assert (done.exit_code, "edit it by hand" in done.output) == (FAILED, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["soup"], "unknown model"),
        (["spam", "soup"], "unknown variant"),
        (["spam", "old"], "served already"),
        (["spam", "--shadow", "--serve"], "exclude one another"),
        (["spam", "--force", " "], "give a reason"),
        (["spam", "new", "--rollback"], "neither a variant"),
    ],
)
def test_wrong_usage_is_refused(artifacts: Path, arguments: list[str], message: str) -> None:
    done = run(artifacts, *arguments)
    assert (done.exit_code, message in done.output) == (WRONG_USAGE, True)


def test_other_labels_are_refused(artifacts: Path) -> None:
    made = make_artifact(labels=("a", "b"))
    save(replace(made, manifest=replace(made.manifest, variant="x")), artifacts / "spam" / "x")
    assert "other labels" in run(artifacts, "spam", "x").output
    save(make_artifact(labels=THREE), artifacts / "spam" / "tiny")
    assert run(artifacts, "spam", "tiny").exit_code == FAILED


def test_permissions_and_a_link_stay(artifacts: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    shutil.move(artifacts / "serving.toml", real)
    real.chmod(0o640)
    (artifacts / "serving.toml").symlink_to(real)
    assert run(artifacts, "spam").exit_code == 0
    assert (artifacts / "serving.toml").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "shadow" in real.read_text()


def test_a_step_does_not_undo_another_that_was_taken_meanwhile(artifacts: Path) -> None:
    variant(artifacts, "other", 2)

    class Busy(FakeService):
        def get(self, path: str) -> bytes:
            assert run(artifacts, "spam", "other", "--serve", "--force", "urgent").exit_code == 0
            return super().get(path)

    done = run(artifacts, "spam", "new", service=Busy())
    assert done.exit_code == FAILED, done.output
    assert "was changed meanwhile; nothing was replaced" in done.output
    assert served(artifacts) == {"variant": "other", "shadow": "old"}
    assert [one["variant"] for one in lines(artifacts)] == ["other"]


def test_two_promotions_do_not_run_at_once(artifacts: Path) -> None:
    with promotion.locked(artifacts):
        result = run(artifacts, "spam")
    assert result.exit_code == FAILED
    assert "another promotion is running" in result.output
    assert (artifacts / "serving.toml").read_text() == SERVING
    assert not lines(artifacts)
    assert run(artifacts, "spam").exit_code == 0


def test_a_file_that_was_changed_meanwhile_is_not_replaced(artifacts: Path) -> None:
    with pytest.raises(promotion.ServingError, match="changed meanwhile"):
        promotion.replace_serving_file(artifacts, b"other", b"new")


@pytest.mark.parametrize("line", ["{", "[]", '{"model": "spam"}', "3"])
def test_a_damaged_history_is_refused(artifacts: Path, line: str) -> None:
    (artifacts / "promotions.jsonl").write_text(f"{line}\n")
    done = run(artifacts, "spam", "--rollback")
    assert (done.exit_code, "line 1: no promotion" in done.output) == (FAILED, True)


def test_counts_of_a_restarted_service_count_whole() -> None:
    step = promotion.Promotion(
        "spam", "shadow", "new", "0", {}, {}, shadow_counts={"texts": 100, "disagreements": 9}
    )
    for found, expected in (((150, 10), (50, 1)), ((60, 2), (60, 2))):
        counts = promotion.since_shadow(ShadowCounts(*found), [step], "spam", "new")
        assert counts == ShadowCounts(*expected)


def test_the_counts_are_those_of_the_shadow_alone() -> None:
    assert shadow_counts(FakeService(texts=12, disagreements=3), "spam", "new") == ShadowCounts(
        12, 4
    )


def test_a_verdict_is_read_as_it_was_written(artifacts: Path) -> None:
    directory = artifacts / "spam" / "new"
    old, new = (load_manifest(artifacts / "spam" / name) for name in ("old", "new"))
    assert retraining_file.read(directory) == verdict_of(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dandelion-retraining", "other"),
        ('"format_version": 1', '"format_version": 2'),
        ('"recall": 0.5', '"recall": 1.5'),
        ('"counts"', '"count"'),
        ('"negatives": 100', '"negatives": -1'),
        ("{", ""),
    ],
)
def test_a_damaged_verdict_is_refused(artifacts: Path, old: str, new: str) -> None:
    path = artifacts / "spam" / "new" / "verdict.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(RetrainingFileError, match="damaged"):
        retraining_file.read(path.parent)


class SilentService(FakeService):
    """A service whose metrics cannot be had."""

    def get(self, path: str) -> bytes:
        raise ConnectionError("401 a key is needed")


def test_figures_that_cannot_be_read_do_not_pass(artifacts: Path) -> None:
    assert run(artifacts, "spam", service=SilentService()).exit_code == 0
    done = run(artifacts, "spam", "new", service=SilentService())
    assert done.exit_code == GATE
    assert "the figures of the shadow cannot be read: 401 a key is needed" in done.output


@pytest.mark.parametrize("content", ["ключ", None])
def test_a_key_that_cannot_be_read_is_wrong_usage_and_not_shown(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"--key-file .*: cannot be read") as error:
        running_service(None, path)
    assert content is None or content not in str(error.value)
