"""One hostile or broken server costs a run a limited time and little memory, and ends in one sentence."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Callable

import httpx
import pytest

from provisioning import connections, errors
from provisioning.connections import AnswerRejected, AnswerTooSlow, Limited, LimitedAsync
from provisioning.nocobase import push, sign_in_link
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.login import NocoBaseLogin
from tests.provisioning.hostile_server import MEGABYTE, TOO_MUCH, TOO_SLOW, Answer, serving, whole

SECONDS = 0.4
"""The deadline where the answer is too slow for any."""

PLENTY = 30.0
"""Seconds that no other answer takes, on a busy machine either."""

LARGEST = 5 * MEGABYTE


def get(url: str, seconds: float = PLENTY) -> httpx.Response:
    with httpx.Client(transport=Limited(httpx.HTTPTransport(), seconds, LARGEST), timeout=20) as client:
        return client.get(url)


def get_async(url: str, seconds: float = PLENTY) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = LimitedAsync(httpx.AsyncHTTPTransport(), seconds, LARGEST)
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            return await client.get(url)

    return asyncio.run(ask())


WAYS = [get, get_async]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", TOO_SLOW.values(), ids=TOO_SLOW)
def test_a_whole_answer_has_a_deadline(way: Callable[[str, float], httpx.Response], answer: Answer) -> None:
    began = time.monotonic()
    with serving(answer) as url, pytest.raises(AnswerTooSlow, match=r"no whole answer within 0\.4 s"):
        way(url, SECONDS)
    assert time.monotonic() - began < PLENTY


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_whole_answer_has_a_size_and_is_not_compressed(way: Callable[[str], httpx.Response], answer: Answer) -> None:
    tracemalloc.start()
    try:
        with serving(answer) as url, pytest.raises(AnswerRejected, match=r"compressed|more than 5 MB"):
            way(url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * MEGABYTE


@pytest.mark.parametrize("way", WAYS)
def test_any_other_answer_is_read(way: Callable[[str], httpx.Response]) -> None:
    for headers in (b"", b"Content-Encoding: identity\r\n"):
        with serving(whole(b'{"a": 1}', headers)) as url:
            assert way(url).json() == {"a": 1}


def test_nobody_asks_for_compression() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        return httpx.Response(200)

    with httpx.Client(transport=Limited(httpx.MockTransport(answer), SECONDS, LARGEST)) as client:
        client.get("https://n.example.com")
    assert asked == ["identity"]


def rows(*found: object) -> Answer:
    return whole(json.dumps({"data": list(found)}).encode())


NOCOBASES: dict[str, Answer] = {
    **TOO_SLOW,
    **TOO_MUCH,
    "JSON too deep": whole(b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "JSON deep enough for Python": whole(b'{"data":' + b"[" * 900 + b"]" * 900 + b"}"),
    "a text with JSON too deep": rows({"id": 1, "type": "microsoft", "x": '{"a":' * 20_000 + "1" + "}" * 20_000}),
    "a key of 3 MB": rows({"id": 1, "type": "microsoft", "k" * 3 * MEGABYTE: 1}),
    "a client ID's key of 3 MB": rows(
        {"id": 1, "type": "microsoft", "k" * 3 * MEGABYTE + "clientid": 1, "clientid": 2}
    ),
    "100,000 client ids": rows({"id": 1, "type": "microsoft", **{f"{n}clientid": n for n in range(100_000)}}),
    "100,000 rows": rows(*({"id": n} for n in range(100_000))),
    "half a character": rows({"id": "\ud800", "type": "\ud800"}),
    "not UTF-8": whole(b'{"data": "\xff\xfe"}'),
    "a number without end": whole(b'{"data": ' + b"9" * 1_000_000 + b"}"),
    "no JSON": whole(b"<html>"),
}


@pytest.mark.parametrize("answer", NOCOBASES.values(), ids=NOCOBASES)
def test_a_hostile_nocobase_is_its_own_problem(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    if answer in TOO_SLOW.values():
        monkeypatch.setattr(connections, "ANSWER_SECONDS", SECONDS)
    began = time.monotonic()
    with (
        serving(answer) as url,
        pytest.raises(errors.NocoBaseError) as problem,
        NocoBaseClient(url, None, NocoBaseLogin(api_key="key")) as nocobase,
    ):
        push.read(nocobase)
    assert len(str(problem.value)) < 5_000
    assert "\n" not in str(problem.value)
    assert time.monotonic() - began < PLENTY


@pytest.mark.parametrize(
    "link", ["https://[bad/", "https://[::1", "//[x", "http://a:b:c", "", "\ud800", "x" * MEGABYTE]
)
def test_a_link_that_is_none_names_no_client_id(link: str) -> None:
    assert sign_in_link.parse_link(link).client_id is None


def test_what_nobody_has_foreseen_is_the_nocobases_problem() -> None:
    with (
        pytest.raises(errors.UnexpectedAnswer, match=r"at http://n\.example\.com .*not understood \(KeyError\)"),
        NocoBaseClient("http://n.example.com", None, NocoBaseLogin(api_key="key")),
    ):
        raise KeyError("secret")
