"""Installing NocoBase: what is missing on a machine is named; what is there is not installed again."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.nocobase import packages
from sandbox.nocobase.packages import SOURCE
from sandbox.place import Place

LOCK = json.loads((SOURCE / "package-lock.json").read_text())["packages"]

Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts only these shell scripts on PATH, each given by its name and text."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(**scripts: str) -> None:
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)

    return put


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prebuilt module cannot be fetched."""

    def fetch(_: str) -> bytes:
        raise OSError("no network")

    monkeypatch.setattr(packages, "_fetch", fetch)


@pytest.fixture
def empty(tmp_path: Path) -> Place:
    """A sandbox with nothing installed."""
    return Place(project=tmp_path, installed=tmp_path / "installed", home=tmp_path / "home", cache=tmp_path / "cache")


def node(version: str = "v20.1.0", loads: bool = True) -> str:
    """A stand-in for node that tells its version; `loads` is for require()."""
    return f"""case "$*" in
*process.version*) echo '["{version}", "/nowhere/bin/node"]';;
*require*) exit {0 if loads else 1};;
*) echo 'no network' >&2; exit 1;;
esac"""


def test_no_node_is_named(programs: Programs) -> None:
    with pytest.raises(SandboxError, match=r"Node\.js is not installed"):
        packages.find_node()


def test_no_npm_is_named(programs: Programs) -> None:
    programs(node=node())

    with pytest.raises(SandboxError, match="npm is not installed"):
        packages.find_node()


@pytest.mark.parametrize("version", ["v18.20.4", "v6.0.0"])
def test_old_node_is_named_with_its_version(programs: Programs, version: str) -> None:
    programs(node=node(version), npm="")

    with pytest.raises(SandboxError, match=f"{re.escape(version)} .*too old"):
        packages.find_node()


def test_broken_node_is_named(programs: Programs) -> None:
    programs(node="echo 'bad library' >&2; exit 127", npm="")

    with pytest.raises(SandboxError, match="bad library"):
        packages.find_node()


def test_npm_that_fails_shows_the_end_of_its_log(programs: Programs, empty: Place) -> None:
    programs(node=node(), npm="echo 'npm error ENOTFOUND'; exit 1")

    with pytest.raises(SandboxError, match=r"(?s)npm could not install.*ENOTFOUND.*npm ping"):
        packages.install(empty, print)


MODULE = b"the module"


def prebuilt(name: str = "build/Release/node_sqlite3.node") -> bytes:
    """An archive as the release page has it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        entry = tarfile.TarInfo(name)
        entry.size = len(MODULE)
        target.addfile(entry, io.BytesIO(MODULE))
    return packed.getvalue()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Has the release page answer with an archive; the addresses that it was asked for are returned."""

    def answer(archive: bytes, sha256: str) -> list[str]:
        asked: list[str] = []

        def fetch(url: str) -> bytes:
            asked.append(url)
            return archive

        known = {f"{sys.platform} {os.uname().machine}": {"name": "one.tar.gz", "sha256": sha256}}
        monkeypatch.setattr(packages, "PREBUILT", {"address": "https://example.com/", "archives": known})
        monkeypatch.setattr(packages, "_fetch", fetch)
        return asked

    return answer


WITH_COMPILER = {"make": "", "g++": ""}
NPM = (
    "/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api; "
    'case "$1" in rebuild) echo compiled > node_modules/sqlite3/build/made;; esac'
)


def test_the_prebuilt_module_is_taken_by_its_checksum(
    programs: Programs, empty: Place, page: Callable[..., list[str]]
) -> None:
    archive = prebuilt()
    asked = page(archive, hashlib.sha256(archive).hexdigest())
    programs(node=node(), npm=NPM, **WITH_COMPILER)
    assert packages.install(empty, print)
    build = empty.nocobase_packages / "node_modules" / "sqlite3" / "build"
    assert asked == ["https://example.com/one.tar.gz"]
    assert (build / "Release" / "node_sqlite3.node").read_bytes() == MODULE
    assert not (build / "made").exists()


@pytest.mark.parametrize(
    ("archive", "right"), [(prebuilt(), False), (prebuilt("../outside"), True), (b"no archive", True)]
)
def test_another_module_is_not_taken_and_it_is_compiled(
    programs: Programs, empty: Place, page: Callable[..., list[str]], archive: bytes, right: bool
) -> None:
    page(archive, hashlib.sha256(archive).hexdigest() if right else "0" * 64)
    programs(node=node(), npm=NPM, **WITH_COMPILER)
    assert packages.install(empty, print)
    module = empty.nocobase_packages / "node_modules" / "sqlite3"
    assert (module / "build" / "made").exists()
    assert [path for path in module.parent.rglob("*") if path.name in ("node_sqlite3.node", "outside")] == []


