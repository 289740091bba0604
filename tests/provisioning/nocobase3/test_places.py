"""Where a configuration is kept: a file keeps its mode, owner and links; a Secret is compared by the API server."""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread, Timer
from typing import Any
from unittest.mock import Mock

import pytest

from provisioning import errors, waiting
from provisioning.nocobase3 import commands, places
from provisioning.nocobase3.commands import CommandFailed, Ran
from provisioning.nocobase3.places import KubernetesSecret, LocalFile, place_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/srv/nocobase/config.yml", LocalFile(Path("/srv/nocobase/config.yml"))),
        ("kubernetes://crm/nocobase/config.yml", KubernetesSecret("crm", "nocobase", "config.yml")),
        ("kubernetes://crm/nocobase/c?context=aks%20west", KubernetesSecret("crm", "nocobase", "c", "aks west")),
    ],
)
def test_a_setting_names_a_place(text: str, place: object) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "config.yml",
        "/srv/\0/config.yml",
        "kubernetes://[crm/nocobase/a",
        "kubernetes://crm/nocobase",
        "kubernetes://crm/nocobase/a/b",
        "kubernetes://crm/-x/a",
        "kubernetes://crm/nocobase/a?context=--all",
        "kubernetes://crm/nocobase/a?namespace=x",
        "https://example.com/config.yml",
    ],
)
def test_what_names_no_place_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(It must be|After)"):
        place_of(text)


