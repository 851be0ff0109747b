"""TensorFlow.js graph model -> ONNX, with the `onnx` package alone.

Only the operations of MoveNet multipose are mapped; any other is refused by name. That model's outputs equal
those of TensorFlow 2.21 and of tf2onnx 1.17: see tests/common/weights/test_movenet.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from common.errors import BadInput
from common.weights.onnx_graph import ONNX_TYPES, OnnxGraph
from common.weights.tfjs_model import GraphModel, Port, decode_graph_model
from common.weights.tfjs_pictures import PICTURE_OPERATORS
from common.weights.tfjs_tensors import TENSOR_OPERATORS

if TYPE_CHECKING:
    from onnx import ValueInfoProto

_OPERATORS = {**PICTURE_OPERATORS, **TENSOR_OPERATORS}


def convert(model_json: bytes, weights: bytes, *, name: str) -> bytes:
    """The ONNX file of a TensorFlow.js graph model. The same input gives the same bytes.

    Inputs and outputs keep their names (`input:0`, `Identity:0`), types and order of axes.

    Args:
        model_json: the file `model.json`.
        weights: the file that its manifest names.
        name: of the graph, for messages and viewers.

    Raises:
        BadInput: damaged files, or an operation or a form of it that is not mapped.
    """
    try:
        model = json.loads(model_json)
    except ValueError as error:
        raise BadInput(f"{name}: the model's JSON cannot be read ({error}).") from error
    return convert_graph(decode_graph_model(model, weights), name=name)


def convert_graph(model: GraphModel, *, name: str) -> bytes:
    """As `convert`, from the decoded model."""
    unknown = sorted({node.op for node in model.nodes} - _OPERATORS.keys() - {"Const", "Placeholder"})
    if unknown:
        raise BadInput(f"{name}: there is no ONNX mapping for the TensorFlow operations {', '.join(unknown)}.")
    graph = OnnxGraph(model.constants)
    for port in model.inputs:
        graph.write(port.tensor)
    for node in model.nodes:
        if node.op in _OPERATORS:
            _OPERATORS[node.op](node, graph)
    for port in model.outputs:
        graph.read(port.tensor)  # a picture that lies channels-first is turned back
    return graph.serialize(
        name=name,
        inputs=[_describe(port) for port in model.inputs],
        outputs=[_describe(port) for port in model.outputs],
    )


def _describe(port: Port) -> ValueInfoProto:
    from onnx import helper

    if port.dtype not in ONNX_TYPES:
        raise BadInput(f"{port.tensor}: type {port.dtype} is not supported, only {', '.join(ONNX_TYPES)}.")
    shape = None if port.shape is None else [None if size < 0 else size for size in port.shape]
    return helper.make_tensor_value_info(port.tensor, ONNX_TYPES[port.dtype], shape)
