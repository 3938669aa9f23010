"""The ONNX Runtime engine: embeds on a CPU without TensorFlow.

The graph is built here from the bundle's own description of the encoder; no model file is ever
read. This file alone knows ONNX.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from .architecture import STATISTICS, TINY, Architecture, Weights

# Before it is imported, or it keeps an id of this machine and sends word of itself to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

OPSET = 17  # has all that is needed; older readers know it too
IR_VERSION = 8
DENSE = ("dense.kernel", "dense.bias")


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
        model = _Graph(architecture, weights, steps).serialised()
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


class _Graph:
    """Builds the encoder as an ONNX model, a node at a time."""

    def __init__(self, architecture: Architecture, weights: Weights, steps: int) -> None:
        self._architecture, self._weights, self._steps = architecture, weights, steps
        self._tensors: list[TensorProto] = []
        self._nodes: list[NodeProto] = []
        self._axis = self._constant("axis", np.array([1], np.int64))

    def serialised(self) -> bytes:
        """Give the whole model: (batch, steps, inputs) to (batch, embedding)."""
        state = [self._last_state(), *self._statistics()]
        self._node("Concat", state, "state", axis=1)
        dense = [self._constant(name, self._weights[name]) for name in DENSE]
        self._node("Gemm", ["state", *dense], "before")
        self._activation()
        return self._model()

    def _last_state(self) -> str:
        """Run the LSTM layers; without any, the last step's inputs stand for their state."""
        self._node("Transpose", ["inputs"], "x0", perm=[1, 0, 2])
        last = len(self._architecture.units) - 1
        if last < 0:
            place = self._constant("place", np.array(self._steps - 1, np.int64))
            return self._node("Gather", ["x0", place], "last", axis=0)
        for layer, units in enumerate(self._architecture.units):
            parts = _onnx_order(self._weights, f"lstm_{layer}", units)
            names = [self._constant(f"{part}{layer}", value) for part, value in parts.items()]
            outputs = [f"y{layer}", f"h{layer}"]
            self._node("LSTM", [f"x{layer}", *names], *outputs, hidden_size=units)
            if layer < last:  # (steps, 1, batch, units): drop the axis of directions
                self._node("Squeeze", [f"y{layer}", self._axis], f"x{layer + 1}")
        first = self._constant("first", np.array([0], np.int64))
        return self._node("Squeeze", [f"h{last}", first], "last")

    def _statistics(self) -> list[str]:
        if not self._architecture.statistics:
            return []
        return [
            self._node(f"Reduce{name.capitalize()}", ["inputs"], name, axes=[1], keepdims=0)
            for name in STATISTICS
        ]

    def _activation(self) -> None:
        if self._architecture.activation == "sigmoid":
            self._node("Sigmoid", ["before"], "embedding")
            return
        self._node("Mul", ["before", "before"], "squares")
        self._node("ReduceSum", ["squares", self._axis], "squared", keepdims=1)
        self._node("Add", ["squared", self._constant("tiny", np.array(TINY, np.float32))], "safe")
        self._node("Sqrt", ["safe"], "length")
        self._node("Div", ["before", "length"], "embedding")

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._tensors.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """Add a node, and give the name of its first output."""
        self._nodes.append(helper.make_node(kind, inputs, list(outputs), **attributes))
        return outputs[0]

    def _model(self) -> bytes:
        architecture = self._architecture
        shapes = {
            "inputs": ["batch", self._steps, architecture.inputs],
            "embedding": ["batch", architecture.embedding],
        }
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]
        graph = helper.make_graph(self._nodes, "encoder", ends[:1], ends[1:], self._tensors)
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
