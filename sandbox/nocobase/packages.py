"""Installs the NocoBase server: npm packages by the lock in packages/, and SQLite's native module for this Node.

Touches `place.nocobase_packages` only. Everything that npm downloads is checked against the integrity in the lock, and
the prebuilt native module against its checksum; no install script of any package runs, but that which compiles it.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import processes
from sandbox.errors import SandboxError
from sandbox.place import Place

SOURCE = Path(__file__).resolve().parent / "packages"
"""package.json, its lock, the launcher and the stand-in plugin."""

NPM_FLAGS = (
    "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--loglevel=error",
    "--omit=dev", "--omit=optional", "--omit=peer",
)  # fmt: skip
"""Peers are left out: NocoBase's plugins name their browser-side libraries as peers."""

OLDEST_NODE = 20
DOWNLOAD_PATIENCE = 20
"""Seconds for the prebuilt SQLite module (about 1 MB) before it is compiled instead."""

PREBUILT_BYTES = 20_000_000

PREBUILT: dict[str, Any] = json.loads((Path(__file__).parent / "prebuilt_sqlite.json").read_text(encoding="utf-8"))
"""The prebuilt module of each machine for which its checksum is known. Source: the AUR packages that build on it."""

NEEDED_TO_COMPILE = ("sqlite3", "node-addon-api")
"""The packages without which SQLite's native module cannot be compiled."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class Node:
    """A Node.js that can run NocoBase: its executables and the folder that holds bin/ and include/."""

    node: Path
    npm: Path
    prefix: Path
    version: str

    @property
    def headers(self) -> Path | None:
        """What node-gyp calls nodedir: given, it downloads no headers."""
        return self.prefix if (self.prefix / "include" / "node" / "node_api.h").is_file() else None


def find_node() -> Node:
    """The Node.js and npm on PATH.

    Raises SandboxError if there is none, or one older than NocoBase needs.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    remedy = f"Install Node.js {OLDEST_NODE} or later with npm (https://nodejs.org) and put both on PATH."
    if node is None:
        raise SandboxError("Node.js is not installed; the sandbox's NocoBase runs on it.", remedy)
    if npm is None:
        raise SandboxError("npm is not installed; the sandbox's NocoBase is installed with it.", remedy)
    asked = "process.stdout.write(JSON.stringify([process.version, process.execPath]))"
    answer = subprocess.run([node, "-e", asked], check=False, capture_output=True, encoding="utf-8", errors="replace")
    if answer.returncode != 0:
        raise SandboxError(f"{node} does not work: {answer.stderr.strip()[-300:]}", remedy)
    version, executable = json.loads(answer.stdout)
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        raise SandboxError(f"Node.js {version} at {node} is too old for NocoBase.", remedy)
    return Node(Path(node), Path(npm), Path(executable).resolve().parent.parent, version)


def install(place: Place, log: Log) -> bool:
    """Install what is missing or outdated; False if nothing was.

    `log` is told each step in a few words. An interrupted installation is repaired by the next call.
    Raises SandboxError naming what is missing on this machine or what npm said.
    """
    node = find_node()
    target = place.nocobase_packages
    target.mkdir(parents=True, exist_ok=True)
    with (target / "install.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(place, node, target, log)


def _install(place: Place, node: Node, target: Path, log: Log) -> bool:
    _copy_own_files(target)
    installed = target / "installed.json"
    wanted = {"packages": _fingerprint(), "node": _abi(node)}
    present = _read(installed)
    if present == wanted:
        return False
    installed.unlink(missing_ok=True)
    if present.get("packages") != wanted["packages"]:
        log("installing NocoBase's packages with npm")
        try:
            _run(place, "npm", [str(node.npm), "ci", *NPM_FLAGS], target)
        except subprocess.CalledProcessError as error:
            remedy = (
                "Check that npm reaches its registry (`npm ping`; proxy and registry are set with `npm config`), "
                "then run the same command again."
            )
            raise _failed(place, "npm", "npm could not install NocoBase's packages.", remedy) from error
    _install_sqlite(place, node, log)
    installed.write_text(json.dumps(wanted), encoding="utf-8")
    return True


def _copy_own_files(target: Path) -> None:
    """The launcher, the plugin and the lock, as they are in this clone now; links in node_modules point to them."""
    for source in _own_files():
        copy = target / source.relative_to(SOURCE)
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())


def _own_files() -> Iterator[Path]:
    return (path for path in sorted(SOURCE.rglob("*")) if path.is_file() and "node_modules" not in path.parts)


def _fingerprint() -> str:
    """Of everything that decides which packages npm installs."""
    digest = hashlib.sha256(" ".join(NPM_FLAGS).encode())
    for name in ("package.json", "package-lock.json", "email-manager/package.json", "nothing/package.json"):
        digest.update((SOURCE / name).read_bytes())
    return digest.hexdigest()


def _abi(node: Node) -> str:
    """What a native module is built for."""
    return f"{node.version.split('.')[0]} {sys.platform} {os.uname().machine}"


