"""What becomes of a request to NocoBase that did not succeed, and how long this program waits for NocoBase.

Reading is always safe to repeat. A write is repeated only where it was certainly not made: nobody was reached, or
NocoBase's gateway said that the application behind it cannot serve yet. Where a write was sent and the answer to it was
lost, only reading tells what became of it.

What a NocoBase 2.2.15 answers while it starts and stops was measured: no connection; 503 with a code of its gateway;
404 APP_NOT_FOUND, of the main application and of sub-applications that it has; 500 when its database is closed already.

Neither httpx nor tenacity is imported before it is needed: every `pulumi up` would pay for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from provisioning.errors import NocoBaseError

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

SETTING = "nocobasePatienceSeconds"
"""The configuration key of the limit."""

DEFAULT_SECONDS = 120
"""How long one step of a run waits for one NocoBase, all its waits together."""

FIRST_PAUSE, LONGEST_PAUSE, JITTER = 0.25, 4.0, 0.25
"""Seconds: pauses double from the first to the longest, each up to JITTER longer. A NocoBase starts in some seconds."""

Answer = TypeVar("Answer")


def seconds_or_default(text: str | None) -> int:
    """The setting as the engine hands it over; what is no number is refused elsewhere, with all other settings."""
    return int(text) if text and text.isdecimal() else DEFAULT_SECONDS


class Fate(StrEnum):
    """What becomes of a request."""

    REPEATED = "repeated"
    """It was not carried out, or carrying it out twice is as good as once; waiting may help."""
    DOUBTFUL = "doubtful"
    """The same, if NocoBase is starting or stopping; otherwise waiting does not help."""
    LOST = "lost"
    """A write that may have been made or not: whoever wrote has to read."""
    FAILED = "failed"
    """Waiting does not help."""


def fate_of_failure(error: httpx.RequestError, write: bool) -> Fate:
    """What becomes of a request that got no answer."""
    import socket  # noqa: PLC0415 - this and the next: loaded with httpx, which raised the error
    import ssl  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return Fate.FAILED
    if isinstance(error, httpx.ProxyError):
        return Fate.REPEATED if proxy_status(error) in (429, 502, 503, 504) else Fate.FAILED
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        cause = root_cause(error)
        if isinstance(cause, socket.gaierror):
            return Fate.REPEATED if cause.errno == socket.EAI_AGAIN else Fate.FAILED
        broken_off = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return Fate.FAILED if isinstance(cause, ssl.SSLError) and not broken_off else Fate.REPEATED
    if write:
        return Fate.LOST
    return Fate.FAILED if isinstance(error, httpx.DecodingError) else Fate.REPEATED


def fate_of_answer(status: int, code: str | None, write: bool) -> Fate:
    """What becomes of a request that was answered otherwise than asked. code: NocoBase's own error code."""
    if status < 300:
        # Half an answer, or somebody else's; a write's is not needed, since what was written is read back.
        return Fate.LOST if write else Fate.FAILED
    if status == 429:
        return Fate.REPEATED
    if status == 404 and code == "APP_NOT_FOUND":
        return Fate.DOUBTFUL
    if status == 500:
        return Fate.FAILED if write else Fate.DOUBTFUL
    if code == "APP_NOT_INSTALLED_ERROR" or status not in (502, 503, 504):
        return Fate.FAILED
    # Without NocoBase's code it is a gateway before it that speaks, perhaps of a NocoBase that took the request.
    return Fate.LOST if write and (code is None or status != 503) else Fate.REPEATED


def root_cause(error: BaseException) -> BaseException:
    """The error of the operating system or of TLS below httpx's."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def proxy_status(error: httpx.ProxyError) -> int | None:
    """The status that a proxy refused a connection with; its words are not repeated."""
    first = str(error).partition(" ")[0]
    return int(first) if first.isdecimal() else None


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header (RFC 9110, section 10.2.3) asks to wait; 0 where it asks for nothing."""
    if not header:
        return 0
    if header.strip().isdecimal():
        return float(header.strip())
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 30 ms, and hardly ever needed

    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0
    return max(0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


class TryAgain(Exception):
    """A request that may be repeated; no error yet.

    error: what is raised if it never succeeds. pause: seconds that the server asked to wait. doubtful: Fate.DOUBTFUL.
    """

    def __init__(self, error: NocoBaseError, pause: float = 0, doubtful: bool = False) -> None:
        super().__init__()
        self.error = error
        self.pause = pause
        self.doubtful = doubtful


def say_on_stderr(line: str) -> None:
    """Where a person sees it: at a terminal, and in what the engine shows of its program and its providers."""
    print(line, file=sys.stderr, flush=True)


class Patience:
    """How long one process waits for one NocoBase: at most `seconds`, all its waits together.

    After that no further attempt is begun. `say` is given one line, when the first wait begins. clock, sleep: seconds.
    """

    def __init__(
        self,
        seconds: float = DEFAULT_SECONDS,
        say: Callable[[str], None] = say_on_stderr,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._left = float(seconds)
        self._say: Callable[[str], None] | None = say
        self._clock = clock
        self._sleep = sleep

    def repeat(self, attempt: Callable[[], Answer], first: TryAgain, is_up: Callable[[], bool]) -> Answer:
        """Repeat `attempt`, which failed with `first`, until it succeeds.

        is_up: whether NocoBase has started and is not stopping; asked only where that decides. Raises the NocoBaseError
        of the last attempt where patience ends, and whatever else `attempt` raises.
        """
        if self._left < FIRST_PAUSE:
            raise first.error
        from tenacity import Retrying, retry_if_exception, wait_exponential_jitter  # noqa: PLC0415 - 15 ms

        backoff = wait_exponential_jitter(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE, jitter=JITTER)
        begun = self._clock()
        failures: list[TryAgain] = []

        def once_more() -> Answer:
            if not failures:
                raise first
            return attempt()

        def may_help(error: BaseException) -> bool:
            if not isinstance(error, TryAgain):
                return False
            # The first doubt is met with a pause: a NocoBase that is about to stop calls itself healthy.
            doubted = error.doubtful and bool(failures) and failures[-1].doubtful
            failures.append(error)
            return not (doubted and is_up())

        def pause(state: RetryCallState) -> float:
            return max(backoff(state), failures[-1].pause)

        def exhausted(state: RetryCallState) -> bool:
            return self._clock() - begun + state.upcoming_sleep > self._left

        def tell(_: RetryCallState) -> None:
            if self._say is not None:
                self._say(f"{first.error.what} ({first.error.why}); waiting for it, {self._left:.0f} s at most.")
                self._say = None

        retrying = Retrying(
            sleep=self._sleep,
            retry=retry_if_exception(may_help),
            wait=pause,
            stop=exhausted,
            before_sleep=tell,
            reraise=True,
        )
        try:
            return retrying(once_more)
        except TryAgain as last:
            raise _given_up(last, self._clock() - begun) from None
        finally:
            self._left -= self._clock() - begun


def _given_up(last: TryAgain, waited: float) -> NocoBaseError:
    error = last.error
    why = f"{error.why}, after {waited:.0f} s of waiting" if waited >= 1 else error.why
    return type(error)(error.what, why, error.remedy, error.status)
