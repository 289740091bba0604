"""Python processes of the engine that are forked from a template instead of started anew.

Half of a `pulumi up` is the start of language host, program, dynamic provider and azuread plugin, each of which imports
the same packages every time. Here they are imported once for a sandbox (`template.py`). A copy that is a program still
runs the official pulumi-language-python-exec, with the arguments, variables, folder, files, signals and exit code that
the host gives it; `OWN_START` has a command do without copies.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.engine.azuread_plugin import EXECUTABLE, plugin_folder
from sandbox.engine.build import DYNAMIC_PROVIDER, EXECUTOR
from sandbox.engine.find import LANGUAGE_HOST
from sandbox.place import PROJECT, Place

OWN_START = {"TESTS_OWN_START": "1"}
"""Has the processes of a command start as they do for everybody else."""

PROGRAM = (
    "asyncio", "dill", "grpc.aio", "httpx", "opentelemetry.sdk.trace", "pulumi", "pulumi.dynamic.dynamic",
    "pulumi.runtime.proto.language_pb2", "pulumi_azuread", "pydantic", "pydantic_settings", "yaml",
)  # fmt: skip
"""What program and push import from packages. Nothing of the project: that each of them imports for itself."""

PLUGIN = ("grpc", "sandbox.azuread.provider", "sandbox.azuread.__main__")
"""What the azuread stand-in imports."""

HERE = Path(__file__).parent


@contextmanager
def forked(place: Place) -> Iterator[None]:
    """Have the commands of the sandbox in `place` use templates; an official host or plugin starts as always."""
    plugin = plugin_folder(place.pulumi_home) / EXECUTABLE
    with (
        _template(place.home / "program.sock", PROGRAM) as program,
        _template(place.home / "plugin.sock", PLUGIN, PYTHONPATH=str(PROJECT)) as stand_in,
    ):
        if (place.tools / EXECUTOR).is_file():
            _prefer(place.tools / LANGUAGE_HOST, program, _executor(place, program))
            _prefer_module(place.tools / DYNAMIC_PROVIDER, program, "pulumi.dynamic")
        if plugin.is_file() and plugin.read_bytes().startswith(b"#!"):
            _prefer(plugin, stand_in)
        yield


@contextmanager
def _template(address: Path, modules: Sequence[str], **variables: str) -> Iterator[list[str]]:
    """A template; yields the command that has a copy of it carry out the command that follows."""
    command = [sys.executable, "-u", "-P", str(HERE / "template.py"), str(address), *modules]
    environment = {**os.environ, **variables}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as template:
        assert template.stdout is not None
        assert template.stdout.readline() == "ready\n"
        yield [sys.executable, "-I", "-S", str(HERE / "from_template.py"), str(address)]
        template.terminate()


def _executor(place: Place, template: Sequence[str]) -> tuple[Path, Path]:
    """The official executor of programs, and what the language host is given in its place: a copy that runs it."""
    official, ours = place.tools / EXECUTOR, place.home / EXECUTOR
    client, address = template[-2:]
    arguments = [client, address, str(official)]
    # Not by runpy, whose import takes as long as the rest.
    ours.write_text(f"import sys\nsys.argv[:1] = {arguments!r}\nexec(open({client!r}).read())\n")
    return official, ours


def _prefer(launcher: Path, template: Sequence[str], replaced: tuple[Path, Path] | None = None) -> None:
    """Have a copy of the template carry out the launcher's command, unless OWN_START says otherwise.

    replaced: a file that the command names, and what it names for the copy.
    """
    lines = launcher.read_text().splitlines()
    command = lines[-1].partition(" -u -P ")[2]
    assert command, lines
    if replaced is not None:
        official, ours = (shlex.quote(str(file)) for file in replaced)
        command = command.replace(official, ours)
    _write(launcher, [*lines[:-1], _unless_own_start(f"{shlex.join(template)} -P {command}"), lines[-1]])


def _prefer_module(launcher: Path, template: Sequence[str], module: str) -> None:
    """The same for the official launcher of dynamic providers, which runs `python -m` in the project's virtualenv."""
    official = launcher.rename(launcher.with_name(f"{launcher.name}.official"))
    instead = _unless_own_start(f'{shlex.join(template)} -m {module} "$@"')
    _write(launcher, ["#!/bin/sh", instead, f'exec {shlex.quote(str(official))} "$@"'])


def _unless_own_start(command: str) -> str:
    (variable,) = OWN_START
    return f'[ -n "${variable}" ] || exec {command}'


def _write(launcher: Path, lines: Sequence[str]) -> None:
    partial = launcher.with_name(f".{launcher.name}")
    partial.write_text("\n".join(lines) + "\n")
    partial.chmod(0o755)
    partial.replace(launcher)
