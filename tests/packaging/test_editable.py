"""An editable installation: the checkout's modules, each of them once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT
from .conftest import Environment

# The first test waits for its environment.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_names_of_a_wheel_are_aliases(
    editable: Environment, checkout: Path, tmp_path: Path
) -> None:
    for first, second in (("app", "dandelion_app"), ("dandelion_app", "app")):
        code = (
            f"import {first}.settings, {second}.settings, {second}.api.schemas;"
            "import sys, app.api, dandelion_app.api, dandelion_app.main as main, app.main;"
            "assert dandelion_app is app and dandelion_app.settings is app.settings;"
            "assert dandelion_app.api.schemas is app.api.schemas and main is app.main;"
            "files = [str(getattr(one, '__file__', '')) for one in set(sys.modules.values())];"
            f"files = [file for file in files if file.startswith('{checkout}')];"
            "assert len(files) == len(set(files)) > 20, sorted(files);"
            "print(app.__name__, app.settings.__spec__.name, app.settings.__file__)"
        )
        expected = f"app app.settings {checkout / 'app' / 'settings.py'}"
        assert editable.evaluate(code, cwd=tmp_path) == expected


def test_every_alias_is_there_and_a_missing_module_is_missing(
    editable: Environment, tmp_path: Path
) -> None:
    code = (
        "import training, dandelion_training; assert training is dandelion_training\n"
        "import dandelion_training.errors, training.errors\n"
        "assert dandelion_training.errors is training.errors\n"
        "try: import dandelion_training.nothing\n"
        "except ModuleNotFoundError as error: print(error.name)"
    )
    assert editable.evaluate(code, cwd=tmp_path) == "dandelion_training.nothing"


def test_no_copy_is_left_of_the_wheel_before(editable: Environment) -> None:
    for name in ("dandelion_app", "dandelion_training"):
        assert [path.name for path in (editable.packages / name).rglob("*.py")] == ["__init__.py"]
    assert not (editable.packages / "dandelion").exists()


def test_an_edit_needs_no_installation(
    editable: Environment, checkout: Path, tmp_path: Path
) -> None:
    (checkout / "app" / "added.py").write_text("VALUE = 42\n")
    code = "import dandelion_app.added; print(dandelion_app.added.VALUE)"
    assert editable.evaluate(code, cwd=tmp_path) == "42"


def test_python_m_runs_the_alias(editable: Environment, tmp_path: Path) -> None:
    done = editable.run(editable.python, "-m", "dandelion_app", "--help", cwd=tmp_path)
    assert done.stdout.startswith("usage: python -m dandelion_app [OPTIONS]\n"), done.stderr
    done = editable.dandelion("serve", "--help", cwd=tmp_path)
    assert done.stdout.startswith("usage: dandelion serve [OPTIONS]\n"), done.stderr


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_objects_travel_to_other_processes(
    editable: Environment, tmp_path: Path, method: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, pickle\n"
        "from dandelion_app.settings import Settings, option\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context('{method}').Pool(1) as pool:\n"
        "        print(pool.apply(option, ['max_texts']))\n"
        "    assert pickle.loads(pickle.dumps(Settings())) == Settings()\n"
    )
    done = editable.run(editable.python, script, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("--max-texts\n", "")


def test_another_package_of_the_short_name_is_refused(
    editable: Environment, checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    done = editable.run(editable.python, "-c", "import dandelion_app", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"ImportError: dandelion_app stands for app in {checkout}, but the path leads to the one "
        f"in {tmp_path} first\n"
    )


def test_a_directory_of_the_short_name_is_refused(tmp_path: Path) -> None:
    for package in ("checkout/dandelion", "alias/dandelion_app", "other/app"):
        (tmp_path / package).mkdir(parents=True)
    (tmp_path / "checkout" / "dandelion" / "__init__.py").touch()
    shutil.copy(ROOT / "hatch_alias.py", tmp_path / "alias" / "dandelion_app" / "__init__.py")
    path = os.pathsep.join(str(tmp_path / name) for name in ("other", "alias", "checkout"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import dandelion_app"],
        env={"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.endswith(
        f"ImportError: dandelion_app stands for app in {tmp_path / 'checkout'}, but the path leads "
        f"to the one in {tmp_path / 'other'} first\n"
    )


def test_the_checkouts_artifacts_are_found_from_everywhere(
    editable: Environment, checkout: Path, tmp_path: Path
) -> None:
    done = editable.dandelion("models", cwd=tmp_path)
    assert done.stdout.startswith(f"Artifacts: {checkout / 'artifacts'}\n")
