"""The words at the end of a run."""

from __future__ import annotations

from tests.contract.replay import Result
from tests.contract.tally import Tally


def test_nothing_is_said_of_what_was_not_run() -> None:
    assert Tally().lines() == []


def test_scenarios_with_a_difference_do_not_count_as_without() -> None:
    tally = Tally()
    tally.add_calls([Result("a", compared=10, withdrawn=1), Result("b", compared=4, differences=["x"])])
    tally.add_requests([Result("a", compared=7), Result("b", compared=5)])
    tally.tried |= {"one", "two"}
    tally.noticed |= {"one"}
    calls, requests, changes = tally.lines()
    assert calls.startswith("14 provider calls compared")
    assert "1 scenarios without a difference; 1 calls were withdrawn" in calls
    assert requests.startswith("12 requests")
    assert changes.startswith("1 of 2 changes")