def _read(file: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content


def _install_sqlite(place: Place, node: Node, log: Log) -> None:
    module = place.nocobase_packages / "node_modules" / "sqlite3"
    shutil.rmtree(module / "build", ignore_errors=True)
    if _download_sqlite(place, node, module, log):
        return
    how = _how_to_compile(node)
    log(f"compiling SQLite's module, a minute or two (for Node.js {node.version}, {how.words})")
    environment = {
        **os.environ,
        "npm_config_build_from_source": "true",
        "npm_config_python": sys.executable,
        "JOBS": "max",
        **how.environment,
    }
    command = [
        str(node.npm),
        "rebuild",
        "sqlite3",
        "--foreground-scripts",
        "--ignore-scripts=false",
        "--loglevel=error",
    ]
    remedy = "Fix what it names, then run the same command again."
    # `make` cannot live with a blank or a bracket in a path, and the clone may lie in any folder.
    with tempfile.TemporaryDirectory(prefix="nocobase-sqlite-", dir=_folder_for_make()) as folder:
        for name in NEEDED_TO_COMPILE:
            shutil.copytree(module.parent / name, Path(folder, "node_modules", name))
        shutil.copy(place.nocobase_packages / "package.json", folder)
        try:
            _run(place, "sqlite", command, Path(folder), env=environment)
        except subprocess.CalledProcessError as error:
            raise _failed(place, "sqlite", "SQLite's native module could not be compiled.", remedy) from error
        shutil.copytree(Path(folder, "node_modules", "sqlite3", "build"), module / "build")
    if not _loads(node, module):
        raise _failed(place, "sqlite", "SQLite's native module was compiled, but Node.js cannot load it.", remedy)


def _folder_for_make() -> str:
    """The folder for temporary files, or /tmp if `make` could not live with its name."""
    usual = tempfile.gettempdir()
    return usual if re.fullmatch(r"[\w/.+-]+", usual, re.ASCII) else "/tmp"


def _download_sqlite(place: Place, node: Node, module: Path, log: Log) -> bool:
    """The prebuilt module from the package's release page, where its checksum is known; False if it is not there."""
    archive = PREBUILT["archives"].get(f"{sys.platform} {os.uname().machine}")
    if archive is None:
        return False
    log("fetching SQLite's prebuilt module")
    try:
        packed = _fetch(PREBUILT["address"] + archive["name"])
        found = hashlib.sha256(packed).hexdigest()
        if found != archive["sha256"]:
            raise ValueError(f"{archive['name']} has the SHA-256 {found} instead of {archive['sha256']}")
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            files.extractall(module, filter="data")
    except (OSError, ValueError, tarfile.TarError, http.client.HTTPException) as error:
        place.logs.mkdir(parents=True, exist_ok=True)
        processes.log_file(place, "sqlite").write_text(
            f"The prebuilt module was not taken: {error}\n", encoding="utf-8"
        )
        return False
    return _loads(node, module)


def _fetch(url: str) -> bytes:
    """What is at `url`. Raises OSError, ValueError or HTTPException, also after DOWNLOAD_PATIENCE."""
    ends, packed = time.monotonic() + DOWNLOAD_PATIENCE, b""
    with urllib.request.urlopen(url, timeout=DOWNLOAD_PATIENCE) as answer:
        while part := answer.read(65536):
            packed += part
            if time.monotonic() > ends or len(packed) > PREBUILT_BYTES:
                raise ValueError(f"{url} takes longer than {DOWNLOAD_PATIENCE} s, or is no such module")
    return packed


@dataclass(frozen=True)
class _Compilation:
    words: str
    environment: Mapping[str, str]


def _how_to_compile(node: Node) -> _Compilation:
    """With the system's SQLite where its headers are (about 10 s of compiling), else with the sources in the package.

    Raises SandboxError if there is no compiler.
    """
    missing = [tool for tool in ("make", "g++") if shutil.which(tool) is None]
    if missing:
        raise SandboxError(
            f"SQLite's prebuilt module cannot be downloaded, and {' and '.join(missing)} to compile it is missing.",
            "Install a C++ compiler and make (Debian, Ubuntu: `apt install g++ make`; macOS: `xcode-select --install`),"
            " or let this machine reach github.com.",
        )
    headers = {"npm_config_nodedir": str(node.headers)} if node.headers else {}
    if sys.platform == "linux" and Path("/usr/include/sqlite3.h").is_file():
        return _Compilation("with the system's SQLite", {**headers, "npm_config_sqlite": "/usr"})
    # Unoptimised, SQLite's one large file compiles in a third of the time; the sandbox's tables have a few rows.
    return _Compilation("from the sources in the package", {**headers, "CFLAGS": "-O0", "CXXFLAGS": "-O0"})


def _loads(node: Node, module: Path) -> bool:
    command = [str(node.node), "-e", "require('sqlite3')"]
    return subprocess.run(command, cwd=module.parent.parent, capture_output=True, check=False).returncode == 0


def _run(place: Place, name: str, command: Sequence[str], cwd: Path, **options: Any) -> None:
    """Run one step of the installation, its output in `logs/<name>.log`; `options` are those of subprocess.run.

    Raises subprocess.CalledProcessError or TimeoutExpired.
    """
    place.logs.mkdir(parents=True, exist_ok=True)
    with processes.log_file(place, name).open("wb") as output:
        subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=True, **options)


def _failed(place: Place, name: str, what: str, remedy: str) -> SandboxError:
    log = processes.log_file(place, name)
    return SandboxError(f"{what} The end of its log:\n{processes.log_tail(place, name)}", f"Read {log}. {remedy}")
