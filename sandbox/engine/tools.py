"""What one sandbox runs: the executables in `place.tools`, and the environment in which plain `pulumi` finds them."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sandbox.engine.build import DYNAMIC_PROVIDER, EXECUTOR
from sandbox.engine.find import LANGUAGE_HOST, Engine
from sandbox.place import PROJECT, Place

OURS = ("pulumi", LANGUAGE_HOST, EXECUTOR, DYNAMIC_PROVIDER)
PYTHON = PROJECT / ".venv" / "bin" / "python"
PASSPHRASE = "sandbox"
"""Encrypts the secrets in the sandbox's state. Not a secret: it guards nothing outside this machine."""

_HERE = Path(__file__).resolve().parent


def install_tools(place: Place, engine: Engine, python: Path = PYTHON) -> Engine:
    """Make `place.tools` fit `engine`, and return the engine as it is to be run.

    A built engine gets our language host, and from its own Go module what runs programs and dynamic providers. The
    engine takes what lies beside its own executable for its own and warns of anything else on PATH, so the executable
    is linked (or copied) to the same folder.
    """
    for folder in (place.tools, place.pulumi_home, place.pulumi_state):
        folder.mkdir(parents=True, exist_ok=True)
    if engine.bundled_host:
        for name in OURS:
            (place.tools / name).unlink(missing_ok=True)
        return engine
    cli = place.tools / "pulumi"
    _link(engine.cli, cli)
    for script in (EXECUTOR, DYNAMIC_PROVIDER):
        _link(engine.cli.with_name(script), place.tools / script)
    write_launcher(place.tools / LANGUAGE_HOST, python, [_HERE / "language_host.py", place.tools / EXECUTOR])
    return replace(engine, cli=cli)


def write_launcher(path: Path, python: Path, arguments: list[str | Path], pythonpath: Path | None = None) -> None:
    """Write an executable that runs `python` with `arguments`, in that Python's virtualenv, and its own arguments.

    pythonpath: a folder to be searched for modules first.
    """
    virtualenv = python.parent.parent
    command = " ".join(shlex.quote(str(part)) for part in (python, "-u", "-P", *arguments))
    lines = ["#!/bin/sh"]
    if (virtualenv / "pyvenv.cfg").exists():
        lines.append(f"export VIRTUAL_ENV={shlex.quote(str(virtualenv))}")
        lines.append(f'export PATH={shlex.quote(str(python.parent))}:"$PATH"')
    if pythonpath is not None:
        lines.append(f'export PYTHONPATH={shlex.quote(str(pythonpath))}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    lines.append(f'exec {command} "$@"')
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.chmod(0o755)
    partial.replace(path)


def environment(
    place: Place, engine: Engine, *, acquire_plugins: bool, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables with which plain `pulumi` commands work on the sandbox; to be added to a shell's own.

    engine: as `install_tools` returned it. acquire_plugins: whether the engine may download plugins that it misses.
    inherited: the shell's own variables, of which PATH is extended.
    """
    front = [str(place.tools), str(engine.cli.parent)]
    rest = [entry for entry in inherited.get("PATH", os.defpath).split(os.pathsep) if entry not in front]
    variables = {
        "PATH": os.pathsep.join(dict.fromkeys([*front, *rest])),
        "PULUMI_HOME": str(place.pulumi_home),
        "PULUMI_BACKEND_URL": place.pulumi_state.absolute().as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    if not acquire_plugins:
        variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return variables


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`; a copy where the two are on different file systems."""
    source = source.resolve()
    if target.exists() and (os.path.samefile(source, target) or _same_copy(source, target)):
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    partial.replace(target)


def _same_copy(source: Path, target: Path) -> bool:
    ours, theirs = target.stat(), source.stat()
    return ours.st_size == theirs.st_size and ours.st_mtime_ns == theirs.st_mtime_ns
