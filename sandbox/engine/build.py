"""Builds the Pulumi CLI from the Go module registry: the last resort, where its download host cannot be reached.

The versions of all its modules are pinned by go.mod and go.sum beside this file. Standard library only: the build runs
side by side with pip. Writes to the cache only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from provisioning import pins
from sandbox.engine.versions import Version, parse
from sandbox.errors import SandboxError
from sandbox.place import Place

SOURCES = Path(__file__).resolve().parent
"""The folder with go.mod and go.sum."""

OLDEST_GO = Version(1, 26, 6)
"""What the engine's go.mod asks for."""

ENGINE = Version(*map(int, pins.version(pins.CLI).split(".")))
"""The pinned engine, which go.mod names too."""

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"
DYNAMIC_PROVIDER = "pulumi-resource-pulumi-python"
SCRIPTS = {EXECUTOR: f"python/cmd/{EXECUTOR}", DYNAMIC_PROVIDER: f"python/dist/{DYNAMIC_PROVIDER}"}
"""What the official Python host is made of besides its own executable: file → where the Go module of the SDK has it."""

# -mod=readonly: go.mod and go.sum decide, and are never rewritten. Without the version, the engine calls itself "dev".
FLAGS = (
    "-mod=readonly",
    "-trimpath",
    "-tags=osusergo,grpcnotrace",
    f"-ldflags=-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{ENGINE}",
)
REPORT_EVERY = 50


def fingerprint(sources: Path = SOURCES) -> str:
    """The name of a build: a digest of go.mod, go.sum and the compiler's flags."""
    digest = hashlib.sha256()
    for part in ((sources / "go.mod").read_bytes(), (sources / "go.sum").read_bytes(), "\n".join(FLAGS).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def result(place: Place, sources: Path = SOURCES) -> Path:
    """Where the built engine is, or will be."""
    return place.cache / "engine" / fingerprint(sources) / "pulumi"


def go_version() -> Version | None:
    """The version of the `go` on PATH; None if there is none."""
    go = shutil.which("go")
    if go is None:
        return None
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=True,
            env=environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse(said.stdout)


def build(place: Place, report: Callable[[str], None], sources: Path = SOURCES) -> Path:
    """Build the engine unless it is in the cache, and return the executable. The first time takes some minutes.

    report: told now and then how far it is. Two builds at once: the second waits for the first. A build that was
    killed leaves nothing that a later one would take for an engine.

    Raises SandboxError with the end of the compiler's output if it fails.
    """
    cli = result(place, sources)
    cli.parent.mkdir(parents=True, exist_ok=True)
    if is_whole(cli):
        return cli
    with _alone(cli.parent / "lock", report):
        if is_whole(cli):
            return cli
        for left_over in cli.parent.glob("*.partial"):
            left_over.unlink()
        if not cli.exists():
            partial = cli.with_name(f"pulumi.{os.getpid()}.partial")
            _compile(partial, place.logs / "engine-build.log", report, sources)
            _check(partial)
            partial.replace(cli)
        _keep_scripts(cli.parent, sources)
    return cli


def is_whole(cli: Path) -> bool:
    """Whether the engine is built, and what runs Python programs lies beside it."""
    return all(os.access(path, os.X_OK) for path in (cli, *(cli.with_name(name) for name in SCRIPTS)))


def _keep_scripts(folder: Path, sources: Path) -> None:
    """Copy what runs Python programs from the engine's own module, which the build has downloaded."""
    asked = subprocess.run(
        ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK],
        cwd=sources,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
    )
    module = Path(asked.stdout.strip())
    for name, path in SCRIPTS.items():
        if asked.returncode != 0 or not (module / path).is_file():
            raise SandboxError(
                f"The engine's Go module {SDK} lacks {path}: {asked.stderr.strip() or module}",
                "Run `go clean -modcache`, then `make up` again.",
            )
        partial = folder / f"{name}.{os.getpid()}.partial"
        shutil.copyfile(module / path, partial)
        partial.chmod(0o755)
        partial.replace(folder / name)


def _compile(partial: Path, log: Path, report: Callable[[str], None], sources: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise SandboxError("The engine cannot be built: there is no Go.", f"Install Go {OLDEST_GO} or newer.")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-v", *FLAGS, "-o", str(partial), PACKAGE]
    downloaded = compiled = 0
    tail: deque[str] = deque(maxlen=15)
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            cwd=sources,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                tail.append(line.rstrip())
                if line.startswith("go: downloading"):
                    downloaded += 1
                else:
                    compiled += 1
                if (downloaded + compiled) % REPORT_EVERY == 0:
                    report(f"{downloaded} modules downloaded, {compiled} packages compiled")
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        partial.unlink(missing_ok=True)
        end = "\n".join(f"  | {line}" for line in tail)
        raise SandboxError(
            f"The engine could not be built (go ended with {process.returncode}):\n{end}",
            f"Its modules come from the Go module proxy ({_setting(go, 'GOPROXY')}): can this machine reach it? "
            f"The whole output is in {log}. Installing the Pulumi CLI makes the build unnecessary.",
        )


def _check(cli: Path) -> None:
    said = subprocess.run(
        [cli, "version"], capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False
    )
    if said.stdout.strip() != f"v{ENGINE}":
        raise SandboxError(
            f"The built engine does not work: `pulumi version` said {(said.stdout + said.stderr).strip()!r}.",
            "Install the Pulumi CLI (https://www.pulumi.com/docs/install/), then run `make up` again.",
        )


def environment() -> Mapping[str, str]:
    """The variables for every `go`: this process's own, with what decides which code is built."""
    # The compiler that was checked is the one that runs (no toolchain download), and no workspace around the clone
    # changes what is built.
    return {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _setting(go: str, name: str) -> str:
    said = subprocess.run(
        [go, "env", name], capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=False
    )
    return f"{name}={said.stdout.strip()}"


@contextmanager
def _alone(lock: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold `lock` for the duration; the operating system gives it up if this process is killed."""
    with lock.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another build of the engine")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
