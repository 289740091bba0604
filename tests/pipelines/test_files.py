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
from pipelines.steps import deploy, locks
from sandbox.place import PROJECT
from tests.pipelines import jobs as played
from tests.pipelines.jobs import (
    AZURE_DEVOPS,
    AZURE_DEVOPS_STACK,
    AZURE_DEVOPS_STEPS,
    GITHUB,
    GITHUB_STACK,
    GITLAB,
    GITLAB_STACK,
    PIPELINES,
    STACKS,
    azure_devops,
    devops_steps,
    github,
    gitlab,
    gitlab_text,
    scalars,
)

FILES = played.files()
SCRIPTS = sorted(PIPELINES.glob("*/*.sh"))
NOT_STEPS = {"__init__", "running", "report", "locks"}
STEPS = {path.stem for path in (PIPELINES / "steps").glob("*.py")} - NOT_STEPS
CHANGING = ("deploy", "upkeep", "unlock")
"""The jobs that change a stack or its locks; all others only read, and nobody has approved what they run."""
READING = ("preview", "proposed", "drift")
SCHEMAS = {
    "github": ("vendor.github-workflows",),
    "gitlab": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
    "azure-devops": ("vendor.azure-pipelines", "--data-transform", "azure-pipelines", "--regex-variant", "nonunicode"),
}
YAML_STYLE = (
    "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}, "
    "comments: {min-spaces-from-content: 1}, braces: {max-spaces-inside: 1}}}"
)


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A linter of the development requirements."""
    command = [Path(sys.executable).parent / name, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def schema_check(system: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Validate files against the schema of their system."""
    return tool("check-jsonschema", "--builtin-schema", *SCHEMAS[system], *files)


def by_system(folder: Path) -> dict[str, list[Path]]:
    """The files of each system. GitLab's included file with its inputs filled in, as the schema has no inputs."""
    stack = folder / "nocobase-outlook-stack.yml"
    stack.write_text(gitlab_text("prod", "test"))
    devops = [file for file in FILES if file.parent == AZURE_DEVOPS.parent]
    return {"github": [GITHUB, GITHUB_STACK], "gitlab": [GITLAB, stack], "azure-devops": devops}


@pytest.mark.parametrize("system", SCHEMAS)
def test_its_system_takes_the_file(system: str, tmp_path: Path) -> None:
    ended = schema_check(system, *by_system(tmp_path)[system])
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("system", "name", "right", "wrong"),
    [
        ("github", GITHUB_STACK.name, "runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04"),
        ("github", GITHUB_STACK.name, "queue: max", "queue: some"),
        ("gitlab", "nocobase-outlook-stack.yml", "interruptible: true", "interruptible: perhaps"),
        ("azure-devops", AZURE_DEVOPS.name, "lockBehavior: sequential", "lockBehavior: sometimes"),
        ("azure-devops", AZURE_DEVOPS_STEPS.name, "scriptType: bash", "scriptType: fish"),
    ],
)
def test_the_check_notices_a_mistake(system: str, name: str, right: str, wrong: str, tmp_path: Path) -> None:
    file = next(file for file in by_system(tmp_path)[system] if file.name == name)
    text = file.read_text()
    assert right in text
    spoilt = tmp_path / name
    spoilt.write_text(text.replace(right, wrong))
    assert schema_check(system, spoilt).returncode == 1


def test_linters_have_nothing_to_say() -> None:
    for ended in (
        tool("zizmor", "--offline", "--persona=pedantic", "--no-progress", GITHUB, GITHUB_STACK),
        tool("yamllint", "--strict", "--config-data", YAML_STYLE, *FILES),
        tool("shellcheck", *SCRIPTS),
    ):
        assert ended.returncode == 0, ended.stdout + ended.stderr


def github_commands(job: dict[str, Any]) -> list[str]:
    """What a job on GitHub runs."""
    return [step["run"] for step in job["steps"] if "run" in step]


def devops_commands(stage: dict[str, Any]) -> list[str]:
    """What a stage on Azure DevOps runs."""
    scripts = [step for step in devops_steps(stage) if step.get("task") == "AzureCLI@2"]
    assert {step["inputs"]["scriptPath"] for step in scripts} == {"pipelines/azure-devops/step.sh"}
    return [
        step["bash"] if "bash" in step else f"pipelines.steps.{step['inputs']['arguments']}"
        for step in devops_steps(stage)
        if "bash" in step or step.get("task") == "AzureCLI@2"
    ]


