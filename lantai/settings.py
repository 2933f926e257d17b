"""What each table of lantai.toml may say, and LANTAI_* in its place."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .digest import Algorithm
from .model import Budget, Shown
from .storage import MAX_PREFIX, Bucket, is_key


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Contact = Annotated[str, Field(pattern=r"^[!-;=?A-~]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+$")]
"""A mail address as OAI-PMH's schema takes it: with a dot in its domain."""


class ArchiveSettings(_Table):
    """[archive] name: how the archive calls itself; admin_emails: of those who answer for it; language: of messages,
    unless a command asks for another.
    """

    name: str = ""
    admin_emails: tuple[Contact, ...] = ()
    language: Literal["zh", "en"] | None = None


def _days(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,4}d", text):
        raise ValueError("a number of days, such as 7d")
    return text


Days = Annotated[str, AfterValidator(_days)]


def days(value: str) -> timedelta:
    """A time as "90d"."""
    return timedelta(days=int(value.removesuffix("d")))


class CatalogSettings(_Table):
    """[catalog] url: a relative path is relative to the home."""

    url: str = "sqlite:///catalog.db"

    def at(self, home: Path) -> str:
        """The url, whatever the working folder is."""
        prefix = "sqlite:///"
        if self.url.startswith(prefix) and not self.url.startswith(prefix + "/"):
            return f"{prefix}{(home / self.url.removeprefix(prefix)).resolve()}"
        return self.url


class StoreSettings(_Table):
    """[[store]] The first is the primary. kind "filesystem": path, relative to the home. kind "s3": bucket, prefix,
    endpoint_url, region, addressing ("path" or "virtual"), connections (at once, in each process); credentials come by
    the AWS chain. audit_every: the store's own promise, in the place of [fixity] every;
    audit_rate: of which an audit reads at most so much a second, as "50MB".
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    kind: Literal["filesystem", "s3"] = "filesystem"
    path: str | None = None
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] | None = None
    prefix: str = ""
    endpoint_url: Annotated[str, Field(pattern=r"^https?://[^/]+")] | None = None
    region: str | None = None
    addressing: Literal["path", "virtual"] | None = None
    connections: Annotated[int, Field(ge=1, le=256)] = 16
    required: bool = True
    audit_every: Days | None = None
    audit_rate: Annotated[str, Field(pattern=r"^[1-9][0-9]*(MB|GB)$")] | None = None

    @field_validator("prefix")
    @classmethod
    def _ends_in_a_slash(cls, value: str) -> str:
        value = f"{value.strip('/')}/" if value.strip("/") else ""
        if len(value.encode()) > MAX_PREFIX or (value and not is_key(value.rstrip("/"))):
            raise ValueError(f"the prefix must be the beginning of a key, of at most {MAX_PREFIX} bytes")
        return value

    @model_validator(mode="after")
    def _says_where(self) -> StoreSettings:
        if self.kind == "s3" and self.bucket is None:
            raise ValueError('kind = "s3" needs bucket')
        if self.kind == "filesystem" and self.path is None:
            raise ValueError('kind = "filesystem" needs path')
        return self

    def place(self, home: Path) -> Path | Bucket:
        """Where the store lies."""
        if self.kind == "filesystem":
            return (home / (self.path or "")).resolve()
        return Bucket(self.bucket or "", self.prefix, self.endpoint_url, self.region, self.addressing, self.connections)


class IngestSettings(_Table):
    """[ingest] identifier: what identifies formats; digests: the first, sha256 or sha512, is OCFL's too; staging: where
    archives are unpacked, a batch at a time.
    """

    identifier: Literal["siegfried", "fido", "both"] = "siegfried"
    second_opinion: bool = True
    digests: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("sha256",)
    staging: str | None = None

    @field_validator("digests")
    @classmethod
    def _first_is_ocfl(cls, value: tuple[Algorithm, ...]) -> tuple[Algorithm, ...]:
        if value[0] not in ("sha256", "sha512"):
            raise ValueError("the first digest must be sha256 or sha512")
        # SHA-256 is always among them: it is what packages are told apart by.
        return tuple(dict.fromkeys(value if "sha256" in value else (*value, "sha256")))


class FixitySettings(_Table):
    """[fixity] every: how often each package is audited in each store; level: how closely, unless --level says."""

    every: Days = "90d"
    level: Literal["listing", "server", "full"] = "full"


def _cron(line: str) -> str:
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 -- of all commands only the worker has a timetable

    try:
        if line:
            next(CronSim(line, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError("no line of cron, such as 0 1 * * *") from error
    return line


def _budget(text: str) -> str:
    try:
        Budget.parse(text)
    except ValueError as error:
        raise ValueError("no budget, such as 500GB or 6h") from error
    return text


Cron = Annotated[str, AfterValidator(_cron)]


class WorkerSettings(_Table):
    """[worker] when lantai worker runs each task, in the archive's time zone, as a line of cron; "": never.
    audit_budget: what one audit may take, as "500GB" or "6h".
    """

    audit: Cron = "0 1 * * *"
    audit_budget: Annotated[str, AfterValidator(_budget)] | None = None
    replicate: Cron = "30 0 * * *"
    clean: Cron = "45 0 * * *"

    def timetable(self) -> dict[str, str]:
        return {"clean": self.clean, "replicate": self.replicate, "audit": self.audit}


class AccessSettings(_Table):
    """[access] default: what ingest writes as the first decision; editing it changes nothing that is stored."""

    default: Shown = "closed"


Address = Annotated[str, Field(pattern=r"^[!-;=?A-~]+@[A-Za-z0-9.-]+$")]
_LOCAL = ("localhost", "127.0.0.1", "::1")


class TellSettings(_Table):
    """[tell] Who hears of faults: each of mail_to by smtp (host:port), and webhook, which takes a POST of JSON. repeat:
    after which time what has not changed is told again. Secrets stand in files that are named here, or in the
    environment (SMTP_PASSWORD, WEBHOOK_TOKEN), and leave this machine by TLS only.
    """

    mail_to: tuple[Address, ...] = ()
    mail_from: Address | None = None
    smtp: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$")] | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password_file: str | None = None
    webhook: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] | None = None
    webhook_token_file: str | None = None
    repeat: Days = "7d"

    @model_validator(mode="after")
    def _can_be_sent(self) -> TellSettings:
        if self.mail_to and not (self.mail_from and self.smtp):
            raise ValueError("mail_to needs mail_from and smtp")
        host = (self.smtp or "").rpartition(":")[0].strip("[]")
        if self.smtp_user and self.smtp_security == "none" and host not in _LOCAL:
            raise ValueError('a password is sent by TLS only: smtp_security = "starttls" or "tls"')
        return self

    @model_validator(mode="after")
    def _token_is_kept(self) -> TellSettings:
        if self.webhook and self.webhook_token_file and not is_private(self.webhook):
            raise ValueError("a token is sent by TLS only: webhook must begin with https")
        return self


def is_private(url: str) -> bool:
    """Whether what is sent there stays on this machine, or goes by TLS."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in _LOCAL


