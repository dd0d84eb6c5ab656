"""From traffic to a policy on the command line: sample, label, evaluate, estimate, plan."""

import csv
import json
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dandelion import Classifier, tables
from dandelion.artifact import save
from dandelion.command import app
from dandelion.commands.estimate_prior import NOT_ESTIMABLE
from dandelion.installation import install_command
from dandelion.policy_file import read_policy_file
from dandelion.text.copies import copies

from .examples import THREE, make_artifact
from .simulated import deciding_artifact, labels, texts

Run = Callable[..., Result]
COUNT = 3000


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    artifacts = tmp_path_factory.mktemp("artifacts")
    save(deciding_artifact(), artifacts / "spam" / "tiny")
    save(make_artifact(seed=0), artifacts / "spam" / "plain")
    save(make_artifact(labels=THREE), artifacts / "mood" / "tiny")
    (artifacts / "serving.toml").write_text("[models]\nmood = 'tiny'\nspam = 'tiny'\n")
    return artifacts


@pytest.fixture(scope="module")
def run(artifacts: Path) -> Run:
    def invoke(*arguments: str | Path) -> Result:
        environment = {"DANDELION_ARTIFACTS": str(artifacts)}
        return CliRunner().invoke(app, [*map(str, arguments)], env=environment)

    return invoke


def write(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Path:
    """A file of texts with their truth, which the commands are not shown."""
    found = texts(COUNT, seed=5)
    truth = labels(Classifier.load(artifacts / "spam" / "tiny").logits(found), seed=5)
    country = ["de" if at % 3 else "at" for at in range(COUNT)]
    columns = {"text": found, "truth": truth.tolist(), "country": country}
    return write(tmp_path_factory.mktemp("traffic") / "traffic.csv", columns)


@pytest.fixture(scope="module")
def labelled(run: Run, traffic: Path) -> Path:
    """A sample that was labelled."""
    drawn = traffic.with_name("sample.csv")
    assert run("sample", traffic, "--model=spam", "--n=600", "--output", drawn).exit_code == 0
    with drawn.open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["label"] = ["spam" if row["truth"] == "1" else "ham" for row in rows]
    return write(traffic.with_name("labelled.csv"), columns)


def test_a_sample_has_all_columns_and_those_to_label(run: Run, traffic: Path) -> None:
    drawn = run("sample", traffic, "--model", "spam", "--n", "100")
    assert drawn.exit_code == 0
    assert drawn.stderr.startswith(f"Drew 100 of {COUNT:,} texts of 4 strata: ")
    whole = tables.read(traffic)
    table = tables.parse(drawn.stdout_bytes, Path("sample.csv"))
    assert table.columns == (
        *("text", "truth", "country"),
        *("source_line", "label", "stratum", "inclusion_weight"),
    )
    position = {line: at for at, line in enumerate(whole.lines)}
    rows = [position[int(str(line))] for line in table.column("source_line")]
    for name in ("text", "truth", "country"):
        values = whole.column(name)
        assert table.column(name) == [values[row] for row in rows]
    assert set(table.column("label")) == {""}
    weights = [float(str(weight)) for weight in table.column("inclusion_weight")]
    assert sum(weights) == pytest.approx(COUNT)


def test_scores_are_added_only_if_asked_for(run: Run, traffic: Path, artifacts: Path) -> None:
    drawn = run("sample", traffic, "--model=spam", "--n=60", "--with-scores")
    table = tables.parse(drawn.stdout_bytes, Path("sample.csv"))
    scores = Classifier.load(artifacts / "spam" / "tiny").scores([*map(str, table.column("text"))])
    found = [float(str(score)) for score in table.column("score")]
    assert found == pytest.approx(scores.tolist(), abs=1e-6)


def test_a_sample_is_for_its_owner_alone_and_replaces_nothing(
    run: Run, traffic: Path, tmp_path: Path
) -> None:
    output = tmp_path / "sample.csv"
    assert run("sample", traffic, "--model=spam", "--output", output).exit_code == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    again = run("sample", traffic, "--model=spam", "--output", output)
    assert again.exit_code == 2
    assert "may have labels" in again.stderr
    nowhere = run("sample", traffic, "--model=spam", "--output", tmp_path / "no" / "sample.csv")
    assert nowhere.exit_code == 1


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda one: "\0" not in one),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([".csv", ".jsonl"]),
)
@settings(max_examples=12)
def test_no_text_is_changed_or_lost(
    run: Run, tmp_path_factory: pytest.TempPathFactory, values: list[str], extension: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"traffic{extension}"
    if extension == ".csv":
        write(path, {"id": [*range(len(values))], "text": values})
    else:
        lines = [json.dumps({"id": at, "text": text}) for at, text in enumerate(values)]
        path.write_text("\n".join(lines))
    drawn = run("sample", path, "--model=spam", "--n=600")
    with_text = {str(at): text for at, text in enumerate(values) if text.strip()}
    if not with_text:
        assert drawn.exit_code == 1
        return
    assert drawn.exit_code == 0, drawn.stderr
    table = tables.parse(drawn.stdout_bytes, Path("sample.csv"))
    assert not table.bad_rows
    found = dict(zip(table.column("id"), table.column("text"), strict=True))
    assert found.items() <= with_text.items()
    assert len(found) == len(set(copies(with_text.values())))
    repeated, left_out = len(with_text) - len(found), len(values) - len(with_text)
    copied = "1 row is a near copy" if repeated == 1 else f"{repeated} rows are near copies"
    assert (copied in drawn.stderr) is bool(repeated)
    left = f"Left out {left_out} row{'s' * (left_out != 1)}:"
    assert (left in drawn.stderr) is bool(left_out)


def test_rows_without_a_text_are_listed_with_their_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "traffic.csv"
    path.write_text('text,id\nfree prize,1\n,2\n"  ",3\nlunch\nprize lunch,5\n')
    drawn = run("sample", path, "--model=spam")
    assert drawn.exit_code == 0
    for line in ("Left out 3 rows", "line 3: no text", "line 4: no text", "line 5: wrong number"):
        assert line in drawn.stderr


def test_a_column_that_the_sample_adds_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "traffic.csv", {"text": ["free"], "label": ["ham"]})
    refused = run("sample", path, "--model=spam")
    assert refused.exit_code == 2
    assert "has a column 'label'" in refused.stderr


