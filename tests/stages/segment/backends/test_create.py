import subprocess
import sys

import pytest

from common.errors import UsageError
from common.stage import option_specs
from stages.segment.stage import BACKENDS, STAGE, Options


@pytest.mark.parametrize("backend", ["embedded", "fake"])
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_backends_of_the_cpu_leave_other_devices_to_others(backend, device):
    assert not STAGE.uses_gpu(STAGE.make_options({"backend": backend, "device": device}))


@pytest.mark.parametrize("prompt", ["", " . ", "person. 17."])
def test_a_prompt_that_names_nothing_is_refused_with_the_options(prompt):
    with pytest.raises(UsageError, match="--prompt"):
        STAGE.make_options({"backend": "gdino-sam2", "prompt": prompt})


def test_refusing_options_needs_no_model():
    said = "import sys\nfrom stages.segment.stage import STAGE\n"
    said += "STAGE.make_options({'backend': 'sam3', 'prompt': 'dog.'})\n"
    said += "print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("options", "models"),
    [
        (Options(), ("blazepose-detector", "blazepose-heavy", "movenet-multipose")),
        (Options(backend="fake"), ()),
        (Options(backend="gdino-sam2"), ("grounding-dino-tiny", "sam2.1-hiera-large")),
        (
            Options(backend="gdino-sam2", detector="grounding-dino-base", tracker="sam2.1-hiera-small"),
            ("grounding-dino-base", "sam2.1-hiera-small"),
        ),
        (
            Options(backend="gdino-sam2", sam2_implementation="sam2"),
            ("grounding-dino-tiny", "sam2.1-hiera-large-original"),
        ),
        (Options(backend="sam3"), ("sam3",)),
    ],
)
def test_each_backend_names_its_models(options, models):
    assert STAGE.weights(options) == models


def test_only_backends_of_the_gpu_take_one_and_only_if_they_may():
    assert [b for b in ("embedded", "gdino-sam2", "sam3", "fake") if STAGE.uses_gpu(Options(backend=b))] == [
        "gdino-sam2",
        "sam3",
    ]
    assert not STAGE.uses_gpu(Options(backend="sam3", device="cpu"))


def test_versions_of_torch_count_only_where_torch_runs():
    assert STAGE.model_packages(Options()) == ()
    assert STAGE.model_packages(Options(backend="sam3")) == ("torch", "transformers")
    assert "SAM-2" in STAGE.model_packages(Options(backend="gdino-sam2", sam2_implementation="sam2"))


def test_options_that_a_backend_does_not_read_have_no_effect():
    every = {spec.name for spec in option_specs(Options)}
    read = {backend: every - set(STAGE.without_effect(Options(backend=backend))) for backend in BACKENDS}
    assert read["fake"] == {"backend"}
    assert read["embedded"] == {"backend", "detection_step"}
    assert read["sam3"] == {"backend", "prompt", "precision"}
    assert read["gdino-sam2"] == every - {"device"}
