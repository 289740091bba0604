"""Which Pulumi engine the sandbox uses: what this machine has (I/O), and which way follows from it (pure).

The order: the `pulumi` on PATH; an engine that was downloaded or built earlier; a download; a build from the Go module
registry. Standard library only: this runs before the virtualenv is complete.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sandbox.engine import build
from sandbox.engine.versions import Version, parse
from sandbox.errors import SandboxError
from sandbox.place import Place

OLDEST_ENGINE = Version(3, 255, 0)
"""The oldest engine that was tried with the SDK in requirements.txt."""

DOWNLOAD_PAGE = "https://get.pulumi.com/install.sh"
"""A page of the host that has the archives of the CLI."""

PROBE_SECONDS = 4.0
NOT_ASKED = "a download was not tried"
LANGUAGE_HOST = "pulumi-language-python"


class Origin(Enum):
    """How the engine came to this machine."""

    PATH = "found on PATH"
    DOWNLOADED = "downloaded"
    BUILT = "built from the Go module registry"


class Way(Enum):
    """What has to be done to have an engine."""

    USE = "use the engine that is there"
    DOWNLOAD = "download the official engine"
    BUILD = "build the engine from the Go module registry"


@dataclass(frozen=True)
class Candidate:
    """A `pulumi` executable; version is None if it does not say a release number."""

    cli: Path
    version: Version | None
    has_language_host: bool


@dataclass(frozen=True)
class Findings:
    """What this machine has to offer.

    no_download: why the official engine cannot be downloaded; None if it can. go: None if there is no Go.
    """

    on_path: Candidate | None
    downloaded: Candidate | None
    built: Candidate | None
    no_download: str | None
    go: Version | None


@dataclass(frozen=True)
class Engine:
    """An engine that can be run. bundled_host: it brings its own Python language host; otherwise ours is used."""

    cli: Path
    version: Version
    origin: Origin
    bundled_host: bool


@dataclass(frozen=True)
class Plan:
    """The way to an engine, in words for the person why, and the engine itself if it is there already."""

    way: Way
    reason: str
    engine: Engine | None = None


def plan(findings: Findings) -> Plan:
    """Decide where the engine comes from.

    Raises SandboxError with every remedy if there is no way at all.
    """
    unusable = _why_unusable(findings.on_path)
    if findings.on_path is not None and unusable is None:
        return _use(findings.on_path, Origin.PATH)
    for candidate, origin in ((findings.downloaded, Origin.DOWNLOADED), (findings.built, Origin.BUILT)):
        if candidate is not None and _why_unusable(candidate, origin is Origin.BUILT) is None:
            return _use(candidate, origin)
    if findings.no_download is None:
        return Plan(Way.DOWNLOAD, f"{unusable}; the download host answers")
    if findings.go is not None and findings.go >= build.OLDEST_GO:
        return Plan(Way.BUILD, f"{unusable}; {findings.no_download}; Go {findings.go} is installed")
    go = "no Go is installed" if findings.go is None else f"Go {findings.go} is older than {build.OLDEST_GO}"
    raise SandboxError(
        f"There is no Pulumi engine and no way to get one: {unusable}; {findings.no_download}; {go}.",
        "One of these helps: install the Pulumi CLI (https://www.pulumi.com/docs/install/), allow internet access, "
        f"or install Go {build.OLDEST_GO} or newer. Then run `make up` again.",
    )


def probe(place: Place, answers: Callable[[], bool] | None = None) -> Findings:
    """Look at this machine. Takes at most a few seconds, and asks the network only if no usable engine is there.

    answers: whether the download host can be reached; by default it is asked.
    """
    on_path = _on_path(place)
    if on_path is not None and _why_unusable(on_path) is None:
        return Findings(on_path, None, None, NOT_ASKED, None)
    downloaded, built = _downloaded(place), _built(place)
    if downloaded is not None or built is not None:
        return Findings(on_path, downloaded, built, NOT_ASKED, None)
    no_download = None if (answers or host_answers)() else "the download host does not answer"
    return Findings(on_path, None, None, no_download, build.go_version())


def downloads(place: Place) -> Path:
    """The folder with one folder for each downloaded engine."""
    return place.cache / "engine" / "downloaded"


def host_answers(url: str = DOWNLOAD_PAGE, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the download host answers within `seconds`; a name lookup that hangs counts as no."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
                answered.set()
        except (OSError, urllib.error.URLError, ValueError):
            pass
        finally:
            done.set()

    done = threading.Event()
    # The socket's own time limit does not cover the name lookup, so the wait has one of its own.
    threading.Thread(target=ask, daemon=True).start()
    done.wait(seconds)
    return answered.is_set()


def engine_version(cli: Path) -> Version | None:
    """What `cli` says its version is; None if it does not run or has none."""
    try:
        said = subprocess.run(
            [cli, "version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=True,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse(said.stdout)


def _on_path(place: Place) -> Candidate | None:
    path = _path_without(place.tools)
    cli = shutil.which("pulumi", path=path)
    if cli is None:
        return None
    # As the engine itself looks for it: beside the executable, or on PATH.
    beside = Path(cli).resolve().parent / LANGUAGE_HOST
    has_host = os.access(beside, os.X_OK) or shutil.which(LANGUAGE_HOST, path=path) is not None
    return Candidate(Path(cli).absolute(), engine_version(Path(cli)), has_host)


def _downloaded(place: Place) -> Candidate | None:
    """The newest usable download; each folder got the version as its name when the engine in it had said it."""
    found = [
        Candidate(cli, parse(cli.parent.parent.name), os.access(cli.parent / LANGUAGE_HOST, os.X_OK))
        for cli in downloads(place).glob("*/bin/pulumi")
    ]
    usable = [candidate for candidate in found if _why_unusable(candidate) is None]
    return max(usable, key=lambda candidate: candidate.version or OLDEST_ENGINE, default=None)


def _built(place: Place) -> Candidate | None:
    cli = build.result(place)
    return Candidate(cli, build.ENGINE, has_language_host=False) if build.is_whole(cli) else None


def _why_unusable(candidate: Candidate | None, built: bool = False) -> str | None:
    if candidate is None:
        return "no pulumi on PATH"
    if candidate.version is None:
        return f"{candidate.cli} does not say its version"
    if candidate.version < OLDEST_ENGINE:
        return f"pulumi {candidate.version} on PATH is older than {OLDEST_ENGINE}"
    if candidate.version.major != OLDEST_ENGINE.major:
        return f"pulumi {candidate.version} on PATH is of another major version than {OLDEST_ENGINE}"
    if not candidate.has_language_host and not built:
        # What runs a program would be missing, too.
        return f"pulumi {candidate.version} on PATH comes without {LANGUAGE_HOST}"
    return None


def _use(candidate: Candidate, origin: Origin) -> Plan:
    assert candidate.version is not None
    engine = Engine(candidate.cli, candidate.version, origin, candidate.has_language_host)
    return Plan(Way.USE, f"pulumi {candidate.version}, {origin.value}", engine)


def _path_without(folder: Path) -> str:
    # In a shell with the sandbox's environment, PATH begins with the tools of the sandbox: not a find of its own.
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if not entry or Path(entry).absolute() != folder.absolute())
