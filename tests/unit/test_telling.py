"""What is told of an outcome, and when it is news."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from gettext import NullTranslations

import pytest

from lantai import messages
from lantai.fixity.control import NAMES, Missed
from lantai.fixity.outcome import Fault, Lost, Outcome, Repaired
from lantai.model import Finding, PackageId
from lantai.storage.journal.verify import HOME
from lantai.telling.message import Message, news_of, of_outcome, standing
from lantai.telling.telling import News, Told, due
from lantai.telling.ways import Mail, Webhook, as_mail

NOW = datetime(2026, 1, 5, 2, tzinfo=UTC)
ONE, TWO = PackageId("urn:uuid:1"), PackageId("urn:uuid:2")


def fault(store: str, package: PackageId | None, subject: str = "key", code: str = "E023") -> Fault:
    return Fault(store, package, Finding.of(code, subject))


def told(outcome: Outcome) -> Message:
    return of_outcome(outcome, archive="云岭县档案馆", command="audit")


WORST = Outcome(
    "full", packages=9, faults=(fault("a", ONE), fault("a", TWO), fault("b", None, "ocfl/x")),
    missed=(Missed("flipped bit", ONE, "k"),), away=(("c", "gone"),),
    repaired=(Repaired("a", TWO, "b", ("k",), True),), lost=(Lost("a", ONE, ONE, "no other store"),),
)  # fmt: skip


def test_the_worst_comes_first() -> None:
    lines = told(WORST).text.splitlines()[2:]
    firsts = [line.split(":")[0] for line in lines if line][:6]
    assert firsts == ["void", "lost", "not repaired", "not repaired", "repaired", "c was not audited"]
    assert told(WORST).subject.startswith("[void] 云岭县档案馆: ")


class Marking(NullTranslations):
    """A language in which every translated text is known by its marks."""

    def gettext(self, message: str) -> str:
        return f"«{message}»"


def test_names_of_damages_and_of_the_home_are_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_translation", [Marking()])
    of_home = replace(WORST, faults=(fault(HOME, None, "journal/x"),), repaired=(), lost=())
    text = told(of_home).text
    assert f"«{HOME}»" in text
    assert all(f"«{damage}»" in told(replace(WORST, missed=(Missed(damage, ONE, "k"),))).text for damage in NAMES)
    assert f"«{HOME}»" in told(replace(of_home, lost=(Lost(HOME, None, "journal/x", "no"),))).text
    assert "«a»" not in told(WORST).text  # nobody translates the name of a store


def test_a_package_of_many_faults_is_one_line_and_many_packages_are_a_hundred() -> None:
    many = Outcome("full", faults=tuple(fault("a", ONE, f"key {number}") for number in range(1000)))
    assert "×1000" in told(many).text
    assert len(told(many).text.splitlines()) < 10
    wide = Outcome("full", faults=tuple(fault("a", PackageId(f"urn:uuid:{number}")) for number in range(1000)))
    text = told(wide).text
    assert text.count("not repaired") == 100
    assert "and 900 more" in text


@pytest.mark.parametrize(
    "other",
    [
        replace(WORST, packages=3, bytes=5, away=(("c", "still gone"),)),
        replace(WORST, faults=WORST.faults[::-1] + WORST.faults),
        replace(WORST, missed=(Missed("flipped bit", TWO, "another"),)),
    ],
)
def test_counts_reasons_and_order_are_no_news(other: Outcome) -> None:
    assert standing(other) == standing(WORST)


@pytest.mark.parametrize(
    "other",
    [
        replace(WORST, away=(("d", "gone"),)),
        replace(WORST, faults=(*WORST.faults, fault("a", ONE, "another"))),
        replace(WORST, lost=()),
        replace(WORST, missed=()),
        replace(WORST, repaired=()),
    ],
)
def test_what_is_wrong_is(other: Outcome) -> None:
    assert standing(other) != standing(WORST)


def test_what_was_repaired_does_not_stand_unless_stores_differ() -> None:
    done = (Repaired("a", ONE, "b", ("k",), True),)
    assert standing(Outcome("full", faults=(fault("a", ONE),), repaired=done)) == ""
    assert standing(Outcome("full", faults=(fault("a", ONE, code="audit-diverged"),), repaired=done)) != ""
    assert standing(Outcome("full", faults=(fault("a", ONE),), repaired=(replace(done[0], valid=False),))) != ""


def test_a_budget_is_no_news() -> None:
    assert not news_of(Outcome("full", spent=True))
    assert news_of(Outcome("full", spent=True, away=(("a", "gone"),)))


@pytest.mark.parametrize(
    ("wrong", "is_repaired", "is_passed", "before", "what"),
    [
        (None, False, True, None, ""),
        (None, False, True, Told("x", NOW), "well"),
        (None, False, False, Told("x", NOW), ""),  # a used-up budget: not all was seen
        ("x", False, False, None, "wrong"),
        ("x", False, False, Told("x", NOW - timedelta(days=6)), ""),
        ("x", False, False, Told("x", NOW - timedelta(days=7)), "wrong"),
        ("y", False, False, Told("x", NOW), "wrong"),
        ("", True, False, Told("", NOW), "wrong"),
    ],
)
def test_when_there_is_something_to_tell(
    wrong: str | None, is_repaired: bool, is_passed: bool, before: Told | None, what: str
) -> None:
    news = News(told(WORST), wrong, is_repaired, is_passed)
    assert due(news, before, NOW, repeat=timedelta(days=7)) == what


def test_a_mail_is_ascii_on_the_way_and_chinese_when_read() -> None:
    beside = Outcome("full", faults=(fault("a\r\nBcc: x@example.org", None, "照片\n\ud800"),))
    mail = as_mail(told(beside), sender="lantai@example.org", to="a@example.org", at=NOW)
    raw = mail.as_bytes()
    assert raw.isascii()
    assert mail["Bcc"] is None
    assert "云岭县档案馆" in mail["Subject"]
    assert "照片" in mail.get_content()
    assert mail["Date"] == "Mon, 05 Jan 2026 02:00:00 +0000"


def test_no_secret_is_in_a_repr() -> None:
    mail = Mail("a@example.org", "b@example.org", "h:25", "tls", "u", lambda: "geheim")
    assert "geheim" not in repr(mail)
    assert "s3cr3t" not in repr(Webhook("https://example.org/s3cr3t", lambda: "t"))
    assert Webhook("https://example.org/s3cr3t", lambda: "t").name == "webhook example.org"
