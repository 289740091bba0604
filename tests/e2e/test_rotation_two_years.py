"""Two years of runs with a failure at each rotation, while somebody asks all the time whether mail works.

All sides have simulated time: the program by PROVISIONING_TODAY, Entra ID's stand-in by its clock. The runs are those
of the first year that do something, and in the proof those of every month of both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.faults import Fault
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.token_endpoint import Watch
from tests.figures import Say

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

START = datetime(2027, 1, 1, 6, tzinfo=UTC)
MONTHS = [datetime(2027 + month // 12, month % 12 + 1, 15, 6, tzinfo=UTC) for month in range(1, 25)]
ROTATIONS = [START + timedelta(days=90 * number) for number in range(1, 9)]
STEPS = [
    ROTATIONS[0],
    # The old secret retires: the next one finds a free slot. Elsewhere it has expired when its slot gets a new one.
    ROTATIONS[0] + timedelta(days=14),
    *ROTATIONS[1:4],
]
NOCOBASE_PATIENCE_SECONDS = 2
WRITE = "POST .*mailSettings:update"
ISSUE = "POST .*/addPassword"
UNAVAILABLE = {"match": ISSUE, "status": 503, "headers": {"Retry-After": "0"}}
DELAY_SECONDS = 3


@dataclass(frozen=True)
class Sides:
    """Both sides on a bad day."""

    place: Place
    nocobase: BadDay

    def entra(self, order: dict[str, object]) -> None:
        sandbox_entra(self.place, "POST", "faults", order)

    def delay(self) -> None:
        # Delays go by the real time, in which the secret in use must not be a new one any more.
        time.sleep(DELAY_SECONDS)
        self.entra({"kind": "behaviour", "settling": DELAY_SECONDS})

    def recover(self) -> None:
        self.nocobase.accept()
        self.nocobase.clear()
        sandbox_entra(self.place, "DELETE", "faults")
        self.entra({"kind": "behaviour", "settling": None})


DELAYED = f"a new secret takes {DELAY_SECONDS} s to be accepted"

FAILURES: dict[str, Callable[[Sides], None]] = {
    "NocoBase answers 500": lambda sides: sides.nocobase.add(trouble("server-error", WRITE, times=None)),
    "Entra ID's answer is lost": lambda sides: sides.entra({"match": ISSUE, "drop": True, "after": True}),
    "NocoBase's answer is lost": lambda sides: sides.nocobase.add(Fault(match=WRITE, drop=True, after=True)),
    DELAYED: lambda sides: sides.delay(),
    "NocoBase is down": lambda sides: sides.nocobase.refuse(),
    "Entra ID answers 503": lambda sides: sides.entra({**UNAVAILABLE, "times": None}),
    "Entra ID answers 503 after issuing": lambda sides: sides.entra({**UNAVAILABLE, "after": True}),
    "no failure": lambda sides: None,
}
"""One for each rotation: with 90 days between two of them, there are eight."""


@dataclass
class Life:
    """What was seen in the runs.

    met: the failures of the rotations. values: the secrets that came. runs: of `pulumi up`. failed: how many of them.
    waits: how often a run was refused the secret that is accepted late; none where the run itself was later.
    """

    stack: Stack
    sides: Sides
    watch: Watch
    met: list[str] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    runs: int = 0
    failed: int = 0
    waits: int = 0

    def live(self, days: Sequence[datetime]) -> None:
        """Run `pulumi up` on each of the days, and on the next day where it failed; each rotation has its failure."""
        failures = iter(FAILURES.items())
        due = datetime.fromisoformat(self.stack.outputs["nextRotation"])
        for today in days:
            rotates = due <= today
            if rotates:
                self.watch.moment, fail = next(failures)
                self.met.append(self.watch.moment)
                fail(self.sides)
            if not self._tried(today):
                assert rotates, self.stack.said[-1]
                self.failed += 1
                self.sides.recover()
                assert self._tried(today + timedelta(days=1)), self.stack.said[-1]
            self.sides.recover()
            if rotates:
                due = self._rotated()
                assert due > today
            # Between two rotations the old secret retires.
            assert len(self.stack.applications[0]["passwordCredentials"]) <= (2 if rotates else 1)

    def _tried(self, today: datetime) -> bool:
        """Whether a plain `up` on that day succeeds."""
        place = self.stack.place
        sandbox_entra(place, "POST", "clock", {"now": today.isoformat()})
        sandbox_entra(place, "DELETE", "requests")
        self.runs += 1
        try:
            self.stack.up(extra={"PROVISIONING_TODAY": today.isoformat()})
        except AssertionError:
            return False
        return True

    def _rotated(self) -> datetime:
        """When the next rotation is due; the new secret is in NocoBase."""
        outputs = self.stack.outputs
        assert self.stack.credentials == (outputs["clientId"], outputs["clientSecret"])
        self.values.add(outputs["clientSecret"])
        if self.watch.moment == DELAYED:
            # What NocoBase held was accepted all the time, so that it was the run itself that was refused.
            asked = sandbox_entra(self.stack.place, "GET", "requests")["value"]
            self.waits = sum(one["status"] == 401 for one in asked if one["path"].endswith("/token"))
        return datetime.fromisoformat(outputs["nextRotation"])


def test_the_watch_sees_a_secret_that_is_refused(deployed_at_new_year: Stack) -> None:
    stack = deployed_at_new_year
    (application,) = stack.applications
    key = {"keyId": application["passwordCredentials"][0]["keyId"]}
    with Watch(stack.place) as watch:
        graph(stack, "POST", f"/applications/{application['id']}/removePassword", key)
        watch.moment = "after the removal by hand"
        deadline = time.monotonic() + 10
        while not watch.refused and time.monotonic() < deadline:
            time.sleep(0.05)
    assert watch.refused
    assert watch.error is None


@pytest.mark.parametrize(
    ("days", "rotations", "failed"),
    [
        # Each failure that is not waited for: in the first year NocoBase's 500 and Entra ID's lost answer.
        pytest.param(STEPS, 4, 2, id="steps of a year", marks=pytest.mark.proof),
        pytest.param(MONTHS, len(FAILURES), 5, id="months", marks=pytest.mark.proof),
    ],
)
def test_mail_works_for_two_years(
    days: Sequence[datetime], rotations: int, failed: int, deployed_at_new_year: Stack, say: Say
) -> None:
    stack, place = deployed_at_new_year, deployed_at_new_year.place
    with BadDay(nocobase_url(place)) as proxy, Watch(place) as watch:
        stack.set("nocobaseUrl", proxy.url.replace("127.0.0.1", "localhost"))
        stack.set("nocobasePatienceSeconds", NOCOBASE_PATIENCE_SECONDS)
        life = Life(stack, Sides(place, proxy), watch)
        life.live(days)
    say(
        f"{life.runs} runs until {days[-1]:%Y-%m-%d}, {life.failed} of them failed, {len(life.values)} rotations; "
        f"the token endpoint was asked {watch.asks} times and refused {len(watch.refused)} times; "
        f"a run was refused a new secret {life.waits} times before it pushed it"
    )
    everything = "\n".join(stack.said)
    assert "the old secret in slot a is removed" in everything
    assert "Traceback" not in everything
    assert not [value for value in life.values if value in everything]
    assert watch.error is None
    assert watch.refused == []
    assert watch.asks > life.runs
    assert life.met == list(FAILURES)[:rotations]
    assert len(life.values) == rotations
    assert life.failed >= failed
