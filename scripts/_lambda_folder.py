"""The folder of an AWS Lambda function: handler, model, and as much of derm_core as it uses. Uploads nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_core.files import new_folder, write_synced
from derm_core.serving.export_formats import FORMATS, check_target

if TYPE_CHECKING:
    from derm_core.serving.agreement import Agreement
    from derm_core.serving.bundle import Bundle

SOURCE = Path(__file__).resolve().parent.parent / "deploy" / "aws_lambda"
LAMBDA = replace(
    FORMATS["onnx"], name="lambda", summary="a folder: function for AWS Lambda, without PyTorch", suffix=""
)
COPIED = ("handler.py", "cold_start.py", "Dockerfile", "README.md")
MODEL = "model"
_ROOT = Path(__file__).resolve().parent.parent
_LIST_MODULES = """
import json, sys
sys.modules["torch"] = None
import derm_core.serving.exported, derm_core.serving.wire
names = [name for name in sys.modules if name.partition(".")[0] == "derm_core"]
print(json.dumps(sorted(sys.modules[name].__file__ for name in names)))
"""


@dataclass(frozen=True)
class LambdaReport:
    """What came of an export.

    Attributes:
        agreement: of the network with the model.
        folder_bytes: of the folder.
        packages_bytes: of what requirements.txt installs, as it is installed here.
        seconds_to_ready: from the interpreter's first line to the loaded model, in a process of its own.
        seconds_first: of the first answer, heatmap included.
        seconds_next: of the later ones, on average.
    """

    agreement: Agreement
    folder_bytes: int
    packages_bytes: int
    seconds_to_ready: float
    seconds_first: float
    seconds_next: float


def write_lambda_folder(
    bundle: Bundle, out: Path, pictures: Sequence[Path], *, overwrite: bool = False
) -> LambdaReport:
    """Writes the folder; it appears whole, and after its handler has answered pictures as the model does.

    Raises:
        ConfigError: something stands at `out`, or a package is not installed.
        Disagreement: the handler does not answer as the model does.
    """
    from derm_core.serving.description import DESCRIPTION_FILE
    from derm_core.serving.export import drawn_pictures, export_model
    from derm_core.serving.exported import MODEL_FILE

    check_target(LAMBDA, out, overwrite=overwrite)
    with new_folder(out) as growing, tempfile.TemporaryDirectory() as drawn:
        for name in COPIED:
            shutil.copyfile(SOURCE / name, growing / name)
        write_synced(growing / "requirements.txt", pinned().encode())
        for module in used_modules():
            target = growing / module.relative_to(_ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, target)
        (growing / MODEL).mkdir()
        agreement = export_model(bundle, "onnx", growing / MODEL / MODEL_FILE, pictures=pictures)
        write_synced(growing / MODEL / DESCRIPTION_FILE, bundle.description.to_json().encode())
        asked_about = [*(Path(drawn) / f"{number}.jpg" for number in range(len(drawn_pictures()))), *pictures]
        for path, picture in zip(asked_about, drawn_pictures(), strict=False):
            picture.save(path, quality=90)
        told = started(growing, asked_about)
        check_replies(bundle, asked_about, told["replies"])
        folder_bytes = sum(path.stat().st_size for path in growing.rglob("*") if path.is_file())
    return LambdaReport(
        agreement,
        folder_bytes,
        sum(map(installed_bytes, with_their_needs(required()))),
        *(told[key] for key in ("seconds_to_ready", "seconds_first", "seconds_next")),
    )


def required() -> list[str]:
    """Returns the packages that deploy/aws_lambda/requirements.txt names."""
    lines = (SOURCE / "requirements.txt").read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def pinned() -> str:
    """Returns the text of the folder's requirements.txt: the same pixels need the same version of Pillow."""
    return "".join(f"{name}=={version(name)}\n" for name in required())


def used_modules() -> list[Path]:
    """Returns the files of derm_core that the handler loads, where there is no PyTorch."""
    done = subprocess.run(
        [sys.executable, "-c", _LIST_MODULES], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"derm_core could not be loaded without PyTorch:\n{done.stderr}")
    return [Path(name) for name in json.loads(done.stdout)]


def started(folder: Path, pictures: Sequence[Path]) -> dict[str, Any]:
    """Returns what the folder's cold_start.py prints, from a process that knows no other code of this project."""
    command = [sys.executable, "cold_start.py", *(str(picture.resolve()) for picture in pictures)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The handler does not start:\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    return told


def check_replies(bundle: Bundle, pictures: Sequence[Path], replies: Sequence[dict[str, Any]]) -> None:
    """Raises Disagreement where the handler does not say of a picture what the model says."""
    from derm_core.serving.export_check import TOLERANCE, Disagreement
    from derm_core.serving.predictor import Predictor

    predictor = Predictor(bundle)
    for picture, reply in zip(pictures, replies, strict=True):
        wanted = json.loads(json.dumps(predictor.predict(picture).to_dict()))
        same = reply["status"] == 200 and all(
            reply[key] == wanted[key] for key in ("top", "advice", "quality", "plausible", "model_sha256")
        )
        if not same or any(
            abs(reply["probabilities"][code] - share) > TOLERANCE
            for code, share in wanted["probabilities"].items()
        ):
            raise Disagreement(
                f"The handler does not answer {picture.name} as the model does. Nothing was written."
            )


def with_their_needs(names: Sequence[str]) -> set[str]:
    """Returns packages and all that they need, as installed here; extras are not followed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            needs = [need for need in distribution(name).requires or () if "extra" not in need]
            waiting += [re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needs]
    return found


def installed_bytes(name: str) -> int:
    """Returns what a package takes on the disk here, without byte code."""
    files = [file.locate() for file in distribution(name).files or () if file.suffix != ".pyc"]
    return sum(Path(str(file)).stat().st_size for file in files if Path(str(file)).is_file())
