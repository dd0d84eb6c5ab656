"""Kubernetes' manifests are built, are valid by the published schemas, and fit the service."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from app.settings import Settings, load

from ..conftest import ROOT, StartService

Manifests = dict[str, dict[str, Any]]

DIRECTORY: Final = ROOT / "deploy" / "kubernetes"
KUBECTL: Final = Path(sys.executable).parent / "kubectl"
VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# The oldest whose schemas know all fields that are used, and the newest that is published.
SCHEMAS: Final = ("1.33", "1.37")
MODES: Final = ("base", "production", "everything")

# Nothing listens there.
NO_CLUSTER: Final = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none}}]
current-context: none
"""

# Kubernetes publishes no schema of it, and its operator's are not on PyPI. These are the fields
# that are used, from https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.ServiceMonitor
SERVICE_MONITOR: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["endpoints", "selector"],
            "properties": {
                "jobLabel": {"type": "string"},
                "selector": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"matchLabels": {"additionalProperties": {"type": "string"}}},
                },
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"type": "string"},
                            "interval": {"type": "string", "pattern": "^[0-9]+s$"},
                            "scrapeTimeout": {"type": "string", "pattern": "^[0-9]+s$"},
                            "authorization": {
                                "type": "object",
                                "additionalProperties": False,
                                "properties": {
                                    "credentials": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "required": ["name", "key"],
                                        "properties": {
                                            "name": {"type": "string"},
                                            "key": {"type": "string"},
                                        },
                                    }
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def build(directory: Path) -> Manifests:
    """Return what ``kubectl apply --kustomize`` would send, by kind."""
    done = subprocess.run(
        [KUBECTL, "kustomize", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # warnings of deprecated fields
    manifests = list(YAML(typ="safe").load_all(done.stdout))
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    assert len(by_kind) == len(manifests)
    return by_kind


def validate(manifest: dict[str, Any], version: str) -> None:
    """Fail if a field is unknown, missing or of another type."""
    if manifest["kind"] == "ServiceMonitor":
        jsonschema.validate(manifest, SERVICE_MONITOR)
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


def is_valid(manifests: Manifests) -> bool:
    try:
        for manifest in manifests.values():
            validate(manifest, SCHEMAS[-1])
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError):
        return False
    return True


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return a function that copies the manifests, to be changed."""

    def copy() -> Path:
        target = tmp_path_factory.mktemp("kubernetes") / "kubernetes"
        return shutil.copytree(DIRECTORY, target)

    return copy


@pytest.fixture(scope="module")
def built(copied: Callable[[], Path]) -> dict[str, Manifests]:
    """The base; the overlay; the overlay with every line that it has as a comment."""
    everything = copied() / "overlays" / "production"
    kustomization = everything / "kustomization.yaml"
    text = kustomization.read_text().replace("  - ../../components/artifacts-volume\n", "")
    kustomization.write_text(text.replace("# - ../../components", "- ../../components"))
    monitor = everything.parent.parent / "components" / "service-monitor" / "service-monitor.yaml"
    text, replaced = re.subn(
        r"# (authorization|  credentials|    name|    key):", r"\1:", monitor.read_text()
    )
    assert replaced == 4
    monitor.write_text(text)
    return {
        "base": build(DIRECTORY / "base"),
        "production": build(DIRECTORY / "overlays" / "production"),
        "everything": build(everything),
    }


@pytest.fixture(params=MODES)
def manifests(request: pytest.FixtureRequest, built: dict[str, Manifests]) -> Manifests:
    return built[request.param]


def pod(manifests: Manifests) -> dict[str, Any]:
    found: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return found


def container(manifests: Manifests) -> dict[str, Any]:
    (found,) = pod(manifests)["containers"]
    assert isinstance(found, dict)
    return found


def environment(manifests: Manifests) -> dict[str, str]:
    """Return the variables of the container."""
    (source,) = container(manifests)["envFrom"]
    settings = manifests["ConfigMap"]
    assert source["configMapRef"]["name"] == settings["metadata"]["name"]
    own = {entry["name"]: entry["value"] for entry in container(manifests).get("env", [])}
    return settings["data"] | own


def writer() -> dict[str, Any]:
    path = DIRECTORY / "components" / "artifacts-volume" / "writer.yaml"
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


@pytest.mark.parametrize("version", SCHEMAS)
def test_every_manifest_is_valid(manifests: Manifests, version: str) -> None:
    for manifest in (*manifests.values(), writer()):
        validate(manifest, version)


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ("base/deployment.yaml", "readinessProbe:", "readynessProbe:"),
        ("base/deployment.yaml", "periodSeconds: 10", "periodSeconds: ten"),
        ("base/horizontal-pod-autoscaler.yaml", "minReplicas:", "minReplica:"),
        ("base/network-policy.yaml", "policyTypes:", "policyType:"),
        ("base/pod-disruption-budget.yaml", "maxUnavailable:", "maxUnavailble:"),
        ("base/service.yaml", "targetPort:", "target_port:"),
        ("components/artifacts-volume/kustomization.yaml", "claimName:", "claim:"),
        ("components/artifacts-volume/persistent-volume-claim.yaml", "accessModes:", "modes:"),
        ("components/keys/kustomization.yaml", "secretName:", "secret_name:"),
        ("components/service-monitor/service-monitor.yaml", "scrapeTimeout:", "timeout:"),
    ],
)
def test_a_typo_is_refused(copied: Callable[[], Path], path: str, right: str, wrong: str) -> None:
    directory = copied()
    text = (directory / path).read_text()
    assert right in text
    (directory / path).write_text(text.replace(right, wrong))
    overlay = directory / "overlays" / "production"
    text = (overlay / "kustomization.yaml").read_text()
    text = text.replace("# - ../../components/service-m", "- ../../components/service-m")
    (overlay / "kustomization.yaml").write_text(text)
    assert not is_valid(build(overlay))


def test_overlay_has_three_pods_keys_and_its_own_artifacts(built: dict[str, Manifests]) -> None:
    production = built["production"]
    assert production["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 3
    mounts = {mount["name"]: mount for mount in container(production)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(production)["volumes"]}
    assert set(mounts) == set(volumes) == {"keys", "artifacts"}
    assert all(mount["readOnly"] and "subPath" not in mount for mount in mounts.values())
    claim = production["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["artifacts"]["persistentVolumeClaim"]["claimName"] == claim
    assert writer()["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    artifacts = environment(production)["DANDELION_ARTIFACTS"]
    assert Path(artifacts).parent == Path(mounts["artifacts"]["mountPath"])
    keys = environment(production)["DANDELION_KEYS_FILE"]
    assert Path(keys).parent == Path(mounts["keys"]["mountPath"])
    assert "Secret" not in production  # no key is in any file here
    namespaces = {manifest["metadata"].get("namespace") for manifest in production.values()}
    assert namespaces == {None, production["Namespace"]["metadata"]["name"]}


def test_an_image_of_artifacts_replaces_those_in_the_image(built: dict[str, Manifests]) -> None:
    everything = built["everything"]
    (mount,) = (m for m in container(everything)["volumeMounts"] if m["name"] == "artifacts")
    assert f"DANDELION_ARTIFACTS={mount['mountPath']} " in (ROOT / "Dockerfile").read_text()
    assert "DANDELION_ARTIFACTS" not in environment(everything)
    assert "PersistentVolumeClaim" not in everything


def test_images_have_the_version_of_the_package(built: dict[str, Manifests]) -> None:
    assert container(built["base"])["image"] == f"dandelion:{VERSION}"
    assert container(built["production"])["image"] == f"registry.example.com/dandelion:{VERSION}"
    (pod_that_writes,) = writer()["spec"]["containers"]
    assert pod_that_writes["image"] == container(built["production"])["image"]


def test_the_guide_is_followed(copied: Callable[[], Path], tmp_path: Path) -> None:
    """The kustomization that it shows is built; kubectl knows every command and option."""
    guide = (ROOT / "docs" / "guide" / "kubernetes.md").read_text()
    (shown,) = re.findall(r"```yaml\n# (\S+)\n(.*?)```", guide, re.DOTALL)
    checkout = tmp_path / "checkout"
    shutil.copytree(copied(), checkout / "deploy" / "kubernetes")
    kustomization = checkout / shown[0]
    kustomization.parent.mkdir()
    kustomization.write_text(shown[1])
    mine = build(kustomization.parent)
    assert is_valid(mine)
    assert container(mine)["image"] == f"registry.example.com/dandelion:{VERSION}"

    (checkout / "artifacts" / "spam" / "dice").mkdir(parents=True)
    (checkout / "artifacts" / "serving.toml").touch()
    (checkout / "keys.toml").touch()
    blocks = re.findall(r"```console\n(.*?)```", guide, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    kubectl = [line for line in lines if line.startswith("$ kubectl ")]
    assert len(kubectl) > 10
    config = tmp_path / "config"
    config.write_text(NO_CLUSTER)
    for line in kubectl:
        first, *_ = line.removeprefix("$ ").split(" | ")
        done = subprocess.run(
            [KUBECTL, *shlex.split(first)[1:]],
            cwd=checkout,
            env={"HOME": str(tmp_path), "KUBECONFIG": str(config)},
            capture_output=True,
            text=True,
            check=False,
        )
        got_that_far = re.search("connection refused|was refused", done.stderr)
        assert got_that_far or done.returncode == 0, f"{line}\n{done.stderr}"


def test_every_variable_is_a_setting(manifests: Manifests, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(manifests).items():
        monkeypatch.setenv(name, value)
    load()  # raises


def test_a_deleted_pod_has_the_time_to_shut_down(manifests: Manifests) -> None:
    values = environment(manifests)
    drain, grace = (float(values[f"DANDELION_{name}_S"]) for name in ("DRAIN", "SHUTDOWN_GRACE"))
    until_killed = 3  # docs/guide/operating.md#shutdown
    assert pod(manifests)["terminationGracePeriodSeconds"] >= drain + grace + until_killed + 5
    probe = container(manifests)["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < drain


def test_nothing_is_unavailable_during_a_rollout(manifests: Manifests) -> None:
    rollout = manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert (rollout["maxUnavailable"], rollout["maxSurge"]) == (0, 1)
    assert "replicas" not in manifests["Deployment"]["spec"]  # the autoscaler's
    assert manifests["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 2
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["name"] == manifests["Deployment"]["metadata"]["name"]
    assert target["kind"] == "Deployment"


def test_ports_are_that_of_the_image(manifests: Manifests) -> None:
    (port,) = container(manifests)["ports"]
    image = (ROOT / "Dockerfile").read_text()
    assert f"DANDELION_PORT={port['containerPort']} " in image
    (service,) = manifests["Service"]["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    assert service["port"] == port["containerPort"]
    (rule,) = manifests["NetworkPolicy"]["spec"]["ingress"]
    assert [allowed["port"] for allowed in rule["ports"]] == [port["name"]]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container(manifests)[name]["httpGet"]["port"] == port["name"]
    if "ServiceMonitor" in manifests:
        (endpoint,) = manifests["ServiceMonitor"]["spec"]["endpoints"]
        assert endpoint["port"] == service["name"]
        assert set(endpoint["authorization"]["credentials"]) == {"name", "key"}


def test_selectors_match_the_labels(manifests: Manifests) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        pod(manifests)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    if "ServiceMonitor" in manifests:
        monitor = manifests["ServiceMonitor"]["spec"]
        service = manifests["Service"]["metadata"]["labels"]
        assert monitor["selector"]["matchLabels"].items() <= service.items()
        assert service[monitor["jobLabel"]] == "dandelion"  # the job of the rules
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()
    assert not selectors[0].items() <= writer()["metadata"]["labels"].items()


@pytest.mark.parametrize("which", [*MODES, "writer"])
def test_pods_fit_the_restricted_profile(which: str, built: dict[str, Manifests]) -> None:
    """By https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    spec = writer()["spec"] if which == "writer" else pod(built[which])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert "USER 65532:65532" in (ROOT / "Dockerfile").read_text()
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for volume in spec.get("volumes", []):
        assert set(volume) - {"name"} <= {"secret", "persistentVolumeClaim", "image"}
    (container,) = spec["containers"]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]["limits"]) == {"memory"}
    assert container["resources"]["requests"]["cpu"]