def every_job() -> dict[str, list[str]]:
    """The commands of every job of every system, by system, kind and stack."""
    found = {f"github {name}": github_commands(job) for name, job in github().items()}
    for name, job in gitlab().items():
        found[f"gitlab {name.removeprefix('nocobase-outlook-')}"] = [*job["before_script"], *job["script"]]
    for unlock in ("none", *STACKS):
        found |= {f"azure-devops {name}": devops_commands(stage) for name, stage in azure_devops(unlock).items()}
    return found


def test_they_run_nothing_but_the_steps() -> None:
    prefix = r"(exec )?(\.venv/bin/python -m )?pipelines\.steps\."
    step = rf'{prefix}(?P<name>\w+) ("\$STACK"|test|prod)( --only (newest|deployed))?( \|\| failed=1)?'
    unset = r'unset( "\$\{!NOCOBASE_(API_KEY|ACCOUNT|PASSWORD)@\}"| [A-Z_]+)+'
    shell = {
        "pipelines/steps/install.sh",
        'git checkout --quiet --detach "$COMMIT"',
        'git checkout --quiet --detach "$commit"',
        "echo approved",
        "failed=0",
        'exit "$failed"',
        'export ARM_CLIENT_ID="$AZURE_PREVIEW_CLIENT_ID"',
        'test -n "$commit" || exit 0',
        "test -f reports/outputs.env || exit 0",
        ". reports/outputs.env",
    }
    for system in SCHEMAS:
        named = set()
        for name, commands in every_job().items():
            if not name.startswith(f"{system} "):
                continue
            for command in commands:
                if command not in shell and not re.fullmatch(unset, command):
                    found = re.fullmatch(rf"{step}|\( {unset}; {step.replace('?P<name>', '?P<alone>')} \)", command)
                    assert found is not None, (name, command)
                    named.add(found["name"] or found["alone"])
        assert named == STEPS - {"cli"}, system
    assert all(script.stat().st_mode & 0o111 for script in SCRIPTS)


def test_what_nobody_approved_signs_in_as_the_identity_that_only_reads() -> None:
    for kind in READING:
        job = github()[kind]
        assert job["env"]["ARM_CLIENT_ID"] == "${{ vars.AZURE_PREVIEW_CLIENT_ID }}"
        assert job["environment"] in ("${{ inputs.stack }}-preview", "${{ inputs.stack }}-report")
    for kind in CHANGING:
        job = github()[kind]
        assert job["env"]["ARM_CLIENT_ID"] == "${{ vars.ARM_CLIENT_ID }}"
        assert job["environment"] == "${{ inputs.stack }}-upkeep"
    # A preview of a pull request may wait for a person; what a daily run and an approval need may not.
    assert [kind for kind in READING if github()[kind]["environment"].endswith("-preview")] == ["preview"]
    for stack in STACKS:
        for kind in (*READING, *CHANGING):
            job = gitlab()[f"nocobase-outlook-{kind}-{stack}"]
            exported = 'export ARM_CLIENT_ID="$AZURE_PREVIEW_CLIENT_ID"' in job["before_script"]
            assert exported is (kind in READING)
            # GitLab's own variables of the project would win over those of a job.
            assert "ARM_CLIENT_ID" not in job["variables"]
        for kind in (*READING, *CHANGING):
            stage = azure_devops(stack if kind == "unlock" else "none")[f"{kind}_{stack}"]
            connections = {
                step["inputs"]["azureSubscription"] for step in devops_steps(stage) if step.get("task") == "AzureCLI@2"
            }
            expected = "nocobase-outlook-preview" if kind in READING else f"nocobase-outlook-{stack}"
            assert connections == {expected}


