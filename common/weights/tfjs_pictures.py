"""TensorFlow's operations on pictures, and those that work element by element, in ONNX.

These care for the order of axes: convolutions and the like want their picture channels-first, and what
follows them stays so as long as it works element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from common.errors import BadInput
from common.weights.onnx_graph import ONNX_TYPES, OnnxGraph, as_int64
from common.weights.tfjs_model import Node

_CHANNELS_LAST_SHAPE = (0, 2, 3, 1)  # where batch, height, width and channels stand in a channels-first shape

_ELEMENTWISE = {
    "Abs": "Abs",
    "AddN": "Sum",
    "AddV2": "Add",
    "Equal": "Equal",
    "Exp": "Exp",
    "Greater": "Greater",
    "GreaterEqual": "GreaterOrEqual",
    "Identity": "Identity",
    "Less": "Less",
    "LogicalAnd": "And",
    "Maximum": "Max",
    "Minimum": "Min",
    "Mul": "Mul",
    "RealDiv": "Div",
    "Reciprocal": "Reciprocal",
    "Relu": "Relu",
    "Select": "Where",  # of equal shapes; its form with one flag per row is not told apart
    "Sigmoid": "Sigmoid",
    "Sub": "Sub",
}


def _elementwise(node: Node, graph: OnnxGraph) -> None:
    inputs, output = _aligned(node, graph)
    graph.emit(_ELEMENTWISE[node.op], inputs, [output])


def _cast(node: Node, graph: OnnxGraph) -> None:
    target = node.attributes["DstT"]
    if target not in ONNX_TYPES:
        raise BadInput(f"{node.name}: a cast to {target} is not supported.")
    inputs, output = _aligned(node, graph)
    graph.emit("Cast", inputs, [output], to=ONNX_TYPES[target])


def _floor_divide(node: Node, graph: OnnxGraph) -> None:
    (dividend, divisor), output = _aligned(node, graph)
    if node.attributes.get("T") != "DT_INT32":
        raise BadInput(f"{node.name}: FloorDiv of {node.attributes.get('T')} is not supported, only of DT_INT32.")
    # ONNX's Div rounds towards zero; its Mod has the divisor's sign, as the remainder of a floor division.
    remainder = graph.compute("Mod", [dividend, divisor])
    graph.emit("Div", [graph.compute("Sub", [dividend, remainder]), divisor], [output])


def _squared_difference(node: Node, graph: OnnxGraph) -> None:
    inputs, output = _aligned(node, graph)
    difference = graph.compute("Sub", inputs)
    graph.emit("Mul", [difference, difference], [output])


def _aligned(node: Node, graph: OnnxGraph) -> tuple[list[str], str]:
    """ONNX names of the inputs, in one order of axes, and of the output. A lone number fits either order."""
    single = [graph.is_constant(tensor) and graph.array(tensor, use=node.name).size == 1 for tensor in node.inputs]
    counting = [tensor for tensor, alone in zip(node.inputs, single, strict=True) if not alone]
    if counting and all(graph.is_channels_first(tensor) for tensor in counting):
        inputs = [
            graph.read(tensor) if alone else graph.read_channels_first(tensor)
            for tensor, alone in zip(node.inputs, single, strict=True)
        ]
        return inputs, graph.write_channels_first(node.output())
    return [graph.read(tensor) for tensor in node.inputs], graph.write(node.output())


def _convolution(node: Node, graph: OnnxGraph) -> None:
    kernel = graph.array(node.inputs[1], use=f"{node.name}: the kernel")
    if node.op == "_FusedConv2D":
        groups, weights = 1, kernel.transpose(3, 2, 0, 1)
    else:  # (height, width, channels, multiplier): one group per channel
        height, width, groups, multiplier = kernel.shape
        weights = kernel.transpose(2, 3, 0, 1).reshape(groups * multiplier, 1, height, width)
    inputs = [graph.read_channels_first(node.inputs[0]), graph.constant(weights)]
    steps = list(node.attributes.get("fused_ops", ()))
    if steps[:1] == ["BiasAdd"]:
        inputs.append(graph.read(node.inputs[2]))
        steps.pop(0)
    if steps not in ([], ["Relu"], ["Relu6"]):
        raise BadInput(f"{node.name}: the fused operations {node.attributes['fused_ops']} are not supported.")
    output = graph.write_channels_first(node.output())
    if _spatial(node, "dilations") != [1, 1]:  # onnxruntime refuses them together with SAME padding
        raise BadInput(f"{node.name}: dilated convolutions are not supported.")
    attributes = {**_sliding_window(node), "group": groups}
    if not steps:
        graph.emit("Conv", inputs, [output], **attributes)
        return
    plain = graph.compute("Conv", inputs, **attributes)
    if steps == ["Relu"]:
        graph.emit("Relu", [plain], [output])
    else:
        limits = [graph.constant(np.array(limit, np.float32)) for limit in (0.0, 6.0)]
        graph.emit("Clip", [plain, *limits], [output])


def _max_pool(node: Node, graph: OnnxGraph) -> None:
    picture = graph.read_channels_first(node.inputs[0])
    output = graph.write_channels_first(node.output())
    graph.emit("MaxPool", [picture], [output], kernel_shape=_spatial(node, "ksize"), **_sliding_window(node))


def _resize_bilinear(node: Node, graph: OnnxGraph) -> None:
    if node.attributes.get("align_corners") or not node.attributes.get("half_pixel_centers"):
        raise BadInput(f"{node.name}: ResizeBilinear is supported with half_pixel_centers only.")
    picture = graph.read_channels_first(node.inputs[0])
    kept = graph.compute("Slice", [graph.compute("Shape", [picture]), graph.integers(0), graph.integers(2)])
    sizes = graph.compute("Concat", [kept, as_int64(node.inputs[1], graph)], axis=0)
    output = graph.write_channels_first(node.output())
    graph.emit(
        "Resize",
        [picture, "", "", sizes],
        [output],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _sliding_window(node: Node) -> dict[str, Any]:
    if node.attributes.get("data_format", "NHWC") != "NHWC":
        raise BadInput(f"{node.name}: only pictures in NHWC order are supported.")
    padding = node.attributes["padding"]
    if padding not in ("SAME", "VALID"):
        raise BadInput(f"{node.name}: padding {padding} is not supported, only SAME and VALID.")
    # TensorFlow, too, puts the odd row of SAME padding at the end.
    return {"strides": _spatial(node, "strides"), "auto_pad": "SAME_UPPER" if padding == "SAME" else "VALID"}


def _spatial(node: Node, attribute: str) -> list[int]:
    batch, height, width, channels = node.attributes.get(attribute, (1, 1, 1, 1))
    if (batch, channels) != (1, 1):
        raise BadInput(f"{node.name}: {attribute} over batch or channels are not supported.")
    return [height, width]


def _shape(node: Node, graph: OnnxGraph) -> None:
    if graph.is_channels_first(node.inputs[0]):
        turned = graph.compute("Shape", [graph.read_channels_first(node.inputs[0])])
        shape = graph.compute("Gather", [turned, graph.integers(*_CHANNELS_LAST_SHAPE)], axis=0)
    else:
        shape = graph.compute("Shape", [graph.read(node.inputs[0])])
    graph.emit("Cast", [shape], [graph.write(node.output())], to=ONNX_TYPES[node.attributes["out_type"]])


PICTURE_OPERATORS: Mapping[str, Callable[[Node, OnnxGraph], None]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    "Cast": _cast,
    "DepthwiseConv2dNative": _convolution,
    "FloorDiv": _floor_divide,
    "FusedDepthwiseConv2dNative": _convolution,
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize_bilinear,
    "Shape": _shape,
    "SquaredDifference": _squared_difference,
    "_FusedConv2D": _convolution,
}
"""How each operation is added to an ONNX graph, by TensorFlow's name."""
