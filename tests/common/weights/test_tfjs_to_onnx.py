"""Each mapped operation in a tiny graph, run by onnxruntime, against numpy or its definition as loops."""

import base64
import json

import numpy as np
import onnxruntime
import pytest

from common.errors import BadInput
from common.weights.tfjs_to_onnx import convert

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.normal(size=(1, 5, 6, 3)).astype(np.float32)
TYPES = {np.dtype(np.float32): "DT_FLOAT", np.dtype(np.int32): "DT_INT32", np.dtype(np.bool_): "DT_BOOL"}


def text(value):
    return {"s": base64.b64encode(value.encode()).decode()}


def integers(*values):
    return {"list": {"i": [str(value) for value in values]}}


def number(value):
    return {"i": str(value)}


class Graph:
    """A TensorFlow.js graph model under construction."""

    def __init__(self):
        self.nodes, self.weights, self.buffer, self.feeds = [], [], b"", {}

    def input(self, name, array, shape=None):
        dims = [{"size": str(size)} for size in (shape or array.shape)]
        attributes = {"dtype": {"type": TYPES[array.dtype]}, "shape": {"shape": {"dim": dims}}}
        self.nodes.append({"name": name, "op": "Placeholder", "attr": attributes})
        self.feeds[f"{name}:0"] = array
        return name

    def constant(self, value, **packing):
        array = np.asarray(value)
        array = array.astype({"f": np.float32, "i": np.int32, "u": np.uint8, "b": np.bool_}.get(array.dtype.kind))
        if packing.get("dtype") == "float16":
            array = np.asarray(value, np.float16)
        name = f"constant_{len(self.weights)}"
        entry = {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        if packing:
            entry |= {"dtype": "float32", "quantization": packing}
        self.weights.append(entry)
        self.buffer += array.tobytes()
        self.nodes.append({"name": name, "op": "Const"})
        return name

    def add(self, op, *inputs, **attributes):
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attributes})
        return name

    def files(self, *outputs):
        ports = {
            str(i): {"name": name, "dtype": dtype, "tensorShape": {"dim": [{"size": "-1"}] * rank}}
            for i, (name, dtype, rank) in enumerate(outputs)
        }
        model = {
            "format": "graph-model",
            "modelTopology": {"node": self.nodes},
            "weightsManifest": [{"paths": ["model.bin"], "weights": self.weights}],
            "signature": {"outputs": ports},
        }
        return json.dumps(model).encode(), self.buffer

    def run(self, *outputs):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        onnx = convert(*self.files(*outputs), name="tiny")
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        return session.run([name if ":" in name else f"{name}:0" for name, *_ in outputs], self.feeds)


def tiny_tfjs_files():
    graph = Graph()
    doubled = graph.add("AddV2", *[graph.input("x", PICTURE)] * 2, T={"type": "DT_FLOAT"})
    return graph.files((doubled, "DT_FLOAT", 4))


def assert_close(found, expected, tolerance=1e-5):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    worst = np.abs(found.astype(np.float64) - expected).max(initial=0)
    assert worst <= tolerance, f"differs by {worst:.1e}"


A = RANDOM.uniform(0.5, 2, (2, 3)).astype(np.float32)
B = RANDOM.uniform(0.5, 2, (2, 3)).astype(np.float32)
M, N = np.array([[7, -7, 6], [0, 5, -1]], np.int32), np.array([[2, 2, -4], [3, -5, 3]], np.int32)
P, Q = A > 1, B > 1


