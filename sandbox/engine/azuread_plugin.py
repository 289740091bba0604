"""Which azuread provider plugin the sandbox uses: the official one where it can be had, else the stand-in."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from provisioning import pins
from sandbox.engine.find import Engine, host_answers
from sandbox.engine.tools import PYTHON, environment, write_launcher
from sandbox.place import PROJECT, Place

EXECUTABLE = "pulumi-resource-azuread"
STAND_IN_MODULE = "sandbox.azuread"
STAND_IN_NOTE = "why-a-stand-in.txt"
INSTALL_SECONDS = 180.0


class PluginOrigin(Enum):
    """Where the plugin comes from."""

    INSTALLED = "the official plugin, installed on this machine"
    DOWNLOADED = "the official plugin, downloaded"
    STAND_IN = "the sandbox's stand-in"


@dataclass(frozen=True)
class AzureadPlugin:
    """The plugin that the engine will run. reason: why it is this one, for the person."""

    origin: PluginOrigin
    path: Path
    reason: str


def azuread_plugin(
    place: Place,
    engine: Engine,
    report: Callable[[str], None],
    *,
    python: Path = PYTHON,
    answers: Callable[[], bool] = host_answers,
    system: str | None = None,
) -> AzureadPlugin:
    """Put the azuread plugin that the program asks for into `place.pulumi_home`.

    answers: whether the download host can be reached. system: the operating system, as platform.system() names it.
    """
    folder = plugin_folder(place.pulumi_home)
    executable = folder / EXECUTABLE
    if (system or platform.system()) != "Linux":
        # Go takes its trusted certificates from the system's own store there and ignores SSL_CERT_FILE.
        return _stand_in(folder, python, "the official plugin would not trust the sandbox's certificate on this system")
    if executable.exists() and not (folder / STAND_IN_NOTE).exists():
        origin = PluginOrigin.INSTALLED if executable.is_symlink() else PluginOrigin.DOWNLOADED
        return AzureadPlugin(origin, executable, origin.value)
    for home in _users_homes(place):
        official = plugin_folder(home) / EXECUTABLE
        if os.access(official, os.X_OK) and not Path(f"{official.parent}.partial").exists():
            _clear(folder)
            folder.mkdir(parents=True, exist_ok=True)
            executable.symlink_to(official.resolve())
            return AzureadPlugin(PluginOrigin.INSTALLED, executable, f"found in {official.parent}")
    if (folder / STAND_IN_NOTE).exists():
        # The state was made with it; asking the network again would cost seconds of each `make up`.
        return _stand_in(folder, python, (folder / STAND_IN_NOTE).read_text(encoding="utf-8").strip())
    if not answers():
        return _stand_in(folder, python, "the official plugin is not installed and its download host does not answer")
    _clear(folder)
    failure = _download(place, engine, report)
    if failure is None and executable.exists():
        return AzureadPlugin(PluginOrigin.DOWNLOADED, executable, PluginOrigin.DOWNLOADED.value)
    return _stand_in(folder, python, f"the official plugin could not be downloaded ({failure or 'nothing arrived'})")


def plugin_folder(pulumi_home: Path) -> Path:
    """Where the engine looks for this very version of the plugin."""
    return pulumi_home / "plugins" / f"resource-azuread-v{pins.version(pins.PLUGIN)}"


def _stand_in(folder: Path, python: Path, reason: str) -> AzureadPlugin:
    _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAND_IN_NOTE).write_text(f"{reason}\n", encoding="utf-8")
    executable = folder / EXECUTABLE
    write_launcher(executable, python, ["-m", STAND_IN_MODULE], pythonpath=PROJECT)
    return AzureadPlugin(PluginOrigin.STAND_IN, executable, reason)


def _download(place: Place, engine: Engine, report: Callable[[str], None]) -> str | None:
    """Let the engine install the plugin; None if it did, else what went wrong in a few words."""
    report("downloading the official azuread plugin")
    try:
        done = subprocess.run(
            [engine.cli, "plugin", "install", "resource", "azuread", f"v{pins.version(pins.PLUGIN)}"],
            env={**os.environ, **environment(place, engine, acquire_plugins=True)},
            cwd=place.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {INSTALL_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    words = (done.stderr or done.stdout).strip().splitlines()
    return words[-1] if words else f"pulumi ended with {done.returncode}"


def _users_homes(place: Place) -> Iterator[Path]:
    """The folders of the user's own engine; in a shell with the sandbox's environment, PULUMI_HOME is the sandbox's."""
    for home in dict.fromkeys(
        (Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"), Path.home() / ".pulumi")
    ):
        if home.absolute() != place.pulumi_home.absolute():
            yield home


def _clear(folder: Path) -> None:
    for name in (EXECUTABLE, STAND_IN_NOTE):
        (folder / name).unlink(missing_ok=True)
