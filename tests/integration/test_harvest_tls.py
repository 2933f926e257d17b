"""lantai harvest over HTTPS: of a server that proves who it is, by an authority that is trusted, and of no other."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.integration.command import Lantai
from tests.integration.county import County, Reply, answering
from tests.integration.test_harvest import FIVE, harvested, live


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; file: its own."""

    place: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey

    @property
    def file(self) -> Path:
        return self.place / "authority.pem"

    def server(self, host: str, *, ended: bool = False) -> ssl.SSLContext:
        """Of a server that is called host, or was until yesterday."""
        key, chain = ec.generate_private_key(ec.SECP256R1()), self.place / f"{host}-{ended}.pem"
        made = _certificate(self, _name(host), key.public_key(), days=-1 if ended else 30)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    by: Authority, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:  # fmt: skip
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(by.name).public_key(key)
    made = made.serial_number(x509.random_serial_number())
    return made.not_valid_before(now - timedelta(days=60)).not_valid_after(now + timedelta(days=days))


def authority(place: Path) -> Authority:
    place.mkdir()
    one = Authority(place, _name(place.name), ec.generate_private_key(ec.SECP256R1()))
    made = _certificate(one, one.name, one.key.public_key(), days=60)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    one.file.write_bytes(made.sign(one.key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return one


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


def test_a_server_that_proves_who_it_is_is_harvested(lantai: Lantai, ours: Authority) -> None:
    county, trusted = County(FIVE), {"SSL_CERT_FILE": str(ours.file)}
    with answering(county, ours.server("localhost")) as url:
        assert url.startswith("https://")
        assert harvested(lantai, url, **trusted)["held"] == 5
        assert harvested(lantai, url, **trusted)["from"]
    assert len(live(lantai)) == 5


@pytest.mark.parametrize(
    ("case", "why"),
    [("another authority", "certificate"), ("another name", "not valid for 'localhost'"),
     ("out of date", "expired"), ("nobody is trusted", "certificate")],
)  # fmt: skip
def test_a_server_that_does_not_is_asked_for_nothing(
    lantai: Lantai, ours: Authority, tmp_path: Path, case: str, why: str
) -> None:
    host = "county.example.org" if case == "another name" else "localhost"
    county = County(FIVE)
    trusted = authority(tmp_path / "theirs").file if case == "another authority" else ours.file
    environment = {} if case == "nobody is trusted" else {"SSL_CERT_FILE": str(trusted)}
    with answering(county, ours.server(host, ended=case == "out of date")) as url:
        done = lantai("harvest", url, "--json", **environment)
        assert (done.code, done.error["kind"]) == (1, "StoreUnavailable")
        assert done.error["what"].startswith("the server cannot prove that it is the one at this address")
        assert why in done.error["what"]
        assert "SSL_CERT_FILE" in done.error["remedy"]
        assert done.error["subject"].startswith(url)
    assert county.asked == []
    assert list(lantai.folder.glob("store/remote/*/*")) == []


def test_a_server_that_sends_on_to_itself_with_tls_is_followed(lantai: Lantai, ours: Authority) -> None:
    county = County(FIVE)
    with answering(county, ours.server("localhost")) as secure:
        plain = County(odd=lambda asked: Reply(b"", 301, {"Location": f"{secure}?{_query(asked)}"}))
        with answering(plain) as url:
            done = harvested(lantai, url.replace("127.0.0.1", "localhost"), SSL_CERT_FILE=str(ours.file))
            assert done["held"] == 5
            # And never from there back to where anybody may listen.
            county.odd = lambda asked: Reply(b"", 301, {"Location": f"{url}?{_query(asked)}"})
            back = lantai("harvest", secure, "--json", SSL_CERT_FILE=str(ours.file))
            assert (back.code, "sends to another one" in back.error["what"]) == (1, True)


def _query(asked: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in asked.items() if name != "path")
