"""The adapter to SAM 3D Body gives the official code what it needs, and the stage what it expects, or says why not."""

import logging
import os
import platform
import sys

import numpy as np
import pytest

from common.artifacts.bodies import PARAMETRIC_NAMES
from common.errors import GhostError, ModelUnavailable
from stages.body.backends import create, sam3d_process
from stages.body.backends.sam3d_body import Sam3dBody
from stages.body.estimates import CONTRADICTORY, objection
from stages.body.framewise import Progress
from stages.body.placement import Intrinsics
from tests.stages.body.backends.sam3d_standin import (
    BOXES,
    CAMERA,
    COLOURS,
    HEIGHT,
    WIDTH,
    diary,
    make_model,
    people,
    settings,
    write_checkout,
    write_weights,
)


@pytest.fixture(autouse=True)
def one_gpu(monkeypatch):
    monkeypatch.setenv("STANDIN_GPUS", "1")


def estimate(model, count=3, *, masks=True):
    image, boxes, own = people(count)
    return model.estimate(image, boxes, own if masks else None, CAMERA)


def project(points):
    seen = points @ CAMERA.T
    return seen[:, :2] / seen[:, 2:]


@pytest.mark.parametrize("mode", ["body", "full"])
@pytest.mark.parametrize("uses_centre", [False, True])
def test_bodies_come_in_the_order_of_the_boxes_and_project_into_them(tmp_path, mode, uses_centre):
    model = make_model(tmp_path, variant={"uses_centre": uses_centre}, sam3d_mode=mode)
    try:
        bodies = estimate(model)
    finally:
        model.close()
    for body, (x1, y1, x2, y2) in zip(bodies, BOXES, strict=True):
        points = body.keypoints3d.astype(np.float64) + body.transl
        worst = np.abs(project(points) - body.keypoints2d).max()
        assert worst < 0.01, f"{worst:.4f} px"
        assert points[:, 2].mean() == pytest.approx(190 * 1.7 / (y2 - y1), rel=0.05), "as far as the box is small"
        foot = project(body.transl[None].astype(np.float64))[0]
        assert foot == pytest.approx([(x1 + x2) / 2, y2], abs=0.01), "where the box ends, by the camera that was given"
        assert objection(body, Intrinsics.from_matrix(CAMERA)) is None
    assert set(bodies[0].params) == {
        "global_rot", "body_pose_params", "hand_pose_params", "scale_params", "shape_params",
    }  # fmt: skip
    assert set(bodies[0].params) < set(PARAMETRIC_NAMES)
    assert bodies[0].vertices is None
    assert not model.rejected.total()


def test_the_official_code_gets_rgb_masks_intrinsics_and_all_people_at_once(tmp_path):
    model = make_model(tmp_path, variant={"uses_centre": True}, sam3d_mode="full")
    estimate(model)
    model.close()
    loaded, call = diary(tmp_path)
    assert loaded["loaded"] == str(tmp_path / "weights/model.ckpt")
    assert loaded["mhr"] == str(tmp_path / "weights/assets/mhr_model.pt")
    assert (loaded["device"], loaded["cublas"]) == ("cuda:0", ":4096:8")
    assert call["image"] == [HEIGHT, WIDTH, 3, "uint8"]
    assert call["boxes"] == [3, 4, "float32"]
    assert call["masks"] == [3, HEIGHT, WIDTH, "uint8", 1]
    assert call["colours"] == [list(COLOURS[person]) for person in (1, 2, 3)], "RGB, under each person's own mask"
    assert call["camera"] == [1, 3, 3, "float32", CAMERA.ravel().tolist()]
    assert call["is_tensor"]
    assert call["mode"] == "full"
    assert call["modules"] == [], "ghost's own modules stay out of that process"
    assert call["path"][0] == str(tmp_path / "checkout")


def test_a_model_that_knows_no_principal_point_gets_the_middle_of_the_image(tmp_path):
    model = make_model(tmp_path)
    estimate(model)
    model.close()
    assert diary(tmp_path)[1]["camera"][-1] == [200, 0, WIDTH / 2, 0, 190, HEIGHT / 2, 0, 0, 1]


@pytest.mark.parametrize("mode", ["body", "full"])
def test_what_contradicts_itself_still_does(tmp_path, mode):
    model = make_model(tmp_path, variant={"crooked_at": 1}, sam3d_mode=mode)
    body = estimate(model, 1)[0]
    model.close()
    assert objection(body, Intrinsics.from_matrix(CAMERA)) == CONTRADICTORY


