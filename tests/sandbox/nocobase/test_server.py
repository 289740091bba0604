"""What a start decides before NocoBase runs: what is missing, what is made anew."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox import processes
from sandbox.errors import SandboxError
from sandbox.nocobase import server
from sandbox.place import Place


@pytest.fixture
def own(tmp_path: Path) -> Place:
    """A sandbox whose packages are said to be installed."""
    own = Place(project=tmp_path, installed=tmp_path / "installed", home=tmp_path / "home", cache=tmp_path / "cache")
    own.nocobase_packages.mkdir(parents=True)
    (own.nocobase_packages / "installed.json").touch()
    return own


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands that NocoBase is started with; it answers at once."""
    commands: list[Sequence[str]] = []

    def start(place: Place, name: str, command: Sequence[str], *_: object) -> None:
        commands.append(command)
        (place.nocobase / "nocobase.sqlite").touch()

    monkeypatch.setattr(processes, "start", start)
    monkeypatch.setattr(server, "_wait", lambda *_: None)
    monkeypatch.setattr(server, "_create_api_key", lambda *_: "key")
    return commands


def test_packages_that_are_not_installed_are_named(own: Place) -> None:
    (own.nocobase_packages / "installed.json").unlink()
    with pytest.raises(SandboxError, match="packages are not installed"):
        server.start(own, processes.free_port())


def test_port_in_use_is_named(own: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SandboxError, match="is in use"):
        server.start(own, taken.getsockname()[1])


def test_a_port_in_use_does_not_stop_a_nocobase_that_runs(
    own: Place, started: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start(own, processes.free_port())
    stopped: list[str] = []
    monkeypatch.setattr(processes, "running", lambda *_: object())
    monkeypatch.setattr(processes, "stop", lambda _, name: stopped.append(name))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=r"`make up NOCOBASE_PORT=(\d+)`") as error:
            server.start(own, port)
    assert stopped == []
    assert f"NOCOBASE_PORT={port}`" not in str(error.value)


def test_only_the_first_start_makes_the_database_and_keys(own: Place, started: list[Sequence[str]]) -> None:
    for _ in range(2):
        server.start(own, processes.free_port())
    assert ["--quickstart" in command for command in started] == [True, False]
    assert server.api_key(own) == "key"


def test_another_port_or_path_starts_a_nocobase_that_runs_anew(
    own: Place, started: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = processes.free_port()
    server.start(own, port)
    monkeypatch.setattr(processes, "running", lambda *_: object())
    monkeypatch.setattr(processes, "stop", lambda *_: True)
    server.start(own, port)
    assert len(started) == 1
    other = processes.free_port()
    assert server.start(own, other) == f"http://127.0.0.1:{other}"
    assert server.start(own, other, "/crm") == f"http://127.0.0.1:{other}/crm"
    assert len(started) == 3


def test_the_key_is_not_sent_to_somebody_else_at_the_new_port(own: Place, started: list[Sequence[str]]) -> None:
    server.start(own, processes.free_port())
    with socket.create_server(("127.0.0.1", 0)) as somebody, pytest.raises(SandboxError, match="is in use"):
        server.start(own, somebody.getsockname()[1])


def test_lost_database_is_made_anew_with_new_keys(own: Place, started: list[Sequence[str]]) -> None:
    server.start(own, processes.free_port())
    before = server.password(own)
    (own.nocobase / "nocobase.sqlite").unlink()
    server.start(own, processes.free_port())
    assert ["--quickstart" in command for command in started] == [True, True]
    assert server.password(own) != before


def test_each_sandbox_has_a_password_of_its_own(own: Place, tmp_path: Path, started: list[Sequence[str]]) -> None:
    other = Place(own.project, own.installed, tmp_path / "other", own.cache)
    for place in (own, other):
        server.start(place, processes.free_port())
    assert server.password(own) != server.password(other)


def test_what_was_kept_by_an_earlier_sandbox_is_understood(own: Place, started: list[Sequence[str]]) -> None:
    server.start(own, processes.free_port())
    file = own.home / "nocobase.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "layout": "camel"}))
    assert server.api_key(own) == "key"
