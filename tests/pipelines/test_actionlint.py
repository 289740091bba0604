"""actionlint and the workflows: whether their expressions, their jobs' outputs and what they include fit together."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from sandbox.place import PROJECT
from tests.go_programs import go
from tests.pipelines.jobs import GITHUB, GITHUB_STACK

pytestmark = pytest.mark.proof

MODULE = Path(__file__).parent / "actionlint"
FLEET = PROJECT / "fleet" / "github-actions.yml"
NEWER = 'unexpected key "queue" for "concurrency" section. expected one of "cancel-in-progress", "group"'
"""The only objection that is none: GitHub has this key since May 2026, and actionlint 1.7.12 does not know it."""


@pytest.fixture
def workflows(tmp_path: Path) -> Path:
    """The folder of all workflows, in a repository. Only there does actionlint look at what a workflow includes."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for file in (GITHUB, GITHUB_STACK, FLEET):
        shutil.copy(file, folder)
    return folder


def objections(workflows: Path) -> list[str]:
    """What actionlint finds, besides NEWER; also what shellcheck says of the commands."""
    shellcheck = Path(sys.executable).parent / "shellcheck"
    options = ("-format", "{{json .}}", "-pyflakes=", f"-shellcheck={shellcheck}")
    ended = go(MODULE, "tool", "actionlint", *options, *sorted(workflows.iterdir()))
    # 1 is that it found something.
    assert ended.returncode in (0, 1), ended.stderr
    found = [f"{Path(one['filepath']).name}: {one['message']}" for one in json.loads(ended.stdout)]
    return [one for one in found if one != f"{GITHUB_STACK.name}: {NEWER}"]


def test_actionlint_has_nothing_to_say(workflows: Path) -> None:
    assert objections(workflows) == []


@pytest.mark.parametrize(
    ("file", "right", "wrong", "objection"),
    [
        (GITHUB, "stack: test", "stacks: test", 'input "stacks" is not defined'),
        (FLEET, "matrix.stack }}", "matrix.stacks }}", 'property "stacks" is not defined'),
        (GITHUB_STACK, "needs.drift.outputs.commit", "needs.drift.outputs.comit", 'property "comit" is not defined'),
        (GITHUB_STACK, "needs: approve", "needs: approved", '"approved"'),
        (GITHUB_STACK, "queue: max", "queues: max", 'unexpected key "queues"'),
        (GITHUB_STACK, 'steps.unlock "$STACK"', "steps.unlock $STACK", "SC2086"),
    ],
)
def test_it_finds_a_mistake(file: Path, right: str, wrong: str, objection: str, workflows: Path) -> None:
    spoilt = workflows / file.name
    text = spoilt.read_text()
    assert right in text
    spoilt.write_text(text.replace(right, wrong))
    assert any(one.startswith(file.name) and objection in one for one in objections(workflows))