def test_without_masks_none_are_given(tmp_path):
    model = make_model(tmp_path)
    assert all(estimate(model, masks=False))
    model.close()
    assert diary(tmp_path)[1]["masks"] is None


def test_a_box_of_less_than_ten_pixels_has_no_body(tmp_path):
    model = make_model(tmp_path)
    image, boxes, masks = people(2)
    boxes = boxes.copy()
    boxes[0, 2] = boxes[0, 0] + 8  # nine pixels, the first and the last included
    first, second = model.estimate(image, boxes, masks, CAMERA)
    model.close()
    assert first is None
    assert second is not None
    assert diary(tmp_path)[1]["colours"] == [list(COLOURS[2])]
    assert model.rejected == {"box under 10 px": 1}


def test_the_mesh_comes_when_it_is_asked_for(tmp_path):
    model = make_model(tmp_path, vertices="mhr")
    bodies = estimate(model, 2)
    model.close()
    assert bodies[0].vertices.shape == (18439, 3)
    assert np.allclose(bodies[1].vertices - bodies[0].vertices, 1 / 8)


def write_map(path, **changes):
    generator = np.random.default_rng(0)
    arrays = {
        "triangle_ids": generator.integers(0, 36874, 6890),
        "baryc_coords": generator.dirichlet(np.ones(3), 6890),
        **changes,
    }
    np.savez(path, **arrays)
    return path