def test_a_job_gets_secrets_on_the_steps_that_need_them() -> None:
    needed = {"Preview", "Deploy", "Rotate what is due", "Drift", "Status"}
    for job in github().values():
        assert "secrets." not in str({**job, "steps": []})
        for step in job["steps"]:
            assert ("secrets." in str(step)) is (step.get("name") in needed)
            assert ("NOCOBASE_API_KEY" in str(step)) is (step.get("name") in needed)
            asks = step.get("name") in ("Comment", "Issue", "Deploy")
            assert ("github.token" in str(step)) is asks
    for stage in (*azure_devops().values(), *azure_devops("prod").values()):
        for step in devops_steps(stage):
            if step.get("task") != "AzureCLI@2":
                assert {name for name in step.get("env", {}) if "KEY" in name or "TOKEN" in name} == set()
                continue
            named = step["inputs"]["arguments"].split()[0]
            assert step["env"]["SYSTEM_ACCESSTOKEN"] == "$(System.AccessToken)"
            for secret in ("NOCOBASE_API_KEY", "PULUMI_CONFIG_PASSPHRASE"):
                assert (secret in step["env"]) is (named in ("preview", "deploy", "drift", "status"))


SECRETS = ("NOCOBASE_API_KEY", "NOCOBASE_API_KEY_SALES", "NOCOBASE_PASSWORD", "PULUMI_CONFIG_PASSPHRASE")
STATE = ("PULUMI_ACCESS_TOKEN", "ARM_OIDC_TOKEN", "AZURE_STORAGE_KEY", "AWS_SECRET_ACCESS_KEY", "GOOGLE_CREDENTIALS")
"""What a step needs that reads the state, and nothing of what is encrypted there."""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("preview", {"preview": (*SECRETS, *STATE), "comment": ()}),
        ("proposed", {"preview": (*SECRETS, *STATE)}),
        ("deploy", {"deploy": (*SECRETS, *STATE), "status": (*SECRETS, *STATE)}),
        ("drift", {"deployed": STATE, "drift": (*SECRETS, *STATE), "issue": ()}),
        ("upkeep", {"deploy": (*SECRETS, *STATE), "status": (*SECRETS, *STATE)}),
        ("unlock", {"unlock": STATE}),
    ],
)
def test_on_gitlab_a_step_sees_the_secrets_that_it_needs(
    kind: str, expected: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    for name, text in (
        (".venv/bin/python", f'echo "$2" $(env | grep =hush | cut -d= -f1) >> {seen}'),
        ("pipelines/steps/install.sh", ""),
        ("bin/git", ""),
        ("reports/outputs.env", "commit=1"),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)
    job = gitlab()[f"nocobase-outlook-{kind}-prod"]
    script = "\n".join([*job["before_script"], *job["script"]])
    environment = {**dict.fromkeys((*SECRETS, *STATE), "hush"), "GITLAB_TOKEN": "kept", "commit": "1", "STACK": "prod"}
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env={**environment, "PATH": path}, check=True)
    found = [line.split() for line in seen.read_text().splitlines()]
    assert {words[0].rpartition(".")[2]: sorted(words[1:]) for words in found} == {
        step: sorted(secrets) for step, secrets in expected.items()
    }


def test_a_cache_that_anything_on_main_can_fill_does_not_reach_the_deployer() -> None:
    for name, job in github().items():
        assert ("actions/cache@" in str(job["steps"])) is (name in READING)
    for stack in STACKS:
        for kind in (*READING, *CHANGING):
            assert ("cache" in gitlab()[f"nocobase-outlook-{kind}-{stack}"]) is (kind in READING)
            stage = azure_devops(stack if kind == "unlock" else "none")[f"{kind}_{stack}"]
            assert ("Cache@2" in str(devops_steps(stage))) is (kind in READING)


