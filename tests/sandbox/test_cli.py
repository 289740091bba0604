"""What the commands of the sandbox say at their end, and where they cannot begin."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sandbox import cli, deployment
from sandbox.nocobase import bad_day, server
from sandbox.nocobase3 import server as nocobase3
from sandbox.place import default_place
from sandbox.steps import Step


def test_destroy_says_that_it_leaves_the_sandbox_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = replace(default_place(), home=tmp_path / "sandbox" / "dev")
    monkeypatch.setattr(cli, "default_place", lambda: place)
    monkeypatch.setattr(
        cli, "start_steps", lambda _: [Step(name, name, lambda _: "") for name in ("entra", "nocobase")]
    )
    monkeypatch.setattr(deployment, "exists", lambda _: True)
    monkeypatch.setattr(deployment, "destroy", lambda *_: "1 deleted")
    ended = CliRunner().invoke(cli.app, ["destroy"])
    assert ended.exit_code == 0
    assert "pulumi destroy: 1 deleted" in ended.stderr
    assert ended.stderr.endswith("The sandbox runs; `make down` stops it.\n")


def test_a_sub_application_needs_a_nocobase_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(server, "url", lambda _: f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setattr(server, "api_key", lambda _: "key")
        ended = CliRunner().invoke(cli.app, ["sub-application", "sales"])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "The sandbox's NocoBase does not answer.",
        "  Run `make up`, then this command again.",
    ]


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (bad_day.main, "--upstream localhost:13000", "--upstream: 'localhost:13000' is no address"),
        (bad_day.main, "--upstream http://localhost --port {used}", "--port: cannot listen on {used} ("),
        (bad_day.main, "--upstream http://localhost --port 70000", "--port: cannot listen on 70000 ("),
        (nocobase3.main, "--config none --port 1 --api-key-file none", "No such file or directory: 'none'"),
        (nocobase3.main, "--config {broken} --port 1 --api-key-file {broken}", "not a mapping"),
    ],
)
def test_a_server_of_the_sandbox_that_cannot_begin_says_why(
    main: Callable[[], None],
    arguments: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    broken = tmp_path / "config.yml"
    broken.write_text("- a list\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = {"used": other.getsockname()[1], "broken": broken}
        monkeypatch.setattr("sys.argv", ["a-server", *arguments.format(**place).split()])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    assert said.format(**place) in capsys.readouterr().err
