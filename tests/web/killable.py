"""A server with a cheap predictor, to be killed: `python -m tests.web.killable HOME` says its port and serves."""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from werkzeug.serving import make_server

from tests.web.conftest import CHEAP_ARGON2
from tests.web.fakes import FakePredictor
from web.startup import start_app


def main(home: Path) -> None:
    app = start_app(
        {
            "DERM_HOME": home,
            "ARGON2": CHEAP_ARGON2,
            "BATCH_CLAIM": timedelta(seconds=1),
            "BATCH_ATTEMPTS": 1000,
            "BATCHES_AT_ONCE": 1000,
            "SWEEP_OLDER_THAN": timedelta(hours=1),
        },
        FakePredictor(),
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(server.port, flush=True)
    # Nobody leaves it running: it ends with whoever started it.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
