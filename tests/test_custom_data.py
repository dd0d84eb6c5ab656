"""From a custom data file to a response over HTTP."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from training import cli

from .conftest import StartService

SMALL = [f"--set={one}" for one in ("hidden=8", "epochs=6", "wide.bits=10")]
WORDS = {"calm": "tea garden", "glad": "hooray yes", "sad": "rain alas"}


def write(path: Path, labels: list[str], *, rows: int = 40) -> Path:
    """Write a file whose texts contain their labels' words, and one row without a label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "body", "label"])
        for number in range(rows * len(labels)):
            label = labels[number % len(labels)]
            # Near copies, those that differ in digits alone, would stay on one side of the split.
            other = f"{number:b}".translate({ord("0"): "la", ord("1"): "lo"})
            writer.writerow([number, f"{WORDS[label]}, «{other}»\nno {number}", label])
        writer.writerow(["x", "a text without a label", ""])
    return path


def train(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["train", *arguments])


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("labels", [["calm", "glad"], ["calm", "glad", "sad"]])
def test_train_report_evaluate_and_serve(
    tmp_path: Path, labels: list[str], start_service: StartService
) -> None:
    data, artifacts = write(tmp_path / "mine.csv", labels), tmp_path / "artifacts"
    done = train(
        *("--name=mood", f"--data={data}", "--text-column=body", "--label-column=label"),
        *("--seed=1", f"--output={artifacts}", *SMALL),
    )
    assert done.exit_code == 0, done.output
    assert "1 row left out (" in done.output
    expected = f"write {artifacts}/serving.toml with the lines [models] and mood = 'wide', then "
    assert f"Serve it: {expected}DANDELION_ARTIFACTS={artifacts} dandelion serve\n" in done.output
    assert f"line {2 + 2 * 40 * len(labels)}" in done.output
    report = (artifacts / "mood" / "wide.md").read_text(encoding="utf-8")
    for part in (
        "# mood/wide",
        "| majority |",
        "## Rows left out\n\n1 row, for this reason:\n\n- line",
        *labels,
    ):
        assert part in report
    assert "without a label" not in report + done.output

    path = artifacts / "mood" / "wide"
    evaluated = CliRunner().invoke(cli.app, ["evaluate", str(path), f"--data={data}"])
    assert evaluated.exit_code == 0, evaluated.output

    without = CliRunner().invoke(cli.app, ["evaluate", str(path)])
    assert without.exit_code == 1
    assert "trained on custom data: give the file with --data" in without.output

    other = ["evaluate", str(path), f"--data={data}", f"--positive={labels[0]}"]
    refused = CliRunner().invoke(cli.app, other)
    assert refused.exit_code == 1
    assert "give --positive as in training" in " ".join(refused.output.split())

    (artifacts / "serving.toml").write_text("[models]\nmood = 'wide'\n")
    service = start_service(artifacts=artifacts)
    service.wait_until_ready()
    texts = [WORDS["glad"], WORDS["calm"]]
    response = service.post("/classify/mood", json={"texts": texts})
    results = response.raise_for_status().json()["results"]
    assert [one["label"] for one in results] == ["glad", "calm"]
    assert all(("scores" in one) == (len(labels) > 2) for one in results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss=nope"], "unknown loss 'nope'"),
        (["--loss=tversky", "--set=loss_options={alpha=9}"], "loss_options of 'tversky'"),
        (["--set=nope=1"], "nope: unknown field"),
        (["--set=loss_options={nope=1}"], "loss_options of 'bce'"),
        (["--set=epochs"], "expected FIELD=VALUE"),
        (["--data=none.csv", "--loss=nope"], "none.csv: cannot be read: No such file"),
    ],
)
def test_the_configuration_is_checked_before_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("never read: it has no rows")
    done = train("--name=mood", "--data=mine.csv", *arguments)
    assert done.exit_code == 1
    assert done.output.startswith("error: ")
    assert message in done.output


def test_options_of_a_default_loss_are_accepted_before_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("text,label")
    done = train("--name=mood", "--data=mine.csv", '--set=loss_options={classes="both"}')
    assert "mine.csv: has no rows" in done.output


def test_near_copies_count_as_one_text(tmp_path: Path) -> None:
    with (tmp_path / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows([f"note {chr(97 + n % 26) * (1 + n // 26)}", "ham"] for n in range(200))
        rows.writerows([f"Win {'abcdefg'[n % 7]} now, code {n}!", "spam"] for n in range(97))
    arguments = ["--name=mood", f"--data={tmp_path / 'mine.csv'}", f"--output={tmp_path}", *SMALL]
    done = train(*arguments)
    assert done.exit_code == 1
    assert "Training" not in done.output
    assert (
        "error: 'spam': 97 texts in 7 groups of near copies; at least 10 groups are needed, as near"
        " copies stay in one fold. Add different texts, or split at random with --protocol paper"
    ) in done.output
    done = train(*arguments, "--protocol=paper")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name=mood"], "either --model"),
        (["--name=mood", "--model=spam", "--data=mine.csv"], "either --model"),
        (["--name=spam", "--data=mine.csv"], "spam"),
        (["--name=Mood!", "--data=mine.csv"], "Mood!"),
        (["--name=mood", "--data=none.csv"], "none.csv"),
        (["--name=mood", "--data=mine.csv", "--text-column=bdy"], "bdy"),
        (["--name=mood", "--data=mine.csv", "--loss=cross_entropy"], "for a multiclass task"),
        (["--model=spam"], "--variant"),
        (["--model=spam", "--variant=none"], "no such file"),
    ],
)
def test_errors_end_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    write(tmp_path / "mine.csv", ["calm", "glad"])
    monkeypatch.chdir(tmp_path)
    done = train(*arguments)
    assert done.exit_code == 1
    last = " ".join(done.output[done.output.index("error: ") :].split())
    assert message in last
    assert not (tmp_path / "artifacts").exists()


def test_several_files(tmp_path: Path) -> None:
    first = write(tmp_path / "first.csv", ["calm", "glad"])
    second = tmp_path / "second.jsonl"
    second.write_text(
        "".join(
            f'{{"body": "tea, {"abcde"[n % 5] * (n // 5 + 1)}", "label": "calm"}}\n'
            for n in range(40)
        ),
        encoding="utf-8",
    )
    options = (f"--data={first}", f"--data={second}", "--text-column=body", "--label-column=label")
    done = train("--name=mood", *options, f"--output={tmp_path}", *SMALL)
    assert done.exit_code == 0, done.output
    assert "  first.csv, line" in done.output
    report = (tmp_path / "mood" / "wide.md").read_text(encoding="utf-8")
    assert "| source | file | calm | glad | rows left out |" in report
    assert "| first | first.csv | 40 | 40 | 1 |\n| second | second.jsonl | 40 | 0 | 0 |" in report
    artifact = str(tmp_path / "mood" / "wide")
    again = CliRunner().invoke(cli.app, ["evaluate", artifact, *options])
    assert again.exit_code == 0, again.output
    alone = CliRunner().invoke(cli.app, ["evaluate", artifact, f"--data={first}", *options[2:]])
    assert alone.exit_code == 1
    assert "its data set has SHA-256" in alone.output
