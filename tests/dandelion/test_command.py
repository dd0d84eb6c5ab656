"""The console command, as a process."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dandelion import Classifier
from dandelion.artifact import save
from dandelion.command import app
from dandelion.manifest import load_manifest

from ..conftest import PATIENCE_S, ROOT
from .examples import THREE, make_artifact

COMMAND = [sys.executable, "-m", "dandelion.command"]
SPAM = "WINNER!! Claim your free prize now, call 09012345678"
TEXTS = [SPAM, "Lunch at 12?", "", "  ", "naïve 😂\tfree", SPAM]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The served model `spam` as committed, a small `mood`, and one that is not served."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    for variant in ("dice", "squared_hinge-wide"):
        shutil.copytree(ROOT / "artifacts" / "spam" / variant, artifacts / "spam" / variant)
    save(make_artifact(labels=THREE), artifacts / "mood" / "tiny")
    labels = ("a\tb\nc", "\x1b[31mred", "back\\slash")
    save(make_artifact(seed=23, labels=labels), artifacts / "extra" / "tiny")
    (artifacts / "serving.toml").write_text(
        "[models]\nmood = 'tiny'\nspam = 'squared_hinge-wide'\n"
    )
    return artifacts


def environment(artifacts: Path | None, **variables: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DANDELION_", "PYTHON"))  # PYTHONUNBUFFERED would hide much
    }
    kept |= {"PYTHONPATH": str(ROOT)} | variables
    return kept if artifacts is None else kept | {"DANDELION_ARTIFACTS": str(artifacts)}


def run(
    artifacts: Path | None, *arguments: str | bytes, given: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=given,
        capture_output=True,
        env=environment(artifacts, **variables),
        cwd=artifacts,
        check=False,
        timeout=PATIENCE_S,
    )


def start(artifacts: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(artifacts),
    )


def test_arguments_are_classified_in_their_order(artifacts: Path) -> None:
    done = run(artifacts, "classify", "spam", *TEXTS)
    assert (done.returncode, done.stderr) == (0, b"")
    classifier = Classifier.load(artifacts / "spam" / "squared_hinge-wide")
    expected = [
        f"{one.label}\t{'-' if one.score is None else format(one.score, '.4f')}"
        for one in classifier.classify(TEXTS)
    ]
    assert done.stdout.decode().splitlines() == expected
    assert expected[0].startswith("spam")


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_lines_are_classified_as_arguments_are(artifacts: Path, end: str) -> None:
    separator = end or "\n"
    done = run(artifacts, "classify", "spam", given=(separator.join(TEXTS) + end).encode())
    assert done.stdout == run(artifacts, "classify", "spam", *TEXTS).stdout


def test_more_lines_than_are_read_at_once_keep_their_order(artifacts: Path) -> None:
    texts = [f"{SPAM if number % 3 else 'lunch'} {number}" for number in range(5000)]
    done = run(artifacts, "classify", "spam", "--json", given="\n".join(texts).encode())
    classifier = Classifier.load(artifacts / "spam" / "squared_hinge-wide")
    found = [json.loads(line)["score"] for line in done.stdout.splitlines()]
    assert found == pytest.approx(classifier.scores(texts).tolist(), abs=1e-6)


@pytest.mark.parametrize("model", ["spam", "mood"])
def test_json_has_the_fields_of_the_service(artifacts: Path, model: str) -> None:
    done = run(artifacts, "classify", model, "--json", "free prize", "lunch")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2
    for line in lines:
        assert list(line) == ["label", "score"] + (["scores"] if model == "mood" else [])
        assert model == "spam" or line["score"] == max(line["scores"].values())


def test_json_has_the_notices_of_a_text(artifacts: Path) -> None:
    texts = ["www.example.com :)", "xyzzy", "lunch"]
    for model, label in (("spam", "ham"), ("mood", None)):
        done = run(artifacts, "classify", model, "--json", *texts)
        nothing, unknown, known = map(json.loads, done.stdout.splitlines())
        assert nothing["reason"] == "no_content"
        assert (nothing["score"] is None) == (model == "spam")
        if label is not None:
            assert (nothing["label"], nothing["decision"]) == (label, "none")
        assert "low_evidence" not in nothing
        assert unknown["low_evidence"] is True
        assert not {"reason", "decision", "low_evidence"} & set(known)


@pytest.mark.parametrize("model", ["spam", "mood"])
def test_explanations_are_added_to_each_line(artifacts: Path, model: str) -> None:
    texts = ["F R E E prize! free\u2028", "lunch"]
    done = run(artifacts, "classify", model, "--explain=2", *texts)
    lines = run(artifacts, "classify", model, "--explain=2", "--json", *texts).stdout
    plain = run(artifacts, "classify", model, *texts).stdout

    for text, line, columns, label in zip(
        texts,
        map(json.loads, lines.splitlines()),
        done.stdout.decode().splitlines(),
        plain.decode().splitlines(),
        strict=True,
    ):
        explanation = line["explanation"]
        assert set(explanation) == {"base", "surface", "spans", "rest", "logit"}
        shown = ", ".join(
            f"{text[one['start'] : one['end']]} {one['contribution']:+.2f}".replace(
                "\u2028", "\\u2028"
            )
            for one in explanation["spans"]
        )
        assert columns == f"{label}\t{shown}"
        assert 1 <= len(explanation["spans"]) <= 2


@pytest.mark.parametrize("number", ["0", "51", "many"])
def test_a_wrong_number_of_spans_is_refused(artifacts: Path, number: str) -> None:
    done = run(artifacts, "classify", "spam", "--explain", number, "lunch")
    assert done.returncode == 2
    assert b"--explain" in done.stderr


def test_threshold_and_variant_are_chosen(artifacts: Path) -> None:
    assert run(artifacts, "classify", "spam", "--threshold=0", "lunch").stdout[:4] == b"spam"
    assert run(artifacts, "classify", "spam", "--threshold", "1", SPAM).stdout[:3] == b"ham"
    dice = Classifier.load(artifacts / "spam" / "dice").classify([SPAM])[0]
    done = run(artifacts, "classify", "spam", "--variant", "dice", "--json", SPAM)
    assert json.loads(done.stdout)["score"] == pytest.approx(dice.score, abs=1e-6)


def test_a_text_that_looks_like_an_option_follows_two_dashes(artifacts: Path) -> None:
    done = run(artifacts, "classify", "spam", "--", "--json", "-1")
    assert len(done.stdout.splitlines()) == 2


def test_a_line_is_classified_when_it_arrives(artifacts: Path) -> None:
    with start(artifacts, "classify", "spam") as process:
        assert process.stdin
        assert process.stdout
        for text in (SPAM, "lunch"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().startswith(b"spam" if text == SPAM else b"ham")
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


def test_ctrl_c_ends_it_silently(artifacts: Path) -> None:
    with start(artifacts, "classify", "spam") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"lunch\n")
        process.stdin.flush()
        process.stdout.readline()  # it waits for the next line now
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr.read() == b""


def test_a_closed_pipe_ends_it_silently(artifacts: Path) -> None:
    with start(artifacts, "classify", "spam") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"lunch\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"lunch\n")
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_it_in_one_line(artifacts: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "classify", "spam", "lunch"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(artifacts),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models"], ["models", "--help"]])
def test_help_and_lists_survive_a_full_disk(artifacts: Path, arguments: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(artifacts),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"error: [Errno 28] No space left on device\n"


def test_what_is_not_utf_8_is_named_and_nothing_before_it_is_lost(artifacts: Path) -> None:
    secret = b"secret \xff words"
    lines = [b"lunch", SPAM.encode(), secret, b"lunch", b""]
    done = run(artifacts, "classify", "spam", given=b"\n".join(lines))
    assert [line[:3] for line in done.stdout.splitlines()] == [b"ham", b"spa"]
    assert done.returncode == 1
    assert done.stderr == b"error: standard input, line 3: not UTF-8, from byte 8\n"

    done = run(artifacts, "classify", "spam", "lunch", secret)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"error: TEXT 2: not UTF-8, from character 8\n"


def test_a_line_that_is_too_long_is_refused(artifacts: Path) -> None:
    done = run(artifacts, "classify", "mood", given=b"lunch\n" + b"a" * 8_000_001)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert done.stderr == b"error: standard input, line 2: longer than 8000000 bytes\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spam", "--variant=../spam/dice"], "unknown variant '../spam/dice' of spam. Available"),
        (["spm", "--variant=dice"], "unknown model 'spm'. Available models: mood, spam"),
        (["../spam", "--variant=dice"], "unknown model '../spam'"),
        (["spam/dice"], "unknown model 'spam/dice'"),
        ([".", "--variant=spam"], "unknown model '.'"),
        ([""], "unknown model ''"),
        (["a" * 300, "--variant=dice"], "unknown model 'aaa"),
        (["extra"], "It is not served; choose one with --variant: tiny"),
        (["spam", "--threshold=٠٫٥"], "'٠٫٥' is not a number in [0, 1]"),
        (["spam", "--threshold=٠"], "'٠' is not a number in [0, 1]"),
        (["spam", "--threshold=0_1"], "'0_1' is not a number in [0, 1]"),
        (["spam", "--threshold="], "'' is not a number in [0, 1]"),
        (["spam", "--threshold=inf"], "'inf' is not a number in [0, 1]"),
    ],
)
def test_what_is_no_name_or_number_is_wrong_usage(
    artifacts: Path, arguments: Sequence[str], message: str
) -> None:
    found = CliRunner().invoke(app, ["classify", "--artifacts", str(artifacts), *arguments, "x"])
    assert (found.exit_code, found.stdout) == (2, "")
    assert message in found.stderr


def test_labels_neither_end_a_column_nor_control_the_terminal(artifacts: Path) -> None:
    texts = "free\nprize\nlunch\n"
    columns = run(artifacts, "classify", "extra", "--variant=tiny", given=texts.encode())
    objects = run(artifacts, "classify", "extra", "--variant=tiny", "--json", given=texts.encode())
    escaped = {
        "a\tb\nc": r"a\tb\nc",
        "\x1b[31mred": r"\x1b[31mred",
        "back\\slash": "back\\\\slash",
    }
    labels = [json.loads(line)["label"] for line in objects.stdout.splitlines()]
    found = [line.split("\t")[0] for line in columns.stdout.decode().splitlines()]
    assert found == [escaped[label] for label in labels]
    assert set(labels) == set(escaped)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["classify", "spm", "x"], 2, "unknown model 'spm'. Available models: mood, spam"),
        (["classify", "mood", "--threshold=.5", "x"], 2, "a model with 3 labels has no threshold"),
        (["classify", "spam", "--variant=mse", "x"], 2, "variants: dice, squared_hinge-wide"),
        (["classify", "spam", "--variant=", "x"], 2, "unknown variant '' of spam. Available"),
        (["classify", "spam", "--artifacts=none", "x"], 1, "none/serving.toml: cannot be read"),
        (["models", "--artifacts=none"], 1, "none/serving.toml: cannot be read"),
    ],
)
def test_errors_are_one_line(
    artifacts: Path, arguments: Sequence[str], code: int, message: str
) -> None:
    done = run(artifacts, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    error = done.stderr.decode()
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("<&-", "standard input is closed; pass texts as arguments"),
        (">&-", "standard output is closed"),
    ],
)
def test_a_closed_stream_is_named(artifacts: Path, stream: str, message: str) -> None:
    for command in ("classify spam", "models") if stream == ">&-" else ("classify spam",):
        script = f"{shlex.join(COMMAND)} {command} {stream}"
        done = subprocess.run(
            ["sh", "-c", script],
            input=b"lunch",
            capture_output=True,
            env=environment(artifacts),
            check=False,
            timeout=PATIENCE_S,
        )
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode() == f"error: {message}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no"],
        ["fly"],
        ["models", "--no"],
        ["models", "x"],
        ["classify", "--no", "m"],
        ["--install-completion"],
        ["classify", "spam", "--threshold=2", "x"],
        ["classify", "spam", "--threshold=-1"],
        ["classify", "spam", "--threshold=high", "x"],
        ["classify", "spam", "--threshold=٠٫٥", "x"],
    ],
)
def test_what_does_not_exist_is_refused(artifacts: Path, arguments: Sequence[str]) -> None:
    done = run(artifacts, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Usage: dandelion")


def test_models_lists_every_variant_and_marks_the_served(artifacts: Path) -> None:
    done = run(artifacts, "models")
    assert done.returncode == 0
    header, *lines = done.stdout.decode().splitlines()
    assert header == f"Artifacts: {artifacts}"
    marked = [line.split()[:3] for line in lines if line.startswith("*")]
    assert marked[:2] == [["*", "mood", "tiny"], ["*", "spam", "squared_hinge-wide"]]
    (dice,) = [line.split() for line in lines if " dice " in line]
    metrics = Classifier.load(artifacts / "spam" / "dice").manifest.metrics["test"]["fitted"]
    shown = [f"{metrics[name]:.4f}" for name in ("macro_f1", "mcc", "auroc")]
    assert dice == ["spam", "dice", "2", "1.1", "MB", *shown]

    listed = [json.loads(line) for line in run(artifacts, "models", "--json").stdout.splitlines()]
    served = [(one["model"], one["variant"], one["served"]) for one in listed]
    assert served == [
        ("mood", "tiny", False),  # in the directory `extra`
        ("mood", "tiny", True),
        ("spam", "dice", False),
        ("spam", "squared_hinge-wide", True),
    ]
    for one in listed:
        manifest = load_manifest(artifacts / one["model"] / one["variant"])
        assert one["threshold_rule"] == manifest.threshold_rule
        assert one["by_source"] == manifest.by_source


def test_a_damaged_artifact_hides_no_other(artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mood" / "tiny" / "model.json").write_text("{}")
    done = run(tmp_path, "models")
    assert done.returncode == 1
    assert b"squared_hinge-wide" in done.stdout
    assert b"mood/tiny/model.json: not a Dandelion artifact" in done.stderr


def test_models_marks_no_artifact_that_the_service_refuses(artifacts: Path, tmp_path: Path) -> None:
    shutil.copytree(artifacts, tmp_path, dirs_exist_ok=True)
    (tmp_path / "serving.toml").write_text("[models]\nextra = 'tiny'\nspam = 'dice'\n")
    done = run(tmp_path, "models")
    assert done.returncode == 1
    marked = [line.split()[1:3] for line in done.stdout.decode().splitlines() if line[:1] == "*"]
    assert marked[:1] == [["spam", "dice"]]
    assert b"extra/tiny: is an artifact of 'mood', not of 'extra'." in done.stderr
    lines = run(tmp_path, "models", "--json")
    assert lines.returncode == 1
    served = [one["variant"] for one in map(json.loads, lines.stdout.splitlines()) if one["served"]]
    assert served == ["dice"]


@pytest.mark.parametrize("arguments", [["--help"], ["models", "--help"], ["classify", "--help"]])
def test_help_is_plain_text(arguments: Sequence[str]) -> None:
    done = run(None, *arguments, FORCE_COLOR="1", GITHUB_ACTIONS="true")
    assert done.returncode == 0
    assert done.stdout.startswith(b"Usage: dandelion ")
    assert done.stdout.isascii()
    assert b"\x1b" not in done.stdout


def test_a_threshold_that_is_no_number_is_refused(artifacts: Path) -> None:
    done = run(artifacts, "classify", "spam", "--threshold=nan", "x")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"threshold" in done.stderr.splitlines()[-1]
    assert b"Traceback" not in done.stderr


def test_help_names_a_text_once() -> None:
    assert b"MODEL} [TEXT]...\n" in run(None, "classify", "--help").stdout


def test_the_library_itself_imports_no_command_line() -> None:
    code = "import sys, dandelion; print({'typer', 'click', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"set()\n"


@pytest.fixture
def joining(tmp_path: Path) -> str:
    """A path with a distribution whose commands join: one that works, one that lacks a package."""
    information = tmp_path / "flying-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: flying\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[dandelion.commands]\nfly = flying:main\nlack = lacking:main\nbreak = broken:main\n"
    )
    (tmp_path / "flying.py").write_text(
        "def main(arguments, program):\n    print(program, arguments)\n    return 7\n"
    )
    (tmp_path / "lacking.py").write_text("import no_such_package\n")
    (tmp_path / "broken.py").write_text("import json.no_such_module\n")
    return f"{tmp_path}:{ROOT}"


def test_a_command_joins_by_its_entry_point(joining: str) -> None:
    assert b"  fly " in run(None, "--help", PYTHONPATH=joining).stdout
    arguments = ["--help", "-x", "--rate=3", "text", "--", "-y"]
    done = run(None, "fly", *arguments, PYTHONPATH=joining)
    assert done.returncode == 7
    assert done.stdout.decode() == f"dandelion fly {arguments}\n"


def test_a_command_that_lacks_a_package_names_the_installation(joining: str) -> None:
    done = run(None, "lack", PYTHONPATH=joining)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: `dandelion lack` needs no_such_package, which is not ")
    assert b" -m pip install " in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_help_of_a_command_that_lacks_a_package_names_the_installation(joining: str) -> None:
    done = run(None, "lack", "--help", PYTHONPATH=joining)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Usage: dandelion lack [OPTIONS]\n\n")
    assert b"needs no_such_package, which is not installed. Install it: " in done.stdout


def test_an_error_inside_a_command_is_no_missing_package(joining: str) -> None:
    done = run(None, "break", PYTHONPATH=joining)
    assert done.returncode == 1
    assert b"No module named 'json.no_such_module'" in done.stderr
