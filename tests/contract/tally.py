"""What the replay compared and noticed in this run, said at its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from tests.contract.replay import Result


@dataclass
class Tally:
    """Counts of one run of pytest. Everything is empty for what was not run.

    calls, requests: what was compared and answered as recorded; withdrawn: calls without a recorded answer.
    tried, noticed: names of the changes to the sandbox that were tried, and of those that the replay noticed.
    """

    scenarios: int = 0
    calls: int = 0
    withdrawn: int = 0
    requests: int = 0
    tried: set[str] = field(default_factory=set)
    noticed: set[str] = field(default_factory=set)

    def add_calls(self, results: Iterable[Result]) -> None:
        """Count a replay of provider calls."""
        for result in results:
            self.scenarios += not result.differences
            self.calls += result.compared
            self.withdrawn += result.withdrawn

    def add_requests(self, results: Iterable[Result]) -> None:
        """Count a replay of requests to Graph."""
        self.requests += sum(result.compared for result in results)

    def lines(self) -> list[str]:
        """What there is to say."""
        said = []
        if self.calls:
            said.append(
                f"{self.calls} provider calls compared with the real azuread provider's, {self.scenarios} scenarios "
                f"without a difference; {self.withdrawn} calls were withdrawn before it answered"
            )
        if self.requests:
            said.append(f"{self.requests} requests to Graph compared with the recorded answers")
        if self.tried:
            said.append(f"{len(self.noticed)} of {len(self.tried)} changes to the sandbox noticed by the replay")
        return said


_KEY = pytest.StashKey[Tally]()


def tally(config: pytest.Config) -> Tally:
    """The tally of this run."""
    return config.stash.setdefault(_KEY, Tally())