def test_the_mesh_of_mhr_becomes_that_of_smpl(tmp_path):
    path = write_map(tmp_path / "mhr2smpl_mapping.npz")
    model = make_model(tmp_path, vertices="smpl", mapping=path)
    body = estimate(model, 1)[0]
    model.close()
    mhr = np.linspace(-1, 1, 18439 * 3).reshape(-1, 3)
    with np.load(path) as archive:
        vertex, triangle, weights = 4321, archive["triangle_ids"][4321], archive["baryc_coords"][4321]
    corners = [triangle % 18439, (triangle + 1) % 18439, triangle // 3]
    expected = sum(weight * mhr[corner] for weight, corner in zip(weights, corners, strict=True))
    assert np.allclose(body.params["smpl_vertices"][vertex], expected, atol=1e-3)
    assert (body.params["smpl_vertices"].shape, body.params["smpl_vertices"].dtype) == ((6890, 3), np.float16)
    assert body.vertices is None


MAPS = {
    "triangles of another mesh": ({"triangle_ids": np.full(6890, 36874)}, "names triangles 36874 to 36874"),
    "no weights": ({"baryc_coords": np.full((6890, 3), 0.5)}, "not barycentric"),
    "another body": ({"triangle_ids": np.zeros(10475, np.int64)}, r"triangle_ids: expected \(6890,\) int64"),
}


@pytest.mark.parametrize(("changes", "message"), MAPS.values(), ids=MAPS.keys())
def test_a_map_that_is_none_is_refused(tmp_path, changes, message):
    model = make_model(tmp_path, vertices="smpl", mapping=write_map(tmp_path / "map.npz", **changes))
    with pytest.raises(ModelUnavailable, match=f"{message}.*facebookresearch/MHR"):
        estimate(model, 1)
    model.close()


def test_where_memory_runs_out_fewer_people_are_asked_for_at_once_from_then_on(tmp_path, caplog):
    model = make_model(tmp_path, variant={"fits": 1})
    assert all(estimate(model))
    assert "out of memory; from now on 1 people at once" in caplog.text
    caplog.clear()
    assert all(estimate(model))
    model.close()
    assert caplog.text == "", "it is said once"
    assert [call["boxes"][0] for call in diary(tmp_path)[1:]] == [3, 1, 1, 1, 1, 1, 1]
    assert not model.rejected.total()


def test_a_person_that_alone_does_not_fit_is_counted(tmp_path):
    model = make_model(tmp_path, variant={"fits": 0})
    assert estimate(model) == [None] * 3
    model.close()
    assert model.rejected == {"out of memory": 3}


def test_a_checkout_that_takes_no_masks_works_without_and_that_is_said(tmp_path, caplog):
    model = make_model(tmp_path, variant={"old": True})
    assert all(estimate(model))
    model.close()
    assert diary(tmp_path)[1]["masks"] is None
    assert "takes no masks: people who touch will be confused" in caplog.text


BAD_CHECKOUTS = {
    "crash while loading": (
        {"load": "crash"}, ModelUnavailable, "ended with status 1 while the model was loaded.*no dinov3 in the cache",
    ),
    "no network while loading": ({"load": "hub"}, ModelUnavailable, "urlopen error.* torch.hub: load it once where"),
    "memory while loading": ({"load": "memory"}, ModelUnavailable, "while the model was loaded.*CUDA out of memory"),
    "does not end": ({"raises_at": 1, "lingers": True}, GhostError, "broke off and did not end at work.*IndexError"),
    "dies": ({"dies_at": 1}, GhostError, r"ended with status 11 at work.*Segmentation fault"),
    "dies of its GPU": ({"dies_at": 1, "of_gpu": True}, ModelUnavailable, "at work.*CUDA error: an illegal memory"),
    "fails": ({"raises_at": 1}, GhostError, "ended with status 1 at work.*IndexError: something of the official code"),
    "key missing": ({"lacks": "pred_cam_t"}, ModelUnavailable, "gave no pred_cam_t"),
    "other shape": ({"short": "shape_params"}, ModelUnavailable, r"shape_params of shape \(44,\), expected \(45,\)"),
    "bodies missing": ({"most": 2}, ModelUnavailable, "gave 2 bodies for 3 boxes"),
}  # fmt: skip


@pytest.mark.parametrize(("variant", "kind", "message"), BAD_CHECKOUTS.values(), ids=BAD_CHECKOUTS.keys())
def test_what_goes_wrong_in_the_checkout_is_told_in_one_line(tmp_path, monkeypatch, variant, kind, message):
    if variant.get("lingers"):
        monkeypatch.setattr(sam3d_process, "_PATIENCE_S", 0.5)
    model = make_model(tmp_path, variant=variant)
    with pytest.raises(GhostError, match=message) as caught:
        estimate(model)
    model.close()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_without_a_gpu_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_GPUS", "0")
    model = make_model(tmp_path, device="auto")
    with pytest.raises(ModelUnavailable, match=r"needs a CUDA GPU, and torch 0\.0 .* finds none"):
        estimate(model)
    model.close()


def test_a_gpu_by_number_is_used_or_missed(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_GPUS", "2")
    model = make_model(tmp_path, device="cuda:1")
    estimate(model, 1)
    model.close()
    assert diary(tmp_path)[0]["device"] == "cuda:1"
    model = make_model(tmp_path, device="cuda:2")
    with pytest.raises(ModelUnavailable, match="--device cuda:2: there are 2 CUDA GPUs, counted from 0"):
        estimate(model, 1)
    model.close()


def test_what_is_missing_is_named_before_any_work(tmp_path, monkeypatch):
    checkout, weights = write_checkout(tmp_path / "checkout"), write_weights(tmp_path / "weights")
    with pytest.raises(ModelUnavailable, match=r"official code, which no registry has.*--sam3d-path"):
        Sam3dBody(settings(""), weights)
    with pytest.raises(ModelUnavailable, match=r"--sam3d-path: .*weights holds no sam_3d_body/__init__\.py"):
        Sam3dBody(settings(weights), weights)
    with pytest.raises(ModelUnavailable, match="ghost weights fetch --backend sam3d-body"):
        Sam3dBody(settings(checkout), None)
    with pytest.raises(ModelUnavailable, match="--sam3d-python: /no/such/python"):
        Sam3dBody(settings(checkout, sam3d_python="/no/such/python"), weights)
    with pytest.raises(ModelUnavailable, match="mps"):
        Sam3dBody(settings(checkout, device="mps"), weights)
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(ModelUnavailable, match=r"mhr2smpl_mapping\.npz is not among the weights.*facebookresearch/MHR"):
        create(settings(checkout, vertices="smpl"), model=weights, progress=Progress(tmp_path))
    (weights / "assets/mhr_model.pt").unlink()
    with pytest.raises(ModelUnavailable, match=r"has no assets/mhr_model\.pt"):
        Sam3dBody(settings(checkout), weights)


def test_a_python_without_torch_is_told_what_it_lacks(tmp_path, monkeypatch):
    model = make_model(tmp_path)
    (tmp_path / "checkout" / "torch.py").write_text("raise ImportError('no such thing here')")
    with pytest.raises(ModelUnavailable, match=r"cannot import torch: no such thing here.*--sam3d-python"):
        estimate(model, 1)
    model.close()
    (tmp_path / "checkout" / "torch.py").unlink()
    model = make_model(tmp_path)
    (tmp_path / "checkout" / "sam_3d_body" / "__init__.py").write_text("import a_package_that_is_not_installed")
    with pytest.raises(ModelUnavailable, match=r"cannot import sam_3d_body: No module named.*INSTALL\.md"):
        estimate(model, 1)
    model.close()


def test_another_python_is_used_and_ghosts_own_packages_stay_out_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "elsewhere"), os.getcwd()]))  # noqa: PTH109
    for python, kept in (("", [str(tmp_path / "elsewhere")]), (sys.executable, [])):
        model = make_model(tmp_path, sam3d_python=python)
        estimate(model, 1)
        model.close()
        call = diary(tmp_path)[-1]
        assert call["PYTHONPATH"] == [str(tmp_path / "checkout"), *kept]
        assert call["path"][0] == str(tmp_path / "checkout")


