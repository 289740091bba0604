"""The download: limited in time, quiet, and all or nothing. The installer is replaced by a small program."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines import pulumi_release
from pipelines.pulumi_release import CliNotInstalled
from sandbox.engine import download as module
from sandbox.engine import obtain
from sandbox.engine.download import download
from sandbox.engine.find import Candidate, Engine, Findings, Origin, downloads
from sandbox.engine.versions import Version
from sandbox.errors import SandboxError
from sandbox.place import Place
from tests.sandbox.engine.conftest import Tool


def installer(tool: Tool, script: str) -> Path:
    """An interpreter that, whatever module it is to run, installs an engine in the folder named last."""
    return tool("installer", f"for root; do :; done\nmkdir -p $root/bin\n{script}")


PULUMI = "printf '#!/bin/sh\\necho v3.272.0\\n' > $root/bin/pulumi; chmod +x $root/bin/pulumi"
HOST = "touch $root/bin/pulumi-language-python"


def ignore(_: str) -> None:
    pass


def test_download_is_kept_under_its_version(empty_place: Place, tool: Tool) -> None:
    engine = download(empty_place, ignore, installer(tool, f"{PULUMI}; {HOST}"))
    assert engine == Engine(
        downloads(empty_place) / "3.272.0" / "bin" / "pulumi", Version(3, 272, 0), Origin.DOWNLOADED, bundled_host=True
    )
    assert os.access(engine.cli, os.X_OK)


@pytest.mark.parametrize(
    ("script", "words"), [("echo no route to host; exit 1", "no route to host"), ("true", "does not run")]
)
def test_failed_download_leaves_nothing(empty_place: Place, tool: Tool, script: str, words: str) -> None:
    with pytest.raises(SandboxError, match=words):
        download(empty_place, ignore, installer(tool, script))
    assert list(downloads(empty_place).parent.rglob("*")) == [downloads(empty_place)]


def test_download_that_hangs_is_ended_with_its_children(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(SandboxError, match="longer than 1 s"):
        download(empty_place, ignore, installer(tool, f"sleep 60 & echo $! > {pid_file}; wait"), seconds=1)
    assert time.monotonic() - started < 20
    child = Path("/proc") / pid_file.read_text().strip() / "status"
    # A signal that was sent takes effect a moment later.
    with suppress(OSError):
        while "zombie" not in child.read_text():
            assert time.monotonic() - started < 20
            time.sleep(0.02)


def test_failed_download_is_followed_by_a_build(
    empty_place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> Engine:
        raise SandboxError("Downloading the Pulumi CLI failed:\n  | 403", "…")

    monkeypatch.setattr(obtain, "probe", lambda _: Findings(None, None, None, None, None))
    monkeypatch.setattr(obtain, "download", fail)
    monkeypatch.setattr(obtain, "go_version", lambda: Version(1, 27, 0))
    monkeypatch.setattr(obtain, "build", lambda *_: tmp_path / "pulumi")
    said: list[str] = []
    engine = obtain.engine(empty_place, said.append)
    assert engine.origin is Origin.BUILT
    assert not engine.bundled_host
    assert said[0] == "Downloading the Pulumi CLI failed"
    monkeypatch.setattr(obtain, "go_version", lambda: None)
    with pytest.raises(SandboxError, match="Downloading the Pulumi CLI failed; no Go is installed"):
        obtain.engine(empty_place, said.append)


def test_engine_that_is_there_is_used(empty_place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = Candidate(tmp_path / "pulumi", Version(3, 300, 0), has_language_host=True)
    monkeypatch.setattr(obtain, "probe", lambda _: Findings(there, None, None, "not asked", None))
    engine = obtain.engine(empty_place, ignore)
    assert engine == Engine(there.cli, Version(3, 300, 0), Origin.PATH, bundled_host=True)


def test_the_archive_is_that_of_the_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(pulumi_release, "install", asked.append)
    module._install("/somewhere")
    assert asked == [Path("/somewhere")]

    def fail(_: Path) -> None:
        raise CliNotInstalled("The checksum is another one.")

    monkeypatch.setattr(pulumi_release, "install", fail)
    with pytest.raises(SystemExit, match="The checksum is another one"):
        module._install("/somewhere")
