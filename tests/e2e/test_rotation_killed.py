"""kill -9 of engine, language host, program and providers at every external request of a rotation.

A request is held when it arrives, before anything is done with it; then everything that the `pulumi up` started is
killed. So a kill at the request after a change is the kill between that change and its record in the engine's state:
after addPassword and removePassword the provider polls, after the write NocoBase is read back.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from provisioning.entra.client_secret_plan import FORGOTTEN
from sandbox.environment import environment
from sandbox.faults import Fault
from sandbox.nocobase.bad_day import BadDay
from sandbox.place import Place
from sandbox.project_copy import set_nocobase_url
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack, sandbox_entra
from tests.e2e.token_endpoint import TokenEndpoint

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

START = datetime(2027, 1, 1, 9, tzinfo=UTC)
ENTRA, NOCOBASE = "Entra ID", "NocoBase"
HOLD = 5.0
"""Seconds for which a request is held; the kill comes within a tenth of one."""
PATIENCE = 60.0
"""Seconds that a run may take until the request at which it is to be killed."""


@dataclass
class Rotations:
    """Rotations of one stack, a day after the other; each issues a new secret and removes the former, as after a leak.

    That is the one run with every effect: issue, accept, write, prove, remove.
    """

    stack: Stack
    proxy: BadDay
    tokens: TokenEndpoint
    today: datetime = START

    @property
    def place(self) -> Place:
        return self.stack.place

    def next_day(self) -> None:
        """Time passes on all sides."""
        self.today += timedelta(days=1)
        sandbox_entra(self.place, "POST", "clock", {"now": self.today.isoformat()})

    def leak(self) -> None:
        """What `rotate --compromised` sets."""
        configuration = self.place.project / "Pulumi.dev.yaml"
        key = "  nocobase-outlook:compromisedBefore:"
        lines = [line for line in configuration.read_text().splitlines() if not line.startswith(key)]
        lines.insert(lines.index("config:") + 1, f'{key} "{self.today.isoformat()}"')
        configuration.write_text("\n".join(lines) + "\n")

    def up(self, *arguments: str, ok: bool = True) -> str:
        return self.stack.up("--skip-preview", *arguments, ok=ok, extra=self.clock)

    @property
    def clock(self) -> dict[str, str]:
        return {"PROVISIONING_TODAY": self.today.isoformat()}

    def requests(self, side: str) -> list[str]:
        """What came to that side since `forget`."""
        if side == ENTRA:
            return self.tokens.requests()
        return [f"{one['method']} {one['path']}" for one in self.proxy.requests]

    def forget(self) -> None:
        sandbox_entra(self.place, "DELETE", "requests")
        sandbox_entra(self.place, "DELETE", "faults")
        self.proxy.clear()

    def killed_at(self, side: str, number: int) -> str:
        """`pulumi up`, killed when request `number` (from 0) arrives at `side`; return that request."""
        self.forget()
        hold = Fault(match=".", skip=number, delay=HOLD, drop=True)
        if side == ENTRA:
            sandbox_entra(self.place, "POST", "faults", hold.model_dump())
        else:
            self.proxy.add(hold)
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.place.project,
            env={**os.environ, **environment(self.place), **self.clock},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        try:
            while len(seen := self.requests(side)) <= number:
                assert process.poll() is None, f"the run ended before request {number} to {side}"
                assert time.monotonic() < deadline
                time.sleep(0.03)
        finally:
            kill(process)
        return seen[number]

    def unlock(self) -> None:
        """`pulumi cancel`, where the killed run has left its lock."""
        if any((self.place.pulumi_state / ".pulumi" / "locks").rglob("*.json")):
            self.stack.pulumi("cancel", "--yes")


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of the process and of all that it has started, by their ids."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    for member in family:
        member.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


@pytest.fixture
def rotations(stack: Stack, place: Place) -> Iterator[Rotations]:
    """A stack with one secret, all of whose requests to NocoBase pass a proxy."""
    upstream = nocobase_url(place)
    with BadDay(upstream) as proxy, closing(TokenEndpoint(place)) as tokens:
        rotations = Rotations(stack, proxy, tokens)
        try:
            rotations.next_day()
            set_nocobase_url(place.project, proxy.url.replace("127.0.0.1", "localhost"))
            rotations.up()
            yield rotations
        finally:
            rotations.forget()
            set_nocobase_url(place.project, upstream)
            rotations.unlock()
            # The state must not name an address that is gone.
            rotations.up()
            sandbox_entra(place, "DELETE", "clock")


def test_every_kill_is_survived(rotations: Rotations, capsys: pytest.CaptureFixture[str]) -> None:
    survived, seconds = kill_at_every_request(rotations)
    with capsys.disabled():
        print(f"\n{survived} kills survived and finished by a plain `up`, in {seconds:.0f} s", end=" ")


def kill_at_every_request(rotations: Rotations) -> tuple[str, float]:
    """How many of how many kills were survived, and the time in seconds."""
    stack, tokens = rotations.stack, rotations.tokens
    rotations.forget()
    rotations.next_day()
    rotations.leak()
    rotations.up()
    points = [(side, number) for side in (ENTRA, NOCOBASE) for number in range(len(rotations.requests(side)))]
    changes = [request for request in rotations.requests(ENTRA) if request.endswith("Password")]
    assert [change.rpartition("/")[2] for change in changes] == ["addPassword", "removePassword"]
    assert len(stack.applications[0]["passwordCredentials"]) == 1

    started = time.monotonic()
    for side, number in points:
        rotations.next_day()
        rotations.leak()
        request = rotations.killed_at(side, number)
        # Whatever the moment: mail goes on.
        assert tokens.accepts(*stack.credentials), request
        rotations.forget()
        rotations.unlock()
        rotations.up()
        assert tokens.accepts(*stack.credentials), request
        (application,) = stack.applications
        assert len(application["passwordCredentials"]) == 1, request
        if FORGOTTEN in stack.outputs:
            # The secret went before the kill; the state forgets it now, without asking Entra ID.
            rotations.forget()
            rotations.up()
            assert not any(request.endswith("Password") for request in rotations.requests(ENTRA))
        rotations.up("--expect-no-changes")
    return f"{len(points)} of {len(points)}", time.monotonic() - started
