"""The files of a cluster of Ray: their schema, and that their commands exist."""

import json
import re
import shlex
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from dandelion.command import app

from ..conftest import ROOT

DIRECTORY = ROOT / "deploy" / "ray"
GUIDE = (ROOT / "docs" / "guide" / "a-billion-messages.md").read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    values: dict[str, Any] = YAML(typ="safe").load(DIRECTORY / name)
    return values


def test_the_cluster_has_the_schema_of_ray() -> None:
    schema = json.loads(files("ray.autoscaler").joinpath("ray-schema.json").read_text())
    cluster = load("cluster.yaml")
    jsonschema.validate(cluster, schema)
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate({**cluster, "no_such_key": 1}, schema)


def test_the_job_starts_as_many_actors_as_its_cluster_has_processors() -> None:
    spec = load("job.yaml")["spec"]
    (group,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    processors = group["replicas"] * int(group["rayStartParams"]["num-cpus"])
    assert f"--workers {processors}" in spec["entrypoint"]
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["cpu"] == group["rayStartParams"]["num-cpus"]


def test_the_machines_install_the_wheel_that_is_built() -> None:
    """No registry of packages has it."""
    cluster = load("cluster.yaml")
    ((there, here),) = cluster["file_mounts"].items()
    assert f"--wheel-dir {here} " in (ROOT / "Makefile").read_text(encoding="utf-8")
    places = {
        "cluster.yaml": (there, *cluster["setup_commands"]),
        "job.yaml": ("/tmp", *re.findall("#   RUN (.+)", (DIRECTORY / "job.yaml").read_text())),
    }
    for name, (directory, command) in places.items():
        *_, package = shlex.split(command)
        pattern = re.escape(f"$(echo {directory}/dandelion_text-*.whl)") + r"\[([\w,]+)\]"
        found = re.fullmatch(pattern, package)
        assert found, name
        assert set(found[1].split(",")) <= set(extras()), name


def extras() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return [*tomllib.load(file)["project"]["optional-dependencies"]]


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    found = re.findall(r"dandelion score [^\n]*", "\n".join(blocks))
    return [*(one.rstrip('"') if one.count('"') % 2 else one for one in found), entrypoint()]


def entrypoint() -> str:
    return str(load("job.yaml")["spec"]["entrypoint"]).strip()


@pytest.mark.parametrize("command", commands())
def test_commands_have_the_options_of_score(command: str) -> None:
    words = shlex.split(command)
    words = [re.sub(r"\$\(\(.*\)\)/64", "1/64", word) for word in words]
    # It gets as far as the model: every option before it is known.
    done = CliRunner().invoke(app, [*words[1:], "--artifacts", str(Path("/nothing"))])
    assert "No such option" not in done.stderr
    assert "/nothing/serving.toml: cannot be read" in done.stderr
