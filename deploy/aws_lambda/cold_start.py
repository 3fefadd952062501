"""Starts the function as Lambda does, asks it about pictures, and prints as JSON what it answered and how long it took.

python cold_start.py photo.jpg [photo.jpg ...]
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import base64  # noqa: E402  (the clock runs from the very beginning)
import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

# Where PyTorch is installed, as on a developer's machine, nothing may come to need it.
sys.modules["torch"] = None  # type: ignore[assignment]


def main() -> None:
    """Prints {"seconds_to_ready", "seconds_first", "seconds_next", "replies"}; the last is null for one picture."""
    from handler import handler

    ready = time.perf_counter()
    seconds, replies = [], []
    for name in sys.argv[1:]:
        began = time.perf_counter()
        replies.append(handler(event_of(Path(name)), None))
        seconds.append(time.perf_counter() - began)
    later = seconds[1:]
    json.dump(
        {
            "seconds_to_ready": ready - STARTED,
            "seconds_first": seconds[0] if seconds else None,
            "seconds_next": sum(later) / len(later) if later else None,
            "replies": [{"status": reply["statusCode"], **json.loads(reply["body"])} for reply in replies],
        },
        sys.stdout,
    )


def event_of(picture: Path) -> dict[str, Any]:
    """Returns the event of an HTTP API (payload format 2.0) that carries a picture as its body."""
    return {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "headers": {"content-type": "application/octet-stream"},
        "queryStringParameters": {"heatmap": "top"},
        "body": base64.b64encode(picture.read_bytes()).decode("ascii"),
        "isBase64Encoded": True,
    }


if __name__ == "__main__":
    main()
