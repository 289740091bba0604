"""The definitions for engines that cannot be run here: what they say is what those engines know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer import settings as deployer_settings
from tests.pipelines.jobs import GITHUB, GITHUB_STACK

PROJECT = Path(__file__).parents[2]
FLEET = PROJECT / "fleet"
SCHEMAS = Path(__file__).parent / "schemas"


def check(*arguments: str | Path) -> str:
    """What check-jsonschema finds; empty if there is nothing to object to."""
    command = [sys.executable, "-m", "check_jsonschema", "--color", "never", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FLEET / "kubernetes.yaml").read_text()))


@pytest.fixture(scope="module")
def workflow() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((FLEET / "github-actions.yml").read_text())
    return found


def test_the_workflow_is_one_and_has_no_known_weakness() -> None:
    assert check("--builtin-schema", "vendor.github-workflows", FLEET / "github-actions.yml") == ""
    zizmor = str(Path(sys.executable).parent / "zizmor")
    found = subprocess.run(
        [zizmor, "--offline", FLEET / "github-actions.yml"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_workflow_finds_the_stacks_by_their_files(workflow: Mapping[str, Any], tmp_path: Path) -> None:
    (tmp_path / "provisioning").symlink_to(PROJECT / "provisioning")
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod-eu.yaml", "Pulumi.prod-us.yaml"):
        (tmp_path / name).touch()
    (find,) = [step["run"] for step in workflow["jobs"]["stacks"]["steps"] if step.get("id") == "find"]
    output = tmp_path / "output"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-eo", "pipefail", "-c", find], cwd=tmp_path, env=environment, check=True)
    assert output.read_text() == 'stacks=["prod-eu", "prod-us"]\n'


def test_the_workflow_runs_the_jobs_of_the_ready_pipeline_for_each_stack(workflow: Mapping[str, Any]) -> None:
    stack = workflow["jobs"]["stack"]
    assert stack["uses"] == f"./.github/workflows/{GITHUB_STACK.name}"
    assert stack["with"]["stack"] == "${{ matrix.stack }}"
    assert stack["strategy"]["fail-fast"] is False
    ready = yaml.safe_load(GITHUB.read_text())["jobs"]["test"]
    assert stack["permissions"] == ready["permissions"]
    assert "secrets." not in str(workflow["jobs"]["stacks"])


def test_a_repository_without_stacks_has_no_empty_matrix(workflow: Mapping[str, Any]) -> None:
    assert workflow["jobs"]["stack"]["if"] == "needs.stacks.outputs.stacks != '[]'"


def test_the_deployment_settings_are_of_the_engines_type() -> None:
    assert check("--schemafile", SCHEMAS / "deployments.json", FLEET / "deployments.json") == ""


def test_the_operators_objects_are_of_their_types(kubernetes: list[dict[str, Any]], tmp_path: Path) -> None:
    account, binding, stack = kubernetes[:3]
    for name, found in (
        ("operator-stack", stack),
        ("cron-job", of(kubernetes, "CronJob")),
        ("prometheus-rule", kubernetes[-1]),
    ):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(found))
        assert check("--schemafile", SCHEMAS / f"{name}.json", file) == ""
    assert stack["spec"]["serviceAccountName"] == account["metadata"]["name"] == binding["subjects"][0]["name"]
    assert account["kind"] == binding["subjects"][0]["kind"] == "ServiceAccount"


def test_a_mistake_in_either_is_found(kubernetes: list[dict[str, Any]], tmp_path: Path) -> None:
    stack = {**kubernetes[2], "spec": {**kubernetes[2]["spec"], "resyncFrequencySecond": 60}}
    settings = json.loads((FLEET / "deployments.json").read_text())
    settings["operationContext"]["environmentVariables"]["NOCOBASE_API_KEY"] = {"secrets": "x"}
    job = of(kubernetes, "CronJob")
    rule = of(kubernetes, "PrometheusRule")
    for name, content, words in (
        ("operator-stack", stack, "resyncFrequencySecond"),
        ("cron-job", {**job, "spec": {**job["spec"], "schedules": "@daily"}}, "schedules"),
        (
            "prometheus-rule",
            {**rule, "spec": {"groups": [{"name": "x", "rules": [{"alerts": "x", "expr": "1"}]}]}},
            "alert",
        ),
        ("deployments", settings, "NOCOBASE_API_KEY"),
    ):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content))
        assert words in check("--schemafile", SCHEMAS / f"{name}.json", file)


def test_the_tokens_file_is_where_it_is_mounted(kubernetes: list[dict[str, Any]]) -> None:
    spec = kubernetes[2]["spec"]
    pod = spec["workspaceTemplate"]["spec"]["podTemplate"]["spec"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    (token,) = [source["serviceAccountToken"] for source in pod["volumes"][0]["projected"]["sources"]]
    for variable in ("ARM_OIDC_TOKEN_FILE_PATH", "AZURE_FEDERATED_TOKEN_FILE"):
        assert spec["envRefs"][variable]["literal"]["value"] == f"{mount['mountPath']}/{token['path']}"
    assert mount["name"] == pod["volumes"][0]["name"]


def of(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only object of a kind that is there once."""
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def test_a_stack_that_the_operator_has_given_up_is_tried_again(kubernetes: list[dict[str, Any]]) -> None:
    """The annotation gets a value that no earlier one was, by whoever may change this one object and nothing else."""
    stack, job, role = (of(kubernetes, kind) for kind in ("Stack", "CronJob", "Role"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    name = stack["metadata"]["name"]
    # kubernetes-operator, operator/api/pulumi/shared/stack_types.go: ReconcileRequestAnnotation.
    assert container["args"] == [
        "annotate",
        f"stacks.pulumi.com/{name}",
        f"--namespace={stack['metadata']['namespace']}",
        "--overwrite",
        "pulumi.com/reconciliation-request=$(POD)",
    ]
    assert container["env"] == [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    assert role["rules"] == [
        {"apiGroups": ["pulumi.com"], "resources": ["stacks"], "resourceNames": [name], "verbs": ["get", "patch"]}
    ]
    binding = of(kubernetes, "RoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [pod["serviceAccountName"]]
    assert pod["serviceAccountName"] != stack["spec"]["serviceAccountName"]


def test_somebody_hears_of_a_stack_that_stays_as_it_is(kubernetes: list[dict[str, Any]]) -> None:
    (group,) = of(kubernetes, "PrometheusRule")["spec"]["groups"]
    watched = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    name = of(kubernetes, "Stack")["metadata"]["name"]
    assert f'stacks_failing{{name="{name}"}}' in watched["NocobaseOutlookStackFailing"]
    assert f'name="{name}", type="Stalled"' in watched["NocobaseOutlookStackStalled"]
    assert watched["NocobaseOutlookOperatorSilent"] == "absent(stacks_active)"


def test_the_operations_that_are_scheduled_are_trusted_and_no_preview() -> None:
    readme = (FLEET / "README.md").read_text()
    commands = re.findall(r"^ +pulumi stack schedule new (.*)$", readme, re.MULTILINE)
    given = [dict(re.findall(r"--(\w+) ('[^']+'|\S+)", command)) for command in commands]
    assert [(one["kind"], one.get("operation")) for one in given] == [("raw", "update"), ("drift", None)]
    assert all(len(one["cron"].strip("'").split()) == 5 for one in given)
    assert not any("--auto-remediate" in command for command in commands)
    assert json.loads((FLEET / "deployments.json").read_text())["operationContext"]["options"] == {
        "skipIntermediateDeployments": True,
        "remediateIfDriftDetected": False,
        "deleteAfterDestroy": False,
    }
    subjects = [f"pulumi:deploy:org:contoso:project:x:stack:s{one}:operation:{{}}:scope:write" for one in range(10)]
    both = [subject.format(operation) for subject in subjects for operation in ("update", "detect-drift")]
    trusts = [{"name": f"t-{n}", "issuer": "https://api.pulumi.com/oidc", "subject": one} for n, one in enumerate(both)]
    assert len(deployer_settings.load({"otherTrusts": json.dumps(trusts)}).deployer.trusts) == 20


def test_no_definition_ever_destroys(kubernetes: list[dict[str, Any]]) -> None:
    assert kubernetes[2]["spec"]["destroyOnFinalize"] is False
    settings = json.loads((FLEET / "deployments.json").read_text())
    assert settings["operationContext"]["options"]["deleteAfterDestroy"] is False
    assert not re.search(r"pulumi destroy", (FLEET / "github-actions.yml").read_text())
