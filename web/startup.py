"""What a process does before it serves: schema at head, model loading, leftovers swept, batches taken up again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from flask import Flask

from web import create_app
from web.answering import sweep_pictures
from web.batch_uploads import sweep_uploads
from web.batch_worker import BatchWorker
from web.database import upgrade_database
from web.explains import Explains
from web.inference import Inference
from web.logs import configure_logs


def start_app(config: Mapping[str, Any] | None = None, predictor: Explains | None = None) -> Flask:
    """Returns the app, ready to serve; the model is loaded and leftovers are swept beside the first requests."""
    app = create_app(config, predictor)
    configure_logs(app.config["DERM_LOG"])
    upgrade_database(app)
    inference: Inference = app.extensions["inference"]
    inference.load_in_background()
    threading.Thread(target=_clear_up, args=[app], name="clear-up", daemon=True).start()
    worker: BatchWorker = app.extensions["batch_worker"]
    worker.start()
    return app


def _clear_up(app: Flask) -> None:
    """Removes what a killed server left."""
    sweep_pictures(app)
    sweep_uploads(app)