def test_memory_and_processors_grow_with_the_workers(manifests: Manifests) -> None:
    workers = int(environment(manifests)["DANDELION_WORKERS"])
    resources = container(manifests)["resources"]
    assert resources["requests"]["cpu"] == str(workers)
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == f"{workers}Gi"


def test_probes_and_metrics_are_routes_of_the_service(
    built: dict[str, Manifests], start_service: StartService
) -> None:
    """A service with the settings of the ConfigMap, and the variables that a Service leads to."""
    settings = {
        name.removeprefix("DANDELION_").lower(): value
        for name, value in environment(built["base"]).items()
    }
    assert settings["drain_s"] == str(Settings.model_fields["drain_s"].default)
    links = {"service_host": "10.0.0.1", "service_port_http": 8000, "port_8000_tcp_port": 8000}
    service = start_service(**settings | links | {"drain_s": 0})
    service.wait_until_ready()
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert service.get(container(built["base"])[name]["httpGet"]["path"]).is_success
    (endpoint,) = built["everything"]["ServiceMonitor"]["spec"]["endpoints"]
    assert "dandelion_requests_total" in service.get(endpoint["path"]).text


def test_no_secret_is_in_the_manifests() -> None:
    for path in DIRECTORY.rglob("*.yaml"):
        kinds = re.findall(r"^kind: (\w+)$", path.read_text(), re.MULTILINE)
        assert "Secret" not in kinds, path
        assert "secretGenerator" not in path.read_text(), path
