"""Which stacks are meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.fleet.runner import StackOutcome
from provisioning.fleet.selection import choose, configured

NAMES = st.sets(st.sampled_from(["dev", "prod-eu", "prod-us", "staging", "test"]))


def test_stacks_with_a_file_are_found(tmp_path: Path) -> None:
    for name in (
        "Pulumi.yaml",
        "Pulumi.dev.yaml",
        "Pulumi.eu.west.yml",
        "Pulumi.dev.deploy.yaml",
        "Pulumi..yaml",
        "x.yaml",
    ):
        (tmp_path / name).touch()
    (tmp_path / "Pulumi.gone.yaml").symlink_to("nowhere")
    assert configured(tmp_path) == {"dev", "eu.west"}


@pytest.mark.parametrize(
    ("patterns", "excepted", "stacks", "left_out"),
    [
        (["*"], [], ("acme/prod-eu", "prod-us"), {"dev": StackOutcome.LEFT_OUT, "old": StackOutcome.LEFT_OUT}),
        (["*"], ["dev", "prod-e*"], ("prod-us",), {"old": StackOutcome.LEFT_OUT}),
        (["prod-*"], [], ("acme/prod-eu", "prod-us"), {}),
        (["prod-eu", "dev"], [], ("acme/prod-eu",), {"dev": StackOutcome.FAILED}),
        (["prod-eu", "nowhere"], [], ("acme/prod-eu",), {"nowhere": StackOutcome.FAILED}),
        (["no-*"], [], (), {}),
    ],
)
def test_stacks_are_chosen_by_name_and_pattern(
    patterns: list[str], excepted: list[str], stacks: tuple[str, ...], left_out: dict[str, StackOutcome]
) -> None:
    choice = choose({"dev", "prod-eu", "prod-us"}, {"acme/prod-eu", "prod-us", "old"}, patterns, excepted)
    assert choice.stacks == stacks
    assert {result.stack: result.outcome for result in choice.left_out} == left_out
    assert all(result.error for result in choice.left_out)


def test_what_is_left_out_says_what_to_do() -> None:
    choice = choose({"dev", "prod"}, {"old", "acme/prod", "me/prod"}, ["*"])
    assert {result.stack: result.error for result in choice.left_out} == {
        "dev": "the backend has no such stack; make it by `pulumi stack init dev`",
        "old": "there is no Pulumi.old.yaml in this folder; take it from your repository",
        "prod": "which of them is meant? acme/prod, me/prod",
    }


@given(files=NAMES, backend=NAMES, excepted=NAMES)
def test_every_stack_is_deployed_or_left_out_once_or_excepted(
    files: set[str], backend: set[str], excepted: set[str]
) -> None:
    choice = choose(files, backend, ["*"], sorted(excepted))
    names = [*choice.stacks, *(result.stack for result in choice.left_out)]
    assert sorted(names) == sorted((files | backend) - excepted)
