"""Which stacks are meant, and that none stops another."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.fleet.runner import LONGEST_SENTENCE, Outcome, Result, Watch, run, sentence
from provisioning.fleet.selection import choose, configured

NAMES = st.sets(st.sampled_from(["dev", "prod-eu", "prod-us", "staging", "test"]))


@dataclass
class Seen:
    """What a run told, in order."""

    ended_stacks: list[str] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)

    def began(self, stack: str) -> None: ...

    def step(self, stack: str, step: str) -> None:
        self.steps.append((stack, step))

    def ended(self, result: Result) -> None:
        self.ended_stacks.append(result.stack)


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
    assert configured(tmp_path) == {"dev", "eu.west"}


@pytest.mark.parametrize(
    ("patterns", "excepted", "stacks", "left_out"),
    [
        (["*"], [], ("acme/prod-eu", "prod-us"), {"dev": Outcome.LEFT_OUT, "old": Outcome.LEFT_OUT}),
        (["*"], ["dev", "prod-e*"], ("prod-us",), {"old": Outcome.LEFT_OUT}),
        (["prod-*"], [], ("acme/prod-eu", "prod-us"), {}),
        (["prod-eu", "dev"], [], ("acme/prod-eu",), {"dev": Outcome.FAILED}),
        (["prod-eu", "nowhere"], [], ("acme/prod-eu",), {"nowhere": Outcome.FAILED}),
        (["no-*"], [], (), {}),
    ],
)
def test_stacks_are_chosen_by_name_and_pattern(
    patterns: list[str], excepted: list[str], stacks: tuple[str, ...], left_out: dict[str, Outcome]
) -> None:
    choice = choose({"dev", "prod-eu", "prod-us"}, {"acme/prod-eu", "prod-us", "old"}, patterns, excepted)
    assert choice.stacks == stacks
    assert {result.stack: result.outcome for result in choice.left_out} == left_out
    assert all(result.error for result in choice.left_out)


def test_what_is_left_out_says_what_to_do() -> None:
    choice = choose({"dev", "prod"}, {"old", "acme/prod", "me/prod"}, ["*"])
    assert {result.stack: result.error for result in choice.left_out} == {
        "dev": "the backend has no such stack; make it by `pulumi stack init dev`",
        "old": "there is no Pulumi.old.yaml in this folder",
        "prod": "which of them is meant? acme/prod, me/prod",
    }


@given(files=NAMES, backend=NAMES, excepted=NAMES)
def test_every_stack_is_deployed_or_left_out_once_or_excepted(
    files: set[str], backend: set[str], excepted: set[str]
) -> None:
    choice = choose(files, backend, ["*"], sorted(excepted))
    names = [*choice.stacks, *(result.stack for result in choice.left_out)]
    assert sorted(names) == sorted((files | backend) - excepted)


@given(parallel=st.integers(1, 4), broken=st.sets(st.integers(0, 7)))
def test_each_has_its_result_and_a_failure_stops_no_other(parallel: int, broken: set[int]) -> None:
    stacks = [f"s{number}" for number in range(8)]
    running: set[str] = set()
    most = 0
    lock = threading.Lock()

    def deploy(stack: str, _watch: Watch) -> Result:
        nonlocal most
        with lock:
            running.add(stack)
            most = max(most, len(running))
        time.sleep(0.0005)
        with lock:
            running.remove(stack)
        if int(stack[1:]) in broken:
            raise OSError("the disk\nis full")
        return Result(stack, Outcome.CHANGED, {"create": 7})

    seen = Seen()
    results = run(stacks, deploy, parallel, seen)
    assert [result.stack for result in results] == stacks
    assert {int(result.stack[1:]) for result in results if result.outcome.bad} == broken
    assert {result.error for result in results if result.outcome.bad} <= {"OSError: the disk is full"}
    assert sorted(seen.ended_stacks) == stacks
    assert most <= parallel


def test_changes_in_words() -> None:
    changes = {"update": 1, "create": 7, "odd": 2}
    assert Result("s", Outcome.CHANGED, changes).counts == "7 created, 2 odd, 1 updated"
    assert Result("s", Outcome.WOULD_CHANGE, changes).counts == "7 to create, 2 to odd, 1 to update"
    assert Result("s", Outcome.UNCHANGED).counts == ""


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "it failed without a word"),
        (["  \n", "first:\n  more", "second"], "first: more"),
        (["x" * 400], "x" * (LONGEST_SENTENCE - 1) + "…"),
    ],
)
def test_an_error_is_one_line(messages: list[str], expected: str) -> None:
    assert sentence(messages) == expected
