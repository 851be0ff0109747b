"""An ONNX graph under construction, whose pictures may lie channels-last or channels-first.

TensorFlow writes the former, ONNX convolves the latter. Each tensor therefore knows the orders in which it
exists; asking for the other one adds a single transpose, so a chain of convolutions stays channels-first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.errors import BadInput

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

OPSET = 17  # the last one before splits and reductions changed their form; read by every runtime since 2022
IR_VERSION = 8  # the file format that belongs to opset 17

ONNX_TYPES = {"DT_FLOAT": 1, "DT_INT32": 6, "DT_INT64": 7, "DT_BOOL": 9}
"""TensorFlow's type names -> onnx.TensorProto.DataType. int32 stays, except where ONNX takes only int64."""

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)


class OnnxGraph:
    """Collects nodes and constants; knows in which order of axes each tensor is at hand.

    Args:
        constants: arrays by tensor name, in TensorFlow's order of axes. Those that are read enter the graph.
    """

    def __init__(self, constants: Mapping[str, NDArray[Any]]) -> None:
        self._constants = constants
        self._last: set[str] = set()
        self._first: set[str] = set()
        self._nodes: list[NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._temporaries = 0

    def emit(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:  # noqa: ANN401
        """Adds one ONNX node; all names are those of the ONNX graph."""
        from onnx import helper

        self._nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))

    def compute(self, op: str, inputs: list[str], **attributes: Any) -> str:  # noqa: ANN401
        """Adds one node with a single, unnamed output and returns the name made for it."""
        self._temporaries += 1
        output = f"{op}_{self._temporaries}"
        self.emit(op, inputs, [output], **attributes)
        return output

    def constant(self, array: NDArray[Any]) -> str:
        """The name of an initializer that holds `array`."""
        return self._add_initializer(f"constant_{len(self._initializers)}", array)

    def integers(self, *values: int) -> str:
        """The name of a one-dimensional int64 initializer, the type of ONNX's shapes and axes."""
        return self.constant(np.array(values, np.int64))

    def array(self, tensor: str, *, use: str) -> NDArray[Any]:
        """The value of a constant tensor.

        Raises:
            BadInput: it is computed, and `use` (for the message) needs it at conversion time.
        """
        if tensor not in self._constants:
            raise BadInput(f"{use} must be a constant, but {tensor} is computed: this model cannot be converted.")
        return self._constants[tensor]

    def is_constant(self, tensor: str) -> bool:
        """Whether the tensor's value is known now."""
        return tensor in self._constants

    def write(self, tensor: str) -> str:
        """Declares that the next node gives `tensor` in TensorFlow's order of axes; returns its ONNX name."""
        self._last.add(tensor)
        return tensor

    def write_channels_first(self, tensor: str) -> str:
        """Declares that the next node gives the picture `tensor` channels-first; returns its ONNX name."""
        self._first.add(tensor)
        return _channels_first(tensor)

    def is_channels_first(self, tensor: str) -> bool:
        """Whether the tensor was computed channels-first."""
        return tensor in self._first

    def read(self, tensor: str) -> str:
        """The ONNX name of `tensor` in TensorFlow's order of axes."""
        if tensor not in self._last:
            if tensor in self._first:
                self.emit("Transpose", [_channels_first(tensor)], [tensor], perm=_TO_CHANNELS_LAST)
            else:
                self._add_initializer(tensor, self.array(tensor, use="an input without a node"))
            self._last.add(tensor)
        return tensor

    def read_channels_first(self, tensor: str) -> str:
        """The ONNX name of the picture `tensor`, turned to (batch, channels, height, width)."""
        if tensor not in self._first:
            self.emit("Transpose", [self.read(tensor)], [_channels_first(tensor)], perm=_TO_CHANNELS_FIRST)
            self._first.add(tensor)
        return _channels_first(tensor)

    def serialize(self, *, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]) -> bytes:
        """The checked model file. The same calls give the same bytes.

        Raises:
            BadInput: ONNX's own checker finds a fault (types or shapes that do not fit).
        """
        import onnx
        from onnx import helper

        graph = helper.make_graph(self._nodes, name, inputs, outputs, initializer=list(self._initializers.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="ghost")
        model.ir_version = IR_VERSION
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise BadInput(f"{name}: the converted graph is not valid ONNX: {error}") from error
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _add_initializer(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return name


def _channels_first(tensor: str) -> str:
    return f"{tensor}/channels_first"


def as_int64(tensor: str, graph: OnnxGraph) -> str:
    """The ONNX name of an integer tensor in the type of ONNX's shapes and indices."""
    if graph.is_constant(tensor):
        return graph.constant(graph.array(tensor, use=tensor).astype(np.int64))
    return graph.compute("Cast", [graph.read(tensor)], to=ONNX_TYPES["DT_INT64"])
