"""TensorFlow's operations that reshape, cut, join, look up and reduce, in ONNX.

They count axes, so they take every tensor in TensorFlow's own order of axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from common.errors import BadInput
from common.weights.onnx_graph import ONNX_TYPES, OnnxGraph, as_int64
from common.weights.tfjs_model import Node

_TO_THE_END = int(np.iinfo(np.int64).max)  # ONNX's way to say so


def _size(node: Node, graph: OnnxGraph) -> None:
    size = graph.compute("Size", [graph.read(node.inputs[0])])
    graph.emit("Cast", [size], [graph.write(node.output())], to=ONNX_TYPES[node.attributes["out_type"]])


def _reshape(node: Node, graph: OnnxGraph) -> None:
    inputs = [graph.read(node.inputs[0]), as_int64(node.inputs[1], graph)]
    graph.emit("Reshape", inputs, [graph.write(node.output())])


def _fill(node: Node, graph: OnnxGraph) -> None:
    inputs = [graph.read(node.inputs[1]), as_int64(node.inputs[0], graph)]
    graph.emit("Expand", inputs, [graph.write(node.output())])


def _tile(node: Node, graph: OnnxGraph) -> None:
    inputs = [graph.read(node.inputs[0]), as_int64(node.inputs[1], graph)]
    graph.emit("Tile", inputs, [graph.write(node.output())])


def _expand_dims(node: Node, graph: OnnxGraph) -> None:
    axes = graph.integers(_constant_integer(node, 1, graph))
    graph.emit("Unsqueeze", [graph.read(node.inputs[0]), axes], [graph.write(node.output())])


def _squeeze(node: Node, graph: OnnxGraph) -> None:
    dims = node.attributes.get("squeeze_dims", ())
    axes = [graph.integers(*dims)] if dims else []
    graph.emit("Squeeze", [graph.read(node.inputs[0]), *axes], [graph.write(node.output())])


def _range(node: Node, graph: OnnxGraph) -> None:
    graph.emit("Range", [graph.read(tensor) for tensor in node.inputs], [graph.write(node.output())])


def _concat(node: Node, graph: OnnxGraph) -> None:
    axis = _constant_integer(node, -1, graph)
    inputs = [graph.read(tensor) for tensor in node.inputs[:-1]]
    graph.emit("Concat", inputs, [graph.write(node.output())], axis=axis)


def _pack(node: Node, graph: OnnxGraph) -> None:
    axis = node.attributes.get("axis", 0)
    layers = [graph.compute("Unsqueeze", [graph.read(tensor), graph.integers(axis)]) for tensor in node.inputs]
    graph.emit("Concat", layers, [graph.write(node.output())], axis=axis)


def _unpack(node: Node, graph: OnnxGraph) -> None:
    axis, count = node.attributes.get("axis", 0), node.attributes["num"]
    layers = [f"{node.name}/layer_{i}" for i in range(count)]
    graph.emit("Split", [graph.read(node.inputs[0])], layers, axis=axis)
    for i, layer in enumerate(layers):
        graph.emit("Squeeze", [layer, graph.integers(axis)], [graph.write(node.output(i))])


def _split(node: Node, graph: OnnxGraph) -> None:
    outputs = [graph.write(node.output(i)) for i in range(node.attributes["num_split"])]
    graph.emit("Split", [graph.read(node.inputs[1])], outputs, axis=_constant_integer(node, 0, graph))


def _strided_slice(node: Node, graph: OnnxGraph) -> None:
    if node.attributes.get("ellipsis_mask"):
        raise BadInput(f"{node.name}: StridedSlice with an ellipsis is not supported.")
    begin, end, stride = (graph.array(tensor, use=f"{node.name}: where to cut").tolist() for tensor in node.inputs[1:])
    cuts: list[tuple[int, int, int, int]] = []  # axis of the input, start, end, step
    dropped: list[int] = []  # axes of the input
    added: list[int] = []  # axes of the output
    axis = kept = 0
    for i in range(len(begin)):
        if _bit(node, "new_axis_mask", i):
            added.append(kept)
            kept += 1
            continue
        if _bit(node, "shrink_axis_mask", i):
            last = _TO_THE_END if begin[i] == -1 else begin[i] + 1
            cuts.append((axis, begin[i], last, 1))
            dropped.append(axis)
        else:
            cuts += _range_of_axis(node, i, axis, begin[i], end[i], stride[i])
            kept += 1
        axis += 1
    steps: list[tuple[str, list[str]]] = []
    if cuts:
        axes, starts, ends, strides = (graph.integers(*column) for column in zip(*cuts, strict=True))
        steps.append(("Slice", [starts, ends, axes, strides]))
    if dropped:
        steps.append(("Squeeze", [graph.integers(*dropped)]))
    if added:
        steps.append(("Unsqueeze", [graph.integers(*added)]))
    *early, last = steps or [("Identity", [])]
    value = graph.read(node.inputs[0])
    for op, parameters in early:
        value = graph.compute(op, [value, *parameters])
    graph.emit(last[0], [value, *last[1]], [graph.write(node.output())])


def _range_of_axis(node: Node, i: int, axis: int, begin: int, end: int, stride: int) -> list[tuple[int, int, int, int]]:
    """The cut along one axis as (axis, start, end, step); nothing where the whole axis stays."""
    from_start, to_end = _bit(node, "begin_mask", i), _bit(node, "end_mask", i)
    if from_start and to_end and stride == 1:
        return []
    if stride < 1:
        raise BadInput(f"{node.name}: StridedSlice with a step of {stride} is not supported.")
    return [(axis, 0 if from_start else begin, _TO_THE_END if to_end else end, stride)]


def _bit(node: Node, mask: str, i: int) -> bool:
    return bool(node.attributes.get(mask, 0) >> i & 1)


def _gather_nd(node: Node, graph: OnnxGraph) -> None:
    inputs = [graph.read(node.inputs[0]), as_int64(node.inputs[1], graph)]
    graph.emit("GatherND", inputs, [graph.write(node.output())])


def _max(node: Node, graph: OnnxGraph) -> None:
    axes = graph.array(node.inputs[1], use=f"{node.name}: the axes").reshape(-1).tolist()
    keep = int(node.attributes.get("keep_dims", False))
    graph.emit("ReduceMax", [graph.read(node.inputs[0])], [graph.write(node.output())], axes=axes, keepdims=keep)


def _sum(node: Node, graph: OnnxGraph) -> None:
    axes = graph.array(node.inputs[1], use=f"{node.name}: the axes").reshape(-1).tolist()
    keep = int(node.attributes.get("keep_dims", False))
    inputs = [graph.read(node.inputs[0]), graph.integers(*axes)]
    graph.emit("ReduceSum", inputs, [graph.write(node.output())], keepdims=keep)


def _arg_max(node: Node, graph: OnnxGraph) -> None:
    axis = _constant_integer(node, 1, graph)
    index = graph.compute("ArgMax", [graph.read(node.inputs[0])], axis=axis, keepdims=0)
    graph.emit("Cast", [index], [graph.write(node.output())], to=ONNX_TYPES[node.attributes["output_type"]])


def _top_k(node: Node, graph: OnnxGraph) -> None:
    count = graph.integers(_constant_integer(node, 1, graph))
    indices = f"{node.name}/indices"
    graph.emit("TopK", [graph.read(node.inputs[0]), count], [graph.write(node.output(0)), indices], axis=-1)
    graph.emit("Cast", [indices], [graph.write(node.output(1))], to=ONNX_TYPES["DT_INT32"])


def _constant_integer(node: Node, position: int, graph: OnnxGraph) -> int:
    value = graph.array(node.inputs[position], use=f"{node.name}: the axis or count")
    if value.size != 1:
        raise BadInput(f"{node.name}: expected one number, got an array of shape {value.shape}.")
    return int(value.reshape(-1)[0])


TENSOR_OPERATORS: Mapping[str, Callable[[Node, OnnxGraph], None]] = {
    "ArgMax": _arg_max,
    "ConcatV2": _concat,
    "ExpandDims": _expand_dims,
    "Fill": _fill,
    "GatherNd": _gather_nd,
    "Max": _max,
    "Pack": _pack,
    "Range": _range,
    "Reshape": _reshape,
    "Size": _size,
    "Split": _split,
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sum": _sum,
    "Tile": _tile,
    "TopKV2": _top_k,
    "Unpack": _unpack,
}
"""How each operation is added to an ONNX graph, by TensorFlow's name."""
