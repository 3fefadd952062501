"""The benchmark's peers: what a plain script does with PyTorch alone, with Captum, and with pytorch-grad-cam.

As a program it is that script: `_benchmark_naive.py MODEL FOLDER < LIST` answers the pictures of a list one by one and
writes a row and a heatmap of each into a folder, then prints {"pictures", "seconds"} of its loop as JSON.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _benchmark_rounds import Case
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

    from derm_core.serving.bundle import Bundle

PLAIN, CAPTUM, GRAD_CAM = "plain forward pass", "Captum", "pytorch-grad-cam"


class NaivePeer:
    """A bundle's network in eager float32, as it is, and the same answers that ours gives."""

    def __init__(self, bundle: Bundle) -> None:
        import torch
        from captum.attr import LayerGradCam

        from derm_core.models import activation_map, grad_cam_layer, split_model
        from derm_core.serving.answer import logit_bias

        self.description = bundle.description
        # Captum needs gradients of the network's own tensors, so that nothing of it is frozen.
        self.network = bundle.build_model().requires_grad_(True)
        self.layer = grad_cam_layer(self.network, bundle.description.architecture)
        self.bias = torch.from_numpy(logit_bias(bundle.description, None)).float()
        self.captum = LayerGradCam(self.network, self.layer)
        body, _ = split_model(self.network, bundle.description.architecture)
        side = bundle.description.preprocessing.image_size
        # Captum takes tokens, (N, T, K), for channels, and gives no map of the picture then.
        self.captum_has_maps = body(torch.zeros(1, 3, side, side)).ndim == 4
        self.to_map = activation_map(self.network)

    @property
    def has_maps(self) -> bool:
        """Whether anything that is installed draws heatmaps of this network."""
        return self.captum_has_maps or grad_cam_installed()

    def probabilities(self, images: Tensor) -> Tensor:
        """Returns float32 (N, C) of float32 (N, 3, S, S), with the biases of the calibration."""
        import torch

        with torch.no_grad():
            logits: Tensor = self.network(images)
        return self._calibrated(logits)

    def with_captum(self, images: Tensor, width: int, height: int) -> tuple[Tensor, Any]:
        """Returns probabilities (C,) of one picture, and Captum's heatmap of the first class over its size."""
        probabilities = self.probabilities(images)[0]
        heatmap = self.captum.attribute(images, int(probabilities.argmax()), relu_attributions=True)
        return probabilities, self._placed(heatmap[0, 0].detach().numpy(), width, height)

    def with_heatmap(self, images: Tensor, width: int, height: int) -> tuple[Tensor, Any]:
        """Returns the same by whichever of the two knows the network."""
        if self.captum_has_maps:
            return self.with_captum(images, width, height)
        probabilities, heatmap = self.with_grad_cam(images)
        return probabilities[0].detach(), self._placed(heatmap, width, height)

    def with_grad_cam(self, images: Tensor) -> Any:
        """Returns what pytorch-grad-cam gives of one picture: its heatmap over the input; the logits come with it."""
        from pytorch_grad_cam import GradCAM

        with GradCAM(
            model=self.network,
            target_layers=[self.layer],
            reshape_transform=None if self.captum_has_maps else self.to_map,
        ) as cam:
            heatmap = cam(input_tensor=images, targets=None)
            return self._calibrated(cam.outputs), heatmap[0]

    def _calibrated(self, logits: Tensor) -> Tensor:
        return ((logits + self.bias) / self.description.temperature).softmax(1)

    def _placed(self, array: Any, width: int, height: int) -> Any:
        shares = array / max(float(array.max()), 1e-30)
        grown = Image.fromarray(shares).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(grown).clip(0, 1)


def grad_cam_installed() -> bool:
    return importlib.util.find_spec("pytorch_grad_cam") is not None


def peer_cases(peer: NaivePeer) -> dict[str, Case]:
    """Returns each peer's way from float32 (1, 3, S, S) to its answer; those that are not installed are left out."""
    import torch

    side = peer.description.preprocessing.image_size
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    cases: dict[str, Case] = {PLAIN: lambda: peer.probabilities(images)}
    if peer.captum_has_maps:
        cases[CAPTUM] = lambda: peer.with_captum(images, side, side)
    if grad_cam_installed():
        cases[GRAD_CAM] = lambda: peer.with_grad_cam(images)
    return cases


def answer_plainly(model: str, files: Sequence[Path], folder: Path) -> float:
    """Answers pictures one by one, and returns the seconds of the loop."""
    from torchvision import transforms

    from derm_core.serving.bundle import find_bundle, load_bundle

    peer = NaivePeer(load_bundle(find_bundle(model)))
    preprocessing = peer.description.preprocessing
    side = preprocessing.image_size
    transform = transforms.Compose(
        [
            transforms.Resize((side, side)),
            transforms.ToTensor(),
            transforms.Normalize(preprocessing.mean, preprocessing.std),
        ]
    )
    started = time.perf_counter()
    with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", *peer.description.classes])
        for number, file in enumerate(files):
            with Image.open(file) as opened:
                image = opened.convert("RGB")
            probabilities, heatmap = peer.with_heatmap(transform(image)[None], *image.size)
            writer.writerow([file, *probabilities.tolist()])
            Image.fromarray((255 * heatmap).astype("uint8")).save(folder / f"{number}.png")
    return time.perf_counter() - started


def main() -> None:
    model, folder = sys.argv[1:]
    files = [Path(line) for line in sys.stdin.read().splitlines()]
    seconds = answer_plainly(model, files, Path(folder))
    print(json.dumps({"pictures": len(files), "seconds": seconds}))


if __name__ == "__main__":
    main()
