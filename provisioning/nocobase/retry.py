"""Whether a failed request to NocoBase may be repeated, and how long this program waits for NocoBase.

Reading is always safe to repeat. A write is repeated only if it was certainly not carried out: nothing was reached, or
NocoBase's gateway said that the application behind it cannot serve yet. If the answer to a write was lost, only reading
shows whether it was carried out.

A NocoBase 2.2.15 that starts or stops was measured to answer: no connection; 503 with a code of its gateway; 404
APP_NOT_FOUND, for the main application and for sub-applications that it has; 500 once its database is closed.

httpx is imported when it is needed: `pulumi up` imports this module, and would pay 0.1 s for it.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from provisioning import waiting
from provisioning.errors import Interrupted, NocoBaseError
from provisioning.unanswered import causes
from provisioning.waiting import SIGN_OF_LIFE, say_on_stderr

if TYPE_CHECKING:
    import httpx

SETTING = "nocobasePatienceSeconds"
"""The configuration key of the limit."""

DEFAULT_SECONDS = 120
"""How long one step of a run waits for one NocoBase, all its waits together."""

FIRST_PAUSE, LONGEST_PAUSE, JITTER = 0.25, 4.0, 0.25
"""Seconds. Pauses double from the first to the longest, each up to JITTER longer. A NocoBase starts within seconds."""

Answer = TypeVar("Answer")


def seconds_or_default(text: str | None) -> int:
    """The setting as the engine passes it; what is not a number is rejected with all other settings, not here."""
    return int(text) if text and text.isdecimal() else DEFAULT_SECONDS


class Fate(StrEnum):
    """What can be done about a request that failed."""

    REPEATED = "repeated"
    """Repeat it: it was not carried out, or carrying it out twice does no harm; waiting may help."""
    DOUBTFUL = "doubtful"
    """The same if NocoBase is starting or stopping; otherwise waiting does not help."""
    LOST = "lost"
    """It was a write, and only reading shows whether it was carried out."""
    FAILED = "failed"
    """Waiting does not help."""


def fate_of_failure(error: httpx.RequestError, write: bool) -> Fate:
    """What can be done about a request that got no answer."""
    import httpx  # noqa: PLC0415 - 0.1 s; whoever has such an error has it loaded

    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return Fate.FAILED
    if isinstance(error, httpx.ProxyError):
        status = proxy_status(error) or 0
        return Fate.REPEATED if status == 429 or status >= 500 else Fate.FAILED
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        cause = root_cause(error)
        if isinstance(cause, socket.gaierror):
            return Fate.REPEATED if cause.errno == socket.EAI_AGAIN else Fate.FAILED
        closed_early = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return Fate.FAILED if isinstance(cause, ssl.SSLError) and not closed_early else Fate.REPEATED
    if write:
        return Fate.LOST
    return Fate.FAILED if isinstance(error, httpx.DecodingError) else Fate.REPEATED


def fate_of_answer(status: int, code: str | None, write: bool, own: bool = False) -> Fate:
    """What can be done about a request whose answer is not what was asked for.

    code: NocoBase's own error code. own: whether the answer has the form of NocoBase's errors; others come from a
    gateway in front of it, such as 520 to 527 from Cloudflare.
    """
    if status < 300:
        # Half an answer, or not NocoBase's. A write does not need its answer: what was written is read back.
        return Fate.LOST if write else Fate.FAILED
    if status == 429:
        return Fate.REPEATED
    if status == 404 and code == "APP_NOT_FOUND":
        return Fate.DOUBTFUL
    if status < 500 or code == "APP_NOT_INSTALLED_ERROR":
        return Fate.FAILED
    if status == 500 and (own or not write):
        return Fate.FAILED if write else Fate.DOUBTFUL
    # Without NocoBase's code the answer is from a gateway in front of it, and NocoBase may have taken the request.
    return Fate.LOST if write and (code is None or status != 503) else Fate.REPEATED


def root_cause(error: BaseException) -> BaseException:
    """The error of the operating system or of TLS below httpx's."""
    *_, deepest = causes(error)
    return deepest


