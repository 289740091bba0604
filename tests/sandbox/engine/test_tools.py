"""The executables and the environment with which plain `pulumi` works on the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.engine import tools
from sandbox.engine.build import DYNAMIC_PROVIDER, EXECUTOR
from sandbox.engine.find import LANGUAGE_HOST, Engine, Origin
from sandbox.engine.tools import environment, install_tools, write_launcher
from sandbox.engine.versions import Version
from sandbox.place import Place

VERSION = Version(3, 255, 0)


def engine(folder: Path, *, bundled_host: bool, content: str = "engine") -> Engine:
    folder.mkdir(parents=True, exist_ok=True)
    cli = folder / "pulumi"
    cli.write_text(content)
    cli.chmod(0o755)
    if not bundled_host:
        for name in (EXECUTOR, DYNAMIC_PROVIDER):
            (folder / name).write_text(name)
            (folder / name).chmod(0o755)
    return Engine(cli, VERSION, Origin.BUILT, bundled_host)


def names(place: Place) -> list[str]:
    return sorted(path.name for path in place.tools.iterdir())


def test_engine_without_a_language_host_gets_ours_beside_it(empty_place: Place, tmp_path: Path) -> None:
    cached = engine(tmp_path / "cache", bundled_host=False)
    used = install_tools(empty_place, cached)
    assert used.cli == empty_place.tools / "pulumi"
    assert os.path.samefile(used.cli, cached.cli)
    assert names(empty_place) == sorted(["pulumi", LANGUAGE_HOST, EXECUTOR, DYNAMIC_PROVIDER])
    assert all(os.access(empty_place.tools / name, os.X_OK) for name in names(empty_place))
    assert install_tools(empty_place, cached) == used


def test_engine_on_another_file_system_is_copied_once(
    empty_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    cached = engine(tmp_path / "cache", bundled_host=False)
    copy = install_tools(empty_place, cached).cli
    first = copy.stat().st_ino
    assert copy.read_text() == "engine"
    assert os.access(copy, os.X_OK)
    install_tools(empty_place, cached)
    assert copy.stat().st_ino == first
    install_tools(empty_place, engine(tmp_path / "newer", bundled_host=False, content="newer engine"))
    assert copy.read_text() == "newer engine"


def test_engine_with_a_language_host_keeps_its_own(empty_place: Place, tmp_path: Path) -> None:
    install_tools(empty_place, engine(tmp_path / "built", bundled_host=False))
    official = engine(tmp_path / "official", bundled_host=True)
    assert install_tools(empty_place, official) == official
    assert names(empty_place) == []


def test_launcher_runs_in_the_virtualenv_with_awkward_names(tmp_path: Path) -> None:
    odd = tmp_path / "it's a folder"
    (odd / "venv" / "bin").mkdir(parents=True)
    (odd / "venv" / "pyvenv.cfg").touch()
    python = odd / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    script = odd / "said.py"
    script.write_text(
        "import os, sys; print(*sys.argv[1:], os.environ['VIRTUAL_ENV'], os.environ['PYTHONPATH'], sep='|')"
    )
    write_launcher(odd / "run", python, [script], pythonpath=odd)
    said = subprocess.run(
        [odd / "run", "one two", "$HOME"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "/before"},
    )
    assert said.stdout.strip() == f"one two|$HOME|{odd / 'venv'}|{odd}:/before"


def test_environment(empty_place: Place, tmp_path: Path) -> None:
    used = engine(tmp_path / "official", bundled_host=True)
    shell = {"PATH": "/usr/bin:/bin", "HOME": "/home/somebody"}
    variables = environment(empty_place, used, acquire_plugins=False, inherited=shell)
    assert variables == {
        "PATH": f"{empty_place.tools}:{tmp_path / 'official'}:/usr/bin:/bin",
        "PULUMI_HOME": str(empty_place.pulumi_home),
        "PULUMI_BACKEND_URL": f"file://{empty_place.pulumi_state}",
        "PULUMI_CONFIG_PASSPHRASE": tools.PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in environment(
        empty_place, used, acquire_plugins=True, inherited=shell
    )
    # Set again in the same shell, nothing is added twice.
    assert environment(empty_place, used, acquire_plugins=False, inherited={**shell, **variables}) == variables
