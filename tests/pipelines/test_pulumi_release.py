"""The Pulumi CLI is installed only from an archive with the right checksum; nothing is left of any other."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
from pathlib import Path

import httpx
import pytest

from pipelines import pulumi_release
from pipelines.pulumi_release import CliNotInstalled, archive_name, checksums, install
from pipelines.steps import cli
from provisioning import pins

OF = pins.version(pins.CLI)
NAME = archive_name(OF)
LIST = f"/pulumi/pulumi/releases/download/v{OF}/pulumi-{OF}-checksums.txt"


def archive(**files: str) -> bytes:
    """A packed folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            target.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


GOOD = archive(**{"pulumi/pulumi": "the engine", "pulumi/pulumi-language-python": "the host"})
DIGEST = hashlib.sha256(GOOD).hexdigest()


class Release:
    """get.pulumi.com and github.com; keeps what they were asked for."""

    def __init__(self) -> None:
        self.archive, self.list = GOOD, f"{DIGEST}  {NAME}\n"
        self.status, self.redirect = 200, ""
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if self.redirect and request.url.host != "cdn.example.com":
            return httpx.Response(302, headers={"Location": self.redirect})
        content = self.list.encode() if request.url.path == LIST else self.archive
        return httpx.Response(self.status, stream=httpx.ByteStream(content))


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Release:
    """A release that is well, of which nothing is recorded."""
    found, client = Release(), httpx.Client
    monkeypatch.setattr(
        httpx, "Client", lambda **given: client(**{**given, "transport": httpx.MockTransport(found.answer)})
    )
    monkeypatch.setattr(pulumi_release, "RECORDED", tmp_path / "pulumi_cli.sha256")
    return found


def test_it_is_installed_by_the_releases_own_list(
    release: Release, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = install(tmp_path / "home" / OF)
    assert command == tmp_path / "home" / OF / "bin" / "pulumi"
    assert (command.read_text(), command.stat().st_mode & 0o111 != 0) == ("the engine", True)
    assert command.with_name("pulumi-language-python").exists()
    assert release.asked == [f"https://github.com{LIST}", f"https://get.pulumi.com/releases/sdk/{NAME}"]
    assert "run `make lock` to pin it" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "home").iterdir()] == [OF]


def test_what_was_recorded_comes_first(release: Release, tmp_path: Path) -> None:
    release.list = f"{'0' * 64}  {NAME}\n"
    pulumi_release.RECORDED.write_text(f"{DIGEST}  {NAME}\n")
    install(tmp_path / OF)
    assert release.asked == [f"https://get.pulumi.com/releases/sdk/{NAME}"]


@pytest.mark.parametrize("where", ["recorded", "published"])
def test_another_archive_is_not_unpacked(release: Release, tmp_path: Path, where: str) -> None:
    line = f"{'0' * 64}  {NAME}\n"
    if where == "recorded":
        pulumi_release.RECORDED.write_text(line)
    else:
        release.list = line
    with pytest.raises(CliNotInstalled, match=f"has the SHA-256 {DIGEST}, and .* says 0{{64}}"):
        install(tmp_path / "home" / OF)
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"list": f"{DIGEST}  other.tar.gz\n"}, "do not name"),
        ({"list": "<html>"}, "do not name"),
        ({"list": "x" * 200_000}, "more than 100000 bytes"),
        ({"status": 404}, "cannot be read"),
        ({"redirect": "http://cdn.example.com/x"}, "leads to an address without TLS"),
        ({"archive": b"no archive"}, "cannot be unpacked"),
        ({"archive": archive(**{"pulumi/other": "x"})}, "holds no `pulumi`"),
        ({"archive": archive(**{"../pulumi/pulumi": "x"})}, "cannot be unpacked"),
        ({"archive": archive(**{"/etc/pulumi": "x"})}, "holds no `pulumi`"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    release: Release, tmp_path: Path, changed: dict[str, object], words: str
) -> None:
    for name, value in changed.items():
        setattr(release, name, value)
    if isinstance(spoilt := changed.get("archive"), bytes):
        release.list = f"{hashlib.sha256(spoilt).hexdigest()}  {NAME}\n"
    with pytest.raises(CliNotInstalled, match=words):
        install(tmp_path / "home" / OF)
    assert not any((tmp_path / "home").iterdir())
    assert not (tmp_path / "pulumi").exists()


def test_an_archive_that_is_too_large_is_not_read_to_its_end(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulumi_release, "LARGEST", 10)
    with pytest.raises(CliNotInstalled, match="more than 10 bytes"):
        install(tmp_path / "home" / OF)


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "pulumi-v1.2.3-linux-x64.tar.gz"),
        ("linux", "aarch64", "pulumi-v1.2.3-linux-arm64.tar.gz"),
        ("darwin", "arm64", "pulumi-v1.2.3-darwin-arm64.tar.gz"),
        ("win32", "AMD64", None),
        ("linux", "riscv64", None),
    ],
)
def test_each_platform_has_its_archive(system: str, machine: str, name: str | None) -> None:
    if name is not None:
        assert archive_name("1.2.3", system, machine) == name
        return
    with pytest.raises(CliNotInstalled, match="put it on PATH"):
        archive_name("1.2.3", system, machine)


def test_a_list_is_read_as_sha256sum_writes_it() -> None:
    digest = "a" * 64
    text = (
        f"{digest}  one.tar.gz\n{digest} *two.tar.gz\r\n# {digest}  three\n{digest.upper()}  four\n{digest}  a/five\n"
    )
    assert checksums(text) == {"one.tar.gz": digest, "two.tar.gz": digest}


ARCHIVES = [archive_name(OF, system, machine) for system in ("linux", "darwin") for machine in ("x86_64", "aarch64")]


def test_the_list_of_the_locked_version_is_recorded(release: Release) -> None:
    every = "".join(f"{DIGEST}  {name}\n" for name in ARCHIVES)
    release.list = f"{'b' * 64}  {archive_name('0.0.1', 'linux', 'x86_64')}\n{every}"
    assert pulumi_release.main() == 0
    assert pulumi_release.RECORDED.read_text() == every
    release.status = 503
    assert pulumi_release.main() == 1
    assert pulumi_release.RECORDED.read_text() == every


@pytest.mark.parametrize("missing", [ARCHIVES, ARCHIVES[1:2]], ids=len)
def test_a_list_that_lacks_an_archive_is_not_recorded(
    release: Release, missing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    release.list = "".join(f"{DIGEST}  {name}\n" for name in ARCHIVES if name not in missing)
    assert pulumi_release.main() == 1
    assert f"do not name {', '.join(missing)}. Nothing was recorded." in capsys.readouterr().err
    assert not pulumi_release.RECORDED.exists()


@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        ("tarfile.TarFile.extractall", errno.ENOSPC, f"{NAME} cannot be unpacked (No space left on device)."),
        (
            "os.replace",
            errno.EROFS,
            "(Read-only file system). Make sure that there is room, and that this account may write there.",
        ),
        (
            "pathlib.Path.mkdir",
            errno.EACCES,
            "(Permission denied). Make sure that there is room, and that this account may write there.",
        ),
        (
            "tempfile.mkdtemp",
            errno.ENOSPC,
            "(No space left on device). Make sure that there is room, and that this account may write there.",
        ),
    ],
)
def test_the_step_says_in_a_sentence_that_there_is_no_room(
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    call: str,
    number: int,
    words: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/somewhere")

    monkeypatch.setattr(cli, "cli_folder", lambda: tmp_path / "home" / OF)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(call, fail)
    assert cli.main() == 1
    assert capsys.readouterr().out.endswith(f"{words}\n")
