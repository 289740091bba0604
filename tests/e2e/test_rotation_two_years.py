"""Two years of monthly runs with a failure at each rotation, while somebody asks all the time whether mail works.

All sides have simulated time: the program by PROVISIONING_TODAY, Entra ID's stand-in by its clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.faults import Fault
from sandbox.nocobase.bad_day import BadDay, trouble
from sandbox.place import Place
from sandbox.project_copy import set_nocobase_url
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.token_endpoint import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

MONTHS = [datetime(2027 + month // 12, month % 12 + 1, 15, 6, tzinfo=UTC) for month in range(25)]
WRITE = "POST .*mailSettings:update"
ISSUE = "POST .*/addPassword"


@dataclass(frozen=True)
class Sides:
    """Both sides on a bad day."""

    place: Place
    nocobase: BadDay

    def entra(self, order: dict[str, object]) -> None:
        sandbox_entra(self.place, "POST", "faults", order)

    def recover(self) -> None:
        self.nocobase.accept()
        self.nocobase.clear()
        sandbox_entra(self.place, "DELETE", "faults")
        self.entra({"kind": "behaviour", "secret_delay": None})


FAILURES: dict[str, Callable[[Sides], None]] = {
    "NocoBase answers 500": lambda sides: sides.nocobase.add(trouble("server-error", WRITE, times=None)),
    "Entra ID's answer is lost": lambda sides: sides.entra({"match": ISSUE, "drop": True, "after": True}),
    "NocoBase's answer is lost": lambda sides: sides.nocobase.add(Fault(match=WRITE, drop=True, after=True)),
    "a new secret takes 3 s to be accepted": lambda sides: sides.entra({"kind": "behaviour", "secret_delay": 3}),
    "NocoBase is down": lambda sides: sides.nocobase.refuse(),
    "Entra ID answers 503": lambda sides: sides.entra({"match": ISSUE, "status": 503, "times": None}),
    "Entra ID answers 503 after issuing": lambda sides: sides.entra({"match": ISSUE, "status": 503, "after": True}),
    "no failure": lambda sides: None,
}
"""One for each rotation: with 90 days between two of them, there are eight."""


def tried(stack: Stack, today: datetime) -> bool:
    """Whether a plain `up` on that day succeeds."""
    sandbox_entra(stack.place, "POST", "clock", {"now": today.isoformat()})
    try:
        stack.up("--skip-preview", extra={"PROVISIONING_TODAY": today.isoformat()})
    except AssertionError:
        return False
    return True


def test_the_watch_sees_a_secret_that_is_refused(stack: Stack, place: Place) -> None:
    stack.up("--skip-preview")
    (application,) = stack.applications
    key = {"keyId": application["passwordCredentials"][0]["keyId"]}
    with Watch(place) as watch:
        graph(stack, "POST", f"/applications/{application['id']}/removePassword", key)
        watch.moment = "after the removal by hand"
        deadline = time.monotonic() + 10
        while not watch.refused and time.monotonic() < deadline:
            time.sleep(0.05)
    assert watch.refused
    assert watch.error is None


def test_mail_works_for_two_years(stack: Stack, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    upstream = nocobase_url(place)
    failures, met, values = iter(FAILURES.items()), [], set()
    runs = failed = 0
    with BadDay(upstream) as proxy, Watch(place) as watch:
        sides = Sides(place, proxy)
        set_nocobase_url(place.project, proxy.url.replace("127.0.0.1", "localhost"))
        try:
            assert tried(stack, MONTHS[0])
            due = datetime.fromisoformat(stack.outputs["nextRotation"])
            for today in MONTHS[1:]:
                rotates = due <= today
                if rotates:
                    watch.moment, fail = next(failures)
                    met.append(watch.moment)
                    fail(sides)
                runs += 1
                if not tried(stack, today):
                    assert rotates, stack.said[-1]
                    failed += 1
                    runs += 1
                    sides.recover()
                    assert tried(stack, today + timedelta(days=1)), stack.said[-1]
                sides.recover()
                if rotates:
                    outputs = stack.outputs
                    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])
                    values.add(outputs["clientSecret"])
                    due = datetime.fromisoformat(outputs["nextRotation"])
                    assert due > today
                assert len(stack.applications[0]["passwordCredentials"]) <= 2
        finally:
            sides.recover()
            set_nocobase_url(place.project, upstream)
            # The state must not name an address that is gone.
            assert tried(stack, MONTHS[-1]), stack.said[-1]
            sandbox_entra(place, "DELETE", "clock")
    with capsys.disabled():
        print(f"\n{runs} runs in two years, {failed} of them failed, {len(values)} rotations;", end=" ")
        print(f"the token endpoint was asked {watch.asks} times and refused {len(watch.refused)} times", end=" ")
    assert watch.error is None
    assert watch.refused == []
    assert watch.asks > len(MONTHS)
    assert met == list(FAILURES)
    assert len(values) == len(FAILURES)
    # 503 for ever, 500, both lost answers and a NocoBase that is down; the other failures are waited for.
    assert failed >= 5
