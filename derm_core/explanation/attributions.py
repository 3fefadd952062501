"""Nine methods that say what an answer rests on, behind one signature. methods.py names them.

Each takes a network, normalised pictures and the class to explain in each, and gives one map a picture: float32
(N, h, w), not negative, not normalised, the same for the same input. What speaks against the class is left out, as in
Grad-CAM. Methods that go back to the pixels differentiate the mean of the views' logits, so that their map is of the
answer as it is given; their attributions are summed over the colours and smoothed, since single pixels cannot be seen.

"Nothing there" is the picture's own skin: the mean colours of eight tiles along its border.
"""

from __future__ import annotations

import torch
from captum.attr import GradientShap, IntegratedGradients, Occlusion, Saliency
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from derm_core.errors import ConfigError
from derm_core.explanation.grad_cam import grad_cam as one_pass_grad_cam
from derm_core.explanation.seeded import seeded
from derm_core.explanation.split_network import SplitNetwork
from derm_core.models.views import merge_heatmaps

STEPS = 16
"""Points on the way from the skin to the picture at which gradients are taken."""
AT_ONCE = 8
"""Pictures that go through the network together where a method needs many."""
NOISE = 0.1
"""Standard deviation of GradientShap's noise, in units of the normalised input."""
SEED = 0


def grad_cam(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM at the last layer; the maps of the predictor."""
    result = one_pass_grad_cam(
        network.viewed_body, network.viewed_head, images, classes, to_map=network.to_map
    )
    return merge_heatmaps(result.heatmaps, network.views)


def gradient(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """The largest absolute gradient over the colours."""
    slopes = Saliency(network.logits).attribute(images.clone().requires_grad_(), target=classes, abs=True)
    return _smoothed(slopes.amax(dim=1))


def integrated_gradients(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Captum's integrated gradients from the mean colour of the skin, by Gauss and Legendre's rule."""
    attributions = IntegratedGradients(network.logits).attribute(
        images,
        baselines=_skin(images).mean(dim=1)[:, :, None, None].expand_as(images),
        target=classes,
        n_steps=STEPS,
        internal_batch_size=max(AT_ONCE, len(images)),
    )
    return _for_the_class(attributions)


def gradient_shap(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Captum's GradientShap, from skin colours drawn at random to the picture with noise."""
    explainer = GradientShap(network.logits)
    rows = []
    for row in range(len(images)):
        image = images[row : row + 1]
        skins = _skin(image)[0][:, :, None, None].expand(-1, *image.shape[1:])
        # One by one, so that what is drawn for a picture does not depend on those beside it.
        with seeded(SEED):
            rows.append(
                explainer.attribute(
                    image, baselines=skins, target=classes[row : row + 1], n_samples=STEPS, stdevs=NOISE
                )
            )
    return _for_the_class(torch.cat(rows))


def occlusion(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Captum's occlusion: how much the logit falls where a window, a quarter of the side wide, shows skin alone."""
    side = max(1, images.shape[-1] // 4)
    with torch.inference_mode(False), torch.no_grad():
        falls = Occlusion(network.logits).attribute(
            images,
            sliding_window_shapes=(images.shape[1], side, side),
            strides=(images.shape[1], max(1, side // 2), max(1, side // 2)),
            baselines=_skin(images).mean(dim=1)[:, :, None, None].expand_as(images),
            target=classes,
            perturbations_per_eval=AT_ONCE,
        )
    return falls.mean(dim=1).float().relu()


def guided_backprop(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """The gradient of a network whose ReLUs pass back positive gradients alone."""
    return _for_the_class(_guided_slopes(network, images, classes))


def guided_grad_cam(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Guided backpropagation times Grad-CAM laid over the picture (arXiv 1610.02391, section 3.2)."""
    coarse = grad_cam(network, images, classes)[:, None]
    grown = nn.functional.interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False)
    return _for_the_class(_guided_slopes(network, images, classes) * grown)


def _guided_slopes(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    guided = network.guided
    if isinstance(guided, str):
        raise ConfigError(
            f"Guided backpropagation does not suit this network: {guided}. Name another method."
        )
    slopes: Tensor = Saliency(guided.logits).attribute(
        images.clone().requires_grad_(), target=classes, abs=False
    )
    return slopes


def _skin(images: Tensor) -> Tensor:
    """Returns float (N, 8, 3): the mean colours of the tiles along the border of a picture (N, 3, S, S)."""
    side = max(1, images.shape[-1] // 8)
    middle = (images.shape[-1] - side) // 2
    starts = (0, middle, images.shape[-1] - side)
    tiles = [
        images[:, :, top : top + side, left : left + side].mean(dim=(2, 3))
        for top in starts
        for left in starts
        if (top, left) != (middle, middle)
    ]
    return torch.stack(tiles, dim=1)


def _for_the_class(attributions: Tensor) -> Tensor:
    """(N, 3, S, S), signed, to (N, S, S): what speaks for the class."""
    return _smoothed(attributions.float()).sum(dim=1).relu()


def _smoothed(maps: Tensor) -> Tensor:
    """Gaussian smoothing of (N, ..., S, S) with a standard deviation of S / 56: 4 pixels at 224."""
    sigma = maps.shape[-1] / 56
    width = 2 * max(1, round(2 * sigma)) + 1
    smoothed: Tensor = gaussian_blur(maps, [width, width], [sigma, sigma])
    return smoothed
