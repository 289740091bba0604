"""The process in which the engine runs the pushes: its tracebacks hold no secret, and a cancellation ends its waits."""

from __future__ import annotations

import ast
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config

from provisioning import errors, waiting
from provisioning.entra import token_check
from provisioning.nocobase import provider_process, push_resource
from provisioning.nocobase.push_resource import MailSettingsProvider
from tests.provisioning.nocobase.fake_nocobase import FakeNocoBase, connect, microsoft
from tests.provisioning.nocobase.test_push_resource import (
    ECHO,
    ID,
    LINK,
    LIST,
    NEXT,
    PROPERTIES,
    READ,
    UPDATE,
    WRITE,
    created,
    elsewhere,
    provider,
)

__all__ = ["elsewhere", "provider"]


def test_a_traceback_holds_no_secret(provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise RuntimeError(f"unforeseen {ECHO}")

    # Other tests of this process may have taken the whole of it for one.
    monkeypatch.setattr(provider_process, "_SECRETS", set())
    connect(fail, monkeypatch)
    with pytest.raises(errors.UnexpectedAnswer, match=r"Error in client\.py, line \d+\)\. Is .* of a NocoBase\?"):
        provider.create(PROPERTIES)
    try:
        raise RuntimeError(f"unforeseen {ECHO}")
    except RuntimeError:
        said = provider_process._Sentences.format_exc()
    assert "unforeseen [secret] [secret]" in said
    assert "Traceback" in said
    assert sys.modules["provisioning.nocobase.push_resource"] is push_resource


class Servicer:
    """Of pulumi.dynamic's server, what the push changes."""

    def Cancel(self, request: object, context: object) -> object:
        """As the server has it."""
        return None


@pytest.fixture
def cancel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """The engine's cancellation, as the server registered it before the provider was configured."""
    monkeypatch.setattr(sys.modules["__main__"], "DynamicResourceProviderServicer", Servicer, raising=False)
    registered = Servicer().Cancel
    yield lambda: registered(None, None)
    waiting._ended.clear()


def test_a_cancellation_ends_every_wait_at_once(
    cancel: Callable[[], object], monkeypatch: pytest.MonkeyPatch, provider: MailSettingsProvider
) -> None:
    patience = {"nocobase-outlook:nocobasePatienceSeconds": "600"}
    provider.configure(ConfigureRequest(Config(patience, "nocobase-outlook")))
    hangs = threading.Event()

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    def hang(_: httpx.Request) -> httpx.Response:
        hangs.wait(60)
        return httpx.Response(503)

    for server, words in ((hang, "nothing was changed there"), (refuse, "cannot be reached")):
        connect(server, monkeypatch)
        threading.Timer(0.5, cancel).start()
        began = time.monotonic()
        with pytest.raises(errors.Interrupted, match=f"^Interrupted.*{words}.*Run the command again"):
            provider.diff(ID, PROPERTIES, NEXT)
        assert time.monotonic() - began < 30
        waiting._ended.clear()
    monkeypatch.undo()
    monkeypatch.setattr(token_check, "wait_until_accepted", lambda *_: hangs.wait(60))
    threading.Timer(0.5, cancel).start()
    with pytest.raises(errors.Interrupted, match="token endpoint was waited for; NocoBase was not changed"):
        provider._wait_until_accepted(PROPERTIES, new=True)
    hangs.set()


@pytest.mark.parametrize("first", [True, False], ids=["create", "update"])
def test_a_cancellation_before_the_write_prevents_it(
    first: bool, cancel: Callable[[], object], monkeypatch: pytest.MonkeyPatch, provider: MailSettingsProvider
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    olds = PROPERTIES if first else created(provider, server)
    before = server.row() | {}

    def press(request: httpx.Request) -> None:
        if request.url.path.endswith(READ):
            cancel()

    server.after = press
    with pytest.raises(errors.Interrupted, match=r"(nothing was changed there|NocoBase was not changed)"):
        provider.create(PROPERTIES) if first else provider.update(ID, olds, NEXT)
    assert (server.writes, server.row()) == ([], before)


@pytest.mark.parametrize("first", [True, False], ids=["create", "update"])
def test_a_write_that_was_sent_is_settled_and_verified_whatever_is_cancelled(
    first: bool, cancel: Callable[[], object], monkeypatch: pytest.MonkeyPatch, provider: MailSettingsProvider
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    olds = PROPERTIES if first else created(provider, server)

    def press(request: httpx.Request) -> None:
        if request.url.path.endswith(WRITE):
            cancel()
            time.sleep(2 * waiting.LOOK_SECONDS)

    server.before = press
    outs = provider.create(PROPERTIES).outs if first else provider.update(ID, olds, NEXT).outs
    assert server.requests == [LIST, UPDATE, LIST, LINK]
    assert (outs or {})["proved_client_id"] == "new-id"
    assert server.row()["clientSecret"] == (outs or {})["client_secret"]


def test_what_an_interrupted_create_wrote_is_emptied(
    cancel: Callable[[], object], monkeypatch: pytest.MonkeyPatch, provider: MailSettingsProvider
) -> None:
    patience = {"nocobase-outlook:nocobasePatienceSeconds": "600"}
    provider.configure(ConfigureRequest(Config(patience, "nocobase-outlook")))
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)

    def press(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("mail:oauth2url"):
            return None
        cancel()
        return httpx.Response(503)

    server.before = press
    with pytest.raises(errors.Interrupted, match="Run the command again"):
        provider.create(PROPERTIES)
    assert (server.row()["clientId"], server.row()["clientSecret"]) == ("", "")


def test_the_server_of_dynamic_providers_has_the_method_that_is_changed() -> None:
    spec = importlib.util.find_spec("pulumi.dynamic.__main__")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (servicer,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "DynamicResourceProviderServicer"
    )
    (method,) = (node for node in servicer.body if isinstance(node, ast.FunctionDef) and node.name == "Cancel")
    assert (len(method.args.args), method.decorator_list) == (3, [])
    assert provider_process._cancelled.__code__.co_argcount == 3
    assert provider_process._cancelled.__code__.co_freevars == ()