class MetricsSettings(_Table):
    """[metrics] textfile: written after each audit, for Prometheus; relative to the home. listen: an address at which
    serve gives the same as /metrics, as 127.0.0.1:9464.
    """

    textfile: Annotated[str, Field(pattern=r"\.prom$")] | None = None
    listen: Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")] | None = None


class LogSettings(_Table):
    """[log] file: gets a line of JSON for each thing that a run does; relative to the home."""

    file: Annotated[str, Field(min_length=1)] | None = None


def _network(text: str) -> str:
    try:
        ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError("no address or network, such as 127.0.0.1 or 10.0.0.0/8") from error
    return text


_URL = re.compile(r"https?://([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


def _address(text: str) -> str:
    if not _URL.fullmatch(text) or not _host(text):
        raise ValueError("no address that begins with http:// or https://")
    return text


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # of an IPv6 address
        return None


Url = Annotated[str, AfterValidator(_address)]


class OaiSettings(_Table):
    """[oai] Of lantai serve. base_url: as harvesters reach it; None: what serve listens on. page_size: records in an
    answer; token_ttl: how long a list can be gone on with; key_file: signs where a list goes on, relative to the home;
    requests_per_minute: of one client; trusted_proxies: addresses or networks whose X-Forwarded-For is believed;
    friends: base URLs of other repositories; brand_url: of an icon that others may show beside our records, brand_link:
    where it leads, brand_title: what it says; union: whether what was harvested from others is shown on.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[!$%'-;=@-~]+$")] | None = None
    page_size: Annotated[int, Field(ge=1, le=1000)] = 500
    token_ttl: Days = "1d"
    key_file: Annotated[str, Field(min_length=1)] = "oai.key"
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    friends: tuple[Url, ...] = ()
    brand_url: Url | None = None
    brand_link: Url | None = None
    brand_title: str = ""
    union: bool = False

    @model_validator(mode="after")
    def _has_icon(self) -> OaiSettings:
        if self.brand_url is None and (self.brand_link or self.brand_title):
            raise ValueError("brand_link and brand_title are those of an icon, whose address is brand_url")
        return self


class HarvestSettings(_Table):
    """[harvest] What lantai harvest takes from another archive's server at most: answer_size and answer_seconds of one
    answer, size and hours of all together.
    """

    answer_size: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(MB|GB)$")] = "64MB"
    answer_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    size: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(MB|GB|TB)$")] = "100GB"
    hours: Annotated[int, Field(ge=1, le=240)] = 24


class Settings(BaseSettings):
    """All of lantai.toml. LANTAI_INGEST__IDENTIFIER in the environment overrides [ingest] identifier, and so on."""

    model_config = SettingsConfigDict(env_prefix="LANTAI_", env_nested_delimiter="__", extra="forbid", frozen=True)

    archive: ArchiveSettings = ArchiveSettings()
    catalog: CatalogSettings = CatalogSettings()
    store: Annotated[tuple[StoreSettings, ...], Field(min_length=1)]
    ingest: IngestSettings = IngestSettings()
    access: AccessSettings = AccessSettings()
    fixity: FixitySettings = FixitySettings()
    worker: WorkerSettings = WorkerSettings()
    tell: TellSettings = TellSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    oai: OaiSettings = OaiSettings()
    harvest: HarvestSettings = HarvestSettings()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return env_settings, init_settings
