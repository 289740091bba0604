"""`questions`: whatever becomes of one question, all others are asked and answered."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.doctor.runner import Check, Finding, Outcome, Question, answer, ask_all, failed, ok, skipped, warning
from provisioning.entra import directory_errors
from provisioning.errors import EngineFailed, Unreachable

BEHAVIOURS: dict[str, Callable[..., Finding]] = {
    "OK": lambda *_: ok("well", "value"),
    "warning": lambda *_: warning("hm", "Look.", "value"),
    "failed": lambda *_: failed("bad", "Mend it."),
    "skipped": lambda *_: skipped("of something"),
    "raises": lambda *_: (_ for _ in ()).throw(RuntimeError("with a secret")),
}


@given(st.data())
def test_a_question_is_skipped_only_because_of_what_it_needs(data: st.DataObject) -> None:
    questions: list[Question] = []
    behaviours: list[str] = []
    for number in range(data.draw(st.integers(1, 8))):
        behaviours.append(data.draw(st.sampled_from(sorted(BEHAVIOURS))))
        needs = data.draw(st.lists(st.sampled_from([q.name for q in questions]), unique=True)) if questions else []
        questions.append(Question(f"q{number}", BEHAVIOURS[behaviours[-1]], tuple(needs)))
    answers = {check.name: check for check in ask_all(questions)}
    assert list(answers) == [question.name for question in questions]
    for question, behaviour in zip(questions, behaviours, strict=True):
        blocked = any(answers[name].outcome in (Outcome.FAILED, Outcome.SKIPPED) for name in question.needs)
        expected = "skipped" if blocked else "failed" if behaviour == "raises" else behaviour
        assert answers[question.name].outcome == expected
        assert "secret" not in str(answers[question.name])


def test_values_come_in_the_order_of_the_needs() -> None:
    questions = [
        Question("a", lambda: ok("", 1)),
        Question("b", lambda: warning("", "Look.", 2)),
        Question("c", lambda b, a: ok(f"{b} {a}"), ("b", "a")),
    ]
    assert [check.said for check in ask_all(questions)][2] == "2 1"


def test_what_was_skipped_names_the_failure_at_the_root() -> None:
    questions = [
        Question("a", lambda: failed("bad", "Mend it.")),
        Question("b", lambda _: ok(""), ("a",)),
        Question("c", lambda _: ok(""), ("b",)),
    ]
    assert list(ask_all(questions))[2] == Check("c", Outcome.SKIPPED, "because 'a' failed")


def test_one_that_hangs_fails_in_time_and_holds_up_nobody() -> None:
    release = threading.Event()
    questions = [
        Question("hangs", lambda: ok(str(release.wait(30))), limit=0.2),
        Question("needs it", lambda _: ok(""), ("hangs",)),
        Question("other", lambda: ok("well")),
    ]
    hangs, needs_it, other = ask_all(questions)
    release.set()
    assert (hangs.outcome, hangs.said) == (Outcome.FAILED, "no answer within 0.2 s")
    assert needs_it.outcome is Outcome.SKIPPED
    assert other.outcome is Outcome.OK


def test_questions_are_asked_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)
    questions = [Question(name, lambda: ok(str(both.wait()))) for name in "ab"]
    assert all(check.outcome is Outcome.OK for check in ask_all(questions))


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (Unreachable("NocoBase cannot be reached", "no route", "Start it."), "be reached (no route)", "Start it."),
        (
            EngineFailed("`pulumi x` failed:\n  y"),
            "`pulumi x` failed: y",
            "Do what it says, then run the command again.",
        ),
        (RuntimeError("secret"), "this check itself broke (RuntimeError)", "report it"),
    ],
)
def test_errors_become_failures(error: Exception, said: str, remedy: str) -> None:
    def ask() -> Finding:
        raise error

    (check,) = ask_all([Question("x", ask)])
    assert check.outcome is Outcome.FAILED
    assert said in check.said
    assert remedy in str(check.remedy)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ReadTimeout("a text"), "no answer: it did not answer in time"),
        (ConnectionResetError("a text"), "no answer: the connection was interrupted"),
        (directory_errors.unreadable_answer(429, "", False), "Entra ID cannot be asked (429)"),
        (RuntimeError("a text"), "this check itself broke (RuntimeError)"),
    ],
)
def test_only_a_fault_of_this_program_is_called_one(error: Exception, said: str) -> None:
    def ask() -> Finding:
        raise error

    found = answer(ask)
    assert found.said == said
    assert "a text" not in str(found)
