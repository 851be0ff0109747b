"""What the two processes say to each other arrives as it was said, and anything else is noticed."""

import io
import json
import struct

import numpy as np
import pytest

from stages.body.backends.sam3d_worker import ProtocolError, receive, send


def sent(message, arrays=None):
    stream = io.BytesIO()
    send(stream, message, arrays)
    return stream.getvalue()


def test_messages_arrive_one_after_the_other_with_their_arrays():
    arrays = {
        "image": np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::2],
        "none": np.empty((0, 70, 3), np.float32),
        "number": np.float32(3),
        "half": np.ones((2, 2), np.float16),
        "labels": np.arange(6, dtype=np.uint16).reshape(2, 3),
    }
    stream = io.BytesIO(sent({"type": "first", "rows": [1, 2]}, arrays) + sent({"type": "second"}))
    message, found = receive(stream)
    assert message == {"type": "first", "rows": [1, 2]}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype
    assert receive(stream) == ({"type": "second"}, {})
    with pytest.raises(EOFError):
        receive(stream)


@pytest.mark.parametrize("cut", [5, 20, -1])
def test_half_a_message_is_none(cut):
    whole = sent({"type": "bodies"}, {"a": np.ones(100)})
    with pytest.raises(ProtocolError):
        receive(io.BytesIO(whole[:cut]))


HEADERS = {
    "no JSON": b"Loading SAM 3D Body model",
    "no text": b"\xff\xfe",
    "no object": b"[]",
    "no arrays": b"{}",
    "no array": json.dumps({"arrays": [["a", "<f4"]]}).encode(),
    "no shape": json.dumps({"arrays": [["a", "<f4", 3]]}).encode(),
    "no size": json.dumps({"arrays": [["a", "<f4", ["many"]]]}).encode(),
    "no type": json.dumps({"arrays": [["a", {}, [3]]]}).encode(),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_message_whose_header_is_none_is_none(header):
    with pytest.raises(ProtocolError):
        receive(io.BytesIO(struct.pack("<8sI", b"ghostS3D", len(header)) + header))


def test_what_others_print_is_no_message():
    with pytest.raises(ProtocolError, match="no message begins with"):
        receive(io.BytesIO(b"Loading SAM 3D Body model...\n"))
    with pytest.raises(ProtocolError, match="an array a of"):
        receive(io.BytesIO(sent({"type": "x"}, {"a": np.array(["text"])})))
