"""What becomes of each stack, and that none stops another."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.fleet.runner import LONGEST_SENTENCE, Result, StackOutcome, Watch, run, sentence


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
        return Result(stack, StackOutcome.CHANGED, {"create": 7})

    seen = Seen()
    results = run(stacks, deploy, parallel, seen)
    assert [result.stack for result in results] == stacks
    assert {int(result.stack[1:]) for result in results if result.outcome.bad} == broken
    assert {result.error for result in results if result.outcome.bad} <= {"OSError: the disk is full"}
    assert sorted(seen.ended_stacks) == stacks
    assert most <= parallel


def test_changes_in_words() -> None:
    changes = {"update": 1, "create": 7, "import": 1, "odd": 2}
    assert Result("s", StackOutcome.CHANGED, changes).counts == "7 created, 1 taken over, 2 odd, 1 updated"
    foreseen = Result("s", StackOutcome.FAILED, changes, foreseen=True)
    assert foreseen.counts == "7 to create, 1 to import, 2 to odd, 1 to update"
    assert Result("s", StackOutcome.UNCHANGED).counts == ""


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
