"""The graph that is compiled and exported gives what the reference gives, and can be traced with a free batch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from derm_core.errors import ConfigError
from derm_core.explanation.grad_cam import grad_cam_all
from derm_core.models import build_model, fixed_image_size, split_model
from derm_core.models.views import MeanHead, ViewedBody, merge_heatmaps
from derm_core.serving.bundle import load_bundle
from derm_core.serving.graph import AnswerGraph, answer_graph, example_images, supports_graph

LINEAR = ("mobilenet_v2", "resnet18", "shufflenet_v2_x0_5", "swin_t")
"""One of each family whose head is an average and a linear layer, but for those that differ in the body alone."""
OTHERS = ("mobilenet_v3_small", "convnext_tiny", "densenet121", "alexnet", "vgg11")
SIDE = 64


def network(architecture: str, *, head_units: int = 0) -> nn.Module:
    """A network with random weights whose signal neither dies nor grows."""
    torch.manual_seed(5)
    model = build_model(architecture, 5, head_units=head_units)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
            elif isinstance(module, nn.Linear):
                module.weight.mul_(3)
        model.train()(images())
    return model.eval().requires_grad_(False)


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


def assert_equal_maps(found: Tensor, wanted: Tensor) -> None:
    """Within 1e-4 as they are, and within 1e-4 of the peak, for maps of random networks may be small."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4 * min(1.0, float(wanted.max())))


@pytest.mark.parametrize(
    ("architecture", "head_units"),
    [(name, 0) for name in (*LINEAR, *OTHERS)] + [("mobilenet_v2", 16), ("mobilenet_v3_small", 16)],
)
def test_the_graph_gives_what_the_reference_gives(architecture: str, head_units: int) -> None:
    model = network(architecture, head_units=head_units)
    body, head = split_model(model, architecture)
    wanted_logits, wanted_maps = grad_cam_all(body, head, images())
    with torch.no_grad():
        logits, heatmaps, features = AnswerGraph(model, architecture).eval()(images())
        torch.testing.assert_close(features, body(images()).mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, wanted_logits, rtol=0, atol=1e-4)
    assert_equal_maps(heatmaps, wanted_maps)
    assert wanted_maps.amax(dim=(0, 2, 3)).count_nonzero() > 1


@pytest.mark.parametrize("views", [2, 8])
def test_the_views_of_a_picture_are_laid_back_together(views: int) -> None:
    model = network("resnet18")
    body, head = split_model(model, "resnet18")
    viewed = ViewedBody(body, views)
    wanted_logits, wanted_maps = grad_cam_all(viewed, MeanHead(head, views), images())
    with torch.no_grad():
        logits, heatmaps, features = AnswerGraph(model, "resnet18", views).eval()(images())
        wanted_features = viewed(images()).mean(dim=(2, 3)).unflatten(0, (views, 3)).mean(dim=0)
    torch.testing.assert_close(logits, wanted_logits, rtol=0, atol=1e-4)
    assert_equal_maps(heatmaps, merge_heatmaps(wanted_maps, views))
    torch.testing.assert_close(features, wanted_features, rtol=1e-4, atol=1e-5)


def test_a_network_without_a_closed_form_is_refused_and_says_what_to_do() -> None:
    model = build_model("vit_b_32", 5).eval()
    assert fixed_image_size("vit_b_32") == 224
    assert "EncoderBlock" in str(supports_graph(model, "vit_b_32"))
    with pytest.raises(ConfigError, match=r"vit_b_32 has no graph .* EncoderBlock.*eager runtime"):
        AnswerGraph(model, "vit_b_32")


@pytest.mark.parametrize("views", [1, 2])
def test_the_graph_can_be_traced_once_for_batches_of_any_size(bundle_folder: Path, views: int) -> None:
    bundle = load_bundle(bundle_folder)
    described = dataclasses.replace(bundle.description, views=views)
    graph = answer_graph(dataclasses.replace(bundle, description=described))
    assert not any(parameter.requires_grad for parameter in graph.parameters())
    assert not graph.training
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    program = torch.export.export(graph, (example_images(SIDE),), dynamic_shapes=(batch,)).module()
    for count in (1, 2, 5):
        with torch.no_grad():
            wanted = graph(images(count))
            for found, expected in zip(program(images(count)), wanted, strict=True):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
