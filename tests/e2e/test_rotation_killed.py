"""kill -9 of engine, language host, program and providers at external requests of a rotation.

A request is held when it arrives, before anything is done with it; then everything that the `pulumi up` started is
killed. So a kill at the request after a change is the kill between that change and its record in the engine's state:
after addPassword and removePassword the provider polls, after the write NocoBase is read back.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from sandbox.faults import Fault
from sandbox.nocobase.bad_day import BadDay
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e import moments
from tests.e2e.conftest import NEW_YEAR, Stack, at, sandbox_entra
from tests.e2e.forked import OWN_START
from tests.e2e.moments import Moment
from tests.e2e.stack import surroundings
from tests.e2e.token_endpoint import TokenEndpoint
from tests.figures import Say

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

Point = tuple[str, str, int]
"""The side to which a request comes, what it ends with, and its number in a run among those that end so, from 0.

Not its number among all: requests of engine, program and providers overtake each other on a busy machine.
"""

START = datetime(2027, 1, 1, 9, tzinfo=UTC)
ENTRA, NOCOBASE = "Entra ID", "NocoBase"
ADD, REMOVE, WRITE, PROOF = "/addPassword", "/removePassword", "/mailSettings:update", "/mail:oauth2url"
ALL_OWN = {"PULUMI_DEBUG_PROVIDERS": "", **OWN_START}
"""The plugin is one of those that are killed, so it must not be the one that goes on running; nor are there copies."""
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
    today: datetime

    @property
    def place(self) -> Place:
        return self.stack.place

    def next_day(self) -> None:
        """Time passes on all sides."""
        self.today += timedelta(days=1)
        sandbox_entra(self.place, "POST", "clock", {"now": self.today.isoformat()})

    def leak(self) -> None:
        """What `rotate --compromised` sets."""
        self.stack.set("compromisedBefore", self.today.isoformat())

    def up(self, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
        return self.stack.up(*arguments, extra={**self.clock, **(extra or {})})

    @property
    def clock(self) -> dict[str, str]:
        return {"PROVISIONING_TODAY": self.today.isoformat()}

    def requests(self, side: str) -> list[str]:
        """What came to that side since `forget`."""
        if side == ENTRA:
            return self.tokens.requests()
        return [f"{one['method']} {one['path']}" for one in self.proxy.requests]

    def forget(self) -> None:
        """End the faults and forget the requests of both sides."""
        sandbox_entra(self.place, "DELETE", "requests")
        sandbox_entra(self.place, "DELETE", "faults")
        self.proxy.clear()

    def killed_at(self, side: str, ending: str, number: int = 0) -> None:
        """`pulumi up`, killed when request `number` (from 0) of those that end so arrives at `side`."""
        self.forget()
        hold = Fault(match=f"{re.escape(ending)}$", skip=number, delay=HOLD, drop=True)
        if side == ENTRA:
            sandbox_entra(self.place, "POST", "faults", hold.model_dump())
        else:
            self.proxy.add(hold)
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.place.project,
            env=surroundings(self.place, {**self.clock, **ALL_OWN}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        try:
            while sum(request.endswith(ending) for request in self.requests(side)) <= number:
                assert process.poll() is None, f"the run ended before request {number} of {ending} to {side}"
                assert time.monotonic() < deadline
                time.sleep(0.03)
        finally:
            kill(process)

    def resume(self) -> None:
        """A plain `up` finishes what was killed; mail works before it and after it."""
        assert self.tokens.accepts(*self.stack.credentials)
        self.forget()
        # The killed run has left its lock.
        self.stack.pulumi("cancel", "--yes")
        self.up()
        outputs = self.stack.outputs
        assert self.stack.credentials == (outputs["clientId"], outputs["clientSecret"])
        assert self.tokens.accepts(*self.stack.credentials)


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


@dataclass(frozen=True)
class Counted:
    """rotations: after two of them. moment: the one after them. requests: those of the second, by side."""

    rotations: Rotations
    moment: Moment
    requests: Mapping[str, Sequence[str]]

    def after(self, side: str, request: str) -> Point:
        """When the request after it arrives."""
        number = next(number for number, one in enumerate(self.requests[side]) if one.endswith(request))
        return self.points(side)[number + 1]

    def points(self, side: str) -> list[Point]:
        """When each of the requests to that side arrives."""
        endings = ["/" + request.rpartition("/")[2] for request in self.requests[side]]
        return [(side, ending, endings[:number].count(ending)) for number, ending in enumerate(endings)]


@pytest.fixture(scope="module")
def counted(place: Place, deployed_once: Callable[..., Moment]) -> Iterator[Counted]:
    """A stack with one secret, all of whose requests to NocoBase pass a proxy."""
    stack = at(place, deployed_once(**NEW_YEAR))
    first = stack.credentials
    with BadDay(nocobase_url(place)) as proxy, closing(TokenEndpoint(place)) as tokens:
        rotations = Rotations(stack, proxy, tokens, START)
        # Another address of the same NocoBase: what is there is not emptied on the way.
        stack.set("nocobaseUrl", proxy.url.replace("127.0.0.1", "localhost"))
        rotations.up()
        assert stack.credentials == first
        # The first rotation removes the redirect URI of the former address, which the others do not.
        for _ in range(2):
            rotations.forget()
            rotations.next_day()
            rotations.leak()
            rotations.up(extra=ALL_OWN)
        requests = {side: rotations.requests(side) for side in (ENTRA, NOCOBASE)}
        changes = [request for request in requests[ENTRA] if request.endswith("Password")]
        assert [change.rpartition("/")[2] for change in changes] == ["addPassword", "removePassword"]
        assert len(stack.applications[0]["passwordCredentials"]) == 1
        yield Counted(rotations, moments.take(place), requests)


def kinds(counted: Counted) -> list[Point]:
    """The moments that differ in what they leave: in Entra ID, in NocoBase, and in no state."""
    return [
        counted.after(ENTRA, ADD),
        counted.after(NOCOBASE, WRITE),
        (NOCOBASE, PROOF, 0),
        counted.after(ENTRA, REMOVE),
    ]


def every(counted: Counted) -> list[Point]:
    """Each request of a rotation; of equal ones in a row, such as the 24 checks of a new secret, the first and last."""
    found: list[Point] = []
    for side in counted.requests:
        points = counted.points(side)
        endings = [None, *(ending for _, ending, _ in points), None]
        for before, point, after in zip(endings, points, endings[2:], strict=False):
            if not before == point[1] == after:
                found.append(point)
    return found


@pytest.mark.parametrize("choose", [kinds, pytest.param(every, marks=pytest.mark.proof)])
def test_kills_are_survived(choose: Callable[[Counted], list[Point]], counted: Counted, say: Say) -> None:
    rotations = counted.rotations
    moments.go_back(rotations.place, counted.moment)
    rotations.today = START + timedelta(days=2)
    points, seconds = choose(counted), -time.monotonic()
    for point in points:
        rotations.next_day()
        rotations.leak()
        rotations.killed_at(*point)
        rotations.resume()
        (application,) = rotations.stack.applications
        assert len(application["passwordCredentials"]) == 1, point
        if choose is every:
            rotations.up("--expect-no-changes")
    rotations.up("--expect-no-changes")
    seconds += time.monotonic()
    say(f"{len(points)} of {len(points)} kills survived and finished by a plain `up`, in {seconds:.0f} s")


def test_a_kill_in_the_middle_of_a_replacement_is_survived(counted: Counted, rotated: Stack) -> None:
    """Nothing ran when the old secret was to go; it has expired since, so its slot gets a new one in place."""
    rotations = replace(counted.rotations, stack=rotated, today=START + timedelta(days=182))
    rotations.next_day()
    rotations.killed_at(ENTRA, ADD)
    assert len(rotated.applications[0]["passwordCredentials"]) == 1
    rotations.next_day()
    rotations.resume()
    names = {secret["displayName"][:15] for secret in rotated.applications[0]["passwordCredentials"]}
    assert names == {"NocoBase mail a", "NocoBase mail b"}