def test_the_prebuilt_modules_are_those_of_the_lock() -> None:
    version = LOCK["node_modules/sqlite3"]["version"]
    assert packages.PREBUILT["address"].endswith(f"/v{version}/")
    for archive in packages.PREBUILT["archives"].values():
        assert archive["name"].startswith(f"sqlite3-v{version}-napi-v6-")
        assert re.fullmatch("[0-9a-f]{64}", archive["sha256"])


def test_no_compiler_is_named(programs: Programs, empty: Place) -> None:
    programs(node=node(), npm="/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api")

    with pytest.raises(SandboxError, match=r"(?s)make and g\+\+ to compile it is missing.*apt install"):
        packages.install(empty, print)


def test_compiler_that_fails_shows_the_end_of_its_log(programs: Programs, empty: Place) -> None:
    made = "/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api"
    npm = f'[ "$1" = ci ] && exec {made}; echo "error: out of memory"; exit 1'
    programs(node=node(), npm=npm, make="", **{"g++": ""})

    with pytest.raises(SandboxError, match=r"(?s)could not be compiled.*out of memory"):
        packages.install(empty, print)


def test_the_compiler_works_in_a_folder_without_blanks(programs: Programs, empty: Place) -> None:
    odd = replace(empty, installed=empty.installed / "a b [c]")
    made = "/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api"
    npm = f'{made}; [ "$1" = ci ] || case "$PWD" in *[\\ \\[]*) echo "blanks in $PWD"; exit 1;; esac'
    programs(node=node(), npm=npm, make="", **{"g++": ""})

    assert packages.install(odd, print)
    assert (odd.nocobase_packages / "node_modules" / "sqlite3" / "build").is_dir()


def test_module_that_does_not_load_is_named(programs: Programs, empty: Place) -> None:
    programs(
        node=node(loads=False),
        npm="/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api",
        make="",
        **{"g++": ""},
    )

    with pytest.raises(SandboxError, match=r"compiled, but Node\.js cannot load it"):
        packages.install(empty, print)


def test_second_installation_does_nothing(programs: Programs, empty: Place) -> None:
    programs(
        node=node(), npm="/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api", make="", **{"g++": ""}
    )
    steps: list[str] = []

    assert packages.install(empty, steps.append)
    done = len(steps)
    assert not packages.install(empty, steps.append)
    assert len(steps) == done


def test_interrupted_installation_goes_on(programs: Programs, empty: Place) -> None:
    programs(node=node(), npm="exit 130")
    with pytest.raises(SandboxError):
        packages.install(empty, print)
    programs(npm="/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api", make="", **{"g++": ""})

    assert packages.install(empty, print)


def test_other_node_compiles_the_module_again_and_leaves_the_packages(programs: Programs, empty: Place) -> None:
    programs(
        node=node(), npm="/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api", make="", **{"g++": ""}
    )
    packages.install(empty, print)
    steps: list[str] = []

    programs(node=node("v22.0.0"))

    assert packages.install(empty, steps.append)
    assert not [step for step in steps if "npm" in step]


def test_changed_plugin_is_copied_without_another_installation(programs: Programs, empty: Place) -> None:
    programs(
        node=node(), npm="/bin/mkdir -p node_modules/sqlite3/build node_modules/node-addon-api", make="", **{"g++": ""}
    )
    packages.install(empty, print)
    plugin = empty.nocobase_packages / "email-manager" / "server" / "index.js"
    plugin.write_text("outdated")

    assert not packages.install(empty, print)
    assert plugin.read_bytes() == (SOURCE / "email-manager" / "server" / "index.js").read_bytes()


def test_lock_checks_the_integrity_of_everything_it_downloads() -> None:
    unchecked = {path for path, entry in LOCK.items() if "integrity" not in entry and not entry.get("link")}

    assert unchecked == {"", "email-manager", "nothing"}


def test_npm_accepts_the_lock(tmp_path: Path) -> None:
    work = tmp_path / "packages"
    shutil.copytree(SOURCE, work)
    flags = [*packages.NPM_FLAGS, "--dry-run", "--offline", "--cache", str(tmp_path / "cache")]

    ended = subprocess.run(["npm", "ci", *flags], cwd=work, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert "add @nocobase/preset-nocobase 2.2.15" in ended.stdout


def test_lock_names_no_registry() -> None:
    assert {entry["resolved"] for entry in LOCK.values() if "resolved" in entry} == {"email-manager", "nothing"}


def test_lock_has_the_preset_without_the_plugins_it_names() -> None:
    preset = LOCK["node_modules/@nocobase/preset-nocobase"]

    assert (
        preset["version"]
        == json.loads((SOURCE / "package.json").read_text())["dependencies"]["@nocobase/preset-nocobase"]
    )
    assert "dependencies" not in preset
