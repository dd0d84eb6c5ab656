"""Every program in examples/ runs and prints what its docstring says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PATIENCE_S, ROOT, StartService

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"

SPAM_AND_HAM = [r"spam +1\.000 +WINNER!!.*", r"ham +0\.001 +Lunch at 12\?"]


def run(name: str, *arguments: str, cache: Path | None = None) -> list[str]:
    """Run an example as its docstring says, and return the lines that it printed."""
    done = start(name, *arguments, cache=cache)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def start(
    name: str, *arguments: str, cache: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TRAINING_CACHE": str(cache or ".cache")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def matches(lines: list[str], patterns: list[str]) -> bool:
    return len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))


def test_every_example_is_tested_and_listed() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    tested = set(re.findall(r'run\(\s*"([a-z_]+\.py)"', Path(__file__).read_text()))
    listed = set(re.findall(r"\]\((?:\.\./)?examples/([a-z_]+\.py)\)", index()))
    assert names == tested == listed


def index() -> str:
    return (ROOT / "docs" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_docstring_shows_how_to_run_it(path: Path) -> None:
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    assert "\nShows: " in docstring
    assert f"    python examples/{path.name}" in docstring
    assert "\nPrints " in docstring


def test_classify() -> None:
    lines = run("classify.py")
    assert lines[0] == "labels: ham and spam; positive at score >= 0.874"
    assert matches(lines[1:3], SPAM_AND_HAM)
    assert lines[-2:] == [
        "at a threshold of 0.7: spam, ham, spam",
        "scores: float32[3], the highest is 1.000",
    ]


def test_choose_a_threshold(data_dir: Path, tmp_path: Path) -> None:
    """The outputs in the guide are those of its commands."""
    archive = data_dir / "youtube_spam.zip"
    if not archive.exists():
        pytest.skip("needs youtube_spam.zip in DATA_DIR")
    guide = ROOT / "docs" / "guide" / "choosing-a-threshold.md"
    page = tmp_path / "page.md"
    shutil.copy(guide, page)
    run("choose_a_threshold.py", str(ROOT / archive), str(page))
    assert page.read_text(encoding="utf-8") == guide.read_text(encoding="utf-8"), (
        f"write them again: python examples/choose_a_threshold.py {archive} {guide}"
    )


def test_call_service(start_service: StartService) -> None:
    service = start_service()
    service.wait_until_ready()
    lines = run("call_service.py", service.url)
    assert matches(lines[:2], SPAM_AND_HAM)
    assert lines[2:4] == [
        "spam at a threshold of 0.55: 1 of 2",
        "rejected: 422 Unprocessable Entity",
    ]
    assert lines[4].startswith("  at #/texts: ")


def test_check_your_traffic(tmp_path: Path) -> None:
    lines = run("check_your_traffic.py")
    assert lines[0] == "spam/squared_hinge-wide: 6 texts, 2 of them spam"
    table = [line.split() for line in lines[2:]]
    assert [row[0] for row in table] == ["0.100", "0.300", "0.700", "0.874", "0.900"]
    assert table[3][1:4] == ["2", "1.00", "1.00"]

    data = tmp_path / "mine.csv"
    data.write_text("text,label\nnobody likes you,abuse\nhello,harmless\n")
    lines = run("check_your_traffic.py", str(data), "abuse/bce-wide")
    assert lines[0] == "abuse/bce-wide: 2 texts, 1 of them abuse"

    data.write_text("text;label\nWIN a prize!;spam\nhello;ham\n", encoding="utf-8-sig")
    assert run("check_your_traffic.py", str(data))[0].endswith(": 2 texts, 1 of them spam")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nWIN,spam\nhello,Ham\nhi,1\n", "labels are 'ham' and 'spam', not '1', 'Ham'"),
        ("text,class\nWIN,spam\n", "no column 'label'"),
        ("text,label\nhello,ham\n", "no row has the label 'spam'"),
    ],
)
def test_check_your_traffic_refuses(tmp_path: Path, content: str, message: str) -> None:
    data = tmp_path / "mine.csv"
    data.write_text(content)
    done = start("check_your_traffic.py", str(data))
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_train_on_csv(tmp_path: Path) -> None:
    lines = run("train_on_csv.py", str(tmp_path), cache=tmp_path)
    assert lines[-2:] == ["abusive: nobody wants you, leave", "fine: see you at noon"]
    assert (tmp_path / "artifacts" / "moderation" / "wide" / "model.json").exists()


def test_write_feedback(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "feedback.jsonl"
    archive = data_dir / "youtube_spam.zip"
    lines = run("write_feedback.py", str(archive), str(output))
    assert lines == [f"{output}: 1005 spam, 951 ham"]
    assert len(output.read_text().splitlines()) == 1956


def test_custom_loss(tmp_path: Path) -> None:
    lines = run("custom_loss.py", cache=tmp_path)
    assert lines[-1] == "loss: one_sided, options: {'cost': 3.0}"


def test_scikit_learn(tmp_path: Path) -> None:
    lines = run("scikit_learn.py", str(tmp_path / "artifacts"), cache=tmp_path)
    assert {line.split()[-1] for line in lines[:3]} == {"dice", "weighted_bce", "focal"}
    assert [line[:14] for line in lines[:3]] == sorted(
        (line[:14] for line in lines[:3]), reverse=True
    )
    assert matches(lines[3:4], [r"threshold: 0\.\d{3}"])
    assert lines[4:6] == ["rude = rude: nobody wants you, leave", "fine = fine: see you at noon"]
    assert (tmp_path / "artifacts" / "moderation" / "sklearn" / "MODEL_CARD.md").exists()


def test_loss_in_torch() -> None:
    lines = run("loss_in_torch.py")
    names = ["bce", "weighted_bce", "dice"]
    assert matches(lines[:3], [rf"F1 0\.\d\d: {name}" for name in names])
    f1 = dict(zip(names, [float(line.split()[1].rstrip(":")) for line in lines], strict=False))
    assert f1["dice"] > f1["bce"] > 0.4
    assert matches(lines[3:], [r"accuracy 0\.9\d: softmax_dice, three classes"])