def test_another_python_may_be_named_from_the_folder_that_ghost_runs_in_or_from_home(tmp_path, monkeypatch):
    program = tmp_path / "here" / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    for python in ("env/bin/python", "~/env/bin/python"):
        model = make_model(tmp_path, sam3d_python=python)
        assert all(estimate(model, 1))
        model.close()


def test_the_identity_is_also_that_of_the_environment_and_of_what_torch_hub_brought(tmp_path):
    def identity():
        model = Sam3dBody(settings(tmp_path / "checkout"), write_weights(tmp_path / "weights"))
        model.open()
        known = model.identity
        assert all(estimate(model, 1))
        model.close()
        assert model.identity == known, "before the first frame"
        assert model.about == {"environment": f"Python {platform.python_version()}, torch {version}"}
        return known

    version = "0.0"
    checkout = write_checkout(tmp_path / "checkout", dinov3=True)
    (checkout / "dinov3").mkdir()
    (checkout / "dinov3" / "__init__.py").write_text("")
    (checkout / "dinov3" / "hub.py").write_text("")
    seen = [identity(), identity()]
    (checkout / "dinov3" / "hub.py").write_text("# changed\n")
    seen.append(identity())
    version = "0.1"
    (checkout / "torch.py").write_text((checkout / "torch.py").read_text().replace('"0.0"', '"0.1"'))
    seen.append(identity())
    assert [seen.index(one) for one in seen] == [0, 0, 2, 3]


def test_on_the_cpu_that_process_sees_no_gpu_and_with_one_it_tells_what_it_took(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    model = make_model(tmp_path)
    estimate(model, 1)
    model.close()
    assert model.gpu == ("GPU 0 of the stand-in", 5 << 30)
    model = make_model(tmp_path, real_torch=True, device="cpu")
    estimate(model, 1)
    model.close()
    assert model.gpu == ("", 0)
    assert [call["visible"] for call in diary(tmp_path) if "loaded" in call] == ["0", ""]


def test_the_identity_is_that_of_the_code_in_the_checkout(tmp_path):
    first = make_model(tmp_path).identity
    assert make_model(tmp_path).identity == first
    (tmp_path / "checkout/sam_3d_body/variant.py").write_text("# changed\n")
    again = Sam3dBody(settings(tmp_path / "checkout"), tmp_path / "weights").identity
    assert again != first


def test_no_process_outlives_the_model(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "ghost")
    model = make_model(tmp_path)
    estimate(model, 1)
    process = model._worker._process
    assert process.poll() is None
    model.close()
    assert process.returncode == 0
    assert "not every line comes from Python" in caplog.text, "what is printed goes to the debug log"


def test_with_real_torch_on_the_cpu_people_look_like_what_is_under_their_masks(tmp_path):
    model = make_model(tmp_path, real_torch=True, device="cpu", sam3d_mode="full")  # which looks at hands as well
    bodies = estimate(model)
    blind = estimate(model, 1, masks=False)[0].feature
    model.close()
    looks = np.stack([body.feature for body in bodies]).astype(np.float64)
    assert np.allclose(np.linalg.norm(looks, axis=1), 1, atol=1e-3)
    for look, person in zip(looks, (1, 2, 3), strict=True):
        colour = np.array([*COLOURS[person], 1.0])
        cosine = look @ colour / np.linalg.norm(colour)
        assert cosine > 0.97, f"person {person}: {cosine:.4f}"
    without = blind @ np.array([*COLOURS[1], 1.0]) / np.linalg.norm([*COLOURS[1], 1.0])
    assert without < 0.95, f"{without:.3f}: without a mask the background is seen too"
