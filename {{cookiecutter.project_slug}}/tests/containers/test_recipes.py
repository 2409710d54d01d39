"""The Dockerfile, compose files and Kubernetes example, held to their schemas and to rules."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.codecs import from_dict

from .recipes import PROJECT, Unset, read_image, read_services

COMPOSE = ["compose.yaml", "compose.distributed.yaml"]
SECRETS = ["SECRET_KEY", "REDIS_PASSWORD", "AWS_SECRET_ACCESS_KEY"]
CLUSTER: list[dict[str, Any]] = list(
    yaml.safe_load_all((PROJECT / "deploy/kubernetes.yaml").read_text("utf-8"))
)
DEPLOYMENTS = [each for each in CLUSTER if each["kind"] == "Deployment"]


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A program of the environment that the tests run in."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"there is no {name}: pip install '.[dev]'"
    return subprocess.run([found, *arguments], capture_output=True, text=True)


def compose(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / name).read_text("utf-8"))
    return found


def test_hadolint_finds_nothing_to_say_of_the_dockerfile() -> None:
    done = tool("hadolint", "--failure-threshold", "style", PROJECT / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_keeps_to_the_specification(name: str) -> None:
    done = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", PROJECT / name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", COMPOSE)
def test_s41_every_container_has_a_read_only_root_and_no_rights(name: str) -> None:
    for service in compose(name)["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", COMPOSE)
def test_only_this_machine_reaches_the_web_and_nobody_the_rest(name: str) -> None:
    for service_name, service in compose(name)["services"].items():
        ports = ["127.0.0.1:8000:8000"] if service_name == "web" else None
        assert service.get("ports") == ports


def test_s25_what_reads_peoples_files_reaches_nothing_outside() -> None:
    found = compose("compose.distributed.yaml")
    assert found["networks"]["inside"]["internal"] is True
    for name, service in found["services"].items():
        assert service["networks"] == (["default", "inside"] if name == "web" else ["inside"])


@pytest.mark.parametrize("missing", SECRETS)
def test_s06_it_does_not_start_without_its_secrets(missing: str) -> None:
    path, image = PROJECT / "compose.distributed.yaml", read_image()
    given = dict.fromkeys(SECRETS, "x" * 32)
    assert list(read_services(path, image, given))[-2:] == ["web", "worker"]
    for wrong in ({}, {missing: ""}):
        rest = {name: value for name, value in given.items() if name != missing}
        with pytest.raises(Unset, match=missing):
            read_services(path, image, rest | wrong)


def test_the_store_forgets_nothing_and_all_waits_until_it_answers() -> None:
    services = read_services(
        PROJECT / "compose.distributed.yaml", read_image(), dict.fromkeys(SECRETS, "x" * 32)
    )
    redis = " ".join(services["redis"].command)
    assert "--appendonly yes" in redis
    assert "--maxmemory-policy noeviction" in redis
    for name in ("web", "worker"):
        assert services[name].after == ["redis", "s3"]
        assert services[name].grace > 10
    waits = compose("compose.distributed.yaml")["services"]["web"]["depends_on"].values()
    assert {each["condition"] for each in waits} == {"service_healthy"}
    assert all(service.check for service in services.values())


def test_images_of_others_have_a_version() -> None:
    services = compose("compose.distributed.yaml")["services"].values()
    images = [service["image"] for service in services if "image" in service]
    assert len(images) == 2
    assert all(re.search(r":v?\d+\.\d+[^:]*$", image) for image in images)


def strictly(document: dict[str, Any]) -> None:
    """Read as what the API takes; a field that it does not know is lost on the way and missed."""
    taken: Any = from_dict(copy.deepcopy(document))
    assert taken.to_dict() == document


@pytest.mark.parametrize("document", CLUSTER, ids=lambda each: each["kind"])
def test_the_cluster_takes_what_the_example_says(document: dict[str, Any]) -> None:
    strictly(document)


def test_a_slip_in_the_example_would_be_found() -> None:
    for path, wrong in (("imagePullPolicies", "Always"), ("args", "worker"), ("ports", 8000)):
        slipped = copy.deepcopy(DEPLOYMENTS[0])
        slipped["spec"]["template"]["spec"]["containers"][0][path] = wrong
        with pytest.raises((AssertionError, ValueError)):
            strictly(slipped)


def test_names_in_the_cluster_are_dns_labels_and_point_at_each_other() -> None:
    for document in CLUSTER:
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", document["metadata"]["name"])
    by_kind = {each["kind"]: each for each in CLUSTER}
    names = [each["metadata"]["name"] for each in DEPLOYMENTS]
    assert [name.rpartition("-")[2] for name in names] == ["web", "worker"]
    assert by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == names[1]
    [rule] = by_kind["Ingress"]["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == by_kind["Service"]["metadata"]["name"]
    assert backend["port"]["name"] == by_kind["Service"]["spec"]["ports"][0]["name"]
    web, worker = (each["spec"]["selector"]["matchLabels"] for each in DEPLOYMENTS)
    assert web != worker
    assert by_kind["Service"]["spec"]["selector"] == web
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == web
    for each in DEPLOYMENTS:
        pod = each["spec"]["template"]
        assert pod["metadata"]["labels"] == each["spec"]["selector"]["matchLabels"]
        for source in pod["spec"]["containers"][0]["envFrom"]:
            [reference] = source.values()
            assert reference["name"] == by_kind["ConfigMap"]["metadata"]["name"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=["web", "worker"])
def test_s41_every_pod_has_a_read_only_root_and_no_rights(deployment: dict[str, Any]) -> None:
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    dockerfile = (PROJECT / "Dockerfile").read_text("utf-8")
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kept = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert {mount["name"] for mount in container["volumeMounts"]} == kept


def test_no_secret_and_no_sample_of_one_is_in_the_example() -> None:
    assert "Secret" not in {each["kind"] for each in CLUSTER}
    settings = chain.from_iterable(each.get("data", {}) for each in CLUSTER)
    assert not [name for name in settings if re.search("KEY|PASSWORD|STORE_URL", name)]
