"""The converted MoveNet against TensorFlow.

`movenet_reference.npz` holds what TensorFlow 2.21.0 (CPU) computes from the package's own graph for the
pictures of figures.py. For 24 frames of the demo scenes in five sizes the people found were the same too, and
their values differed by 7.6e-6 at most; the outputs of tf2onnx 1.17's conversion were equal to the last bit.
"""

from pathlib import Path

import numpy as np
import pytest

from common.errors import ModelUnavailable
from common.weights import store
from tests.common.weights.figures import SCENES, paint

pytestmark = pytest.mark.models

_PERSON = 0.001  # rows with a lower score fill up the six: which of many equal zeros they show is not defined


@pytest.fixture(scope="module")
def movenet():
    import onnxruntime

    try:
        model = store.path("movenet-multipose")
    except ModelUnavailable as reason:
        pytest.skip(str(reason))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).with_name("movenet_reference.npz"), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("name", SCENES)
def test_the_converted_model_finds_what_tensorflow_finds(movenet, reference, name):
    picture = paint(name).astype(np.int32)[None]
    (found,) = movenet.run(["Identity:0"], {"input:0": picture})
    expected = reference[name]
    assert found.shape == expected.shape == (1, 6, 56)
    worst_score = np.abs(found - expected)[..., 55].max()
    assert worst_score <= 1e-4, f"scores differ by {worst_score:.1e}"
    people = expected[0, :, 55] > _PERSON
    worst = np.abs(found - expected)[0, people].max(initial=0.0)
    assert worst <= 1e-4, f"{people.sum()} people, values differ by {worst:.1e}"


def test_the_reference_holds_people_of_several_certainties(reference):
    scores = np.concatenate([output[0, :, 55] for output in reference.values()])
    assert (scores > 0.5).sum() >= 4
    assert ((scores > _PERSON) & (scores < 0.5)).sum() >= 8
