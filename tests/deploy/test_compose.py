"""Compose file, image and Prometheus configuration are valid and agree with each other."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.settings import Settings

from ..conftest import ROOT


def check_compose(path: Path) -> subprocess.CompletedProcess[str]:
    """Validate a file by the schema of the Compose Specification."""
    tool = Path(sys.executable).parent / "check-jsonschema"
    return subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", path],
        capture_output=True,
        text=True,
        check=False,
    )


def read(path: str) -> Any:
    return YAML(typ="safe").load(ROOT / path)


def test_compose_file_is_valid() -> None:
    found = check_compose(ROOT / "docker-compose.yml")
    assert found.returncode == 0, found.stdout


def test_an_invalid_compose_file_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    text = (ROOT / "docker-compose.yml").read_text()
    wrong.write_text(text.replace("read_only: true", "read_only: [1]"))
    assert check_compose(wrong).returncode == 1


def test_mounted_files_and_volumes_exist() -> None:
    compose = read("docker-compose.yml")
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists(), volume


def test_prometheus_scrapes_the_service_by_its_name_and_port() -> None:
    (job,) = read("deploy/prometheus/prometheus.yml")["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    service = read("docker-compose.yml")["services"][name]
    assert service["ports"][0].endswith(f":{port}")
    assert f"DANDELION_PORT={port}" in (ROOT / "Dockerfile").read_text()


def test_no_setting_changes_the_address_inside_the_container() -> None:
    service = read("docker-compose.yml")["services"]["dandelion"]
    assert service["env_file"] == [{"path": ".env", "required": False}]
    image = (ROOT / "Dockerfile").read_text()
    for name in ("DANDELION_HOST", "DANDELION_PORT"):
        assert f"{name}={service['environment'][name]}" in image


def test_the_image_has_the_version_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    image = (ROOT / "Dockerfile").read_text()
    assert f'org.opencontainers.image.version="{package["version"]}"' in image
    assert f'org.opencontainers.image.licenses="{package["license"]}"' in image


def test_every_image_has_its_full_version() -> None:
    compose = read("docker-compose.yml")
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 5
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z-]+)?$", image), image
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert compose["services"]["dandelion"]["image"] == f"dandelion:{version}"


def test_memory_processors_and_processes_are_limited() -> None:
    for service in read("docker-compose.yml")["services"].values():
        limits = service["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory", "pids"}
        assert not str(limits).count("DANDELION_")  # these would be settings of the service


def test_every_port_is_published_on_loopback_alone() -> None:
    for service in read("docker-compose.yml")["services"].values():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), port


def test_prometheus_sends_alerts_to_the_alertmanager() -> None:
    (manager,) = read("deploy/prometheus/prometheus.yml")["alerting"]["alertmanagers"]
    (target,) = manager["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert read("docker-compose.yml")["services"][name]["ports"][0].endswith(f":{port}")


def test_the_configuration_of_alertmanager_is_valid(tmp_path: Path) -> None:
    path = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    subprocess.run(["amtool", "check-config", path], check=True)
    # The examples in comments, too.
    text = re.sub(r"^( *)# (?=[ -]|routes:)", r"\1", path.read_text(), flags=re.MULTILINE)
    examples = tmp_path / "alertmanager.yml"
    examples.write_text(text)
    done = subprocess.run(
        ["amtool", "check-config", examples], capture_output=True, text=True, check=True
    )
    assert "3 receivers" in done.stdout


def test_an_invalid_configuration_of_alertmanager_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text()
    wrong = tmp_path / "alertmanager.yml"
    wrong.write_text(text.replace("- name: nobody", "- name: somebody"))
    assert subprocess.run(["amtool", "check-config", wrong], check=False).returncode == 1


def test_grafana_has_no_account_and_lets_nobody_change_anything() -> None:
    environment = read("docker-compose.yml")["services"]["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"


def test_grafana_is_provisioned_with_prometheus_and_the_dashboard() -> None:
    services = read("docker-compose.yml")["services"]
    grafana = services["grafana"]
    mounted = {
        volume.split(":")[1]: ROOT / volume.split(":")[0]
        for volume in grafana["volumes"]
        if volume.startswith("./")
    }
    (provider,) = read("deploy/grafana/provisioning/dashboards/dandelion.yml")["providers"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (mounted[str(home.parent)] / home.name).exists()
    (source,) = read("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    host, port = source["url"].removeprefix("http://").split(":")
    assert services[host]["ports"][0].endswith(f":{port}")
    interval = read("deploy/prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval


def test_a_stop_waits_for_requests_in_flight() -> None:
    waits = Settings.model_fields["drain_s"].default
    waits += Settings.model_fields["shutdown_grace_s"].default
    period = read("docker-compose.yml")["services"]["dandelion"]["stop_grace_period"]
    assert int(period.removesuffix("s")) > waits


def test_prometheus_configuration_is_valid() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: apt-get install prometheus")
    path = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    subprocess.run([promtool, "check", "config", path], check=True)
