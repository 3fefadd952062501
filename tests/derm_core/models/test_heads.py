"""Building a network for a number of classes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from derm_core.errors import ConfigError
from derm_core.models import build_model, classifier_layer

SMALLEST = ("shufflenet_v2_x0_5", "mobilenet_v3_small", "mnasnet0_5", "resnet18", "regnet_x_400mf")


@pytest.mark.parametrize("architecture", SMALLEST)
@pytest.mark.parametrize("classes", [2, 7])
def test_the_classifier_has_as_many_logits_as_there_are_classes(architecture: str, classes: int) -> None:
    network = build_model(architecture, classes).eval()
    layer = classifier_layer(network)
    assert isinstance(layer, nn.Linear)
    assert layer.weight.shape == (classes, layer.in_features)
    assert layer.bias.shape == (classes,)
    with torch.no_grad():
        logits = network(torch.zeros(1, 3, 64, 64))
        layer.bias += 1
        assert torch.allclose(network(torch.zeros(1, 3, 64, 64)), logits + 1, atol=1e-6)


def test_an_unknown_architecture_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as raised:
        build_model("mobilenet_v4", 7)
    assert str(raised.value).startswith("Unknown architecture 'mobilenet_v4'. Known: alexnet, ")
    assert str(raised.value).endswith("Did you mean 'mobilenet_v2'?")


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused(classes: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 2 classes, not {classes}"):
        build_model("resnet18", classes)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 7.0])
def test_impossible_dropout_is_refused(dropout: float) -> None:
    with pytest.raises(ConfigError, match=f"dropout is {dropout}; it must be at least 0 and below 1"):
        build_model("mobilenet_v2", 7, dropout=dropout)


def dropouts(network: nn.Module) -> list[float]:
    return [module.p for module in network.modules() if isinstance(module, nn.Dropout)]


def test_dropout_is_set_in_every_layer_of_the_classifier() -> None:
    assert dropouts(build_model("mobilenet_v2", 7, dropout=0.35)) == [0.35]
    with torch.device("meta"):
        assert dropouts(build_model("vgg11", 7, dropout=0.1)) == [0.1, 0.1]


def test_without_dropout_given_the_architecture_keeps_its_own() -> None:
    assert dropouts(build_model("mobilenet_v2", 7)) == [0.2]
    with torch.device("meta"):
        assert dropouts(build_model("alexnet", 7)) == [0.5, 0.5]


def test_dropout_of_0_makes_training_mode_repeatable() -> None:
    network = build_model("mobilenet_v3_small", 3, dropout=0.0).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    picture = torch.randn(1, 3, 64, 64)
    assert torch.equal(network(picture), network(picture))


def test_a_classifier_without_dropout_gets_one_before_its_last_layer() -> None:
    torch.manual_seed(0)
    plain = build_model("shufflenet_v2_x0_5", 3)
    torch.manual_seed(0)
    dropping = build_model("shufflenet_v2_x0_5", 3, dropout=0.5)
    assert list(plain.state_dict()) == list(dropping.state_dict())
    assert all(map(torch.equal, plain.state_dict().values(), dropping.state_dict().values()))
    features = torch.ones(2000, 1024)
    layer = classifier_layer(dropping)
    assert torch.equal(layer.eval()(features), classifier_layer(plain)(features))
    # Half of the features are dropped and the others doubled: the same on average, and never the same.
    answers = layer.train()(features)
    assert answers.unique(dim=0).shape == (2000, 3)
    centre = layer.eval()(features[:1])
    # The standard deviation of a sum of w * (0 or 2) is the root of the sum of w².
    allowed = 5 * layer.weight.norm(dim=1) / 2000**0.5
    assert ((answers.mean(dim=0) - centre).abs() < allowed).all()


def test_a_hidden_layer_comes_between_the_features_and_the_classifier() -> None:
    network: Any = build_model("shufflenet_v2_x0_5", 3, head_units=5).eval()
    hidden, rectifier, last = network.fc
    assert classifier_layer(network) is last
    assert (hidden.weight.shape, last.weight.shape) == ((5, 1024), (3, 5))
    features = torch.randn(4, 1024)
    expected = (features @ hidden.weight.T + hidden.bias).relu() @ last.weight.T + last.bias
    torch.testing.assert_close(network.fc(features), expected)
    assert isinstance(rectifier, nn.ReLU)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_dropout_with_a_hidden_layer_comes_before_the_classifier_too(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_model(architecture, 3, head_units=64, dropout=0.9).train()
    layer = classifier_layer(network)
    features = torch.ones(4, 64)
    assert not torch.equal(layer(features), layer(features))
    assert set(dropouts(network)) <= {0.9}


def test_a_hidden_layer_without_dropout_given_adds_none() -> None:
    layer = classifier_layer(build_model("shufflenet_v2_x0_5", 3, head_units=64)).train()
    features = torch.ones(4, 64)
    assert torch.equal(layer(features), layer(features))


def test_the_same_seed_builds_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(4)
        states.append(build_model("shufflenet_v2_x0_5", 3).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
