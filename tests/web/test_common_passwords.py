"""Which passwords are refused because somebody would try them: the known ones, the easy ones, and those of a breach."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
from flask import Flask
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from derm_core import ConfigError
from tests.web.conftest import PASSWORD, Person
from web import breached_passwords
from web.breached_passwords import BreachedPasswords
from web.common_passwords import is_common
from web.passwords import SHORTEST, password_fault

BREACHED = [
    "correct horse battery",
    "another horse entirely",
    "zwölf Boxkämpfer jagen",
    *map(str, range(500)),
]


def test_every_known_password_that_is_long_enough_is_refused() -> None:
    known = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= SHORTEST]
    assert len(known) > 1000
    assert [password for password in known if not password_fault(password)] == []


@pytest.mark.parametrize(
    "password",
    [
        "Password2026!", "p4ssw0rd1234", "qwertzuiop123", "summer2026!", "aaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabcabc",
        "19900101199001011990", "iloveyou2much", "liverpool1999", "Correct horse battery staple", "thisismypassword",
        "12345678901234567890123456789012345678901234567890", "administrator1",
    ],
)  # fmt: skip
def test_what_is_easily_made_of_a_known_one_is_refused(password: str) -> None:
    assert "first passwords that anybody would try" in (password_fault(password) or "")


@pytest.mark.parametrize(
    "password", ["dermatrace2026", "Melanoma-Clinic!", "d3rmatrac3!!!", "hospital 12345", "dermoscopy 1 2 3"]
)
def test_words_of_the_field_and_the_product_protect_nothing(password: str) -> None:
    assert password_fault(password)


@pytest.mark.parametrize(
    "password",
    ["mira aydin 1974", "Dr Mira Aydin", "mira@clinic.org", "aydinmira1!", "Ayd1nAyd1n", "mira dermatrace"],
)
def test_the_own_name_and_address_are_refused(password: str) -> None:
    assert password_fault(password, "mira@clinic.org", "Dr Mira Aydin")


@pytest.mark.parametrize(
    "password",
    [
        "824019375562", "internationalisation purple otter", "purple otter internationalisation",
        "žluťoučký kůň 7", "xxxxxxxxxq7#Kd!2p",
    ],
)  # fmt: skip
def test_a_password_of_any_kind_that_is_hard_to_guess_is_taken(password: str) -> None:
    assert password_fault(password, "mira@clinic.org", "Dr Mira Aydin") is None


def test_what_two_people_are_called_does_not_mix() -> None:
    def is_refused(name: str) -> bool:
        return is_common("quillfeather8", [name])

    with ThreadPoolExecutor(4) as pool:
        refused = list(pool.map(is_refused, ["quillfeather", "otterburn"] * 10))
    assert refused == [True, False] * 10


def written(path: Path, passwords: Iterable[str], end: str = "\r\n") -> Path:
    """A file as the downloader writes it."""
    hashes = sorted(hashlib.sha1(password.encode()).hexdigest().upper() for password in passwords)
    path.write_bytes("".join(f"{name}:{number + 1}{end}" for number, name in enumerate(hashes)).encode())
    return path


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_every_line_of_the_file_is_found_and_nothing_else(tmp_path: Path, end: str) -> None:
    breached = BreachedPasswords(written(tmp_path / "hashes", BREACHED, end))
    assert [password for password in BREACHED if password not in breached] == []
    assert [number for number in range(500, 900) if str(number) in breached] == []


def test_a_file_of_one_line_without_its_end_is_searched_too(tmp_path: Path) -> None:
    path = written(tmp_path / "hashes", [PASSWORD], "")
    assert PASSWORD in BreachedPasswords(path)
    assert "another" not in BreachedPasswords(path)


def test_a_search_reads_a_few_lines_of_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breached = BreachedPasswords(written(tmp_path / "hashes", map(str, range(20_000))))
    read: list[int] = []
    look = breached_passwords._hash_from

    def count(file: BinaryIO, place: int) -> bytes:
        read.append(place)
        return look(file, place)

    monkeypatch.setattr(breached_passwords, "_hash_from", count)
    assert "nobody has this one" not in breached
    assert 0 < len(read) < 30


def test_a_breached_password_is_refused_where_the_file_is_named(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(DERM_BREACHED_PASSWORDS=str(written(tmp_path / "hashes", BREACHED)))
    response = Person(app).register(PASSWORD)
    assert response.status_code == 400
    assert "known from a breach of another site" in response.text
    with app.app_context():
        assert password_fault("zwo\u0308lf Boxka\u0308mpfer jagen")  # as another keyboard writes it
    assert Person(app).register("nobody has this one").status_code == 302


def test_a_file_that_went_away_lets_no_unchecked_password_in(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    path = written(tmp_path / "hashes", BREACHED)
    app = make_app(DERM_BREACHED_PASSWORDS=str(path))
    path.unlink()
    response = Person(app).register("nobody has this one")
    assert response.status_code == 400
    assert "New passwords cannot be checked at the moment" in response.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"123456\npassword\n", "holds something else"),
        (b"F" * 40 + b":3\n" + b"A" * 40 + b":9\n", "not in the order"),
        (b"\n".join(bytes([65 + number % 6]) * 40 + b":1" for number in range(1000)), "not in the order"),
    ],
)
def test_a_file_that_cannot_serve_is_one_sentence_at_the_start(
    make_app: Callable[..., Flask], tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "hashes"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as caught:
        make_app(DERM_BREACHED_PASSWORDS=str(path))
    assert "DERM_BREACHED_PASSWORDS" in str(caught.value)
    assert "\n" not in str(caught.value)
