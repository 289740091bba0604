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


def test_one_failed_stack_of_the_workflow_stops_no_other(workflow: Mapping[str, Any]) -> None:
    deploy = workflow["jobs"]["deploy"]
    assert deploy["strategy"]["fail-fast"] is False
    assert deploy["concurrency"]["cancel-in-progress"] is False


def test_only_the_deployment_of_the_workflow_gets_secrets(workflow: Mapping[str, Any]) -> None:
    for job in workflow["jobs"].values():
        assert "secrets." not in str({**job, "steps": []})
        for step in job["steps"]:
            assert ("secrets." in str(step)) is (step.get("name") == "Deploy")


def test_the_daily_run_of_the_workflow_waits_for_no_approver(workflow: Mapping[str, Any]) -> None:
    deploy = workflow["jobs"]["deploy"]
    environment = "${{ matrix.stack }}${{ github.event_name == 'schedule' && '-upkeep' || '' }}"
    assert deploy["environment"] == environment
    assert deploy["concurrency"]["group"] == f"nocobase-outlook-{environment}"
    stacks = {"githubRepository": "contoso/mail", "environments": '["eu", "us"]', "previews": "false"}
    trusted = {trust.subject.rpartition(":")[2] for trust in deployer_settings.load(stacks).trusts}
    assert trusted == {"eu", "us", "eu-upkeep", "us-upkeep"}


def test_the_deployment_settings_are_of_the_engines_type() -> None:
    assert check("--schemafile", SCHEMAS / "deployments.json", FLEET / "deployments.json") == ""


def test_the_operators_stack_is_of_its_type(kubernetes: list[dict[str, Any]], tmp_path: Path) -> None:
    account, binding, stack = kubernetes
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(stack))
    assert check("--schemafile", SCHEMAS / "operator-stack.json", file) == ""
    assert stack["spec"]["serviceAccountName"] == account["metadata"]["name"] == binding["subjects"][0]["name"]
    assert account["kind"] == binding["subjects"][0]["kind"] == "ServiceAccount"


def test_a_mistake_in_either_is_found(kubernetes: list[dict[str, Any]], tmp_path: Path) -> None:
    stack = {**kubernetes[2], "spec": {**kubernetes[2]["spec"], "resyncFrequencySecond": 60}}
    settings = json.loads((FLEET / "deployments.json").read_text())
    settings["operationContext"]["environmentVariables"]["NOCOBASE_API_KEY"] = {"secrets": "x"}
    for name, content, words in (
        ("operator-stack", stack, "resyncFrequencySecond"),
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


def test_no_definition_ever_destroys(kubernetes: list[dict[str, Any]]) -> None:
    assert kubernetes[2]["spec"]["destroyOnFinalize"] is False
    settings = json.loads((FLEET / "deployments.json").read_text())
    assert settings["operationContext"]["options"]["deleteAfterDestroy"] is False
    assert not re.search(r"pulumi destroy", (FLEET / "github-actions.yml").read_text())
