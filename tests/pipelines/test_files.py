"""The pipeline files: valid for their systems, clean for the linters, made of nothing but tested steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer import settings as deployer_settings
from pipelines.steps import locks
from sandbox.place import PROJECT

PIPELINES = PROJECT / "pipelines"
GITHUB = PIPELINES / "github" / "workflows" / "nocobase-outlook.yml"
GITLAB = PIPELINES / "gitlab" / ".gitlab-ci.yml"
AZURE_DEVOPS = PIPELINES / "azure-devops" / "azure-pipelines.yml"
TEMPLATE = PIPELINES / "azure-devops" / "steps.yml"
FILES = (GITHUB, GITLAB, AZURE_DEVOPS, TEMPLATE)
SCRIPTS = sorted(PIPELINES.glob("*/*.sh"))
GATES = {"approve-test": "test", "approve-prod": "prod"}
"""The jobs of the GitHub workflow in which an approval is waited for, and their environments."""
STEPS = {path.stem for path in (PIPELINES / "steps").glob("*.py")} - {"__init__", "running", "report", "locks"}
SCHEMAS = {
    GITHUB: ("vendor.github-workflows",),
    GITLAB: ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
    AZURE_DEVOPS: ("vendor.azure-pipelines", "--data-transform", "azure-pipelines", "--regex-variant", "nonunicode"),
}
SCHEMAS[TEMPLATE] = SCHEMAS[AZURE_DEVOPS]
YAML_STYLE = (
    "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}, "
    "comments: {min-spaces-from-content: 1}, braces: {max-spaces-inside: 1}}}"
)


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A linter of the development requirements."""
    command = [Path(sys.executable).parent / name, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def schema_check(file: Path, kind: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file to the schema of a system."""
    return tool("check-jsonschema", "--builtin-schema", *SCHEMAS[kind], file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_its_system_takes_the_file(file: Path) -> None:
    ended = schema_check(file, file)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        (GITHUB, "runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04"),
        (GITLAB, "interruptible: true", "interruptible: perhaps"),
        (AZURE_DEVOPS, "lockBehavior: sequential", "lockBehavior: sometimes"),
        (TEMPLATE, "scriptType: bash", "scriptType: fish"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_check_notices_a_mistake(file: Path, right: str, wrong: str, tmp_path: Path) -> None:
    text = file.read_text()
    assert right in text
    spoilt = tmp_path / file.name
    spoilt.write_text(text.replace(right, wrong))
    assert schema_check(spoilt, file).returncode == 1


def test_linters_have_nothing_to_say() -> None:
    for ended in (
        tool("zizmor", "--offline", "--persona=pedantic", "--no-progress", GITHUB),
        tool("yamllint", "--strict", "--config-data", YAML_STYLE, *FILES),
        tool("shellcheck", *SCRIPTS),
    ):
        assert ended.returncode == 0, ended.stdout + ended.stderr


def github_jobs() -> dict[str, Any]:
    """The jobs of the GitHub workflow."""
    jobs: dict[str, Any] = yaml.safe_load(GITHUB.read_text())["jobs"]
    return jobs


def scalars(value: Any) -> list[str]:
    """Every text in a document."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in scalars(item)]
    if isinstance(value, list):
        return [text for item in value for text in scalars(item)]
    return [str(value)]


def commands() -> list[str]:
    """Everything that any of the files runs."""
    github = [step["run"] for job in github_jobs().values() for step in job["steps"] if "run" in step]
    jobs = [job for job in yaml.safe_load(GITLAB.read_text()).values() if isinstance(job, dict)]
    gitlab = [line for job in jobs for line in [*job.get("before_script", []), *job.get("script", [])]]
    template = [str(step["bash"]) for step in yaml.safe_load(TEMPLATE.read_text())["steps"] if "bash" in step]
    return [*github, *gitlab, *template]


def test_they_run_nothing_but_the_steps() -> None:
    step = r'(exec )?\.venv/bin/python -m pipelines\.steps\.(?P<name>\w+) "\$STACK"( \|\| failed=1)?'
    named = set()
    for command in commands():
        if command in ("pipelines/steps/install.sh", "failed=0", 'exit "$failed"', "echo approved"):
            continue
        found = re.fullmatch(step, command)
        assert found is not None, command
        named.add(found["name"])
    devops = [text for text in scalars(yaml.safe_load(AZURE_DEVOPS.read_text())) if text in STEPS]
    assert set(devops) == {"preview", "deploy", "status", "drift", "unlock"} <= STEPS
    assert named == STEPS - {"cli"}
    assert all(script.stat().st_mode & 0o111 for script in SCRIPTS)


def test_a_job_gets_secrets_on_the_steps_that_need_them() -> None:
    needed = {"Preview", "Deploy", "Rotate what is due", "Drift", "Status", "Unlock"}
    for job in github_jobs().values():
        assert "secrets." not in str({**job, "steps": []})
        for step in job["steps"]:
            assert ("secrets." in str(step)) is (step.get("name") in needed)
            without_nocobase = step.get("name") not in needed - {"Unlock"}
            assert ("NOCOBASE_API_KEY" not in str(step)) is without_nocobase
    template = yaml.safe_load(TEMPLATE.read_text())["steps"]
    assert [step for step in template if "env" in step] == []
    *others, signed_in = template
    assert "NOCOBASE_API_KEY" not in str(others)
    (task,) = signed_in["${{ each step in parameters.steps }}"]
    assert task["env"] == {
        "${{ if ne(step, 'unlock') }}": {"NOCOBASE_API_KEY": "$(NOCOBASE_API_KEY)"},
        **{name: f"$({name})" for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE")},
    }


def test_the_installation_sees_no_secret(tmp_path: Path) -> None:
    script = PIPELINES / "steps" / "install.sh"
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nenv\n")
    python.chmod(0o755)
    secrets = set(re.findall(r"\b[A-Z_]{6,}\b", script.read_text().partition("unset ")[2].partition("\n\n")[0]))
    assert {"NOCOBASE_API_KEY", "PULUMI_CONFIG_PASSPHRASE", "ARM_OIDC_TOKEN"} <= secrets
    given = {"PATH": os.environ["PATH"], "PIP_INDEX_URL": "kept", **dict.fromkeys(secrets, "hush")}
    ended = subprocess.run([script], cwd=tmp_path, env=given, capture_output=True, text=True, check=True)
    assert ended.stdout.count("PIP_INDEX_URL=kept") == 2
    assert "hush" not in ended.stdout


def test_a_person_can_unlock_each_stack_and_nothing_else_runs_then() -> None:
    workflow = yaml.safe_load(GITHUB.read_text())
    # YAML 1.1 reads `on` as a truth value.
    given = workflow[True]["workflow_dispatch"]["inputs"]["unlock"]
    assert (given["options"], given["default"]) == (["none", "test", "prod"], "none")
    jobs = workflow["jobs"]
    begins = {name: job["if"] for name, job in jobs.items() if "workflow_dispatch" in job.get("if", "")}
    assert {name: "inputs.unlock == 'none'" in condition for name, condition in begins.items()} == {
        "approve-test": True,
        "unlock": False,
    }
    gitlab = yaml.safe_load(GITLAB.read_text())["unlock"]
    assert [(rule["when"], rule["allow_failure"]) for rule in gitlab["rules"]] == [("manual", True)]
    assert gitlab["needs"] == []
    assert gitlab["parallel"]["matrix"] == [{"STACK": ["test", "prod"]}]
    devops = yaml.safe_load(AZURE_DEVOPS.read_text())
    (parameter,) = devops["parameters"]
    assert (parameter["default"], parameter["values"]) == ("none", ["none", "test", "prod"])
    *stages, unlock = devops["stages"]
    assert list(unlock) == ["${{ if ne(parameters.unlock, 'none') }}"]
    conditions = {stage["stage"]: stage["condition"] for stage in stages}
    assert "eq('${{ parameters.unlock }}', 'none')" in conditions["test"]
    # A manual run is neither of these, and what depends on a stage that was skipped is skipped.
    assert conditions["preview"].endswith("'PullRequest')")
    assert conditions["upkeep"].endswith("'Schedule')")
    assert conditions["prod"] == "succeeded()"


def test_no_job_outlives_the_age_at_which_a_lock_is_left_behind() -> None:
    limits = [timedelta(minutes=job["timeout-minutes"]) for job in github_jobs().values()]
    devops = re.findall(r'timeoutInMinutes: "(\d+)"', AZURE_DEVOPS.read_text())
    limits += [timedelta(minutes=int(minutes)) for minutes in devops]
    assert yaml.safe_load(GITLAB.read_text())[".stack"]["timeout"] == "1 hour"
    assert max(limits) == locks.JOB_LIMIT == timedelta(hours=1)


def test_no_azure_secret_is_named_anywhere() -> None:
    for file in [*FILES, *SCRIPTS]:
        text = re.sub(r"^unset (.*\\\n)*.*$", "", file.read_text(), flags=re.MULTILINE)
        assert re.findall(r"CLIENT_SECRET|CLIENT_CERTIFICATE|ARM_CLIENT_ID_FILE", text) == []


def test_actions_and_images_are_pinned() -> None:
    uses = [step["uses"] for job in github_jobs().values() for step in job["steps"] if "uses" in step]
    assert uses
    assert [one for one in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []
    text = "".join(file.read_text() for file in FILES)
    images = re.findall(r"(?:image|vmImage|runs-on): (\S+)", text)
    assert images
    assert [image for image in images if not re.search(r"\d+\.\d+", image) or "latest" in image] == []


def test_one_run_a_stack_at_a_time_and_none_is_cut_off() -> None:
    for name, job in github_jobs().items():
        if name in GATES:
            assert "concurrency" not in job
            continue
        changes = name != "preview"
        assert job["concurrency"]["cancel-in-progress"] is not changes
        if changes:
            stack = {"upkeep": "${{ matrix.stack }}", "unlock": "${{ inputs.unlock }}"}.get(name, name)
            assert job["concurrency"]["group"] == f"nocobase-outlook-{stack}"
    gitlab = yaml.safe_load(GITLAB.read_text())
    for name in (".deploy", "upkeep", "unlock"):
        assert gitlab[name]["resource_group"] == "nocobase-outlook-$STACK"
    assert gitlab[".stack"]["interruptible"] is False
    assert yaml.safe_load(AZURE_DEVOPS.read_text())["lockBehavior"] == "sequential"


def test_prod_comes_after_test_and_each_has_its_own_approval() -> None:
    jobs = github_jobs()
    order = {name: jobs[name]["needs"] for name in ("test", "approve-prod", "prod")}
    assert order == {"test": "approve-test", "approve-prod": "test", "prod": "approve-prod"}
    assert {name: jobs[name]["environment"] for name in GATES} == GATES
    gitlab = yaml.safe_load(GITLAB.read_text())
    assert gitlab["prod"]["needs"] == ["test"]
    assert gitlab[".deploy"]["environment"]["name"] == "$STACK"
    stages = {stage.get("stage"): stage for stage in yaml.safe_load(AZURE_DEVOPS.read_text())["stages"]}
    assert stages["prod"]["dependsOn"] == ["test"]
    environments = [stages[name]["jobs"][0]["environment"] for name in ("test", "prod")]
    assert environments == ["nocobase-outlook-test", "nocobase-outlook-prod"]


def test_whoever_waits_for_an_approval_holds_nothing_and_gets_nothing() -> None:
    jobs = github_jobs()
    for name in GATES:
        assert jobs[name]["permissions"] == {}
        assert "env" not in jobs[name]
        assert not [text for text in scalars(jobs[name]) if "secrets." in text]
    in_a_stacks_group = {
        name for name, job in jobs.items() if job.get("concurrency", {}).get("cancel-in-progress") is False
    }
    assert in_a_stacks_group == {"test", "prod", "upkeep", "unlock"}
    assert all(jobs[name]["environment"].endswith("-upkeep") for name in in_a_stacks_group)


def test_nothing_is_done_to_a_stack_for_a_commit_that_is_not_the_newest() -> None:
    for name in ("test", "prod", "upkeep"):
        steps = [step for step in github_jobs()[name]["steps"] if "run" in step]
        assert [step["name"] for step in steps[:2]] == ["Install", "Newest"]
        assert steps[1]["id"] == "newest"
        assert all("steps.newest.outputs.newest == 'true'" in step["if"] for step in steps[2:])
    assert github_jobs()["approve-prod"]["if"] == "needs.test.outputs.newest == 'true'"


def test_the_bootstrap_trusts_the_environments_of_the_workflow() -> None:
    named = set()
    for job in github_jobs().values():
        for stack in job.get("strategy", {}).get("matrix", {}).get("stack", ["test", "prod"]):
            filled = re.sub(r"\$\{\{ (matrix\.stack|inputs\.unlock) \}\}", stack, job["environment"])
            if "id-token" in job["permissions"]:
                named.add(filled)
    trusted = deployer_settings.load({"githubRepository": "contoso/mail"}).trusts
    assert {trust.subject.rpartition(":")[2] for trust in trusted} >= named
    connection = yaml.safe_load(TEMPLATE.read_text())["steps"][2]["${{ each step in parameters.steps }}"][0]["inputs"]
    default = deployer_settings.Settings.model_fields["azure_dev_ops_connections"].default
    assert connection["azureSubscription"] == default.replace("{environment}", "${{ parameters.stack }}")
