"""When the token endpoint's answers say that a client secret works, and what they say where it does not."""

from __future__ import annotations

import itertools
import json
import logging
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential

from provisioning.entra import token_check
from provisioning.entra.token_check import SUCCESSES, Answer, Verdict
from provisioning.entra.transport import NOWHERE
from provisioning.errors import SecretRejected
from sandbox.entra import identity, tokens
from sandbox.entra.directory import Directory
from sandbox.entra.settling import Settling
from sandbox.entra.token_errors import TokenError
from tests.figures import Say

TENANT_ID, CLIENT_ID, SECRET = identity.TENANT_ID, "the-client", "the~secret"
OWNER = identity.DEPLOYER_OBJECT_ID


class Time:
    """A clock that runs only while somebody sleeps or a request is under way."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it run."""
        self.now += seconds


class Response:
    """An answer, as azure-core's pipeline reads it from any transport."""

    def __init__(self, request: HttpRequest, status: int, body: dict[str, Any] | str) -> None:
        self.request = request
        self.status_code = status
        self.content_type = "text/html" if isinstance(body, str) else "application/json"
        self.headers = {"content-type": self.content_type}
        self.reason = ""
        self._text = body if isinstance(body, str) else json.dumps(body)

    def text(self, encoding: str | None = None) -> str:
        """The body."""
        return self._text

    def body(self) -> bytes:
        """The body."""
        return self._text.encode()


Handler = Callable[[HttpRequest], tuple[int, dict[str, Any] | str]]


