"""What is printed at the end of a run, whatever workers the tests ran on."""

from __future__ import annotations

import pytest

from tests.figures import SAID, TALLIED, Collector


def report(when: str, *properties: tuple[str, object]) -> pytest.TestReport:
    """A phase of a test that noted `properties`; each phase reports all that was noted by then."""
    return pytest.TestReport("tests/test_x.py::test", ("", 0, ""), {}, "passed", None, when, user_properties=properties)  # type: ignore[arg-type]


def test_what_tests_said_is_printed_once_and_what_they_tallied_as_a_sum() -> None:
    collector = Collector()
    for done in (1, 0):
        for when in ("call", "teardown"):
            collector.pytest_runtest_logreport(report(when, (SAID, "a figure"), (TALLIED, ["of these", done, 1])))
    assert collector.lines() == ["1 of 2 of these", "a figure", "a figure"]


def test_nothing_is_printed_where_nothing_was_said() -> None:
    collector = Collector()
    collector.pytest_runtest_logreport(report("teardown"))
    assert collector.lines() == []
