"""A network as the attribution methods see it: cut in two, its views averaged, opened by resolution. Explains nothing.

The parts are those of split_model; nothing is hooked and no parameter is changed, so threads may share them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor, nn

from derm_core.explanation.guided import functional_activations, with_guided_relu
from derm_core.models.architectures import split_model
from derm_core.models.tokens import activation_map
from derm_core.models.views import MeanHead, ViewedBody

STAGES = 3
"""At how many resolutions layer-wise methods look, the last ones of the network."""


@dataclass(frozen=True, eq=False)
class SplitNetwork:
    """A classifier in evaluation mode, its parameters frozen: `head(body(images))` are the logits of one view.

    Attributes:
        body: float (N, 3, S, S) to the activation of the Grad-CAM layer.
        head: that activation to logits (N, C).
        image_size: S in pixels.
        to_map: turns the activation, or its gradient, into (N, K, h, w).
        views: of each picture, one of VIEWS; the answer is the mean of their logits.
    """

    body: nn.Module
    head: nn.Module
    image_size: int
    to_map: Callable[[Tensor], Tensor]
    views: int = 1

    def logits(self, images: Tensor) -> Tensor:
        """Float (N, 3, S, S) to float (N, C), the mean over the views; can be differentiated."""
        logits: Tensor = self.viewed_head(self.viewed_body(images))
        return logits

    @property
    def viewed_body(self) -> nn.Module:
        """The body, which sees all views of all pictures as one batch."""
        return ViewedBody(self.body, self.views) if self.views > 1 else self.body

    @property
    def viewed_head(self) -> nn.Module:
        """The head, which gives the mean of the views' logits."""
        return MeanHead(self.head, self.views) if self.views > 1 else self.head

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next(self.body.parameters()).device

    @cached_property
    def stages(self) -> tuple[nn.Module, ...]:
        """The body in up to STAGES parts, cut where its maps become smaller; the first one sees all views.

        One part alone where the body cannot be opened or where what its blocks give are no maps (N, K, h, w).
        """
        blocks, ends = _opened(self.body), _resolution_ends(self.body, self._blank())
        cuts = [0, *[end + 1 for end in ends[-STAGES:]]]
        parts: list[nn.Module] = [nn.Sequential(*blocks[start:end]).eval() for start, end in pairwise(cuts)]
        if self.views > 1:
            parts[0] = ViewedBody(parts[0], self.views)
        return tuple(parts)

    @cached_property
    def guided(self) -> SplitNetwork | str:
        """A copy whose ReLUs pass back positive gradients alone, or why there is none.

        Guided backpropagation is defined for networks of ReLUs; on others it is the plain gradient under another name.
        """
        # Outside inference mode: what is copied in it could not be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            model = copy.deepcopy(nn.ModuleList([self.body, self.head]))
            if not with_guided_relu(model):
                return "it has no ReLU"
            guided = replace(self, body=model[0], head=model[1])
            others = functional_activations(guided.logits(self._blank().requires_grad_()))
            return f"it has other activations than ReLU ({', '.join(others)})" if others else guided

    def _blank(self) -> Tensor:
        return torch.zeros(1, 3, self.image_size, self.image_size, device=self.device)


def split_network(model: nn.Module, architecture: str, *, image_size: int, views: int = 1) -> SplitNetwork:
    """Returns a network that build_model made as the attribution methods see it; sets it to evaluation mode."""
    body, head = split_model(model.eval().requires_grad_(False), architecture)
    return SplitNetwork(body, head, image_size, activation_map(model), views)


def _opened(part: nn.Module) -> list[nn.Module]:
    """The blocks of a body in the order that a picture passes them; plain nn.Sequential are opened."""
    return list(_opening(part))


def _opening(part: nn.Module) -> Iterator[nn.Module]:
    if type(part) is nn.Sequential:
        for inner in part:
            yield from _opening(inner)
    else:
        yield part


def _resolution_ends(body: nn.Module, images: Tensor) -> list[int]:
    """Returns the index of the last block at each resolution, coarsest last; always that of the last block.

    Blocks in front of one that gives no square map are left out: transformers keep their channels last.
    """
    blocks = _opened(body)
    ends: list[int] = []
    side = 0
    with torch.inference_mode(False), torch.no_grad():
        activation = images
        for index, block in enumerate(blocks):
            activation = block(activation)
            if activation.ndim != 4 or activation.shape[2] != activation.shape[3]:
                ends, side = [], 0
            elif activation.shape[3] == side:
                ends[-1] = index
            else:
                ends.append(index)
                side = activation.shape[3]
    return ends or [len(blocks) - 1]
