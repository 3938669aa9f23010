"""The ONNX Runtime engine: embeds on a CPU without TensorFlow.

The graph is built here from the bundle's own description of the encoder; no model file is ever
read. This file alone knows ONNX.
"""

import os

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .architecture import STATISTICS, Architecture, Weights

OPSET = 17  # has all that is needed; older readers know it too
IR_VERSION = 8


class OnnxEngine:
    """Embeds with ONNX Runtime's LSTM operator on the CPU."""

    name = "onnxruntime"
    # Small tiles stay in the cache: 256 and more windows at once are slower a window than 64.
    tile = 64

    def __init__(
        self, architecture: Architecture, weights: Weights, steps: int, threads: int = 0
    ) -> None:
        self.workers = threads or len(os.sched_getaffinity(0))
        options = onnxruntime.SessionOptions()
        # One thread for each tile, and several tiles at a time: see Encoder.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = _graph(architecture, weights, steps)
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def warm_up(self, steps: int, inputs: int) -> None:
        """Embed once, so that the first real batch finds its memory allocated."""
        self.embed(np.zeros((self.tile, steps, inputs), np.float32))

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed up to `tile` windows: (batch, steps, inputs) to (batch, embedding)."""
        embedding: NDArray[np.float32] = self._session.run(None, {"inputs": inputs})[0]
        return embedding


def _graph(architecture: Architecture, weights: Weights, steps: int) -> bytes:
    """Build the encoder as a serialised ONNX model."""
    tensors, nodes = [], []

    def constant(name: str, value: NDArray[np.generic]) -> str:
        tensors.append(numpy_helper.from_array(value, name))
        return name

    nodes.append(helper.make_node("Transpose", ["inputs"], ["x0"], perm=[1, 0, 2]))
    axis = constant("axis", np.array([1], np.int64))
    first = constant("first", np.array([0], np.int64))
    last = len(architecture.units) - 1
    for layer, units in enumerate(architecture.units):
        parts = _onnx_order(weights, f"lstm_{layer}", units)
        names = [constant(f"{part}{layer}", value) for part, value in parts.items()]
        outputs = [f"y{layer}", f"h{layer}"]
        nodes.append(helper.make_node("LSTM", [f"x{layer}", *names], outputs, hidden_size=units))
        if layer < last:  # (steps, 1, batch, units): drop the axis of directions
            nodes.append(helper.make_node("Squeeze", [f"y{layer}", axis], [f"x{layer + 1}"]))
    nodes.append(helper.make_node("Squeeze", [f"h{last}", first], ["last"]))
    seen = ["last"]
    if architecture.statistics:
        for name in STATISTICS:
            reduce = f"Reduce{name.capitalize()}"
            nodes.append(helper.make_node(reduce, ["inputs"], [name], axes=[1], keepdims=0))
            seen.append(name)
    nodes.append(helper.make_node("Concat", seen, ["state"], axis=1))
    dense = [constant("dense.kernel", weights["dense.kernel"])]
    dense.append(constant("dense.bias", weights["dense.bias"]))
    nodes.append(helper.make_node("Gemm", ["state", *dense], ["before"]))
    nodes.append(helper.make_node("Sigmoid", ["before"], ["embedding"]))
    shapes = [["batch", steps, architecture.inputs], ["batch", architecture.embedding]]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("inputs", "embedding"), shapes, strict=True)
    ]
    graph = helper.make_graph(nodes, "encoder", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    serialised: bytes = model.SerializeToString()
    return serialised


def _onnx_order(weights: Weights, layer: str, units: int) -> dict[str, NDArray[np.float32]]:
    """Bring Keras's gates (input, forget, cell, output) into ONNX's order.

    That is input, output, forget, cell; ONNX also wants rows for columns, an axis of directions
    in front, and a second bias.
    """

    def gates(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        i, f, c, o = np.split(matrix, 4, axis=-1)
        return np.ascontiguousarray(np.concatenate([i, o, f, c], axis=-1).T[None])

    bias = gates(weights[f"{layer}.bias"][None])[..., 0]
    return {
        "W": gates(weights[f"{layer}.kernel"]),
        "R": gates(weights[f"{layer}.recurrent"]),
        "B": np.concatenate([bias, np.zeros((1, 4 * units), np.float32)], axis=1),
    }
