"""Asks a server that speaks the KServe v2 protocol, such as Triton, about pictures.

    python -m deploy.triton.client --model bundled --url http://127.0.0.1:8000 photo.jpg

The server runs the network. What stands around it is done here: the picture is decoded and reduced as everywhere else,
and from what comes back the answer is made, with its advice.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from derm_core import NOTICE, Prediction
from derm_core.serving.answer import make_prediction
from derm_core.serving.bundle_files import find_bundle
from derm_core.serving.description import BundleDescription, read_description
from derm_core.serving.preparation import prepare

MODEL_NAME = "dermatrace"
SECONDS = 30.0


def ask(url: str, description: BundleDescription, picture: Path) -> Prediction:
    """Returns the answer to a picture.

    Args:
        url: of the server, without a path.
        description: of the bundle that was exported.
        picture: a file.

    Raises:
        InvalidImageError: the file cannot be read.
        urllib.error.URLError: the server does not answer, or refuses.
    """
    prepared = prepare(picture, description.preprocessing, description.quality)
    started = time.perf_counter()
    reply = _get(f"{url}/v2/models/{MODEL_NAME}/infer", _request(prepared.pixels))
    given = {output["name"]: np.array(output["data"], np.float32) for output in reply["outputs"]}
    seconds = time.perf_counter() - started
    return make_prediction(description, given["logits"], given["features"], prepared, None, seconds)


def _request(pixels: np.ndarray) -> dict[str, Any]:
    """Returns the body of an inference request for uint8 (S, S, 3); a batch of one, its numbers row by row."""
    return {
        "inputs": [
            {
                "name": "pixels",
                "shape": [1, *pixels.shape],
                "datatype": "UINT8",
                "data": pixels.ravel().tolist(),
            }
        ],
        "outputs": [{"name": "logits"}, {"name": "features"}],
    }


def _get(address: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as reply:
        return json.load(reply)


def main() -> None:
    """Prints a line of JSON for each picture."""
    parser = argparse.ArgumentParser(description="Asks a KServe v2 server about pictures.", epilog=NOTICE)
    parser.add_argument("--model", default="bundled", help="the bundle that was exported")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server")
    parser.add_argument("pictures", metavar="IMAGE", type=Path, nargs="+")
    arguments = parser.parse_args()
    description = read_description(find_bundle(arguments.model))
    for picture in arguments.pictures:
        answer = ask(arguments.url, description, picture).to_dict()
        print(json.dumps({"file": str(picture), **answer}, ensure_ascii=False))


if __name__ == "__main__":
    main()
