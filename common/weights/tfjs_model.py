"""A TensorFlow.js graph model as nodes and arrays: the JSON topology and the binary weights, decoded.

The topology is a TensorFlow `GraphDef` in protobuf's JSON form: 64-bit integers are strings, byte strings are
base64. The weights lie back to back in one buffer, in the order of the manifest; float32 ones may be packed
as float16, or as unsigned integers where value = packed * scale + min.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import BadInput

_DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_}
_PACKED_DTYPES = {"float16": np.float16, "uint8": np.uint8, "uint16": np.uint16}


@dataclass(frozen=True)
class Node:
    """One operation. Tensors are called `node:index`; `inputs` holds no control dependencies."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def output(self, index: int = 0) -> str:
        """The tensor's name."""
        return f"{self.name}:{index}"


@dataclass(frozen=True)
class Port:
    """An input or an output of the model: TensorFlow's type name, and the shape with -1 where it is free."""

    tensor: str
    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class GraphModel:
    """Operations, each after those whose results it takes; constants by tensor name; inputs and outputs."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def decode_graph_model(model: Mapping[str, Any], buffer: bytes) -> GraphModel:
    """The graph model in a parsed `model.json` and its binary weights.

    Raises:
        BadInput: not a graph model, damaged, weights of an unknown type, or a buffer of the wrong size.
    """
    if model.get("format") != "graph-model":
        raise BadInput(f"expected a TensorFlow.js graph-model, got format {model.get('format')!r}.")
    try:
        entries = [entry for group in model["weightsManifest"] for entry in group["weights"]]
        weights = _decode_weights(entries, buffer)
        nodes = _sorted_by_use([_decode_node(node) for node in model["modelTopology"]["node"]])
        inputs = [
            Port(tensor=node.output(), dtype=node.attributes["dtype"], shape=node.attributes.get("shape"))
            for node in nodes
            if node.op == "Placeholder"
        ]
        outputs = [
            Port(
                tensor=_tensor_name(port["name"]),
                dtype=port["dtype"],
                shape=_decode_shape(port["tensorShape"]),
            )
            for port in model["signature"]["outputs"].values()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(f"damaged TensorFlow.js model: {type(error).__name__} {error}.") from error
    constants = {f"{name}:0": array for name, array in weights.items()}
    return GraphModel(nodes=tuple(nodes), constants=constants, inputs=tuple(inputs), outputs=tuple(outputs))


def _sorted_by_use(nodes: Sequence[Node]) -> list[Node]:
    by_name = {node.name: node for node in nodes}
    graph = {node.name: [tensor.rpartition(":")[0] for tensor in node.inputs] for node in nodes}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def _decode_weights(entries: Sequence[Mapping[str, Any]], buffer: bytes) -> dict[str, NDArray[Any]]:
    weights: dict[str, NDArray[Any]] = {}
    offset = 0
    for entry in entries:
        packing = entry.get("quantization")
        known = _PACKED_DTYPES if packing else _DTYPES
        stored = packing["dtype"] if packing else entry["dtype"]
        if stored not in known:
            raise BadInput(f"weight {entry['name']}: type {stored!r} is not supported, only {', '.join(known)}.")
        dtype = np.dtype(known[stored]).newbyteorder("<")
        size = int(np.prod(entry["shape"], dtype=np.int64)) * dtype.itemsize
        if offset + size > len(buffer):
            raise BadInput(f"weight {entry['name']}: ends at byte {offset + size} of {len(buffer)}.")
        array = np.frombuffer(buffer[offset : offset + size], dtype).reshape(entry["shape"])
        weights[entry["name"]] = _unpack(array, packing) if packing else array.astype(dtype.newbyteorder("="))
        offset += size
    if offset != len(buffer):
        raise BadInput(f"weights: the manifest describes {offset} bytes, the file has {len(buffer)}.")
    return weights


def _unpack(array: NDArray[Any], packing: Mapping[str, Any]) -> NDArray[np.float32]:
    values = array.astype(np.float32)
    if packing["dtype"] == "float16":
        return values
    return (values * np.float32(packing["scale"]) + np.float32(packing["min"])).astype(np.float32)


def _decode_node(node: Mapping[str, Any]) -> Node:
    inputs = tuple(_tensor_name(name) for name in node.get("input", ()) if not name.startswith("^"))
    attributes = {key: _decode_attribute(value) for key, value in node.get("attr", {}).items()}
    return Node(name=node["name"], op=node["op"], inputs=inputs, attributes=attributes)


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _decode_attribute(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - one of protobuf's own union
    """A number, bool, string, type name, list of these, or a shape as a tuple with -1 where it is free."""
    if "list" in value:
        return [_decode_attribute({kind: item}) for kind, items in value["list"].items() for item in items]
    if "shape" in value:
        return _decode_shape(value["shape"])
    if "s" in value:
        return base64.b64decode(value["s"]).decode("utf-8", errors="replace")
    if "i" in value:
        return int(value["i"])
    for kind in ("f", "b", "type"):
        if kind in value:
            return value[kind]
    return None


def _decode_shape(shape: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(dim.get("size", 0)) for dim in shape.get("dim", ()))
