"""How much a user may ask of the API: counted in memory, for each server process, over the last minute.

The headers are those of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` names what is allowed (q) in how many
seconds (w), `RateLimit` what is left (r) and in how many seconds more is free (t).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from flask import Flask, Response, current_app, g
from flask_login import current_user
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from web.api.problems import Problem

REQUESTS, PHOTOGRAPHS = "requests", "photographs"
_SETTING_OF = {REQUESTS: "DERM_API_REQUESTS", PHOTOGRAPHS: "DERM_API_PHOTOGRAPHS"}
_WINDOW_SECONDS = 60


@dataclass(frozen=True)
class Allowance:
    """What is left of a policy: `left` of `most` requests, more of them after `seconds`."""

    policy: str
    most: int
    left: int
    seconds: int


def init_limits(app: Flask) -> None:
    """Gives the app its counts."""
    app.extensions["api_limits"] = MovingWindowRateLimiter(MemoryStorage())


def count(policy: str) -> None:
    """Counts this request of the signed-in user against a policy; raises Problem 429 where it is used up."""
    limiter: MovingWindowRateLimiter = current_app.extensions["api_limits"]
    most = current_app.config[_SETTING_OF[policy]]
    item, whose = RateLimitItemPerMinute(most), (policy, str(current_user.id))
    allowed = limiter.hit(item, *whose)
    window = limiter.get_window_stats(item, *whose)
    seconds = min(_WINDOW_SECONDS, max(1, math.ceil(window.reset_time - time.time())))
    g.setdefault("api_allowances", []).append(Allowance(policy, most, window.remaining, seconds))
    if not allowed:
        raise Problem(
            429,
            "too-many-requests",
            f"{most} {policy} a minute are allowed, and they are used up. Wait {seconds} seconds.",
            retry_after=seconds,
        )


def add_headers(response: Response) -> Response:
    """Says what is left of each policy that this request counts against."""
    if allowances := g.get("api_allowances"):
        response.headers["RateLimit-Policy"] = ", ".join(
            f'"{one.policy}";q={one.most};w={_WINDOW_SECONDS}' for one in allowances
        )
        response.headers["RateLimit"] = ", ".join(
            f'"{one.policy}";r={one.left};t={one.seconds}' for one in allowances
        )
    return response
