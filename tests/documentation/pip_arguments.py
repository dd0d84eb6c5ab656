"""In place of pip: accept what the documentation installs, if there is such an extra."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
with (ROOT / "pyproject.toml").open("rb") as file:
    EXTRAS = tomllib.load(file)["project"]["optional-dependencies"]

install, *arguments = sys.argv[1:]
if install != "install":
    sys.exit(f"pip {install}: not expected")
for argument in arguments:
    package = r"(?:\.\./)?dist/dandelion_text-.+?|dandelion-text|\.|-e"
    named = re.fullmatch(rf"(?:{package})(?:\[(.+)\])?", argument)
    if not named:
        sys.exit(f"pip install {argument}: not expected")
    if missing := set(filter(None, (named[1] or "").split(","))) - set(EXTRAS):
        sys.exit(f"pip install {argument}: no extra {missing}")