def test_the_installation_sees_no_secret(tmp_path: Path) -> None:
    script = PIPELINES / "steps" / "install.sh"
    python = tmp_path / ".venv" / "bin" / "python"
    pack = tmp_path / "company" / ".venv" / "bin" / "python"
    for each in (python, pack):
        each.parent.mkdir(parents=True)
        each.write_text('#!/bin/sh\nenv\necho "$0 $*"\n')
        each.chmod(0o755)
    (tmp_path / "company" / "requirements.txt").touch()
    secrets = set(re.findall(r"\b[A-Z_]{6,}\b", script.read_text().partition("unset ")[2].partition("\n\n")[0]))
    assert {"NOCOBASE_API_KEY", "PULUMI_CONFIG_PASSPHRASE", "ARM_OIDC_TOKEN"} <= secrets
    given = {"PATH": os.environ["PATH"], "PIP_INDEX_URL": "kept", **dict.fromkeys(secrets, "hush")}
    given["NOCOBASE_API_KEY_SALES"] = "hush"
    for variable, times in (("", 2), ("$(POLICY_PACK)", 2), ("company=company/config.json", 3)):
        command = {"cwd": tmp_path, "env": {**given, "POLICY_PACK": variable}, "capture_output": True, "text": True}
        ended = subprocess.run([script], check=True, **command)  # type: ignore[call-overload]
        assert ended.stdout.count("PIP_INDEX_URL=kept") == times
        assert ("--require-hashes --requirement company/requirements.txt" in ended.stdout) is (times == 3)
        assert "hush" not in ended.stdout


def test_a_person_can_unlock_each_stack_and_nothing_else_runs_then() -> None:
    workflow = yaml.safe_load(GITHUB.read_text())
    # YAML 1.1 reads `on` as a truth value.
    given = workflow[True]["workflow_dispatch"]["inputs"]["unlock"]
    assert (given["options"], given["default"]) == (["none", *STACKS], "none")
    assert {job["with"]["unlock"] for job in workflow["jobs"].values()} == {"${{ inputs.unlock || 'none' }}"}
    begins = {name: job["if"] for name, job in github().items() if "workflow_dispatch" in job.get("if", "")}
    assert set(begins) == {"proposed", "unlock"}
    assert "inputs.unlock == 'none'" in begins["proposed"]
    assert "inputs.unlock == inputs.stack" in begins["unlock"]
    for stack in STACKS:
        job = gitlab()[f"nocobase-outlook-unlock-{stack}"]
        assert [(rule["when"], rule["allow_failure"]) for rule in job["rules"]] == [("manual", True)]
        assert job["needs"] == []
        assert list(azure_devops(stack)) == [f"unlock_{stack}"]
    (parameter,) = yaml.safe_load(AZURE_DEVOPS.read_text())["parameters"]
    assert (parameter["default"], parameter["values"]) == ("none", ["none", *STACKS])


def test_no_job_outlives_the_age_at_which_a_lock_is_left_behind() -> None:
    limits = [timedelta(minutes=job["timeout-minutes"]) for job in github().values()]
    devops = re.findall(r'timeoutInMinutes: "(\d+)"', AZURE_DEVOPS_STACK.read_text())
    limits += [timedelta(minutes=int(minutes)) for minutes in devops]
    assert {job["timeout"] for job in gitlab().values()} == {"1 hour"}
    assert max(limits) == locks.JOB_LIMIT == timedelta(hours=1)


def test_a_systems_page_names_everything_that_a_person_sets_there() -> None:
    in_files = {
        GITHUB_STACK: r"\b(?:vars|secrets)\.(\w+)",
        AZURE_DEVOPS_STEPS: r"\$\(([A-Z_]+)\)",
        GITLAB_STACK: r"\$(AZURE_PREVIEW_CLIENT_ID)",
    }
    everywhere = {"PULUMI_BACKEND_URL", "POLICY_PACK", deploy.OWNER, "NOCOBASE_API_KEY", "PULUMI_CONFIG_PASSPHRASE"}
    for file, pattern in in_files.items():
        found = set(re.findall(pattern, file.read_text()))
        # GitLab gives every variable of the project to every job, unnamed.
        assert file == GITLAB_STACK or everywhere <= found
        page = next(folder / "README.md" for folder in file.parents if (folder / "README.md").exists())
        assert [name for name in sorted(found | everywhere) if f"`{name}`" not in page.read_text()] == []


def test_no_azure_secret_is_named_anywhere() -> None:
    for file in [*FILES, *SCRIPTS]:
        text = re.sub(r"^unset (.*\\\n)*.*$", "", file.read_text(), flags=re.MULTILINE)
        assert re.findall(r"CLIENT_SECRET|CLIENT_CERTIFICATE|ARM_CLIENT_ID_FILE", text) == []


