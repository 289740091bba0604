"""Which engine is used: the table of cases, and how they are told apart on a real machine."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine import build, find
from sandbox.engine.find import Candidate, Findings, Origin, Way, host_answers, plan, probe
from sandbox.engine.versions import Version, parse
from sandbox.errors import SandboxError
from sandbox.place import Place
from tests.sandbox.engine.conftest import Tool

NO_NETWORK = "the download host does not answer"
GO = Version(1, 27, 0)
OLD_GO = Version(1, 24, 9)


def candidate(version: Version | None = find.OLDEST_ENGINE, *, host: bool = True) -> Candidate:
    return Candidate(Path("/somewhere/pulumi"), version, host)


OLD, NEW, FOREIGN = Version(3, 100, 0), Version(3, 300, 1), Version(4, 0, 0)


@pytest.mark.parametrize(
    ("findings", "way", "origin", "bundled_host"),
    [
        pytest.param(Findings(candidate(NEW), None, None, None, GO), Way.USE, Origin.PATH, True, id="on PATH"),
        pytest.param(Findings(candidate(), None, None, None, GO), Way.USE, Origin.PATH, True, id="the oldest tried"),
        pytest.param(Findings(candidate(host=False), None, None, None, GO), Way.DOWNLOAD, None, None, id="no host"),
        pytest.param(
            Findings(candidate(NEW), candidate(), candidate(), None, GO), Way.USE, Origin.PATH, True, id="PATH first"
        ),
        pytest.param(
            Findings(candidate(OLD), candidate(NEW), None, None, GO), Way.USE, Origin.DOWNLOADED, True, id="too old"
        ),
        pytest.param(
            Findings(None, candidate(NEW), candidate(), None, GO), Way.USE, Origin.DOWNLOADED, True, id="download first"
        ),
        pytest.param(
            Findings(None, None, candidate(host=False), None, GO), Way.USE, Origin.BUILT, False, id="built earlier"
        ),
        pytest.param(Findings(None, None, None, None, GO), Way.DOWNLOAD, None, None, id="network and Go"),
        pytest.param(Findings(candidate(OLD), None, None, None, None), Way.DOWNLOAD, None, None, id="old, network"),
        pytest.param(Findings(candidate(FOREIGN), None, None, None, None), Way.DOWNLOAD, None, None, id="too new"),
        pytest.param(Findings(candidate(None), None, None, None, None), Way.DOWNLOAD, None, None, id="broken"),
        pytest.param(Findings(None, None, None, NO_NETWORK, GO), Way.BUILD, None, None, id="no network, Go"),
        pytest.param(Findings(None, None, None, NO_NETWORK, build.OLDEST_GO), Way.BUILD, None, None, id="oldest Go"),
    ],
)
def test_way_to_an_engine(findings: Findings, way: Way, origin: Origin | None, bundled_host: bool | None) -> None:
    chosen = plan(findings)
    assert chosen.way is way
    assert (chosen.engine.origin if chosen.engine else None) is origin
    assert (chosen.engine.bundled_host if chosen.engine else None) is bundled_host
    assert chosen.reason


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (Findings(None, None, None, NO_NETWORK, None), ["no pulumi on PATH", NO_NETWORK, "no Go is installed"]),
        (Findings(None, None, None, NO_NETWORK, OLD_GO), ["Go 1.24.9 is older than 1.26.6"]),
        (Findings(candidate(OLD), None, None, NO_NETWORK, None), ["pulumi 3.100.0 on PATH is older than 3.255.0"]),
        (Findings(candidate(FOREIGN), None, None, "the download failed", None), ["4.0.0", "the download failed"]),
        (Findings(candidate(None), None, None, NO_NETWORK, None), ["/somewhere/pulumi does not say its version"]),
    ],
)
def test_no_way_names_what_was_tried_and_every_remedy(findings: Findings, words: list[str]) -> None:
    with pytest.raises(SandboxError) as raised:
        plan(findings)
    for word in words:
        assert word in raised.value.what
    for remedy in ("install the Pulumi CLI", "internet access", "Go 1.26.6 or newer"):
        assert remedy in raised.value.remedy


def test_probe_uses_path_without_asking_the_network(empty_place: Place, tool: Tool) -> None:
    cli = tool("pulumi", "echo v3.260.1")
    tool(find.LANGUAGE_HOST, "")
    findings = probe(empty_place, answers=lambda: pytest.fail("the network was asked"))
    assert findings.on_path == Candidate(cli, Version(3, 260, 1), has_language_host=True)
    assert plan(findings).way is Way.USE


def test_probe_follows_a_link_to_the_language_host(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    real = tmp_path / "opt" / "pulumi"
    real.parent.mkdir()
    tool("pulumi", "echo v3.260.1").rename(real)
    (tmp_path / "path" / "pulumi").symlink_to(real)
    found = probe(empty_place, answers=lambda: False).on_path
    assert found is not None
    assert not found.has_language_host
    host = real.with_name(find.LANGUAGE_HOST)
    host.touch()
    host.chmod(0o755)
    found = probe(empty_place, answers=lambda: False).on_path
    assert found is not None
    assert found.has_language_host


@pytest.mark.parametrize("script", ["echo v3.1.0", "exit 1", "echo dev"])
def test_probe_goes_on_from_an_unusable_pulumi(empty_place: Place, tool: Tool, script: str) -> None:
    tool("pulumi", script)
    tool("go", "echo go1.26.8")
    findings = probe(empty_place, answers=lambda: False)
    assert findings.no_download == NO_NETWORK
    assert findings.go == Version(1, 26, 8)
    assert plan(findings).way is Way.BUILD


def test_probe_does_not_take_the_sandboxs_own_tools_for_a_find(
    empty_place: Place, tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool("pulumi", "echo v3.260.1")
    empty_place.tools.parent.mkdir()
    (tmp_path / "path").rename(empty_place.tools)
    monkeypatch.setenv("PATH", str(empty_place.tools))
    assert probe(empty_place, answers=lambda: False).on_path is None


@pytest.mark.usefixtures("tool")
def test_probe_finds_the_newest_earlier_download(empty_place: Place) -> None:
    for version in ("3.255.0", "3.272.0", "3.100.0"):
        cli = find.downloads(empty_place) / version / "bin" / "pulumi"
        cli.parent.mkdir(parents=True)
        cli.touch()
        cli.with_name(find.LANGUAGE_HOST).touch(mode=0o755)
    findings = probe(empty_place, answers=lambda: pytest.fail("the network was asked"))
    assert findings.downloaded is not None
    assert findings.downloaded.version == Version(3, 272, 0)


@pytest.mark.usefixtures("tool")
def test_probe_finds_an_earlier_build(empty_place: Place) -> None:
    cli = build.result(empty_place)
    cli.parent.mkdir(parents=True)
    cli.touch(mode=0o755)
    # One without what runs programs, as it is before a build ends, is none.
    assert probe(empty_place, answers=lambda: False).built is None
    for script in build.SCRIPTS:
        cli.with_name(script).touch(mode=0o755)
    findings = probe(empty_place, answers=lambda: pytest.fail("the network was asked"))
    assert findings.built == Candidate(cli, build.ENGINE, has_language_host=False)


def test_host_answers() -> None:
    class Page(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/there" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert host_answers(f"{address}/there", 10)
            assert not host_answers(f"{address}/elsewhere", 10)
        finally:
            server.shutdown()
            thread.join()


def test_host_that_never_answers_costs_no_more_than_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert not host_answers(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.3)
        assert time.monotonic() - started < 5


def test_host_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert not host_answers(f"http://127.0.0.1:{port}/", 10)


@given(st.integers(0, 99), st.integers(0, 999), st.integers(0, 999), st.sampled_from(["", "v", "go", "pulumi v"]))
def test_versions_are_read_and_compared_as_numbers(major: int, minor: int, patch: int, prefix: str) -> None:
    version = Version(major, minor, patch)
    assert parse(f"{prefix}{version}\n") == version
    assert version < Version(major, minor + 1, 0) < Version(major + 1, 0, 0)


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26", Version(1, 26, 0)), ("v3.255.0-alpha.1+abc", Version(3, 255, 0)), ("dev", None), ("", None)],
)
def test_versions_of_other_shapes(text: str, version: Version | None) -> None:
    assert parse(text) == version
