"""Bundles that a test spoils."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

State = dict[str, torch.Tensor]


def change(folder: Path, **values: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")
