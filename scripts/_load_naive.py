"""The website's peer under load: one Flask view that runs the same network with Captum, and keeps nothing.

A tutorial's view, served as ours is: gunicorn with threads. A lock stands around the network, as Captum hangs its hooks
on it and two requests at once would take each other's; PyTorch may use all cores within it.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

from flask import Flask, Response, request


def build_naive_app(model: str) -> Flask:
    """Returns the view at POST /predict: a form's `picture` in; probabilities and a heatmap of the first class out."""
    import numpy as np
    from _benchmark_naive import NaivePeer
    from PIL import Image

    from derm_core.serving.bundle import find_bundle, load_bundle

    peer = NaivePeer(load_bundle(find_bundle(model)))
    preprocessing = peer.description.preprocessing
    lock = threading.Lock()
    app = Flask("naive")

    @app.post("/predict")
    def predict() -> Any:
        image = Image.open(request.files["picture"].stream).convert("RGB")
        images = preprocessing.tensor(preprocessing.pixels(image))
        with lock:
            probabilities, heatmap = peer.with_captum(images, *image.size)
        stream = io.BytesIO()
        Image.fromarray((255 * np.asarray(heatmap)).astype(np.uint8)).save(stream, "PNG")
        headers = {
            f"X-Probability-{code}": f"{float(value):.6f}"
            for code, value in zip(peer.description.classes, probabilities, strict=True)
        }
        return Response(stream.getvalue(), mimetype="image/png", headers=headers)

    return app


def main(port: int, threads: int, model: str) -> None:
    from gunicorn.app.base import BaseApplication

    options = {
        "bind": f"127.0.0.1:{port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": threads,
        "timeout": 120,
        "loglevel": "warning",
        "control_socket_disable": True,
    }

    class Site(BaseApplication):
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            return build_naive_app(model)

    Site().run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
