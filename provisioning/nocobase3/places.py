"""Where a deployment of NocoBase 3 keeps its configuration: a file on this machine, or a Secret of Kubernetes.

A place is read, with a version, and written if it still has that version; nothing else is asked of it, so that others
can be added. What is read holds secrets: it is neither logged nor recorded.

Kubernetes is reached by `kubectl`: whoever deploys there has it, and it knows every way to sign in to a cluster. The
new content goes to its standard input, never into its arguments.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from provisioning import waiting
from provisioning.errors import ChangedMeanwhile, ConfigurationUnusable
from provisioning.foreign import parsed_json, quoted
from provisioning.nocobase3 import commands
from provisioning.nocobase3.config_file import LARGEST

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KUBERNETES = "kubernetes"
KUBECTL_SECONDS = 60.0

LOCK_SECONDS = 30.0
"""How long to wait for another run or program that has locked a file; each holds it for milliseconds."""

REMEDY = "Let this account write into its folder."
REMEDIES = {
    errno.EBUSY: "It is mounted by itself: mount its folder, so that it can be replaced as a whole.",
    errno.EPERM: "Owner and group have to stay, so run this as its owner, who is in its group, or as root.",
    errno.ENOSPC: "Make room on its file system.",
    errno.EDQUOT: "Make room on its file system.",
    errno.EROFS: "Its file system is mounted for reading only: mount its folder so that it can be written.",
}
"""What to do if a file cannot be written, by the error; else REMEDY."""

LEFT_OVER = ".nocobase-outlook"
"""How the name of a file ends that an interrupted write has left behind."""


@dataclass(frozen=True)
class Content:
    """What a place holds. version: of this very content, as the place names it."""

    data: bytes = field(repr=False)
    version: str


class Place(Protocol):
    """Where a configuration is kept; `str` names it for people."""

    def read(self) -> Content:
        """What it holds. Raises ConfigurationUnusable."""

    def write(self, data: bytes, version: str) -> None:
        """Replace its content, which is that of `version`: as a whole or not at all.

        Raises ChangedMeanwhile if it is another one by now, and ConfigurationUnusable.
        """


def place_of(text: str) -> Place:
    """The place that a setting names: an absolute path, or `kubernetes://<namespace>/<secret>/<key>`.

    The latter may end in `?context=<context of kubectl>`. Raises ValueError with the rule that is broken.
    """
    if not text.startswith(f"{KUBERNETES}:"):
        if not Path(text).is_absolute() or not text.isprintable():
            raise ValueError("It must be an absolute path, or kubernetes://<namespace>/<secret>/<key>.")
        return LocalFile(Path(text))
    try:
        parts = urlsplit(text)
    except ValueError:  # its message repeats the text
        parts = urlsplit("")
    names = [parts.netloc, *parts.path.removeprefix("/").split("/")]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    named = len(names) == 3 and all(NAME.fullmatch(name) for name in names)
    if not named or parts.fragment or query.keys() - {"context"}:
        raise ValueError("It must be kubernetes://<namespace>/<secret>/<key>, and may end in ?context=<context>.")
    context = query.get("context")
    if context is not None and (not context or context.startswith("-")):
        raise ValueError("After ?context= comes the name of a context of kubectl.")
    namespace, name, key = names
    return KubernetesSecret(namespace, name, key, context)


NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""Of a namespace, a Secret, or a key in it."""


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine; a link leads to it."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> Content:
        """What it holds. Raises ConfigurationUnusable."""
        try:
            return _content(self._real())
        except OSError as error:
            raise _unusable(self, "read", error, "Correct nocobaseConfigFile, or let this account read it.") from None

    def write(self, data: bytes, version: str) -> None:
        """Write a file beside it, and rename that: nobody ever sees half of it. Mode, owner and attributes stay.

        It is locked meanwhile (flock): two runs, and whoever else locks it, come one after the other.
        Raises ChangedMeanwhile, ConfigurationUnusable and Interrupted.
        """
        try:
            with self._locked() as real:
                self._write(real, data, version)
        except OSError as error:
            remedy = REMEDIES.get(error.errno or 0, REMEDY)
            raise _unusable(self, "written", error, f"{remedy} Then run the command again.") from None

    def weaknesses(self) -> dict[str, str]:
        """What is wrong with it here, and how to mend it: whether this account can replace it, and who can read it.

        Raises ConfigurationUnusable.
        """
        try:
            real = self._real()
            found, folders = real.stat(), [folder.stat() for folder in real.parents]
        except OSError as error:
            raise _unusable(self, "read", error, "Correct nocobaseConfigFile, or let this account read it.") from None
        said = {}
        if not os.access(real.parent, os.W_OK | os.X_OK):
            said["this account cannot write into its folder"] = REMEDY
        elif hasattr(os, "geteuid") and os.geteuid() not in (0, found.st_uid):
            said["it is another account's, whose it has to stay"] = REMEDIES[errno.EPERM]
        if found.st_mode & stat.S_IROTH and all(folder.st_mode & stat.S_IXOTH for folder in folders):
            said["every account of this machine can read the client secret in it"] = (
                f"If NocoBase reads it as its owner, or by its group: chmod o-r {shlex.quote(str(real))}"
            )
        return said

    def _real(self) -> Path:
        try:
            real = self.path.resolve(strict=True)
        except RuntimeError:  # Python before 3.13
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        if not stat.S_ISREG(real.stat().st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return real

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """The file, locked. The lock is on the file itself, so that none is left behind; a rename takes it along."""
        ends = time.monotonic() + LOCK_SECONDS
        with waiting.waiting_aloud(f"the lock on {self}", LOCK_SECONDS) as goes_on:
            while True:
                real = self._real()
                with _opened(real) as number:
                    locked = _lock(number)
                    if locked and os.path.samestat(os.fstat(number), real.stat()):
                        yield real
                        return
                if not locked and time.monotonic() >= ends:
                    why = f"another program has locked it for {LOCK_SECONDS:.0f} s"
                    remedy = "`lslocks` names it. Once it has ended, run the command again."
                    raise ConfigurationUnusable(f"The configuration {self} cannot be written", why, remedy)
                goes_on()
                waiting.pause(LOCK_LOOK_SECONDS)

    def _write(self, real: Path, data: bytes, version: str) -> None:
        for old in real.parent.glob(f".{glob_safe(real.name)}.*{LEFT_OVER}"):
            old.unlink()
        number, name = tempfile.mkstemp(prefix=f".{real.name}.", suffix=LEFT_OVER, dir=real.parent)
        beside = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(data)
                _keep_owner(beside, real)
                shutil.copystat(real, beside)
                os.utime(beside)
                file.flush()
                os.fsync(file.fileno())
            if self._real() != real or _content(real).version != version:
                raise changed_meanwhile(self)
            beside.replace(real)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
        _sync_folder(real.parent)


LOCK_LOOK_SECONDS = 0.02
"""How often a locked file is tried again."""


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        # NFS locks only what is open for writing.
        number = os.open(path, os.O_RDWR)
    except OSError:
        number = os.open(path, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def _lock(number: int) -> bool:
    """Lock an open file if nobody else has; a file system that has no locks does without."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


def _content(real: Path) -> Content:
    with real.open("rb") as file:
        data = file.read(LARGEST + 1)
    return Content(data, hashlib.sha256(data).hexdigest())


def glob_safe(name: str) -> str:
    """A file's name within a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _keep_owner(new: Path, old: Path) -> None:
    was, now = old.stat(), new.stat()
    if hasattr(os, "chown") and (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
        os.chown(new, was.st_uid, was.st_gid)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every system has this
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


IN_MEMORY = partial(commands.run, in_memory=True)


@dataclass(frozen=True)
class KubernetesSecret:
    """One key of a Secret. context: of kubectl; None takes its current one. run: see `commands.run`."""

    namespace: str
    name: str
    key: str
    context: str | None = None
    run: Callable[..., commands.Ran] = field(default=IN_MEMORY, compare=False, repr=False)

    def __str__(self) -> str:
        at = f"?{urlencode({'context': self.context})}" if self.context else ""
        return f"{KUBERNETES}://{self.namespace}/{self.name}/{self.key}{at}"

    def read(self) -> Content:
        """What it holds. Raises ConfigurationUnusable."""
        found = self._object()
        try:
            data = base64.b64decode((found.get("data") or {})[self.key], validate=True)
        except KeyError:
            there = ", ".join(map(quoted, sorted(found.get("data") or {}))) or "none"
            raise self._wrong(f"it has no key {self.key}; there are {there}") from None
        except (binascii.Error, TypeError, ValueError):
            raise self._wrong(f"its key {self.key} is not base64") from None
        return Content(data, str((found.get("metadata") or {}).get("resourceVersion") or ""))

    def write(self, data: bytes, version: str) -> None:
        """Replace the key, if the Secret has still `version`: the API server compares. Raises as `Place.write`."""
        found = self._object()
        if str((found.get("metadata") or {}).get("resourceVersion")) != version:
            raise changed_meanwhile(self)
        encoded = base64.b64encode(data).decode()
        changed = {**found, "data": {**(found.get("data") or {}), self.key: encoded}}
        self._kubectl("replace", "--filename=-", "--output=name", given=json.dumps(changed).encode())

    def _object(self) -> Mapping[str, Any]:
        try:
            found = parsed_json(self._kubectl("get", "secret", self.name, "--output=json"))
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("data") or {}, dict):
            raise self._wrong("kubectl did not answer with a Secret")
        return found

    def _kubectl(self, verb: str, *arguments: str, given: bytes = b"") -> bytes:
        context = [f"--context={self.context}"] if self.context else []
        command = ["kubectl", *context, f"--namespace={self.namespace}", verb, *arguments]
        try:
            ran = self.run(command, KUBECTL_SECONDS, given)
        except commands.CommandFailed as error:
            raise self._wrong(f"kubectl: {error}") from None
        if ran.code:
            said = re.sub(r"[A-Za-z0-9+/=]{32,}", "…", ran.last_words)
            if CONFLICT.search(said):
                raise changed_meanwhile(self)
            raise self._wrong(f"kubectl {verb} ended with {ran.code}: {quoted(said)}")
        return ran.out

    def _wrong(self, why: str) -> ConfigurationUnusable:
        what = f"The configuration {self} cannot be used"
        remedy = "Correct nocobaseConfigFile, and see whether kubectl may get and update that Secret."
        return ConfigurationUnusable(what, why, remedy)


CONFLICT = re.compile(r"\(Conflict\)|the object has been modified")
"""What kubectl says if the API server refuses an outdated version."""


def changed_meanwhile(place: Place) -> ChangedMeanwhile:
    """The error for a place whose content is another one by now."""
    return ChangedMeanwhile(
        f"Somebody else changed the configuration {place} at the same moment",
        "nothing was written",
        "Run the command again: it reads first what is there.",
    )


def _unusable(place: Place, done: str, error: OSError, remedy: str) -> ConfigurationUnusable:
    why = error.strerror or type(error).__name__
    return ConfigurationUnusable(f"The configuration {place} cannot be {done}", why, remedy)