def test_actions_and_images_are_pinned() -> None:
    uses = [step["uses"] for job in github().values() for step in job["steps"] if "uses" in step]
    assert {one.partition("@")[0] for one in uses} == {"actions/checkout", "actions/cache"}
    assert [one for one in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one)] == []
    text = "".join(file.read_text() for file in FILES)
    images = [*re.findall(r"(?:vmImage|runs-on): (\S+)", text), gitlab()["nocobase-outlook-deploy-test"]["image"]]
    assert [image for image in images if not re.search(r"\d+\.\d+", image) or "latest" in image] == []


def test_one_run_a_stack_at_a_time_and_none_is_cut_off_or_replaced() -> None:
    for name in CHANGING:
        assert github()[name]["concurrency"] == {
            "group": "nocobase-outlook-${{ inputs.stack }}",
            "cancel-in-progress": False,
            "queue": "max",
        }
    others = {job["concurrency"]["group"] for name, job in github().items() if name not in (*CHANGING, "approve")}
    assert "nocobase-outlook-${{ inputs.stack }}" not in others
    for stack in STACKS:
        for name in CHANGING:
            job = gitlab()[f"nocobase-outlook-{name}-{stack}"]
            assert (job["resource_group"], job["interruptible"]) == (f"nocobase-outlook-{stack}", False)
    assert yaml.safe_load(AZURE_DEVOPS.read_text())["lockBehavior"] == "sequential"


def test_prod_comes_after_test_and_each_has_its_own_approval_of_what_was_previewed() -> None:
    caller = yaml.safe_load(GITHUB.read_text())["jobs"]
    assert {name: job.get("needs") for name, job in caller.items()} == {"test": None, "prod": "test"}
    assert "needs.test.outputs.deployed == 'true'" in caller["prod"]["if"]
    needs = {name: github()[name]["needs"] for name in ("approve", "deploy", "upkeep")}
    assert needs == {"approve": "proposed", "deploy": "approve", "upkeep": "drift"}
    assert github()["approve"]["environment"] == "${{ inputs.stack }}"
    jobs = gitlab()
    for stack, before in (("test", "nothing"), ("prod", "test")):
        for first, last in (("proposed", "deploy"), ("drift", "upkeep")):
            begin, end = jobs[f"nocobase-outlook-{first}-{stack}"], jobs[f"nocobase-outlook-{last}-{stack}"]
            assert begin["needs"] == [{"job": f"nocobase-outlook-{last}-{before}", "optional": True}]
            assert end["needs"] == [f"nocobase-outlook-{first}-{stack}"]
        assert jobs[f"nocobase-outlook-deploy-{stack}"]["environment"] == {"name": stack}
    stages = azure_devops()
    order = {name: stage["dependsOn"] for name, stage in stages.items()}
    assert order == {
        "preview_test": [],
        "proposed_test": [],
        "deploy_test": ["proposed_test"],
        "drift_test": [],
        "upkeep_test": ["drift_test"],
        "preview_prod": [],
        "proposed_prod": ["deploy_test"],
        "deploy_prod": ["proposed_prod"],
        "drift_prod": ["upkeep_test"],
        "upkeep_prod": ["drift_prod"],
    }
    environments = {name: stage["jobs"][0].get("environment") for name, stage in stages.items()}
    assert {name: value for name, value in environments.items() if value} == {
        "deploy_test": "nocobase-outlook-test",
        "deploy_prod": "nocobase-outlook-prod",
    }


def test_only_the_main_branch_is_deployed() -> None:
    assert "github.ref_name == github.event.repository.default_branch" in github()["proposed"]["if"]
    for name, job in gitlab().items():
        (rule,) = job["rules"]
        if "deploy" in name or "unlock" in name:
            assert rule["if"].startswith("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH")
    branch = "eq(variables['Build.SourceBranch'], 'refs/heads/main')"
    for stack in STACKS:
        for name, stage in {**azure_devops(), **azure_devops(stack)}.items():
            assert (branch in stage["condition"]) is (name.partition("_")[0] in ("proposed", "drift", "unlock"))
        # What depends on a stage that was skipped is skipped.
        assert azure_devops()[f"deploy_{stack}"]["condition"] == "succeeded()"