def proxy_status(error: httpx.ProxyError) -> int | None:
    """The status with which a proxy rejected a connection; its text is not repeated."""
    first = str(error).partition(" ")[0]
    return int(first) if first.isdecimal() else None


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header (RFC 9110, section 10.2.3) asks to wait; 0 if it asks for nothing."""
    if not header:
        return 0
    if header.strip().isdecimal():
        return float(header.strip())
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0
    return max(0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


class TryAgain(Exception):
    """A request failed and may be repeated.

    error: what to raise if it never succeeds. pause: seconds that the server asked to wait. doubtful: Fate.DOUBTFUL.
    """

    def __init__(self, error: NocoBaseError, pause: float = 0, doubtful: bool = False) -> None:
        super().__init__()
        self.error = error
        self.pause = pause
        self.doubtful = doubtful


class Patience:
    """How long one process waits for one NocoBase: at most `seconds`, all its waits together.

    After that no further attempt begins. `say` gets a line when the first wait begins, and after each SIGN_OF_LIFE.
    clock, sleep: in seconds.
    """

    def __init__(
        self,
        seconds: float = DEFAULT_SECONDS,
        say: Callable[[str], None] = say_on_stderr,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = waiting.pause,
    ) -> None:
        self._left = float(seconds)
        self._say = say
        self._next_sign: float | None = None
        self._clock = clock
        self._sleep = sleep

    def repeat(self, attempt: Callable[[], Answer], first: TryAgain, is_up: Callable[[], bool]) -> Answer:
        """Repeat `attempt`, which failed with `first`, until it succeeds.

        is_up: whether NocoBase has started and is not stopping; asked only after two doubtful failures in a row. Raises
        the NocoBaseError of the last attempt when patience ends, and whatever else `attempt` raises.
        """
        if self._left < FIRST_PAUSE:
            raise first.error
        begun = self._clock()
        try:
            with waiting.waiting_for("NocoBase", self._left):
                return self._repeat(attempt, first, is_up, begun)
        finally:
            self._left -= self._clock() - begun

    def _repeat(self, attempt: Callable[[], Answer], last: TryAgain, is_up: Callable[[], bool], begun: float) -> Answer:
        backoff = FIRST_PAUSE
        while True:
            pause = max(min(backoff + random.uniform(0, JITTER), LONGEST_PAUSE), last.pause)
            waited = self._clock() - begun
            if waited + pause > self._left:
                raise _given_up(last.error, waited)
            self._announce(last.error, waited)
            try:
                self._sleep(pause)
            except Interrupted:
                raise Interrupted(
                    f"Interrupted: {last.error.what} ({last.error.why}). Run the command again."
                ) from None
            try:
                return attempt()
            except TryAgain as failure:
                doubtful_twice, last = failure.doubtful and last.doubtful, failure
            # One doubtful failure is not enough to ask: a NocoBase that is about to stop calls itself healthy.
            if doubtful_twice and is_up():
                raise _given_up(last.error, self._clock() - begun)
            backoff = min(2 * backoff, LONGEST_PAUSE)

    def _announce(self, error: NocoBaseError, waited: float) -> None:
        """Say that this process waits: when the first wait begins, and then after each SIGN_OF_LIFE seconds."""
        if self._next_sign is None:
            self._say(f"{error.what} ({error.why}); waiting for it, {self._left:.0f} s at most.")
            self._next_sign = SIGN_OF_LIFE
        elif waited >= self._next_sign:
            self._say(f"Still waiting for NocoBase, {waited:.0f} of {self._left:.0f} s ({error.why}).")
            self._next_sign = waited + SIGN_OF_LIFE


def _given_up(error: NocoBaseError, waited: float) -> NocoBaseError:
    why = f"{error.why}, after {waited:.0f} s of waiting" if waited >= 1 else error.why
    return type(error)(error.what, why, error.remedy, error.status)
