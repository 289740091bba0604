"""What becomes of a request that did not succeed, and how long NocoBase is waited for."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import errors
from provisioning.nocobase.retry import (
    FIRST_PAUSE,
    JITTER,
    LONGEST_PAUSE,
    Fate,
    Patience,
    TryAgain,
    fate_of_answer,
    fate_of_failure,
    retry_after,
    seconds_or_default,
)

REPEATED, DOUBTFUL, LOST, FAILED = Fate.REPEATED, Fate.DOUBTFUL, Fate.LOST, Fate.FAILED


def caused_by(cause: BaseException, error: httpx.RequestError | None = None) -> httpx.RequestError:
    """An error as httpx raises it, with the error of the operating system below it."""
    error = error or httpx.ConnectError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (caused_by(ConnectionRefusedError(111, "Connection refused")), REPEATED, REPEATED),
        (caused_by(OSError(113, "No route to host")), REPEATED, REPEATED),
        (caused_by(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")), REPEATED, REPEATED),
        (caused_by(socket.gaierror(socket.EAI_NONAME, "Name or service not known")), FAILED, FAILED),
        (caused_by(ssl.SSLCertVerificationError(1, "self-signed certificate")), FAILED, FAILED),
        (caused_by(ssl.SSLError(1, "WRONG_VERSION_NUMBER")), FAILED, FAILED),
        (caused_by(ssl.SSLEOFError(8, "UNEXPECTED_EOF_WHILE_READING")), REPEATED, REPEATED),
        (httpx.ConnectTimeout("timed out"), REPEATED, REPEATED),
        (httpx.PoolTimeout("timed out"), REPEATED, REPEATED),
        (httpx.ProxyError("503 Service Unavailable"), REPEATED, REPEATED),
        (httpx.ProxyError("522 Origin Connection Time-out"), REPEATED, REPEATED),
        (httpx.ProxyError("407 Proxy Authentication Required"), FAILED, FAILED),
        (httpx.ProxyError("no status"), FAILED, FAILED),
        (httpx.LocalProtocolError("Illegal header value"), FAILED, FAILED),
        (httpx.UnsupportedProtocol("ftp"), FAILED, FAILED),
        (httpx.ReadTimeout("timed out"), REPEATED, LOST),
        (httpx.WriteTimeout("timed out"), REPEATED, LOST),
        (httpx.ReadError("[Errno 104] Connection reset by peer"), REPEATED, LOST),
        (httpx.WriteError("[Errno 32] Broken pipe"), REPEATED, LOST),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), REPEATED, LOST),
        (httpx.DecodingError("incorrect header check"), FAILED, LOST),
    ],
)
def test_a_request_without_an_answer(error: httpx.RequestError, read: Fate, write: Fate) -> None:
    assert (fate_of_failure(error, write=False), fate_of_failure(error, write=True)) == (read, write)


@pytest.mark.parametrize(
    ("status", "code", "read", "write"),
    [
        (200, None, FAILED, LOST),
        (302, None, FAILED, FAILED),
        (400, None, FAILED, FAILED),
        (401, "INVALID_TOKEN", FAILED, FAILED),
        (403, None, FAILED, FAILED),
        (404, None, FAILED, FAILED),
        (404, "APP_NOT_FOUND", DOUBTFUL, DOUBTFUL),
        (429, None, REPEATED, REPEATED),
        (500, None, DOUBTFUL, LOST),
        (502, None, REPEATED, LOST),
        (502, "APP_COMMANDING", REPEATED, LOST),
        (503, None, REPEATED, LOST),
        (503, "APP_COMMANDING", REPEATED, REPEATED),
        (503, "APP_PREPARING", REPEATED, REPEATED),
        (503, "APP_NOT_INSTALLED_ERROR", FAILED, FAILED),
        (504, None, REPEATED, LOST),
        (501, None, REPEATED, LOST),
        (520, None, REPEATED, LOST),
        (524, None, REPEATED, LOST),
        (527, None, REPEATED, LOST),
        (530, None, REPEATED, LOST),
    ],
)
def test_a_request_that_was_answered_otherwise(status: int, code: str | None, read: Fate, write: Fate) -> None:
    assert (fate_of_answer(status, code, write=False), fate_of_answer(status, code, write=True)) == (read, write)


def test_a_500_of_nocobase_itself_was_not_carried_out() -> None:
    assert fate_of_answer(500, None, write=True, own=True) is FAILED
    assert fate_of_answer(500, None, write=False, own=True) is DOUBTFUL


@given(st.integers(200, 599), st.sampled_from([None, "APP_COMMANDING", "APP_NOT_FOUND", "X"]))
def test_a_write_is_repeated_only_where_its_gateway_spoke_or_it_was_held_off(status: int, code: str | None) -> None:
    if fate_of_answer(status, code, write=True) in (REPEATED, DOUBTFUL):
        assert status == 429 or code is not None


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text())
def test_any_other_retry_after_asks_for_nothing_or_for_some_seconds(header: str) -> None:
    assert retry_after(header, NOW) >= 0


def test_what_is_no_number_is_left_to_the_settings_to_refuse() -> None:
    assert [seconds_or_default(text) for text in (None, "", "7", "x", "-1")] == [120, 120, 7, 120, 120]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def booting(pause: float = 0) -> TryAgain:
    return TryAgain(errors.NotReady("NocoBase is starting", "503", "Wait.", 503), pause)


def doubt() -> TryAgain:
    return TryAgain(errors.UnknownApplication("NocoBase has no sub-application x", "404", "Correct it."), doubtful=True)


def attempts(*outcomes: TryAgain | Exception | str) -> Callable[[], str]:
    """A request that has these outcomes, one after the other, and then the last one for ever."""
    left = list(outcomes)

    def attempt() -> str:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, str):
            return outcome
        raise outcome

    return attempt


def never() -> bool:
    raise AssertionError("not asked")


def test_one_line_is_said_however_often_it_waits() -> None:
    said: list[str] = []
    time = Time()
    patience = Patience(60, said.append, lambda: time.now, time.sleep)
    assert patience.repeat(attempts(booting(), booting(), "data"), booting(), never) == "data"
    assert patience.repeat(attempts("again"), booting(), never) == "again"
    assert said == ["NocoBase is starting (503); waiting for it, 60 s at most."]
    for number, pause in enumerate(time.pauses[:3]):
        assert FIRST_PAUSE * 2**number <= pause <= FIRST_PAUSE * 2**number + JITTER


def test_all_waits_together_have_the_limit() -> None:
    time = Time()
    patience = Patience(60, lambda _: None, lambda: time.now, time.sleep)
    for _ in range(3):
        with pytest.raises(errors.NotReady, match=r"^NocoBase is starting \(503") as caught:
            patience.repeat(attempts(booting()), booting(), never)
        assert caught.value.status == 503
    assert 60 - LONGEST_PAUSE - JITTER <= time.now <= 60
    assert max(time.pauses) == LONGEST_PAUSE


def test_the_error_says_how_long_it_waited() -> None:
    time = Time()
    with pytest.raises(errors.NotReady, match=r"503, after \d+ s of waiting"):
        Patience(10, lambda _: None, lambda: time.now, time.sleep).repeat(attempts(booting()), booting(), never)


def test_without_patience_nothing_is_repeated() -> None:
    with pytest.raises(errors.NotReady, match=r"\(503\)"):
        Patience(0, never).repeat(never, booting(), never)  # type: ignore[arg-type]


def test_a_server_that_asks_for_a_pause_is_given_it_if_there_is_time() -> None:
    time = Time()
    patience = Patience(30, lambda _: None, lambda: time.now, time.sleep)
    assert patience.repeat(attempts("data"), booting(pause=20), never) == "data"
    assert time.pauses == [20]
    with pytest.raises(errors.NotReady):
        patience.repeat(attempts("data"), booting(pause=20), never)
    assert time.pauses == [20]


def test_what_waiting_cannot_cure_ends_the_wait() -> None:
    time = Time()
    patience = Patience(30, lambda _: None, lambda: time.now, time.sleep)
    with pytest.raises(errors.Unauthorized):
        patience.repeat(attempts(booting(), errors.Unauthorized("a", "b", "c")), booting(), never)
    assert len(time.pauses) == 2


@pytest.mark.parametrize(
    ("first", "outcomes", "up", "pauses", "found"),
    [
        # A sub-application that is not there: preparing first, then not found, and the main one is well.
        (booting(), [doubt()], [True], 2, errors.UnknownApplication),
        (doubt(), [doubt()], [True], 1, errors.UnknownApplication),
        # The same words while NocoBase starts.
        (booting(), [doubt(), doubt(), "data"], [False], 3, None),
        (doubt(), [booting(), doubt(), "data"], [], 3, None),
        (doubt(), ["data"], [], 1, None),
    ],
)
def test_a_doubt_that_comes_twice_is_settled_by_the_main_applications_health(
    first: TryAgain,
    outcomes: list[TryAgain | str],
    up: list[bool],
    pauses: int,
    found: type[errors.NocoBaseError] | None,
) -> None:
    time = Time()
    patience = Patience(60, lambda _: None, lambda: time.now, time.sleep)
    asked = iter(up)
    if found:
        with pytest.raises(found):
            patience.repeat(attempts(*outcomes), first, lambda: next(asked))
    else:
        assert patience.repeat(attempts(*outcomes), first, lambda: next(asked)) == "data"
    assert len(time.pauses) == pauses
    assert next(asked, None) is None