def test_columns_of_one_name_are_refused_rather_than_lost(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "traffic.csv"
    path.write_text("text,note,note\nfree prize,1,2\n")
    refused = run("sample", path, "--model=spam", f"--output={tmp_path / 'sample.csv'}")
    assert refused.exit_code == 2
    assert "has more than one column 'note'" in refused.stderr
    assert not (tmp_path / "sample.csv").exists()


def test_without_scipy_the_calibration_is_kept_and_the_command_can_be_copied(
    run: Run, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    done = run("evaluate", "spam", "--data", labelled)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    line = next(at for at, line in enumerate(lines) if line.startswith("Calibration: kept: "))
    assert "kept: fitting another one needs SciPy, which is not installed." in lines[line]
    assert lines[line + 1] == f"Install it: {install_command('evaluate')}"


def test_evaluation_leads_to_a_policy(
    run: Run, labelled: Path, artifacts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "teens.json"
    done = run(
        *("evaluate", "spam", "--data", labelled, "--by=country", "--output", output),
        *("--operating-point=fpr<=0.1", "--operating-point=precision>=0.999"),
    )
    assert done.exit_code == 0, done.stderr
    for expected in (
        "600 labelled texts",
        "A sample with weights",
        "AUROC 0.",
        "default fpr<=0.05",
        "precision>=0.999 cannot be promised",
        "rate<=0.01",
        "Calibration: ",
        "country  de",
    ):
        assert expected in done.stdout
    file = read_policy_file(output)
    classifier = Classifier.load(artifacts / "spam" / "tiny")
    assert file.artifact == classifier.manifest.content_hash
    assert file.evidence.bands is not None
    policy = classifier.policy("fpr<=0.1", calibration=output)
    (point,) = file.points
    assert policy.operating_point == point.point == "fpr<=0.1"
    with np.errstate(over="ignore"):
        flagged = policy.scores(np.array([point.logit - 0.01, point.logit], dtype=np.float32))
    assert (flagged >= policy.threshold).tolist() == [False, True]


def test_a_served_policy_decides_as_planned(
    run: Run, labelled: Path, traffic: Path, artifacts: Path, tmp_path: Path
) -> None:
    """Simulated traffic → sample → labels → policy → decisions on the whole traffic."""
    assert (
        run("evaluate", "spam", "--data", labelled, "--output", tmp_path / "t.json").exit_code == 0
    )
    (tmp_path / "spam").symlink_to(artifacts / "spam")
    (tmp_path / "serving.toml").write_text(
        "[models.spam]\nvariant = 'tiny'\n[models.spam.policies.teens]\n"
        "operating_point = 'fpr<=0.1'\nreview = 'fpr<=0.3'\ncalibration = 't.json'\n"
    )
    planned = run(
        *("policy", "plan", "spam", "--policy=teens", "--volume", str(COUNT), "--json"),
        *("--minutes=6", "--artifacts", tmp_path),
    )
    assert planned.exit_code == 0, planned.stderr
    plan = json.loads(planned.stdout)
    classifier = Classifier.load(artifacts / "spam" / "tiny")
    policy = classifier.policy("fpr<=0.1", review="fpr<=0.3", calibration=tmp_path / "t.json")
    table = tables.read(traffic)
    found = classifier.classify([*map(str, table.column("text"))], policy=policy)
    truth = np.array([value == "1" for value in table.column("truth")])
    flagged = np.array([one.decision == "positive" for one in found])
    in_review = np.array([one.decision == "review" for one in found])
    assert flagged[~truth].mean() <= 0.1
    facts = {
        "flagged": flagged.sum(),
        "true_alerts": (flagged & truth).sum(),
        "false_alerts": (flagged & ~truth).sum(),
        "in_review": in_review.sum(),
        "found_in_review": (in_review & truth).sum(),
        "missed": (truth & ~flagged & ~in_review).sum(),
        "hours": in_review.sum() / 10,
    }
    for name, true in facts.items():
        assert plan[name]["lower"] - 1e-6 <= true <= plan[name]["upper"] + 1e-6, name


def test_a_plan_in_words(run: Run) -> None:
    done = run("policy", "plan", "spam", "--operating-point=fpr<=0.05", "--prior=0.01")
    assert done.exit_code == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header == "1,000,000 messages a day, 1.0 % of them spam:"
    assert [line[:16].strip() for line in lines[1:]] == [
        *("flagged", "of these spam", "false alerts", "missed spam", "reviewer hours")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--operating-point=fpr<=0.05"], "give --prior"),
        (["--prior=0.1"], "name a --policy or an --operating-point"),
        (["--policy=teens", "--prior=0.1"], "spam has no policy 'teens'"),
        (["--policy=teens", "--review=fpr<=0.1"], "has its own"),
        (["--operating-point=fpr<1", "--prior=0.1"], "operating point"),
        (["--operating-point=fpr<=0.1", "--review=fpr<=0.05", "--prior=0.1"], "looser"),
        (["--operating-point=fpr<=0.1", "--prior=1"], "not a number from 0.000001 to 0.9999"),
        (["--operating-point=fpr<=0.1", "--prior=0.1", "--volume=-1"], "not a positive number"),
        (["--operating-point=fpr<=0.1", "--prior=0.1", "--variant=plain"], "no evidence"),
    ],
)
def test_what_cannot_be_planned_is_refused(run: Run, arguments: list[str], message: str) -> None:
    refused = run("policy", "plan", "spam", *arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_json_has_the_figures_and_no_text(run: Run, labelled: Path) -> None:
    done = run("evaluate", "spam", "--data", labelled, "--json")
    values = json.loads(done.stdout)
    assert values["texts"] == 600
    assert values["counted"] == [600 - sum(values["counted"][1:]), values["counted"][1]]
    assert values["unlabelled"] == values["left_out"] == 0
    assert {"auroc", "shipped", "curve", "calibration"} <= set(values)
    assert "prize" not in done.stdout


def test_labels_of_several_kinds_are_read(run: Run, tmp_path: Path) -> None:
    found = texts(8)
    kinds = ["spam", "ham", "1", "0", "TRUE", "false", "", "n/a"]
    path = write(tmp_path / "mixed.csv", {"text": found, "label": kinds})
    values = json.loads(run("evaluate", "spam", "--data", path, "--json").stdout)
    assert (values["counted"], values["unlabelled"]) == ([3, 3], 2)
    lines = [
        json.dumps({"body": text, "toxic": label})
        for text, label in zip(found, [True, False, 1, 0, 1.0, 0.0, None, None], strict=True)
    ]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines))
    columns = ("--text-column=body", "--label-column=toxic")
    done = run("evaluate", "spam", "--data", tmp_path / "mixed.jsonl", *columns, "--json")
    values = json.loads(done.stdout)
    assert (values["counted"], values["unlabelled"]) == ([3, 3], 2)


def test_another_label_is_an_error_with_its_row(run: Run, tmp_path: Path) -> None:
    columns = {"text": texts(3), "label": ["ham", "spam", "spm"]}
    path = write(tmp_path / "typo.csv", columns)
    refused = run("evaluate", "spam", "--data", path)
    assert refused.exit_code == 1
    assert f"{path}, line 4: the label is 'spm'; expected 'ham', 'spam', 0, 1" in refused.stderr
    own = run("evaluate", "spam", "--data", path, "--positive=spm", "--json")
    assert json.loads(own.stdout)["counted"] == [2, 1]
    unknown = run("evaluate", "spam", "--data", path, "--positive=spma")
    assert "no row has the label 'spma', did you mean 'spm'?" in unknown.stderr


def test_several_files_are_several_sources(run: Run, tmp_path: Path) -> None:
    for name, truth in (("forum", [0] * 40), ("chat", [0, 1] * 20)):
        write(tmp_path / f"{name}.csv", {"text": texts(40, len(name)), "label": truth})
    data = ("--data", tmp_path / "forum.csv", "--data", tmp_path / "chat.csv")
    output = tmp_path / "policy.json"
    assert run("evaluate", "spam", *data, "--output", output).exit_code == 0
    assert set(read_policy_file(output).evidence.counts) == {"forum", "chat"}
    point = "--operating-point=fpr<=0.5[forum]"
    assert "fpr<=0.5[forum]" in run("evaluate", "spam", *data, point).stdout
    twice = run(
        "evaluate", "spam", "--data", tmp_path / "chat.csv", "--data", tmp_path / "chat.csv"
    )
    assert twice.exit_code == 2


def test_appeals_give_no_policy(run: Run, traffic: Path, artifacts: Path, tmp_path: Path) -> None:
    classifier = Classifier.load(artifacts / "spam" / "tiny")
    table = tables.read(traffic)
    found = [*map(str, table.column("text"))]
    flagged = [one.label == "spam" for one in classifier.classify(found)]
    columns = {
        "text": [text for text, is_flagged in zip(found, flagged, strict=True) if is_flagged],
        "label": [
            value
            for value, is_flagged in zip(table.column("truth"), flagged, strict=True)
            if is_flagged
        ],
    }
    path = write(tmp_path / "appeals.csv", columns)
    done = run("evaluate", "spam", "--data", path)
    assert "never what was missed" in done.stdout
    assert "RECALL" not in done.stdout
    refused = run("evaluate", "spam", "--data", path, "--output", tmp_path / "policy.json")
    assert refused.exit_code == 1
    assert not (tmp_path / "policy.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stratum": None}, "has a column 'inclusion_weight', but no 'stratum'"),
        ({"inclusion_weight": "-1"}, "line 2: expected a name as 'stratum' and a positive number"),
        ({"stratum": ""}, "line 2: expected a name as 'stratum'"),
        ({"inclusion_weight": "7"}, "another 'inclusion_weight'"),
    ],
)
def test_a_damaged_sample_is_refused(
    run: Run, labelled: Path, tmp_path: Path, change: dict[str, str | None], message: str
) -> None:
    with labelled.open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    columns: dict[str, list[str]] = {name: [row[name] for row in rows] for name in rows[0]}
    for name, value in change.items():
        if value is None:
            del columns[name]
        else:
            columns[name][0] = value
    refused = run("evaluate", "spam", "--data", write(tmp_path / "damaged.csv", columns))
    assert refused.exit_code == 1
    assert message in refused.stderr