@pytest.mark.parametrize(
    ("op", "inputs", "expected"),
    [
        ("Abs", [A - 1], np.abs(A - 1)),
        ("AddN", [A, B, A], A + B + A),
        ("AddV2", [A, B], A + B),
        ("Equal", [M, N], M == N),
        ("Exp", [A], np.exp(A)),
        ("FloorDiv", [M, N], M // N),
        ("Greater", [A, B], A > B),
        ("GreaterEqual", [A, A], A >= A),
        ("Identity", [A], A),
        ("Less", [A, B], A < B),
        ("LogicalAnd", [P, Q], P & Q),
        ("Maximum", [A, B], np.maximum(A, B)),
        ("Minimum", [M, N], np.minimum(M, N)),
        ("Mul", [M, N], M * N),
        ("RealDiv", [A, B], A / B),
        ("Reciprocal", [A], 1 / A),
        ("Relu", [A - 1], np.maximum(A - 1, 0)),
        ("Select", [P, A, B], np.where(P, A, B)),
        ("Sigmoid", [A], 1 / (1 + np.exp(-A))),
        ("SquaredDifference", [A, B], (A - B) ** 2),
        ("Sub", [A, B], A - B),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_operation_element_by_element(op, inputs, expected):
    graph = Graph()
    names = [graph.input(f"in{i}", array) for i, array in enumerate(inputs)]
    result = graph.add(op, *names, T={"type": TYPES[inputs[-1].dtype]})
    assert_close(graph.run((result, TYPES[expected.dtype], 2))[0], expected)


@pytest.mark.parametrize("array", [np.array([1.9, -1.9, 0.0], np.float32), np.array([True, False])])
def test_a_cast_cuts_towards_zero(array):
    graph = Graph()
    result = graph.add("Cast", graph.input("x", array), DstT={"type": "DT_INT32"})
    assert_close(graph.run((result, "DT_INT32", 1))[0], array.astype(np.int32))


def _conv_by_definition(picture, kernel, stride, padding, *, depthwise):
    """TensorFlow's convolution as its documentation defines it, NHWC, one output value at a time."""
    _, rows, columns, _ = picture.shape
    reach = kernel.shape[:2]
    if padding == "SAME":
        out = [-(-size // stride) for size in (rows, columns)]
        total = [max((o - 1) * stride + r - n, 0) for o, r, n in zip(out, reach, (rows, columns), strict=True)]
    else:
        out = [(n - r) // stride + 1 for r, n in zip(reach, (rows, columns), strict=True)]
        total = [0, 0]
    padded = np.pad(picture[0].astype(np.float64), [*((t // 2, t - t // 2) for t in total), (0, 0)])
    result = np.zeros((1, *out, kernel.shape[2] * kernel.shape[3] if depthwise else kernel.shape[3]))
    for y in range(out[0]):
        for x in range(out[1]):
            window = padded[y * stride :, x * stride :][: reach[0], : reach[1]]
            form = "ijc,ijcm->cm" if depthwise else "ijc,ijcm->m"
            result[0, y, x] = np.einsum(form, window, kernel).reshape(-1)
    return result


@pytest.mark.parametrize(
    ("op", "activation"),
    [
        *(("_FusedConv2D", activation) for activation in (None, "Relu", "Relu6")),
        *(("FusedDepthwiseConv2dNative", activation) for activation in (None, "Relu", "Relu6")),
        ("DepthwiseConv2dNative", None),
    ],
)
@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), (2, "SAME"), (2, "VALID")])
def test_a_convolution_follows_tensorflows_definition(op, stride, padding, activation):
    random = np.random.default_rng(1)
    kernel = random.normal(size=(3, 3, 3, 4), scale=2).astype(np.float32)
    depthwise = op != "_FusedConv2D"
    bias = random.normal(size=12 if depthwise else 4).astype(np.float32)
    graph = Graph()
    inputs = [graph.input("x", PICTURE), graph.constant(kernel)]
    attributes = {
        "strides": integers(1, stride, stride, 1),
        "dilations": integers(1, 1, 1, 1),
        "padding": text(padding),
        "data_format": text("NHWC"),
    }
    expected = _conv_by_definition(PICTURE, kernel, stride, padding, depthwise=depthwise)
    if op != "DepthwiseConv2dNative":
        inputs.append(graph.constant(bias))
        fused = ["BiasAdd", *([activation] if activation else [])]
        attributes["fused_ops"] = {"list": {"s": [text(step)["s"] for step in fused]}}
        expected = expected + bias
    if activation:
        expected = np.clip(expected, 0, 6 if activation == "Relu6" else None)
    result = graph.add(op, *inputs, **attributes)
    assert_close(graph.run((result, "DT_FLOAT", 4))[0], expected.astype(np.float32), 1e-4)


def test_max_pooling_pads_with_nothing():
    graph = Graph()
    result = graph.add(
        "MaxPool",
        graph.input("x", PICTURE - 10),  # all negative: a padding of zeros would win
        ksize=integers(1, 3, 3, 1),
        strides=integers(1, 1, 1, 1),
        padding=text("SAME"),
    )
    padded = np.pad(PICTURE - 10, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    assert_close(graph.run((result, "DT_FLOAT", 4))[0], windows.max(axis=(-2, -1)))


def test_bilinear_resizing_aligns_the_centres_of_pixels():
    graph = Graph()
    result = graph.add(
        "ResizeBilinear",
        graph.input("x", PICTURE),
        graph.constant([10, 9]),
        half_pixel_centers={"b": True},
        align_corners={"b": False},
    )
    expected = PICTURE[0].astype(np.float64)
    for axis, (old, new) in enumerate([(5, 10), (6, 9)]):
        places = (np.arange(new) + 0.5) * old / new - 0.5
        expected = np.apply_along_axis(
            lambda line, at=places: np.interp(at, np.arange(len(line)), line), axis, expected
        )
    assert_close(graph.run((result, "DT_FLOAT", 4))[0], expected[None].astype(np.float32))


def test_between_convolutions_the_picture_is_not_turned_and_its_shape_reads_as_tensorflow_writes_it():
    import onnx

    graph = Graph()
    same = {"strides": integers(1, 1, 1, 1), "padding": text("SAME")}
    kernel = graph.constant(np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3))
    first = graph.add("_FusedConv2D", graph.input("x", PICTURE), kernel, **same)
    halved = graph.add("Mul", graph.add("Sigmoid", first), graph.constant(0.5))
    both = graph.add("AddV2", halved, first)
    last = graph.add("_FusedConv2D", both, kernel, **same)
    shape = graph.add("Shape", halved, out_type={"type": "DT_INT32"})
    outputs = (last, "DT_FLOAT", 4), (shape, "DT_INT32", 1)
    found, found_shape = graph.run(*outputs)
    assert_close(found, PICTURE + 0.5 / (1 + np.exp(-PICTURE)))
    assert found_shape.tolist() == [1, 5, 6, 3]
    nodes = onnx.load_from_string(convert(*graph.files(*outputs), name="tiny")).graph.node
    assert sum(node.op_type == "Transpose" for node in nodes) == 2  # in and out


def test_a_factor_per_channel_is_applied_to_channels_after_a_convolution():
    graph = Graph()
    kernel = graph.constant(np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3))
    conv = graph.add(
        "_FusedConv2D", graph.input("x", PICTURE), kernel, strides=integers(1, 1, 1, 1), padding=text("SAME")
    )
    result = graph.add("Mul", conv, graph.constant([1.0, 10.0, 100.0]))
    assert_close(graph.run((result, "DT_FLOAT", 4))[0], PICTURE * np.array([1, 10, 100], np.float32), 1e-4)


BLOCK = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("op", "constants", "attributes", "expected"),
    [
        ("ArgMax", [1], {"output_type": {"type": "DT_INT32"}}, BLOCK.argmax(1).astype(np.int32)),
        ("ConcatV2", [np.ones((2, 1, 4)), 1], {}, np.concatenate([BLOCK, np.ones((2, 1, 4), np.float32)], 1)),
        ("ExpandDims", [-1], {}, BLOCK[..., None]),
        ("GatherNd", [[[1, 2], [0, 0]]], {}, BLOCK[[1, 0], [2, 0]]),
        ("Max", [[0, 2]], {"keep_dims": {"b": False}}, BLOCK.max((0, 2))),
        ("Max", [1], {"keep_dims": {"b": True}}, BLOCK.max(1, keepdims=True)),
        ("Pack", [BLOCK + 1], {"axis": number(1)}, np.stack([BLOCK, BLOCK + 1], 1)),
        ("Reshape", [[4, -1]], {}, BLOCK.reshape(4, -1)),
        ("Size", [], {"out_type": {"type": "DT_INT32"}}, np.array(24, np.int32)),
        ("Sum", [[1]], {"keep_dims": {"b": False}}, BLOCK.sum(1)),
        ("Tile", [[1, 2, 1]], {}, np.tile(BLOCK, (1, 2, 1))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_operation_on_axes(op, constants, attributes, expected):
    graph = Graph()
    block = graph.input("block", BLOCK)
    result = graph.add(op, block, *[graph.constant(value) for value in constants], **attributes)
    assert_close(graph.run((result, TYPES[expected.dtype], expected.ndim))[0], expected)


MASKS = ("begin_mask", "end_mask", "shrink_axis_mask", "new_axis_mask")


@pytest.mark.parametrize(
    ("begin", "end", "step", "masks", "expected"),
    [
        ([0, 1, 1], [2, 3, 4], [1, 1, 2], (0, 0, 0, 0), BLOCK[0:2, 1:3, 1:4:2]),
        ([1, 1, 1], [0, 2, 2], [1, 1, 2], (1, 3, 0, 0), BLOCK[:, 1:, 1:2:2]),
        ([0, -1, 0], [0, 0, 0], [1, 1, 1], (5, 5, 2, 0), BLOCK[:, -1, :]),
        ([1, 0, 2], [2, 0, 3], [1, 1, 1], (2, 2, 5, 0), BLOCK[1, :, 2]),
        ([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], (13, 13, 0, 2), BLOCK[:, None, :, :]),
        ([0, 0, 1], [0, 0, 2], [1, 1, 1], (1, 1, 4, 2), BLOCK[:, None, 1]),
        ([0], [0], [1], (1, 1, 0, 0), BLOCK[:]),
    ],
)
def test_a_strided_slice_cuts_as_numpy_does(begin, end, step, masks, expected):
    graph = Graph()
    places = [graph.constant(np.array(values, np.int32)) for values in (begin, end, step)]
    attributes = {mask: number(value) for mask, value in zip(MASKS, masks, strict=True)}
    result = graph.add("StridedSlice", graph.input("block", BLOCK), *places, **attributes)
    assert_close(graph.run((result, "DT_FLOAT", expected.ndim))[0], expected)


def test_parts_come_in_order():
    graph = Graph()
    block = graph.input("block", BLOCK)
    layers = graph.add("Unpack", block, axis=number(1), num=number(3))
    halves = graph.add("Split", graph.constant(2), block, num_split=number(2))
    found = graph.run(
        *((f"{layers}:{i}", "DT_FLOAT", 2) for i in range(3)),
        *((f"{halves}:{i}", "DT_FLOAT", 3) for i in range(2)),
    )
    expected = [*np.moveaxis(BLOCK, 1, 0), *np.split(BLOCK, 2, axis=2)]
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


def test_the_largest_come_first_and_of_equals_the_earlier():
    values = np.array([1, 5, 3, 5, 0, 3], np.float32)
    graph = Graph()
    top = graph.add("TopKV2", graph.input("x", values), graph.constant(4), sorted={"b": True})
    largest, places = graph.run((f"{top}:0", "DT_FLOAT", 1), (f"{top}:1", "DT_INT32", 1))
    assert largest.tolist() == [5, 5, 3, 3]
    assert places.tolist() == [1, 3, 2, 5]
    assert places.dtype == np.int32


def test_shapes_may_be_computed():
    size = np.array(3, np.int32)
    graph = Graph()
    length = graph.input("n", size, shape=())
    shape = graph.add("Pack", length, graph.constant(np.int32(2)), axis=number(0), N=number(2))
    filled = graph.add("Fill", shape, graph.constant(np.float32(7)))
    counted = graph.add("Range", graph.constant(np.int32(0)), length, graph.constant(np.int32(1)))
    found = graph.run((filled, "DT_FLOAT", 2), (counted, "DT_INT32", 1))
    assert_close(found[0], np.full((3, 2), 7, np.float32))
    assert found[1].tolist() == [0, 1, 2]


def test_packed_weights_are_unpacked():
    graph = Graph()
    zero = graph.input("x", np.zeros(3, np.float32))
    half = graph.constant([0.5, 1.5, -2.0], dtype="float16")
    byte = graph.constant(np.array([0, 1, 255], np.uint8), dtype="uint8", scale=0.5, min=-1.0)
    results = [graph.add("AddV2", zero, weights) for weights in (half, byte)]
    found = graph.run(*((result, "DT_FLOAT", 1) for result in results))
    assert_close(found[0], np.array([0.5, 1.5, -2.0], np.float32))
    assert_close(found[1], np.array([-1.0, -0.5, 126.5], np.float32))


def test_nodes_may_stand_in_any_order_and_control_dependencies_are_dropped():
    graph = Graph()
    x = graph.input("x", A)
    middle = graph.add("Exp", x, "^elsewhere")
    last = graph.add("Abs", middle)
    graph.nodes.reverse()
    assert_close(graph.run((last, "DT_FLOAT", 2))[0], np.exp(A))


def test_the_same_model_gives_the_same_bytes():
    assert convert(*tiny_tfjs_files(), name="tiny") == convert(*tiny_tfjs_files(), name="tiny")


@pytest.mark.parametrize(
    ("op", "attributes", "complaint"),
    [
        ("Einsum", {}, "no ONNX mapping for the TensorFlow operations Einsum"),
        ("Cast", {"DstT": {"type": "DT_STRING"}}, "a cast to DT_STRING is not supported"),
        ("FloorDiv", {"T": {"type": "DT_FLOAT"}}, "FloorDiv of DT_FLOAT is not supported"),
        ("ResizeBilinear", {"align_corners": {"b": True}}, "half_pixel_centers only"),
        ("StridedSlice", {"ellipsis_mask": {"i": "1"}}, "ellipsis is not supported"),
        ("StridedSlice", {}, "where to cut must be a constant"),
        ("_FusedConv2D", {}, "the kernel must be a constant"),
        ("MaxPool", {"data_format": text("NCHW"), "ksize": integers(1, 3, 3, 1)}, "NHWC"),
        ("MaxPool", {"padding": text("EXPLICIT"), "ksize": integers(1, 3, 3, 1)}, "padding EXPLICIT"),
        ("MaxPool", {"ksize": integers(1, 3, 3, 2)}, "ksize over batch or channels"),
    ],
)
def test_what_is_not_mapped_is_refused_by_name(op, attributes, complaint):
    graph = Graph()
    x = graph.input("x", PICTURE)
    result = graph.add(op, x, x, x, x, **attributes) if op not in ("FloorDiv",) else graph.add(op, x, x, **attributes)
    with pytest.raises(BadInput, match=complaint):
        convert(*graph.files((result, "DT_FLOAT", 4)), name="tiny")


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"fused_ops": {"list": {"s": [text("Elu")["s"]]}}}, r"fused operations \['Elu'\] are not supported"),
        ({"dilations": integers(1, 2, 2, 1)}, "dilated convolutions are not supported"),
    ],
)
def test_an_unknown_form_of_convolution_is_refused(attributes, complaint):
    graph = Graph()
    x, kernel = graph.input("x", PICTURE), graph.constant(np.ones((1, 1, 3, 3), np.float32))
    result = graph.add("_FusedConv2D", x, kernel, **attributes)
    with pytest.raises(BadInput, match=complaint):
        convert(*graph.files((result, "DT_FLOAT", 4)), name="tiny")


def test_types_that_do_not_fit_are_found_at_conversion():
    graph = Graph()
    result = graph.add("AddV2", graph.input("x", A), graph.input("y", M))
    with pytest.raises(BadInput, match="not valid ONNX"):
        convert(*graph.files((result, "DT_FLOAT", 2)), name="tiny")


@pytest.mark.parametrize(
    ("topology", "weights", "complaint"),
    [
        (b"{", b"", "JSON cannot be read"),
        (b'{"format": "layers-model"}', b"", "'layers-model'"),
        (b'{"format": "graph-model"}', b"", "damaged TensorFlow.js model"),
    ],
)
def test_a_damaged_model_is_refused(topology, weights, complaint):
    with pytest.raises(BadInput, match=complaint):
        convert(topology, weights, name="tiny")


@pytest.mark.parametrize("change", [lambda buffer: buffer[:-1], lambda buffer: buffer + b"\0"])
def test_weights_of_another_size_than_the_manifest_says_are_refused(change):
    graph = Graph()
    result = graph.add("AddV2", graph.input("x", A), graph.constant(B))
    topology, weights = graph.files((result, "DT_FLOAT", 2))
    with pytest.raises(BadInput, match="byte"):
        convert(topology, change(weights), name="tiny")
