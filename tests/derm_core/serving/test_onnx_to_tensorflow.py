"""onnx_to_tensorflow.py: each operation gives what ONNX Runtime gives, and one that is not known is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from derm_core.errors import ConfigError

tf = pytest.importorskip(
    "tensorflow", reason="THE EXPORTS TO TENSORFLOW ARE NOT TESTED: tensorflow is not installed"
)
PICTURE = (2, 8, 9, 7)
"""Batch, channels, height, width: all different, so that none can be taken for another."""


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def graph_of(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Returns a model that turns a picture (N, H, W, C) to (N, C, H, W), as an export does, and runs the nodes."""
    height, width, channels = PICTURE[2], PICTURE[3], PICTURE[1]
    first = helper.make_node("Transpose", ["pixels"], ["x"], perm=[0, 3, 1, 2])
    graph = helper.make_graph(
        [first, *nodes],
        "one",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", height, width, channels])],
        [helper.make_empty_tensor_value_info("y")],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def check(*nodes: onnx.NodeProto, **constants: np.ndarray) -> None:
    from derm_core.serving.onnx_to_tensorflow import run_graph

    model = graph_of(list(nodes), constants)
    pixels = numbers(PICTURE[0], PICTURE[2], PICTURE[3], PICTURE[1], seed=1)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (wanted,) = session.run(None, {"pixels": pixels})

    @tf.function(
        input_signature=[tf.TensorSpec((None, *pixels.shape[1:]), tf.float32, name="pixels")], autograph=False
    )
    def answer(pixels: Any) -> Any:
        return run_graph(model.graph, {"pixels": pixels})

    found = answer(tf.constant(pixels))["y"].numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-4


node = helper.make_node


@pytest.mark.parametrize(
    ("kernels", "settings"),
    [
        ((5, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((5, 8, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((5, 8, 2, 3), {"pads": [0, 1, 1, 2], "strides": [1, 2]}),
        ((5, 8, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
        ((5, 8, 1, 1), {}),
        ((8, 1, 3, 3), {"group": 8, "pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ((16, 1, 3, 3), {"group": 8}),
        ((12, 2, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
    ],
)
def test_convolutions(kernels: tuple[int, ...], settings: dict[str, Any]) -> None:
    weights = numbers(*kernels, seed=2)
    check(node("Conv", ["x", "w", "b"], ["y"], **settings), w=weights, b=numbers(kernels[0], seed=3))
    check(node("Conv", ["x", "w"], ["y"], **settings), w=weights)


def test_poolings_and_means() -> None:
    check(node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))
    check(node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]))
    check(node("GlobalAveragePool", ["x"], ["y"]))
    for keep in (0, 1):
        check(node("ReduceMean", ["x", "axes"], ["y"], keepdims=keep), axes=np.array([2, 3]))
        check(node("ReduceMean", ["x", "axes"], ["y"], keepdims=keep), axes=np.array([-1]))


def test_elementwise_operations_in_every_mixture_of_layouts() -> None:
    check(node("Add", ["x", "c"], ["y"]), c=numbers(1, 8, 1, 1))
    check(node("Mul", ["x", "c"], ["y"]), c=np.float32(2.5))
    check(node("Sub", ["c", "x"], ["y"]), c=numbers(7))
    check(node("Div", ["x", "c"], ["y"]), c=numbers(8, 1, 1) + 5)
    check(node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"]))
    check(node("GlobalAveragePool", ["x"], ["m"]), node("Mul", ["x", "m"], ["y"]))
    check(node("Clip", ["x", "low", "high"], ["y"]), low=np.float32(-0.5), high=np.float32(1))
    check(node("Clip", ["x", "", "high"], ["y"]), high=np.float32(0.1))
    for name in ("Relu", "HardSwish", "HardSigmoid", "Erf", "Gelu", "Tanh", "Exp", "Neg", "Identity"):
        check(node(name, ["x"], ["y"]))
    check(
        node("Greater", ["x", "zero"], ["above"]),
        node("Where", ["above", "x", "zero"], ["y"]),
        zero=np.float32(0),
    )


def test_norms() -> None:
    parts = {name: numbers(8, seed=seed) for seed, name in enumerate("sbm")} | {"v": numbers(8, seed=4) ** 2}
    check(node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=1e-3), **parts)
    check(node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1), s=numbers(7), b=numbers(7, seed=1))


def test_shapes_and_what_ends_a_network() -> None:
    flat = node("Flatten", ["x"], ["f"])
    check(flat, node("Gemm", ["f", "w", "b"], ["y"], transB=1), w=numbers(3, 8 * 9 * 7), b=numbers(3))
    check(
        flat, node("MatMul", ["f", "w"], ["m"]), node("Softmax", ["m"], ["y"], axis=1), w=numbers(504, 3) / 20
    )
    check(node("Reshape", ["x", "s"], ["y"]), s=np.array([0, -1, 7]))
    check(node("Unsqueeze", ["x", "a"], ["u"]), node("Squeeze", ["u", "a"], ["y"]), a=np.array([1, -1]))
    check(node("Relu", ["x"], ["r"]), node("Concat", ["x", "r"], ["y"], axis=1))
    check(node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1]))
    check(node("Concat", ["x", "c"], ["y"], axis=2), c=numbers(*PICTURE))


def test_what_is_not_known_is_named() -> None:
    with pytest.raises(ConfigError, match=r"The network holds Sin, .*Export it as onnx"):
        check(node("Sin", ["x"], ["y"]))
    with pytest.raises(ConfigError, match="rounds up"):
        check(node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1))
