"""Who is not at the terminal hears of faults once, of what is new at once, and when all is well again."""

from __future__ import annotations

import datetime
import ipaddress
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lantai.audits import Audits
from lantai.errors import Damaged
from tests.integration.command import Lantai, folder
from tests.services.smtp import Post, post

NAME = "第十三届金秋文化节活动方案（不公开）.txt"


@dataclass
class Hook:
    """A webhook on this machine. status: what it answers."""

    url: str = ""
    status: int = 204
    heads: list[dict[str, str]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    kept = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            kept.heads.append(dict(self.headers))
            if kept.status == 204:
                kept.taken.append(json.loads(data))
            self.send_response(kept.status)
            self.send_header("Location", f"{kept.url}/elsewhere")
            self.end_headers()

        def log_message(self, *_of_it: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hook/s3cr3t"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mailbox() -> Iterator[Post]:
    with post() as kept:
        yield kept


def tell(lantai: Lantai, lines: str) -> None:
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text("utf-8").replace("mail_to = [] ", "# mail_to = [] ", 1)
    head, rest = text.split("[tell]", 1)
    settings.write_text(f"{head}[tell]\n{lines}\n#{rest}", "utf-8")


def by_mail(port: int, *to: str) -> str:
    return (
        f'mail_to = {json.dumps(to)}\nmail_from = "lantai@example.org"\n'
        f'smtp = "127.0.0.1:{port}"\nsmtp_security = "none"'
    )


@pytest.fixture
def id(lantai: Lantai, tmp_path: Path) -> str:
    files: dict[str, str | bytes] = {NAME: "方案\n", "照片/1.jpg": bytes(range(256)) * 300}
    return str(lantai.stored(folder(tmp_path / "submission", files))["package"])


def flip(lantai: Lantai, name: str) -> Path:
    (file,) = (lantai.folder / "store").glob(f"ocfl/*/*/*/*/v1/content/**/data/{name}")
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    return file


def test_a_fault_is_told_once_and_again_when_it_changes_and_when_all_is_well(
    lantai: Lantai, id: str, mailbox: Post, hook: Hook
) -> None:
    tell(lantai, by_mail(mailbox.port, "a@example.org", "b@example.org") + f'\nwebhook = "{hook.url}"')
    night = ("audit", "--all", "--json")
    assert lantai(*night).code == 0
    assert (mailbox.taken, hook.taken) == ([], [])

    first = flip(lantai, NAME)
    done = lantai(*night)
    assert (done.code, done.noted) == (1, "")
    ((to, mail), (other, _mail)) = mailbox.taken
    assert (to, other) == ("a@example.org", "b@example.org")
    assert mail["Subject"] == "[faults] 云岭县档案馆: 1 package lost (lantai audit)"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    lost, left = (at for at, line in enumerate(text.splitlines()) if line.startswith(("lost: ", "not repaired: ")))
    assert lost < left
    assert f"local {id}" in text
    assert "[E092]" in text
    (told,) = hook.taken
    assert (told["verdict"], told["archive"], told["lost"]) == ("faults", "云岭县档案馆", 1)
    assert told["faulty"] == [{"store": "local", "package": id, "code": "E092", "count": 1}]
    assert NAME not in json.dumps(told, ensure_ascii=False) + text + str(mail["Subject"])

    mailbox.read()
    assert lantai(*night).code == 1
    assert (mailbox.read(), len(hook.taken)) == ([], 1)

    second = flip(lantai, "照片/1.jpg")
    assert lantai(*night).code == 1
    assert (len(mailbox.read()), len(hook.taken)) == (2, 2)

    for file, data in ((first, b"\xe6"), (second, b"\x00")):
        file.write_bytes(data + file.read_bytes()[1:])
    assert lantai(*night).code == 0
    assert mailbox.read() == ["[passed] 云岭县档案馆: all is well again (lantai audit)"] * 2
    assert hook.taken[-1]["verdict"] == "passed"
    assert lantai(*night).code == 0
    assert (mailbox.read(), len(hook.taken)) == ([], 3)


def test_a_run_of_another_kind_says_nothing_of_what_was_told(lantai: Lantai, id: str, mailbox: Post) -> None:
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    flip(lantai, NAME)
    assert lantai("audit", "--all").code == 1
    assert len(mailbox.read()) == 1
    assert lantai("audit", "--all", "--level", "listing").code == 0
    assert mailbox.read() == []


def test_what_has_not_changed_is_told_again_after_a_time(lantai: Lantai, id: str, mailbox: Post) -> None:
    assert id
    tell(lantai, by_mail(mailbox.port, "a@example.org") + '\nrepeat = "2d"')
    state = lantai.folder / "told.json"
    text = (lantai.folder / "lantai.toml").read_text("utf-8")
    (lantai.folder / "lantai.toml").write_text(text.replace('\nrepeat = "7d"', "\n"), "utf-8")
    flip(lantai, NAME)
    for days, heard in ((0, 1), (1, 0), (1, 0), (3, 1)):
        if state.exists():
            told = json.loads(state.read_text("utf-8"))
            for one in told.values():
                at = datetime.datetime.fromisoformat(one["at"]) - datetime.timedelta(days=days)
                one["at"] = at.isoformat() if days == 3 else one["at"]
            state.write_text(json.dumps(told), "utf-8")
        assert lantai("audit", "--all").code == 1
        assert len(mailbox.read()) == heard


def test_what_could_not_be_told_is_noted_and_tried_again(lantai: Lantai, id: str, mailbox: Post, hook: Hook) -> None:
    assert id
    tell(lantai, by_mail(mailbox.port, "a@example.org", "gone@example.org") + f'\nwebhook = "{hook.url}"')
    flip(lantai, NAME)
    mailbox.is_down, hook.status = True, 500
    done = lantai("audit", "--all", "--json")
    assert done.code == 1
    assert "a@example.org" in done.err
    assert "webhook 127.0.0.1" in done.err
    assert "HTTP 500" in done.err
    assert "s3cr3t" not in done.err + done.out
    assert not (lantai.folder / "told.json").exists()

    mailbox.is_down, mailbox.refused = False, {"gone@example.org"}
    done = lantai("audit", "--all", "--json")
    assert (done.code, len(mailbox.read())) == (1, 1)
    assert "gone@example.org" in done.err
    assert "550" in done.err

    mailbox.refused, hook.status = set(), 204
    assert lantai("audit", "--all", "--json").code == 1
    assert [to for to, _mail in mailbox.taken] == ["gone@example.org"]
    assert len(hook.taken) == 1


def test_a_repair_is_told_whenever_there_was_one(lantai: Lantai, second: Path, tmp_path: Path, mailbox: Post) -> None:
    assert second
    lantai.stored(folder(tmp_path / "submission", {NAME: "方案\n"}))
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    for _night in range(2):
        flip(lantai, NAME)
        assert lantai("audit", "--all").code == 1
        ((_to, mail),) = mailbox.taken
        assert "1 repair" in mail["Subject"]
        assert "from second" in mail.get_content()
        mailbox.read()
    assert lantai("audit", "--all").code == 0
    assert len(mailbox.read()) == 1


def test_what_a_copy_lost_is_told_when_it_is_copied_again(
    lantai: Lantai, second: Path, tmp_path: Path, mailbox: Post
) -> None:
    lantai.stored(folder(tmp_path / "submission", {NAME: "方案\n"}))
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    assert lantai("replicate").code == 0
    shutil.rmtree(second / "ocfl" / next(one.name for one in (second / "ocfl").iterdir() if len(one.name) == 3))
    assert lantai("replicate").code == 1
    ((_to, mail),) = mailbox.taken
    assert "1 repair (lantai replicate)" in mail["Subject"]
    assert "from local" in mail.get_content()
    mailbox.read()
    assert lantai("replicate").code == 0
    assert len(mailbox.read()) == 1


def test_a_store_that_is_away_is_told_and_a_used_up_budget_is_not(
    lantai: Lantai, second: Path, tmp_path: Path, mailbox: Post
) -> None:
    for number in range(2):
        lantai.stored(folder(tmp_path / f"submission-{number}", {"a.txt": f"{number}"}))
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    assert lantai("audit", "--all", "--budget", "0.000001MB").code == 0
    assert mailbox.read() == []
    second.rename(tmp_path / "away")
    assert lantai("audit", "--all").code == 1
    assert lantai("audit", "--all").code == 1
    (subject,) = mailbox.read()
    assert subject.startswith("[incomplete] ")
    assert "second" in subject


def test_a_level_that_no_store_has_is_told(lantai: Lantai, id: str, mailbox: Post) -> None:
    assert id
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    assert lantai("audit", "--due", "--level", "server").code == 2
    [subject] = mailbox.read()
    assert subject.startswith("[failed] ")


def test_a_run_that_came_to_no_outcome_is_told_too(
    lantai: Lantai, id: str, mailbox: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert id
    tell(lantai, by_mail(mailbox.port, "a@example.org"))

    def fail(*_of_it: object) -> None:
        raise Damaged("the chain is broken", subject="journal", remedy="Restore it.")

    with monkeypatch.context() as patched:
        patched.setattr(Audits, "_audited", fail)
        for heard in (1, 0):
            assert lantai("audit", "--all").code == 1
            subjects = mailbox.read()
            assert len(subjects) == heard
    assert lantai("audit", "--all").code == 0
    assert mailbox.read() == ["[passed] 云岭县档案馆: all is well again (lantai audit)"]
    assert lantai("audit", "--all", "--store", "nowhere").code == 2
    assert mailbox.read() == []


def test_state_that_is_damaged_or_cannot_be_kept_means_twice_rather_than_never(
    lantai: Lantai, id: str, mailbox: Post
) -> None:
    assert id
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    flip(lantai, NAME)
    for state in ("[1", '{"a": 1}'):
        (lantai.folder / "told.json").write_text(state)
        assert lantai("audit", "--all").code == 1
        assert len(mailbox.read()) == 1
    (lantai.folder / "told.json").unlink()
    (lantai.folder / "told.json").mkdir()
    done = lantai("audit", "--all")
    assert done.code == 1
    assert "told.json" in done.err
    assert len(mailbox.read()) == 1


def test_it_is_told_in_the_language_of_the_archive(lantai: Lantai, id: str, mailbox: Post) -> None:
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text("utf-8").replace('language = "en"', 'language = "zh"'), "utf-8")
    flip(lantai, NAME)
    assert lantai("audit", "--all", LANG="C").code == 1
    ((_to, mail),) = mailbox.taken
    assert "云岭县档案馆" in mail["Subject"]
    assert "内容缺失或与清单不符" in mail.get_content()
    (raw,) = mailbox.raw
    assert raw.isascii()
    assert b"=?utf-8?" in raw.split(b"\r\n\r\n")[0]


def test_a_name_cannot_begin_a_header_of_its_own(lantai: Lantai, id: str, mailbox: Post) -> None:
    tell(lantai, by_mail(mailbox.port, "a@example.org"))
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text("utf-8").replace('name = "云岭县档案馆"', r'name = "x\r\nBcc: c@example.org\r\n\r\ny"')
    settings.write_text(text, "utf-8")
    flip(lantai, NAME)
    assert lantai("audit", "--all").code == 1
    ((to, mail),) = mailbox.taken
    assert (to, mail["Bcc"]) == ("a@example.org", None)
    assert "Bcc: c@example.org" in mail["Subject"]


def test_a_test_message_goes_every_way_and_its_fate_is_told(lantai: Lantai, mailbox: Post, hook: Hook) -> None:
    assert lantai("check-telling").code == 2
    tell(lantai, by_mail(mailbox.port, "a@example.org") + f'\nwebhook = "{hook.url}"\nwebhook_token_file = "token"')
    (lantai.folder / "token").write_text("t0ken\n")
    done = lantai("check-telling", "--json")
    assert done.code == 0
    assert [(one["way"], one["sent"]) for one in done.objects] == [
        ("mail a@example.org", True), ("webhook 127.0.0.1", True),
    ]  # fmt: skip
    assert hook.heads[0]["Authorization"] == "Bearer t0ken"
    hook.status = 307
    done = lantai("check-telling")
    assert done.code == 1
    assert "HTTP 307" in done.out
    assert "t0ken" not in done.out + done.err
    assert len(hook.heads) == 2, "no redirection is followed"
    (lantai.folder / "token").write_text("t0k\nen\n")
    done = lantai("check-telling")
    assert done.code == 1
    assert "t0k" not in done.out + done.err
    (lantai.folder / "token").unlink()
    done = lantai("check-telling", "--json")
    assert done.code == 1
    assert done.objects[1]["error"]["kind"] == "UsageError"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1, signed by itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return path, context


def test_a_password_goes_by_tls_to_a_server_that_is_known(
    lantai: Lantai, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    path, context = certificate
    with post(context) as mailbox:
        lines = by_mail(mailbox.port, "a@example.org").replace('"none"', '"starttls"')
        tell(lantai, f'{lines}\nsmtp_user = "lantai"\nsmtp_password_file = "password"')
        (lantai.folder / "password").write_text("geheim\n")
        done = lantai("check-telling")
        assert done.code == 1
        assert "certificate" in done.out.lower()
        assert mailbox.logins == []
        done = lantai("check-telling", SSL_CERT_FILE=str(path))
        assert done.code == 0, done
        assert mailbox.logins == [(b"lantai", b"geheim")]
        done = lantai("check-telling", SSL_CERT_FILE=str(path), LANTAI_SMTP_PASSWORD="wrong-one")
        assert done.code == 1
        assert "535" in done.out
        assert "wrong-one" not in done.out + done.err


@pytest.mark.parametrize(
    "lines",
    [
        'mail_to = ["a@example.org"]',
        'mail_to = ["a@example.org\\nBcc: b@example.org"]',
        'webhook = "file:///etc/passwd"',
        'webhook = "http://example.org/"\nwebhook_token_file = "token"',
        'smtp = "mail.example.org:25"\nsmtp_security = "none"\nsmtp_user = "lantai"',
        'smtp_password = "geheim"',
    ],
)
def test_what_cannot_be_or_would_tell_a_secret_is_refused(lantai: Lantai, lines: str) -> None:
    tell(lantai, lines)
    done = lantai("check-telling")
    assert done.code == 2
    assert "geheim" not in done.out + done.err