def test_the_share_of_positives_is_estimated(run: Run, traffic: Path) -> None:
    table = tables.read(traffic)
    truth = np.mean([value == "1" for value in table.column("truth")])
    done = run("estimate-prior", "spam", traffic, "--json")
    assert done.exit_code == 0, done.stderr
    values = json.loads(done.stdout)
    assert values["lower"] <= truth <= values["upper"]
    assert "if only the base rate differs" in run("estimate-prior", "spam", traffic).stdout


def test_other_texts_are_not_estimable(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "other.csv", {"text": [f"free £ 😂 prize {at}" for at in range(500)]})
    refused = run("estimate-prior", "spam", path)
    assert refused.exit_code == NOT_ESTIMABLE == 3
    assert "Label fifty to two hundred" in refused.stderr
    without = run("estimate-prior", "spam", path, "--variant=plain")
    assert without.exit_code == 1
    assert "has no evidence" in without.stderr
    unknown = run("estimate-prior", "spam", path, "--where=forum")
    assert unknown.exit_code == 2


def test_more_than_two_labels_are_refused(run: Run, traffic: Path) -> None:
    for arguments in (
        ["sample", traffic, "--model=mood"],
        ["evaluate", "mood", "--data", traffic],
        ["estimate-prior", "mood", traffic],
        ["policy", "plan", "mood", "--operating-point=fpr<=0.1", "--prior=0.1"],
    ):
        refused = run(*arguments)
        assert refused.exit_code == 2, refused.output
        assert "labels" in refused.stderr
