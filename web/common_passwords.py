"""How soon a password would be guessed by somebody who tries the likely ones first. Knows no rule of length."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection

from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

_WORDS = """
admin azerty changeme clinic derm dermatologist dermatology dermatoscope dermatoscopy dermatrace dermoscope
dermoscopy doctor hospital lesion medical melanoma nevus passwort patient skin skincancer skinlesion welcome
"""
FIELD_WORDS = frozenset(_WORDS.split())
"""Words of the field, of the product and of every first day: with digits and signs around them they protect nothing."""
COMMON_PASSWORDS = frozenset(FREQUENCY_LISTS["passwords"]) | {
    # Well known, and not on that list.
    "azertyuiopqsdfghjklm",
    "correcthorsebatterystaple",
    "thisismypassword",
}
"""In lower case, without blanks."""
_ENOUGH = 3  # of zxcvbn's 0 to 4: 10^8 guesses or more
_JUDGED = 20  # characters: with their number, which a visitor chooses, zxcvbn's work grows steeply
_LOOKALIKES = str.maketrans("013457@$!", "oieastasi")
_OWN_WORD = 3  # characters; shorter ones are in everything
# zxcvbn keeps the words of whoever asked last in a dictionary of its module.
_one_at_a_time = threading.Lock()


def is_common(password: str, words: Collection[str] = ()) -> bool:
    """Says whether a password is a known one, or would be found within 10^8 guesses.

    Args:
        password: in any case.
        words: what else somebody would try first, such as the user's own name.
    """
    plain = password.casefold()
    if {plain, re.sub(r"\s", "", plain)} & COMMON_PASSWORDS:
        return True
    inputs = sorted(FIELD_WORDS.union(word.casefold() for word in words))
    # A strong half makes a strong password, wherever it stands.
    return all(_score(half, inputs) < _ENOUGH for half in {password[:_JUDGED], password[-_JUDGED:]})


def is_made_of(password: str, words: Collection[str]) -> bool:
    """Says whether a password is only some of these words, with digits and signs around them or in place of letters."""
    known = sorted({word.casefold() for word in words if len(word) >= _OWN_WORD}, key=len, reverse=True)
    if not known:
        return False
    pattern = re.compile("|".join(map(re.escape, known)))
    plain = password.casefold()
    for written in (plain, plain.translate(_LOOKALIKES)):
        rest, found = pattern.subn("", written)
        if found and not re.search(r"[^\W\d_]", rest):
            return True
    return False


def _score(password: str, inputs: list[str]) -> int:
    with _one_at_a_time:
        return zxcvbn(password, user_inputs=inputs)["score"]