class Network(HttpTransport[Any, Any]):
    """A network on which `answer` answers token requests; asked: how many."""

    def __init__(self, answer: Handler) -> None:
        self.asked = 0
        self._answer = answer

    def send(self, request: Any, **_: Any) -> Any:
        """Answer the discovery of the tenant, or a token request."""
        if request.url.endswith("/openid-configuration"):
            base = request.url.partition("/v2.0/")[0]
            found = {"authorization_endpoint": f"{base}/a", "token_endpoint": f"{base}/t", "issuer": base}
            return Response(request, 200, found)
        self.asked += 1
        return Response(request, *self._answer(request))

    def open(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


def connect(monkeypatch: pytest.MonkeyPatch, answer: Handler) -> Network:
    """azure-identity and MSAL as they are, on another network."""
    network = Network(answer)

    def credential(*arguments: str, **options: Any) -> ClientSecretCredential:
        return ClientSecretCredential(*arguments, disable_instance_discovery=True, transport=network, **options)

    monkeypatch.setattr(token_check, "_credential", credential)
    return network


def refusal(code: int, status: int = 401) -> tuple[int, dict[str, Any]]:
    """An answer of the token endpoint without a token; its text holds what must not be repeated."""
    return status, {"error": "invalid_client", "error_description": f"AADSTS{code}: some text with {SECRET}"}


TOKEN = 200, {"access_token": "a.b.c", "expires_in": 3599, "token_type": "Bearer"}


def answers(*given: tuple[int, dict[str, Any] | str]) -> Handler:
    """These answers, the last one for ever."""
    series: Iterator[tuple[int, dict[str, Any] | str]] = itertools.chain(given, itertools.repeat(given[-1]))
    return lambda _: next(series)


def wait(time: Time, new: bool = True) -> list[str]:
    """Wait until the secret is accepted; returns what was said. Raises SecretRejected."""
    said: list[str] = []
    token_check.wait_until_accepted(TENANT_ID, CLIENT_ID, SECRET, new, said.append, time, time.sleep)
    return said


def test_a_new_secret_needs_a_run_of_successes_and_a_verified_one_a_single_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, time = connect(monkeypatch, answers(TOKEN)), Time()
    assert wait(time) == []
    assert network.asked == SUCCESSES
    assert time() < 2
    network, time = connect(monkeypatch, answers(TOKEN)), Time()
    assert wait(time, new=False) == []
    assert (network.asked, time()) == (1, 0)


def test_a_refusal_starts_the_run_anew_and_slows_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    flips = [refusal(7000215), *[TOKEN] * (SUCCESSES - 1), refusal(7000222), TOKEN]
    network, time = connect(monkeypatch, answers(*flips)), Time()
    first, last = wait(time)
    assert NOWHERE in logging.getLogger("azure").handlers  # or each refusal would be on stderr, in Microsoft's words
    assert network.asked == len(flips) - 1 + SUCCESSES
    assert "does not accept the new client secret of the-client yet (AADSTS7000215: Wrong client secret)" in first
    assert first.endswith("waiting, 300 s at most.")
    assert "Sign-ins may still fail for a minute" in last


def test_a_400_is_asked_about_again_which_msal_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    network = connect(monkeypatch, answers(*[refusal(700016, 400)] * 5, TOKEN))
    wait(Time())
    assert network.asked == 5 + SUCCESSES


@pytest.mark.parametrize("code", [7000215, 7000222, 7000229, 700016, 90033, 90090, 50033, 90006, 90012, 90024])
def test_what_may_pass_is_waited_for_with_signs_of_life_and_an_end(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    connect(monkeypatch, answers(refusal(code, 400)))
    said: list[str] = []
    time = Time()
    with pytest.raises(SecretRejected, match=rf"AADSTS{code}.*, after (29\d|300) s of waiting\)") as raised:
        token_check.wait_until_accepted(TENANT_ID, CLIENT_ID, SECRET, True, said.append, time, time.sleep)
    assert 290 < time() <= 300
    assert len(said) >= 12
    assert SECRET not in f"{raised.value} {said}"


@pytest.mark.parametrize(("code", "new"), [(7000112, True), (9002346, True), (7000218, True), (7000222, False)])
def test_what_does_not_pass_is_said_at_once(monkeypatch: pytest.MonkeyPatch, code: int, new: bool) -> None:
    network, time = connect(monkeypatch, answers(refusal(code))), Time()
    with pytest.raises(SecretRejected, match=rf"AADSTS{code}.*NocoBase keeps its old secret"):
        wait(time, new)
    assert (network.asked, time()) == (1, 0)


@pytest.mark.parametrize("code", sorted(token_check.ACCEPTED))
def test_a_secret_that_is_right_is_accepted_where_something_else_is_wrong(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    connect(monkeypatch, answers(refusal(int(code), 400)))
    (said,) = wait(Time())
    assert said == (
        f"Entra ID accepts the client secret of the-client, but issues no token: {token_check.ACCEPTED[code]} "
        f"(AADSTS{code})."
    )


def test_an_answer_that_the_service_did_not_give_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, answers((503, "<html>"), refusal(90033, 503), TOKEN))
    first, _ = wait(Time())
    assert "(no answer)" in first


def test_a_verified_secret_is_waited_for_less_long(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, answers(refusal(7000215)))
    time = Time()
    with pytest.raises(SecretRejected, match="accept the client secret of the-client"):
        wait(time, new=False)
    assert 80 < time() <= 90


def fails(_: HttpRequest) -> tuple[int, str]:
    """No connection."""
    raise ServiceRequestError("connection refused")


def test_silence_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    network = connect(monkeypatch, fails)
    with pytest.raises(SecretRejected, match=r"no answer.*doctor --network-only"):
        wait(Time())
    assert network.asked >= 2


def test_silence_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, fails)
    found = token_check.ask(TENANT_ID, CLIENT_ID, SECRET, retry_total=0)
    assert found == Answer(Verdict.BUSY, "no answer", token_check.NETWORK)


# A rotation, while Entra ID's servers learn of the new secret one after the other

LONGEST_SETTLING, ISSUING, ROUND_TRIP = 18.0, 5.0, 0.2
"""Seconds: the longest that was reported; what the azuread provider takes to issue a secret; one request."""


class Rotation:
    """A tenant with one application that gets a new secret."""

    def __init__(self, seed: int) -> None:
        self.time = Time()
        self._directory = Directory(None, timer=self.time)
        self._made = self._directory.create_application({"displayName": "mail"}, OWNER, [])
        self._directory.create_service_principal({"appId": self._made["appId"]}, OWNER, [])
        self.time.sleep(3600)
        self._directory.policy.settling = Settling(LONGEST_SETTLING, seed)
        self._secret = self._directory.add_password(self._made["id"], {}, OWNER)["secretText"]
        self.time.sleep(ISSUING)

    def request(self, _: HttpRequest | None = None) -> tuple[int, dict[str, Any]]:
        """What the stand-in's token endpoint answers now."""
        self.time.sleep(ROUND_TRIP)
        form = {
            "client_id": self._made["appId"],
            "client_secret": self._secret,
            "grant_type": "client_credentials",
            "scope": token_check.SCOPE,
        }
        try:
            return 200, tokens.answer(self._directory, TENANT_ID, form, "https://localhost")
        except TokenError as error:
            return error.status, error.body("https://localhost")

    def refused_later(self) -> bool:
        """Whether one of NocoBase's requests is refused, one after the other until all servers have the secret."""
        end = self.time() + LONGEST_SETTLING
        while self.time() < end:
            if self.request()[0] != 200:
                return True
        return False


def rotate(seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[float]]:
    """How many rotations gave NocoBase a secret that a later request refused, and how long each waited."""
    refused, waits = 0, []
    for seed in seeds:
        rotation = Rotation(seed)
        connect(monkeypatch, rotation.request)
        begun = rotation.time()
        wait(rotation.time)
        waits.append(rotation.time() - begun)
        refused += rotation.refused_later()
    return refused, waits


@pytest.mark.parametrize("runs", [10, pytest.param(300, marks=pytest.mark.proof)])
def test_nocobase_gets_no_secret_that_a_later_request_refuses(
    runs: int, monkeypatch: pytest.MonkeyPatch, say: Say
) -> None:
    refused, waits = rotate(range(runs), monkeypatch)
    say(
        f"{refused} of {runs} new secrets refused after the check; it waited {statistics.median(waits):.0f} s "
        f"(median), {max(waits):.0f} s at most, where servers learn of a secret within {LONGEST_SETTLING:.0f} s"
    )
    assert refused == 0


def test_a_single_success_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_check, "SUCCESSES", 1)
    refused, _ = rotate(range(5), monkeypatch)
    assert refused > 0
