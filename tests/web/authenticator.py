"""An authenticator app for tests, whose clock and the server's stand still until they are told to go on."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from tests.web.conftest import PASSWORD, Person


class Authenticator:
    """Shows the codes of one secret; `pass_steps` lets time pass, for the server too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.secret = ""
        self._moment = datetime.now(UTC).replace(microsecond=0)
        monkeypatch.setattr("web.second_factor.now", lambda: self._moment)

    def code(self, steps: int = 0) -> str:
        """What it shows now, or shows that many steps later."""
        return pyotp.TOTP(self.secret).at(self._moment + timedelta(seconds=30 * steps))

    def next_code(self) -> str:
        """Waits for the next code, and returns it."""
        self.pass_steps(1)
        return self.code()

    def pass_steps(self, steps: int) -> None:
        """Lets some steps of 30 seconds pass."""
        self._moment += timedelta(seconds=30 * steps)

    def scan(self, page: str) -> None:
        """Takes the secret from a page that shows it."""
        found = re.search(r'id="key"[^>]*>([A-Z2-7]{32})</textarea>', page)
        assert found, page
        self.secret = found[1]

    def set_up(self, person: Person) -> list[str]:
        """Goes through the pages that turn the second factor on, and returns the recovery codes."""
        assert person.post("/account/second-factor/begin", {"password": PASSWORD}).status_code == 302
        self.scan(person.get("/account/second-factor/set-up").text)
        response = person.post("/account/second-factor/set-up", {"code": self.code()})
        assert response.status_code == 201, response.text
        return recovery_codes_on(response.text)


def recovery_codes_on(page: str) -> list[str]:
    """The codes that a page shows once."""
    found = re.search(r'id="secret"[^>]*>([^<]+)</textarea>', page)
    assert found, page
    return html.unescape(found[1]).split()
