"""What the extra ``training`` brings is enough, and wheels may name the package otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

import training

from ..conftest import ROOT

pytestmark = pytest.mark.slow

BLOCK = """
import importlib.abc, importlib.machinery, importlib.util, pkgutil, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""

EVERY_MODULE = """
package = importlib.import_module(NAME)
names = [one.name for one in pkgutil.walk_packages(package.__path__, f"{NAME}.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert len(names) > 25, names
from importlib import import_module
app = import_module(f"{NAME}.cli").app
from typer.testing import CliRunner
done = CliRunner().invoke(app, ["--help"])
assert done.exit_code == 0 and "train-all" in done.output, done.output
"""

# As a wheel does: the same folder under another name.
RENAME = """
spec = importlib.util.spec_from_file_location(
    NAME, FOLDER + "/__init__.py", submodule_search_locations=[FOLDER]
)
sys.modules[NAME] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[NAME])
"""

FIT = """
from pathlib import Path
from typer.testing import CliRunner
name = [f"{chr(97 + n % 11)}o{chr(97 + n // 11)}a" for n in range(99)]
rows = [f"{'awful' if n % 4 == 0 else 'lovely'} {name[n]},{int(n % 4 == 0)}" for n in range(99)]
Path("mine.csv").write_text("\\n".join(["text,label", *rows]))
settings = ["--set=hidden=4", "--set=epochs=1", "--set=wide.bits=8"]
command = ["train", "--name=mine", "--data=mine.csv", "--output=out", *settings]
done = CliRunner().invoke(import_module(f"{NAME}.cli").app, command)
assert done.exit_code == 0, done.output
assert Path("out/mine/wide.md").is_file()
"""


def run(code: str, directory: Path, **values: object) -> None:
    names = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    subprocess.run([sys.executable, "-c", path + names + code], cwd=directory, check=True)


def test_training_needs_nothing_of_the_study(tmp_path: Path) -> None:
    blocked = {"fasttext", "matplotlib", "study", "app", "dandelion_app"}
    run(BLOCK + EVERY_MODULE + FIT, tmp_path, BLOCKED=blocked, NAME="training")


def test_the_package_works_under_the_name_that_it_has_in_wheels(tmp_path: Path) -> None:
    (folder,) = training.__path__
    code = BLOCK + RENAME + EVERY_MODULE + FIT
    values = {"NAME": "dandelion_training", "FOLDER": folder}
    run(code, tmp_path, BLOCKED={"training", "study"}, **values)


def test_the_estimator_is_imported_when_it_is_asked_for(tmp_path: Path) -> None:
    code = """
import training
assert "torch" not in sys.modules and "sklearn" not in sys.modules
try:
    training.nothing
except AttributeError as error:
    assert "'training' has no attribute 'nothing'" in str(error)
from training import DandelionClassifier
from training.estimator import DandelionClassifier as same
assert DandelionClassifier is same
"""
    run(code, tmp_path)