def test_a_file_keeps_its_mode_and_a_link_leads_to_it(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yml", tmp_path / "config.yml"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to("real.yml")
    place = LocalFile(link)
    place.write(b"new", place.read().version)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.stat().st_mtime > 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    os.chown(config, 12345, 23456)
    place = LocalFile(config)
    place.write(b"new", place.read().version)
    assert (config.stat().st_uid, config.stat().st_gid) == (12345, 23456)


def test_a_file_that_somebody_changed_is_not_written(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    place = LocalFile(config)
    version = place.read().version
    config.write_bytes(b"theirs")
    with pytest.raises(errors.ChangedMeanwhile, match="nothing was written"):
        place.write(b"new", version)
    assert config.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]


def test_two_runs_that_write_at_once_come_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes between the comparison and the renaming of the first."""
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    place = LocalFile(config)
    version = place.read().version
    replace = Path.replace
    rejected: list[errors.ChangedMeanwhile] = []

    def second() -> None:
        try:
            place.write(b"second", version)
        except errors.ChangedMeanwhile as error:
            rejected.append(error)

    runs = Thread(target=second)

    def replaced(path: Path, target: Path) -> Path:
        if runs.ident is None:
            runs.start()
            runs.join(0.1)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    place.write(b"first", version)
    runs.join(10)
    assert config.read_bytes() == b"first"
    assert len(rejected) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]


def test_a_file_that_another_program_has_locked_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    place = LocalFile(config)
    version = place.read().version
    monkeypatch.setattr(places, "LOCK_SECONDS", 0.05)
    with config.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(errors.ConfigurationUnusable, match="another program has locked it"):
            place.write(b"new", version)
        assert config.read_bytes() == b"old"
        Timer(0.05, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        monkeypatch.setattr(places, "LOCK_SECONDS", 10)
        place.write(b"new", version)
    assert config.read_bytes() == b"new"


def test_a_file_system_without_locks_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    config.chmod(0o400)
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    place = LocalFile(config)
    place.write(b"new", place.read().version)
    assert config.read_bytes() == b"new"
    assert config.stat().st_mode & 0o777 == 0o400


def test_a_link_that_leads_elsewhere_by_now_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, files = tmp_path / "config.yml", [tmp_path / "one.yml", tmp_path / "two.yml"]
    for file in files:
        file.write_bytes(b"same")
    link.symlink_to("one.yml")
    place = LocalFile(link)
    version = place.read().version

    def switched(*_: object) -> None:
        link.unlink()
        link.symlink_to("two.yml")

    monkeypatch.setattr(places, "_keep_owner", switched)
    with pytest.raises(errors.ChangedMeanwhile):
        place.write(b"new", version)
    assert [file.read_bytes() for file in files] == [b"same", b"same"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Make room on its file system. Then run"),
        (errno.EROFS, "mounted for reading only"),
        (errno.EPERM, "run this as its owner"),
        (errno.EACCES, "Let this account write into its folder. Then run"),
    ],
)
@pytest.mark.parametrize("step", [(tempfile, "mkstemp"), (os, "fsync"), (Path, "replace")])
def test_what_cannot_be_written_stays_and_leaves_nothing_behind(
    step: tuple[object, str], number: int, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    place = LocalFile(config)
    version = place.read().version
    monkeypatch.setattr(*step, Mock(side_effect=OSError(number, os.strerror(number))))
    with pytest.raises(errors.ConfigurationUnusable, match=remedy):
        place.write(b"new", version)
    assert config.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]


def test_who_can_read_and_replace_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yml"
    config.write_bytes(b"old")
    place = LocalFile(config)
    monkeypatch.setattr(Path, "parents", property(lambda _: [tmp_path]))
    for file, folder, open_to_all in ((0o644, 0o755, True), (0o640, 0o755, False), (0o644, 0o750, False)):
        config.chmod(file)
        tmp_path.chmod(folder)
        # A NocoBase that reads it as everybody does would not start any more.
        remedy = f"If NocoBase reads it as its owner, or by its group: chmod o-r {config}"
        assert [*place.weaknesses().values()] == ([remedy] if open_to_all else [])
    monkeypatch.setattr(os, "geteuid", lambda: config.stat().st_uid + 1)
    assert "another account's" in str(place.weaknesses())
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot write into its folder" in str(place.weaknesses())


def test_what_is_no_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "loop.yml").symlink_to("loop.yml")
    for path in (tmp_path, tmp_path / "missing.yml", tmp_path / "loop.yml", tmp_path / "missing.yml" / "config.yml"):
        with pytest.raises(errors.ConfigurationUnusable, match="nocobaseConfigFile"):
            LocalFile(path).read()


class Cluster:
    """What kubectl does with one Secret, as the API server does it: it refuses a version that is not the newest."""

    def __init__(self, data: dict[str, bytes]) -> None:
        self.version = 1
        self.secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "nocobase", "namespace": "crm", "labels": {"a": "b"}},
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
        self.commands: list[list[str]] = []

    def run(self, command: Sequence[str], _seconds: float, given: bytes = b"") -> Ran:
        """Carry out a command."""
        self.commands.append([*command])
        if "get" in command:
            shown = {**self.secret, "metadata": {**self.secret["metadata"], "resourceVersion": str(self.version)}}
            return Ran(0, json.dumps(shown).encode(), b"")
        sent = json.loads(given)
        if sent["metadata"].pop("resourceVersion") != str(self.version):
            said = b'Error from server (Conflict): Operation cannot be fulfilled on secrets "nocobase"'
            return Ran(1, b"", said)
        self.secret, self.version = sent, self.version + 1
        return Ran(0, b"secret/nocobase", b"")


def test_a_secret_is_changed_in_one_key_and_not_in_arguments() -> None:
    cluster = Cluster({"config.yml": b"old", "other": b"stays"})
    place = KubernetesSecret("crm", "nocobase", "config.yml", "west", cluster.run)
    content = place.read()
    assert content.data == b"old"
    place.write(b"the~new~secret", content.version)
    assert base64.b64decode(cluster.secret["data"]["config.yml"]) == b"the~new~secret"
    assert base64.b64decode(cluster.secret["data"]["other"]) == b"stays"
    assert cluster.secret["metadata"]["labels"] == {"a": "b"}
    words = str(cluster.commands)
    assert "the~new~secret" not in words
    assert base64.b64encode(b"the~new~secret").decode() not in words
    assert all(command[:3] == ["kubectl", "--context=west", "--namespace=crm"] for command in cluster.commands)
    with pytest.raises(errors.ChangedMeanwhile, match=r"kubernetes://crm/nocobase/config.yml\?context=west "):
        place.write(b"again", content.version)


def test_a_conflict_that_only_the_api_server_sees() -> None:
    cluster = Cluster({"c": b"old"})

    def run(command: Sequence[str], seconds: float, given: bytes = b"") -> Ran:
        if "replace" in command:
            cluster.version += 1
        return cluster.run(command, seconds, given)

    place = KubernetesSecret("crm", "nocobase", "c", run=run)
    with pytest.raises(errors.ChangedMeanwhile, match="kubernetes://crm/nocobase/c"):
        place.write(b"new", place.read().version)


def test_what_kubectl_cannot_do_is_told_without_what_it_holds() -> None:
    def fails(*_: Any) -> Ran:
        return Ran(1, b"", b"error: no " + base64.b64encode(b"a secret that is long enough to be one"))

    with pytest.raises(errors.ConfigurationUnusable, match="kubectl get ended with 1") as caught:
        KubernetesSecret("crm", "nocobase", "c", run=fails).read()
    assert base64.b64encode(b"a secret that is").decode()[:12] not in str(caught.value)
    cluster = Cluster({"other": b""})
    with pytest.raises(errors.ConfigurationUnusable, match="no key c; there are other"):
        KubernetesSecret("crm", "nocobase", "c", run=cluster.run).read()
    with pytest.raises(errors.ConfigurationUnusable, match="cannot be started"):
        KubernetesSecret("crm", "nocobase", "c", run=lambda *_: commands.run(["/nowhere/kubectl"], 1)).read()


def test_a_command_gets_no_login_and_has_a_deadline() -> None:
    show = "import os, sys; print(sorted(os.environ)); print(sys.stdin.read())"
    kept = {"KUBECONFIG": "c", "AZURE_CLIENT_ID": "i", "PULUMI_HOME": "h"}
    secrets = ("NOCOBASE_API_KEY", "NOCOBASE_PASSWORD_NEXT", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN")
    ran = commands.run([sys.executable, "-c", show], 20, b"given", {**kept, **dict.fromkeys(secrets, "s")})
    assert not [name for name in secrets if name.encode() in ran.out]
    assert all(name.encode() in ran.out for name in kept)
    assert ran.last_words == "given"
    with pytest.raises(CommandFailed, match="did not end within 0 s"):
        commands.run([sys.executable, "-c", "import time; time.sleep(60)"], 0.05)


def test_what_kubectl_is_given_and_prints_is_kept_off_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    echo = [sys.executable, "-c", "import sys; print(sys.stdin.read())"]
    assert places.IN_MEMORY(echo, 20, b"given").out == b"given\n"
    with pytest.raises(CommandFailed, match="no room for what it prints: No space left"):
        commands.run(echo, 20)


def test_a_command_that_takes_long_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(waiting, "SIGN_OF_LIFE", 0.0)
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.01)
    seen: list[str] = []

    class Sees(waiting.Watcher):
        def ended(self) -> None:
            seen.append("ended")

    slow = [sys.executable, "-c", "import time; time.sleep(0.05)"]
    commands.run(slow, 600)
    assert f"Still waiting for `{sys.executable}`, 0 of 600 s." in capsys.readouterr().err
    with waiting.watched_by(Sees()):
        commands.run(slow, 600)
    assert seen == ["ended"]
    assert capsys.readouterr().err == ""
