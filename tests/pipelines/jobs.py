"""The jobs of the ready pipelines as their systems read them: files included, inputs and parameters filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from sandbox.place import PROJECT
from tests.pipelines import azure_template

PIPELINES = PROJECT / "pipelines"
GITHUB = PIPELINES / "github" / "workflows" / "nocobase-outlook.yml"
GITHUB_STACK = GITHUB.with_name("nocobase-outlook-stack.yml")
GITLAB = PIPELINES / "gitlab" / ".gitlab-ci.yml"
GITLAB_STACK = PIPELINES / "gitlab" / "templates" / "nocobase-outlook-stack.yml"
AZURE_DEVOPS = PIPELINES / "azure-devops" / "azure-pipelines.yml"
AZURE_DEVOPS_STACK = AZURE_DEVOPS.with_name("stack.yml")
AZURE_DEVOPS_STEPS = AZURE_DEVOPS.with_name("steps.yml")
STACKS = ("test", "prod")

Json = dict[str, Any]


def github() -> Json:
    """The jobs of one stack."""
    jobs: Json = yaml.safe_load(GITHUB_STACK.read_text())["jobs"]
    return jobs


def gitlab_text(stack: str, after: str = "nothing") -> str:
    """GitLab's included file for one stack, its inputs filled in."""
    head, _, body = GITLAB_STACK.read_text().partition("\n---\n")
    inputs: Json = yaml.safe_load(head)["spec"]["inputs"]
    given = {"stack": stack, "after": after}
    assert set(given) <= set(inputs)
    values = {name: given.get(name, declared.get("default")) for name, declared in inputs.items()}
    return re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda found: str(values[found[1]]), body)


def gitlab() -> Json:
    """The jobs of both stacks by name, without the hidden ones they extend; lists replace, mappings are merged."""
    found: Json = {}
    for included in yaml.safe_load(GITLAB.read_text())["include"]:
        assert included["local"] == str(GITLAB_STACK.relative_to(PROJECT))
        found |= yaml.safe_load(gitlab_text(**included["inputs"]))

    def merged(base: Json, over: Json) -> Json:
        both = {
            key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in over.items()
        }
        return {**base, **both}

    def whole(name: str) -> Json:
        job = dict(found[name])
        parent = job.pop("extends", None)
        return merged(whole(parent), job) if parent else job

    return {name: whole(name) for name in found if not name.startswith(".")}


def azure_devops(unlock: str = "none") -> Json:
    """The stages by name."""
    stages = azure_template.template(AZURE_DEVOPS, {"unlock": unlock})["stages"]
    return {stage["stage"]: stage for stage in stages}


def devops_steps(stage: Json) -> list[Json]:
    """The steps of a stage's one job."""
    (job,) = stage["jobs"]
    steps: list[Json] = job["steps"] if "steps" in job else job["strategy"]["runOnce"]["deploy"]["steps"]
    return steps


def scalars(value: Any) -> list[str]:
    """Every text in a document."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in scalars(item)]
    if isinstance(value, list):
        return [text for item in value for text in scalars(item)]
    return [str(value)]


def files() -> tuple[Path, ...]:
    """All files."""
    return (
        GITHUB, GITHUB_STACK, GITLAB, GITLAB_STACK, AZURE_DEVOPS, AZURE_DEVOPS_STACK, AZURE_DEVOPS_STEPS,
    )  # fmt: skip
