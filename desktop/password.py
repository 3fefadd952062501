"""The password of an app that is open to a network: compared in constant time, and slow to guess."""

from __future__ import annotations

import hmac
import threading
import time
from collections import deque

USER = "desk"
"""The name to sign in with: there is but one account."""
SHORTEST = 12
_TRIES, _WITHIN_SECONDS = 5, 60.0


class Password:
    """Says whether a name and a password are right; after 5 wrong ones in a minute, to nobody.

    Args:
        password: SHORTEST characters or more; checked where it is read.
    """

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._wrong: deque[float] = deque(maxlen=_TRIES)
        self._lock = threading.Lock()

    def __call__(self, user: str, password: str) -> bool:
        with self._lock:
            now = time.monotonic()
            if len(self._wrong) == _TRIES and now - self._wrong[0] < _WITHIN_SECONDS:
                return False
            right = hmac.compare_digest(password.encode(), self._password)
            right &= hmac.compare_digest(user.encode(), USER.encode())
            if not right:
                self._wrong.append(now)
            return right