def test_whoever_waits_for_an_approval_holds_nothing_and_gets_nothing() -> None:
    gate = github()["approve"]
    assert gate["permissions"] == {}
    assert "env" not in gate
    assert "concurrency" not in gate
    assert not [text for text in scalars(gate) if "secrets." in text]


def test_a_merge_deploys_the_newest_commit_and_a_daily_run_the_deployed_one() -> None:
    found = every_job()
    for name, commands in found.items():
        only = {word for command in commands for word in re.findall(r"--only (\w+)", command)}
        kind = re.split("[ _-]", name.removeprefix("azure-devops "))[0 if name.startswith("azure") else 1]
        assert only == {"deploy": {"newest"}, "upkeep": {"deployed"}}.get(kind, set()), name
    checkout = github()["upkeep"]["steps"][0]
    assert checkout["with"]["ref"] == "${{ needs.drift.outputs.commit }}"
    assert "needs.drift.outputs.commit != ''" in github()["upkeep"]["if"]
    for stack in STACKS:
        # Everything that the job runs is of that commit, but these first lines.
        job = gitlab()[f"nocobase-outlook-upkeep-{stack}"]
        assert job["before_script"][1] == 'git checkout --quiet --detach "$commit"'
        assert gitlab()[f"nocobase-outlook-drift-{stack}"]["artifacts"]["reports"] == {"dotenv": "reports/outputs.env"}
        stage = azure_devops()[f"upkeep_{stack}"]
        assert next(step for step in devops_steps(stage) if "bash" in step)["env"] == {"COMMIT": "$(commit)"}
        variable = {
            "name": "commit",
            "value": f"$[ stageDependencies.drift_{stack}.drift.outputs['deployed.commit'] ]",
        }
        assert variable in stage["jobs"][0]["variables"]
        assert f"ne(dependencies.drift_{stack}.outputs['drift.deployed.commit'], '')" in stage["condition"]


def test_drift_of_one_stack_does_not_keep_a_rotation_waiting() -> None:
    assert github()["upkeep"]["if"].startswith("${{ !cancelled() &&")
    assert "github.event_name == 'schedule'" in yaml.safe_load(GITHUB.read_text())["jobs"]["prod"]["if"]
    for stack in STACKS:
        for kind in ("drift", "upkeep"):
            job = gitlab()[f"nocobase-outlook-{kind}-{stack}"]
            assert ([rule["when"] for rule in job["rules"]], "allow_failure" in job) == (["always"], False)
            assert azure_devops()[f"{kind}_{stack}"]["condition"].startswith("and(not(canceled()), ")


def test_a_project_includes_the_pipeline_for_as_many_stacks_as_it_has() -> None:
    assert set(yaml.safe_load(GITHUB_STACK.read_text())[True]["workflow_call"]["inputs"]) == {"stack", "unlock"}
    assert {job["uses"] for job in yaml.safe_load(GITHUB.read_text())["jobs"].values()} == {
        f"./.github/workflows/{GITHUB_STACK.name}"
    }
    # What is included must not set anything of the project's own pipeline.
    assert set(yaml.safe_load(GITLAB.read_text())) == {"include"}
    names = yaml.safe_load(gitlab_text("eu-1", "prod"))
    assert all("nocobase-outlook-" in name and name.endswith("eu-1") for name in names)
    assert {job["stage"] for job in gitlab().values()} == {"deploy"}


def test_the_bootstrap_trusts_exactly_the_environments_of_the_workflow() -> None:
    settings = deployer_settings.load({"githubRepository": "contoso/mail"})
    for identity, names in ((settings.deployer, CHANGING), (settings.preview, READING)):
        assert identity is not None
        used = {github()[name]["environment"] for name in names}
        named = {name.replace("${{ inputs.stack }}", stack) for name in used for stack in STACKS}
        assert {trust.subject.rpartition(":")[2] for trust in identity.trusts} == named
    for kind, field in (("deploy", "azure_dev_ops_connections"), ("drift", "azure_dev_ops_preview_connections")):
        default = deployer_settings.Settings.model_fields[field].default
        step = next(step for step in devops_steps(azure_devops()[f"{kind}_prod"]) if step.get("task") == "AzureCLI@2")
        assert step["inputs"]["azureSubscription"] == default.replace("{environment}", "prod")
