"""What a step leaves for people: a Markdown file in reports/, and the same in the summary of the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from provisioning.foreign import longest_run, visible_lines

FOLDER = Path("reports")
LONGEST = 60_000
"""Characters; GitHub takes 65,536 in a comment."""


def path(stack: str, step: str) -> Path:
    """The file of one step."""
    return FOLDER / f"{stack}-{step}.md"


def publish(stack: str, step: str, markdown: str, environment: Mapping[str, str] = os.environ) -> None:
    """Write the file, and hand it to the system that runs this; GitLab takes the folder as an artifact."""
    FOLDER.mkdir(exist_ok=True)
    file = path(stack, step)
    file.write_text(markdown, encoding="utf-8")
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as all_steps:
            all_steps.write(f"{markdown}\n")
    if environment.get("TF_BUILD"):
        print(f"##vso[task.uploadsummary]{file.resolve()}", flush=True)


def output(name: str, value: str, environment: Mapping[str, str] = os.environ) -> None:
    """Hand a value to the steps and jobs that follow: an output on GitHub, a variable on Azure DevOps.

    On GitLab it is a variable of the jobs that need this one, which takes reports/outputs.env as such. A value has
    letters and digits only; an empty one is not handed on.
    """
    if not value:
        return
    if file := environment.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.write(f"{name}={value}\n")
    if environment.get("TF_BUILD"):
        print(f"##vso[task.setvariable variable={name};isOutput=true]{value}", flush=True)
    if environment.get("GITLAB_CI"):
        FOLDER.mkdir(exist_ok=True)
        with (FOLDER / "outputs.env").open("a", encoding="utf-8") as outputs:
            outputs.write(f"{name}={value}\n")


def fenced(text: str) -> str:
    """`text` as a block of code, cut in the middle where it is too long for a comment. Nothing in it is Markdown."""
    text = visible_lines(text)
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]}\n… {len(text) - LONGEST} characters are left out; the log has them …\n{text[-half:]}"
    fence = "`" * max(3, longest_run(text) + 1)
    return f"{fence}\n{text.strip()}\n{fence}\n"
