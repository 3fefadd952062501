"""One picture asked about over HTTP: what a request says, and the JSON that goes back. Knows no server and no torch.

    GET                                        what the model is
    POST  Content-Type: image/jpeg             the picture is the body; the rest stands in the query:
          ?age=61&sex=female&site=back&heatmap=top
    POST  Content-Type: application/json       {"image": base64, "age": 61, "sex": "female", "site": "back",
                                                "heatmap": "top"}

Only the picture is needed. `heatmap` is "top" for that of the most probable diagnosis, or a diagnosis code.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from derm_core.diagnoses import DIAGNOSES, NOTICE
from derm_core.errors import ConfigError, InvalidImageError
from derm_core.explanation.overlay import heatmap_to_rgba
from derm_core.serving.context import PatientContext
from derm_core.serving.description import BundleDescription
from derm_core.serving.prediction import Explanation, Prediction

MAX_BYTES = 32 * 1024 * 1024
"""Larger pictures are refused where a server sets no limit of its own."""
HEATMAP_SIDE = 1024
"""Heatmaps of larger pictures are sent at this many pixels of the longer side: they hold no finer detail."""
TOP = "top"
_FIELDS = ("image", "age", "sex", "site", "heatmap")
_RAW = ("application/octet-stream", "binary/octet-stream")


class Answering(Protocol):
    """What a predictor can do that is needed here."""

    @property
    def description(self) -> BundleDescription: ...

    def predict(self, image: bytes, context: PatientContext | None = None) -> Prediction: ...

    def explain(
        self, image: bytes, code: str | None = None, *, context: PatientContext | None, max_side: int | None
    ) -> Explanation: ...


@dataclass(frozen=True)
class Reply:
    """An HTTP status, and the plain values of the JSON that goes with it."""

    status: int
    values: Mapping[str, Any]

    def to_json(self) -> str:
        """Returns the body."""
        return json.dumps(self.values, ensure_ascii=False, allow_nan=False)


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def reply_to(
    predictor: Answering,
    *,
    method: str,
    body: bytes,
    content_type: str = "",
    query: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Reply:
    """Returns what goes back for a request; what is wrong with one is a reply too: {"error": one sentence}.

    Args:
        predictor: answers the picture.
        method: of HTTP.
        body: as it came, not in base64.
        content_type: the header's value; parameters such as a charset are passed over.
        query: of the address, each name once.
        max_bytes: a longer picture is refused.

    The statuses: 200; 400 for a request that says something impossible; 405 for other methods than GET and POST; 413
    for too long a picture; 415 for other content; 422 for a file that is no picture or cannot be read.
    """
    try:
        if method == "GET":
            return Reply(200, _model(predictor.description))
        if method != "POST":
            raise _Refusal(405, f"The method is {method}; wanted: POST with a picture, or GET.")
        image, asked = _parse(body, content_type, query or {})
        if len(image) > max_bytes:
            raise _Refusal(
                413,
                f"The picture has {len(image) / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB are taken. "
                "Save a smaller copy.",
            )
        return Reply(200, _answer(predictor, image, asked))
    except _Refusal as err:
        return Reply(err.status, {"error": str(err)})
    except ConfigError as err:
        return Reply(400, {"error": str(err)})
    except InvalidImageError as err:
        return Reply(422, {"error": str(err)})


def _model(description: BundleDescription) -> dict[str, Any]:
    point = description.operating_point
    return {
        "model_name": description.name,
        "model_version": description.version,
        "model_sha256": description.weights_sha256,
        "licence": description.licence,
        "classes": [
            {"code": code, "name": DIAGNOSES[code].name, "malignant": DIAGNOSES[code].malignant}
            for code in description.classes
        ],
        "operating_point": {"name": point.name, "threshold": point.threshold},
        "notice": NOTICE,
    }


def _answer(predictor: Answering, image: bytes, asked: Mapping[str, Any]) -> dict[str, Any]:
    context = _context(asked)
    shown = asked.get("heatmap") or None
    if shown is None:
        return {**predictor.predict(image, context).to_dict(), "notice": NOTICE}
    code = None if shown == TOP else str(shown)
    explanation = predictor.explain(image, code, context=context, max_side=HEATMAP_SIDE)
    stream = io.BytesIO()
    Image.fromarray(heatmap_to_rgba(explanation.heatmap)).save(stream, "PNG")
    heatmap = {"code": explanation.code, "png": base64.b64encode(stream.getvalue()).decode("ascii")}
    return {**explanation.prediction.to_dict(), "heatmap": heatmap, "notice": NOTICE}


def _parse(body: bytes, content_type: str, query: Mapping[str, str]) -> tuple[bytes, dict[str, Any]]:
    """Returns the picture's bytes, and everything else that was asked for."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        asked = _parse_json(body)
        image = _decoded(asked.pop("image", None))
    elif kind.startswith("image/") or kind in _RAW:
        asked, image = {}, body
    else:
        raise _Refusal(
            415,
            f"The Content-Type is {kind or 'missing'}; wanted: that of a picture, such as image/jpeg, or "
            "application/json.",
        )
    asked |= query
    unknown = sorted(set(asked) - set(_FIELDS[1:]))
    if unknown:
        raise _Refusal(400, f"Unknown: {', '.join(unknown)}. Known: {', '.join(_FIELDS)}.")
    if not image:
        raise _Refusal(
            400, "The request holds no picture. Send it as the body, or in JSON as image, in base64."
        )
    return image, asked


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except ValueError as err:
        raise _Refusal(400, f"The body is not JSON ({err}).") from err
    if not isinstance(values, dict):
        raise _Refusal(400, f"The body is a JSON {type(values).__name__}; wanted: an object.")
    return values


def _decoded(text: Any) -> bytes:
    if text is None:
        return b""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (AttributeError, ValueError, binascii.Error) as err:
        raise _Refusal(400, "image is not the base64 of a file. Encode the picture's bytes.") from err


def _context(asked: Mapping[str, Any]) -> PatientContext | None:
    age, sex, site = (asked.get(name) for name in ("age", "sex", "site"))
    try:
        years = None if age in (None, "") else float(age)
    except (TypeError, ValueError) as err:
        raise _Refusal(400, f"The age is {age!r}; wanted: a number of years, or nothing.") from err
    context = PatientContext(years, str(sex or ""), str(site or ""))
    return context if context.known else None
