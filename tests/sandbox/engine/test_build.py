"""The build: what is asked of Go, and what is left in the cache when it ends badly. Go is a shell script here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.engine import build
from sandbox.engine.versions import Version
from sandbox.errors import SandboxError
from sandbox.place import PROJECT, Place
from tests.sandbox.engine.conftest import Tool

# Writes an "engine" to the argument after -o, and its own arguments to a file.
GO = """
if [ "$1" = env ]; then echo "$2=go1.26.0"; exit; fi
if [ "$1" = list ]; then echo {module}; exit; fi
echo "$@" >> {log}
echo "$GOTOOLCHAIN $GOWORK $PWD" >> {log}
while [ "$1" != -o ]; do shift; done
echo "go: downloading something v1.0.0" >&2
{extra}
printf '#!/bin/sh\\necho {version}\\n' > "$2"
chmod +x "$2"
"""


def fake_go(tool: Tool, tmp_path: Path, extra: str = "", version: str = f"v{build.ENGINE}") -> Path:
    log = tmp_path / "go.log"
    for path in build.SCRIPTS.values():
        (tmp_path / "module" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "module" / path).write_text(f"official {path}")
    tool("go", GO.format(log=log, extra=extra, version=version, module=tmp_path / "module"))
    return log


def ignore(_: str) -> None:
    pass


def test_build_pins_every_module_and_names_its_version(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    log = fake_go(tool, tmp_path)
    cli = build.build(empty_place, ignore)
    asked = log.read_text()
    assert cli == build.result(empty_place)
    version = f"version.Version=v{build.ENGINE}"
    for flag in ("-mod=readonly", "-trimpath", "-tags=osusergo,grpcnotrace", version, build.PACKAGE):
        assert flag in asked
    assert f"local off {build.SOURCES}" in asked
    assert [path.name for path in cli.parent.iterdir() if "partial" in path.name] == []


def test_second_build_takes_the_first_ones_result(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    log = fake_go(tool, tmp_path)
    cli = build.build(empty_place, ignore)
    asked = log.read_text()
    build.build(empty_place, ignore)
    assert log.read_text() == asked
    # What runs programs comes from the engine's own module, and is fetched again by itself.
    for name, path in build.SCRIPTS.items():
        assert cli.with_name(name).read_text() == f"official {path}"
        cli.with_name(name).unlink()
    build.build(empty_place, ignore)
    assert build.is_whole(cli)
    assert log.read_text() == asked


def test_two_builds_at_once_compile_once(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    log = fake_go(tool, tmp_path, extra="sleep 0.5")
    said: list[str] = []
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(build.build(empty_place, said.append))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [build.result(empty_place)] * 2
    assert log.read_text().count(build.PACKAGE) == 1
    assert said == ["waiting for another build of the engine"]


def test_killed_build_leaves_no_engine_and_does_not_block_the_next(
    empty_place: Place, tool: Tool, tmp_path: Path
) -> None:
    fake_go(tool, tmp_path, extra='echo half > "$2"; sleep 60')
    code = (
        "from pathlib import Path; from sandbox.place import Place; from sandbox.engine.build import build;"
        f"build(Place(*map(Path, {[str(p) for p in (empty_place.project, empty_place.installed)]!r}),"
        f"*map(Path, {[str(p) for p in (empty_place.home, empty_place.cache)]!r})), print)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, start_new_session=True) as process:
        folder = build.result(empty_place).parent
        deadline = time.monotonic() + 30
        while not list(folder.glob("*.partial")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(folder.glob("*.partial"))
        os.killpg(process.pid, signal.SIGKILL)
    assert not build.result(empty_place).exists()
    fake_go(tool, tmp_path)
    build.build(empty_place, ignore)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["lock", "pulumi", *build.SCRIPTS])


def test_failed_build_says_why_and_leaves_nothing(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    fake_go(tool, tmp_path, extra='echo half > "$2"; echo "module lookup disabled" >&2; exit 1')
    with pytest.raises(SandboxError) as raised:
        build.build(empty_place, ignore)
    assert "module lookup disabled" in raised.value.what
    assert "GOPROXY" in raised.value.remedy
    assert "module lookup disabled" in (empty_place.logs / "engine-build.log").read_text()
    assert [path.name for path in build.result(empty_place).parent.iterdir()] == ["lock"]


def test_built_engine_that_does_not_say_its_version_is_not_kept(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    fake_go(tool, tmp_path, version="dev")
    with pytest.raises(SandboxError, match="said 'dev'"):
        build.build(empty_place, ignore)
    assert not build.result(empty_place).exists()


def test_progress_is_told(empty_place: Place, tool: Tool, tmp_path: Path) -> None:
    fake_go(tool, tmp_path, extra="for i in $(seq 120); do echo some/package >&2; done")
    said: list[str] = []
    build.build(empty_place, said.append)
    assert said == ["1 modules downloaded, 49 packages compiled", "1 modules downloaded, 99 packages compiled"]


@pytest.mark.parametrize("changed", ["go.mod", "go.sum"])
def test_changed_sources_make_another_build(tmp_path: Path, changed: str) -> None:
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_bytes((build.SOURCES / name).read_bytes())
    assert build.fingerprint(tmp_path) == build.fingerprint()
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    assert build.fingerprint(tmp_path) != build.fingerprint()


def test_changed_flags_make_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.fingerprint()
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-race"))
    assert build.fingerprint() != before


@pytest.mark.parametrize(
    ("script", "version"), [("echo go1.26.6", Version(1, 26, 6)), ("exit 2", None), ("echo devel", None)]
)
def test_go_version(tool: Tool, script: str, version: Version | None) -> None:
    tool("go", script)
    assert build.go_version() == version


def test_no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.go_version() is None


def test_constants_are_those_of_go_mod() -> None:
    text = (build.SOURCES / "go.mod").read_text()
    assert re.search(r"^go (\S+)$", text, re.MULTILINE)[1] == str(build.OLDEST_GO)  # type: ignore[index]
    assert re.search(r"^tool (\S+)$", text, re.MULTILINE)[1] == build.PACKAGE  # type: ignore[index]
    for module in ("pkg", "sdk"):
        assert f"github.com/pulumi/pulumi/{module}/v3 v{build.ENGINE}" in text


def test_deciding_and_building_need_only_the_standard_library() -> None:
    code = "import sys; before = set(sys.modules); import sandbox.engine.find; print(*(set(sys.modules) - before))"
    said = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    own = {*sys.stdlib_module_names, "sandbox", "provisioning"}
    foreign = {name.split(".")[0] for name in said.stdout.split()} - own
    assert foreign == set()
