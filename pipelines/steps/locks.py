"""The locks that keep a run from its stack: whose they are, and whether one of them may be removed.

A run that is killed leaves its lock in the state's folder or bucket. Pulumi Cloud has leases instead, which end by
themselves. The engine asks for the lock before it begins: it has printed nothing then, and what a program or a server
says is printed to stdout. So only its stderr, and only where stdout is empty, is read for its words (measured: engine
3.274; source: pkg/backend/diy/lock.go).
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pipelines.steps.running import Ended, look

JOB_LIMIT = timedelta(hours=1)
"""After that the pipelines' systems end a job, so no older lock is that of a job that runs."""

LOCKED = re.compile(r"^error: the stack is currently locked by (?P<count>\d+) lock\(s\)\..*\n", re.MULTILINE)
MAKER = re.compile(
    r"  (?P<place>\S.*): created by (?P<user>.+)@(?P<host>[^@]+) \(pid (?P<process>\d+)\) at (?P<made>\S+)"
)


@dataclass(frozen=True)
class Lock:
    """One lock. place: the address of its file. made: with its time zone."""

    place: str
    user: str
    host: str
    process: int
    made: datetime

    @property
    def maker(self) -> str:
        """Who made it, and where."""
        return f"{self.user}@{self.host}"


@dataclass(frozen=True)
class Locked:
    """What the engine says of the locks. count: how many there are; `locks` are those that it could be read from."""

    count: int
    locks: tuple[Lock, ...]


def locked(ended: Ended) -> Locked | None:
    """The locks because of which a command of `pulumi` did not begin; None if that is not why it ended."""
    found = list(LOCKED.finditer(ended.errors))
    if ended.code == 0 or ended.printed.strip() or not found:
        return None
    lines = ended.errors[found[-1].end() :].splitlines()
    return Locked(int(found[-1]["count"]), tuple(lock for line in lines if (lock := _lock(line))))


def _lock(line: str) -> Lock | None:
    maker = MAKER.fullmatch(line.rstrip())
    if maker is None:
        return None
    try:
        made = datetime.fromisoformat(maker["made"])
    except ValueError:
        return None
    if made.tzinfo is None:
        return None
    return Lock(maker["place"], maker["user"], maker["host"], int(maker["process"]), made)


def left_behind(found: Locked, owner: str, host: str, runs: Callable[[int], bool], now: datetime) -> Lock | None:
    """The lock that an earlier job left, None if there is any doubt.

    owner: a pattern for `user@host` of the pipeline's own jobs, such as `runner@fv-*`; empty for none. host: this one.
    runs: whether a process with that id runs here. There must be one lock, and no other. On this host its process must
    have ended; on another, the lock must be older than a job can be.
    """
    if found.count != 1 or len(found.locks) != 1:
        return None
    (lock,) = found.locks
    if not owner or not fnmatchcase(lock.maker, owner):
        return None
    over = not runs(lock.process) if lock.host == host else now - lock.made > JOB_LIMIT
    return lock if over else None


def remove(lock: Lock) -> bool:
    """Remove the file of exactly this lock, if it still is the one that was named; False if it was not removed.

    In a bucket nothing is removed: `pulumi` has no command for one lock.
    """
    address = urlsplit(lock.place)
    file = Path(unquote(address.path))
    if address.scheme != "file" or address.netloc or ".pulumi/locks/" not in file.as_posix() or file.suffix != ".json":
        return False
    try:
        held = json.loads(file.read_bytes())
        made = datetime.fromisoformat(held["timestamp"]).replace(microsecond=0)
        if (held["username"], held["hostname"], held["pid"], made) != (lock.user, lock.host, lock.process, lock.made):
            return False
        file.unlink()
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def held(stack: str, environment: Mapping[str, str] = os.environ) -> Locked | None:
    """The locks of a stack, without a change to any; None if there are none, or the backend has no locks in files.

    A stack that is renamed to the name that it has is locked, found to exist already, and unlocked (measured: engine
    3.274; source: pkg/backend/diy/backend.go, renameStack). Pulumi Cloud is not asked.
    """
    if urlsplit(environment.get("PULUMI_BACKEND_URL", "")).scheme not in FILES:
        return None
    return locked(look("pulumi", "stack", "rename", stack, "--stack", stack, "--color", "never", "--non-interactive"))


FILES = ("file", "s3", "gs", "azblob")
"""The backends whose locks are files, by the scheme of their address."""


def described(stack: str, found: Locked, now: datetime) -> str:
    """Who holds the stack since when, and what a person can do about it."""
    alone = [command for lock in found.locks if (command := removal(lock))]
    return "\n".join(
        [
            f"The stack {stack} is locked by {found.count} lock(s); nothing was changed.",
            *listed(found, now),
            "If one of these runs goes on, wait for it. If all of them are over, start the manual run `unlock` of this",
            f"pipeline for {stack}, or run the command that it runs, which removes every lock of the stack:",
            f"  pulumi cancel --yes --stack {stack}",
            *(["To remove one of them and no other, run its own command:", *alone] if alone else []),
        ]
    )


def listed(found: Locked, now: datetime) -> list[str]:
    """A line for each lock: who made it, how long ago, and where it is."""
    return [
        *(f"  {lock.maker}, process {lock.process}, for {_age(now - lock.made)}: {lock.place}" for lock in found.locks),
        *([f"  {missing} of them could not be read."] if (missing := found.count - len(found.locks)) > 0 else []),
    ]


def removal(lock: Lock, environment: Mapping[str, str] = os.environ) -> str:
    """The command that removes exactly this lock; empty for an address that has more than the command could name.

    `pulumi` itself has none. The account of a container on Azure is in its address or in the job's variables.
    """
    address = urlsplit(lock.place)
    asked = dict(parse_qsl(address.query))
    key = unquote(address.path).lstrip("/")
    if ".pulumi/locks/" not in key or ELSEWHERE & asked.keys():
        return ""
    match address.scheme:
        case "file":
            command = ["rm", "--", f"/{key}"]
        case "s3":
            options = [(name, asked[of]) for name, of in S3_OPTIONS if of in asked]
            command = ["aws", "s3", "rm", f"s3://{address.netloc}/{key}", *itertools.chain.from_iterable(options)]
        case "gs":
            command = ["gcloud", "storage", "rm", f"gs://{address.netloc}/{key}"]
        case "azblob":
            account = asked.get("storage_account") or environment.get("AZURE_STORAGE_ACCOUNT") or "<storage account>"
            blob = ["--container-name", address.netloc, "--name", key]
            command = ["az", "storage", "blob", "delete", "--auth-mode", "login", "--account-name", account, *blob]
        case _:
            return ""
    return f"  {shlex.join(command)}"


ELSEWHERE = {"prefix", "key", "domain", "cdn", "localemu", "universe_domain"}
"""Parts of an address by which a bucket's files are at another place than its name and path say (gocloud.dev/blob)."""

S3_OPTIONS = (("--endpoint-url", "endpoint"), ("--region", "region"))
"""Options of `aws`, and the parts of an address that they are for. The engine gives an endpoint its scheme."""


def _age(age: timedelta) -> str:
    minutes = max(int(age.total_seconds()) // 60, 0)
    days, hours = minutes // 1440, minutes // 60 % 24
    parts: Sequence[str] = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes % 60} min"]
    return " ".join(filter(None, parts))
