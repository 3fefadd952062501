"""Networks built without a random start."""

from __future__ import annotations

import pytest
import torch

from derm_core.models import build_model, load_weights
from derm_core.models.uninitialised import Uninitialised


@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", "convnext_tiny", "swin_t", "vit_b_32"])
def test_a_network_built_for_weights_answers_as_the_one_they_are_of_and_draws_nothing(
    architecture: str,
) -> None:
    torch.manual_seed(1)
    drawn = build_model(architecture, 3).eval()
    before = torch.get_rng_state()
    with Uninitialised():
        network = build_model(architecture, 3).eval()
    assert torch.equal(torch.get_rng_state(), before)
    load_weights(network, drawn.state_dict())
    picture = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(network(picture), drawn(picture))


def test_what_is_built_outside_starts_at_random_again() -> None:
    with Uninitialised():
        inside = torch.nn.Linear(4, 4)
    assert not torch.equal(torch.nn.Linear(4, 4).weight, torch.nn.Linear(4, 4).weight)
    assert inside.weight.shape == (4, 4)
