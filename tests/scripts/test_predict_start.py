"""predict.py, from its start to a first answer: what it does without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import predict
from PIL import Image

SLOW_TO_IMPORT = {
    *("captum", "matplotlib", "onnx", "pandas", "scipy", "sklearn", "sympy", "triton"),
    *("torch._dynamo", "torch._inductor"),
}

ONE_ANSWER = f"""
import runpy, sys
sys.path.insert(0, {str(Path(predict.__file__).parent)!r})
try:
    runpy.run_path({str(predict.__file__)!r}, run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
loaded = set(sys.modules)
print("torchvision" in loaded, sorted(loaded & {SLOW_TO_IMPORT!r}))

from torchvision.ops import roi_align
import torchvision.ops.roi_align, torch
boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
print(roi_align(torch.ones(1, 1, 8, 8), boxes, (2, 2)).flatten().tolist())
print(sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu"), "torch._dynamo" in sys.modules)
"""


def test_a_first_answer_by_pytorch_brings_no_compiler_and_torchvision_stays_whole(tmp_path: Path) -> None:
    Image.effect_noise((300, 200), 90).convert("RGB").save(tmp_path / "skin.jpg")
    command = [sys.executable, "-c", ONE_ANSWER, "skin.jpg", "--model", "bundled", "--runtime", "eager"]
    command += ["--device", "cpu", "--out", "answers.csv", "--heatmaps", "maps"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["True []", "[1.0, 1.0, 1.0, 1.0]", "True True"], done.stderr
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["skin.png"]
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 2
