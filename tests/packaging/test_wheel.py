"""What a wheel holds, and what a user has who installs it."""

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from dandelion.serving import read

from ..conftest import ROOT, Service
from .conftest import Environment, build, copy_sources

# The first test waits for its environment.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SPAM = "WINNER!! Claim your free prize now, call 09012345678"
OFFLINE_PACKAGES = ("torch", "pandas", "sklearn", "scipy", "joblib", "optuna", "matplotlib")


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (one for one in archive.namelist() if one.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def test_served_artifacts_travel_and_no_other(wheel: Path) -> None:
    found = {name for name in names(wheel) if name.startswith("dandelion/_artifacts/")}
    expected = {"dandelion/_artifacts/serving.toml"}
    for directory in read(ROOT / "artifacts", {}).values():
        place = directory.relative_to(ROOT / "artifacts").as_posix()
        expected |= {f"dandelion/_artifacts/{place}/{file.name}" for file in directory.iterdir()}
    assert found == expected


def test_a_wheel_has_only_our_packages(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names(wheel)}
    (information,) = (name for name in tops if name.endswith(".dist-info"))
    assert tops == {"dandelion", "dandelion_app", "dandelion_training", information}
    assert not [name for name in names(wheel) if "__pycache__" in name or "alias" in name]


def test_the_pages_travel_with_their_licences(wheel: Path) -> None:
    static = ROOT / "app" / "static"
    expected = {path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()}
    place = "dandelion_app/static/"
    assert {name.removeprefix(place) for name in names(wheel) if name.startswith(place)} == expected
    assert {"docs.html", "swagger-ui/LICENSE", "swagger-ui/NOTICE"} <= expected
    assert {"page/index.html", "page/vendor/LICENSE.htm", "page/views/messages.js"} <= expected
    assert "Swagger UI" in metadata(wheel, "licenses/NOTICE")


def test_licence_and_notice_are_in_it(wheel: Path) -> None:
    assert metadata(wheel, "licenses/LICENSE").startswith("MIT License")
    notice = metadata(wheel, "licenses/NOTICE")
    assert notice.count("CC BY 4.0") == 5
    for name in (
        "Almeida",
        "Mishra",
        "Davidson",
        "Civil",
        "Wikipedia",
        "ConvAbuse",
        "SOSNet",
        "PDDL",
    ):
        assert name in notice
    for model in read(ROOT / "artifacts", {}):
        assert model in notice


def test_its_tag_is_the_platform_of_the_compiled_engine(wheel: Path) -> None:
    assert "dandelion/engines/_kernel.so" in names(wheel)
    tags = email.message_from_string(metadata(wheel, "WHEEL"))
    assert tags["Root-Is-Purelib"] == "false"
    (tag,) = tags.get_all("Tag", [])
    assert tag.startswith("py3-none-")
    assert tag != "py3-none-any"
    assert wheel.name.endswith(f"-{tag}.whl")


def test_an_sdist_in_another_place_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    sdist = build(copy_sources(tmp_path / "sources"), "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("dandelion_text-*")
    assert not list(unpacked.rglob("_kernel*.so"))
    assert build(unpacked).read_bytes() == wheel.read_bytes()


def test_a_missing_served_artifact_ends_the_build(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    chosen = read(sources / "artifacts", {})["spam"]
    shutil.rmtree(chosen)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
        cwd=sources,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"chooses spam/{chosen.name}, which is not there" in done.stderr


def test_it_is_pure_without_a_compiler_and_works(installed: Environment, tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    shutil.rmtree(sources / "training")  # as in the image
    wheel = build(sources, CC="/nonexistent")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "dandelion/engines/_kernel.so" not in names(wheel)
    assert email.message_from_string(metadata(wheel, "WHEEL"))["Root-Is-Purelib"] == "true"
    installed.install("--no-deps", "--target", tmp_path / "pure", wheel)
    code = (
        "from dandelion import Classifier; from dandelion.installation import default_artifacts;"
        "spam = Classifier.load(default_artifacts() / 'spam' / 'squared_hinge-wide');"
        f"print(spam.engine, spam.classify(['{SPAM}'])[0].label)"
    )
    pure = {"PYTHONPATH": str(tmp_path / "pure")}
    assert installed.evaluate(code, cwd=tmp_path, **pure) == "numpy spam"
    # Without training, one line explains how to install it.
    done = installed.run(
        *(installed.python, "-m", "dandelion.command", "train"), cwd=tmp_path, **pure
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: `dandelion train` needs ")
    assert done.stderr.endswith(" -m pip install 'dandelion-text[training]'\n")


def test_the_base_install_needs_nothing_of_training(installed: Environment, tmp_path: Path) -> None:
    code = (
        "from importlib.util import find_spec;"
        f"print([name for name in {OFFLINE_PACKAGES} if find_spec(name)], find_spec('app'))"
    )
    assert installed.evaluate(code, cwd=tmp_path) == "[] None"


def test_models_lists_what_came_with_it(installed: Environment, tmp_path: Path) -> None:
    done = installed.dandelion("models", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    shipped = installed.packages / "dandelion" / "_artifacts"
    assert done.stdout.startswith(f"Artifacts: {shipped}\n")
    for model, directory in read(ROOT / "artifacts", {}).items():
        assert f"*  {model} " in done.stdout
        assert f" {directory.name} " in done.stdout


def test_it_classifies_with_the_compiled_engine(installed: Environment, tmp_path: Path) -> None:
    done = installed.dandelion("classify", "spam", SPAM, "Lunch at 12?", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["spam", "ham"]
    code = (
        "from dandelion import Classifier; from dandelion.installation import default_artifacts;"
        "print(Classifier.load(default_artifacts() / 'spam' / 'squared_hinge-wide').engine)"
    )
    assert installed.evaluate(code, cwd=tmp_path) == "compiled"


def test_artifacts_in_the_current_directory_come_first(
    installed: Environment, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "artifacts" / "spam", tmp_path / "artifacts" / "spam")
    (tmp_path / "artifacts" / "serving.toml").write_text("[models]\nspam = 'dice'\n")
    done = installed.dandelion("models", cwd=tmp_path)
    assert done.stdout.startswith(f"Artifacts: {tmp_path / 'artifacts'}\n")
    assert "*  spam   dice " in done.stdout


@pytest.mark.parametrize(
    "command", [("bin/dandelion", "serve"), ("bin/python", "-m", "dandelion_app")]
)
def test_it_serves(installed: Environment, tmp_path: Path, command: tuple[str, ...]) -> None:
    log = tmp_path / "service.log"
    program, *arguments = command
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                *(installed.directory / program, *arguments),
                *("--port", "0", "--log-format", "json"),
            ],
            cwd=tmp_path,
            stderr=file,
        )
    try:
        service = Service(process, log)
        service.wait_until_ready()
        found = service.post("/classify/spam", json={"texts": [SPAM]}).raise_for_status()
        assert found.json()["results"][0]["label"] == "spam"
        (ready,) = (line for line in service.lines() if line["message"] == "ready")
        assert ready["artifacts"] == str(installed.packages / "dandelion" / "_artifacts")
        assert SPAM not in log.read_text()
        service.stop()
    finally:
        process.kill()
        process.wait()


def test_without_the_extra_train_prints_the_install_command(
    installed: Environment, tmp_path: Path
) -> None:
    expected = f"Install it: {installed.python} -m pip install 'dandelion-text[training]'\n"
    done = installed.dandelion("train", "--model", "spam", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: `dandelion train` needs ")
    assert done.stderr.endswith(expected)
    assert done.stderr.count("\n") == 1
    done = installed.run(installed.python, "-m", "dandelion_training", cwd=tmp_path)
    assert done.stderr.endswith(expected)
    assert "  train  " in installed.dandelion("--help", cwd=tmp_path).stdout
