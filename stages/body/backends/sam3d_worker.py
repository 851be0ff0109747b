"""The process in which the official code of SAM 3D Body runs, and the language that ghost speaks with it.

That code is a checkout, no package, with top-level modules `tools` and `data`, and its users keep it in an environment
of its own. So this file is run by itself, by whatever Python that environment has (3.10 or later), and imports nothing
but the standard library, numpy, torch and the checkout. ghost imports it too, for `send` and `receive`.

Everything is said over two descriptors: the checkout prints whatever it likes to stdout. A message is a JSON object
with raw arrays behind it; there is no pickle. The first message to the worker is the configuration, every other one a
frame; the worker answers each with `ready`, `bodies` or `failed`, and ends when it hears no more.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import inspect
import json
import math
import platform
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

OUTPUTS = {
    "pred_keypoints_3d": (70, 3),
    "pred_keypoints_2d": (70, 2),
    "pred_cam_t": (3,),
    "focal_length": (),
    "global_rot": (3,),
    "body_pose_params": (133,),
    "hand_pose_params": (108,),
    "scale_params": (28,),
    "shape_params": (45,),
}
"""What is taken of the dictionary that `process_one_image` gives for each person, and its shapes; float32."""

VERTICES = "pred_vertices"

_HEAD = struct.Struct("<8sI")
_MAGIC = b"ghostS3D"  # so that bytes of somebody else's are noticed
_MAX_HEADER = 1 << 20
_MAX_BYTES = 1 << 32
_DTYPES = ("|b1", "|u1", "<u2", "<i4", "<i8", "<f2", "<f4", "<f8")


class ProtocolError(Exception):
    """What came is not a message, or only a part of one."""


class Unusable(Exception):
    """The checkout, its environment or the device is not what is needed; a sentence for the user."""


def send(stream: BinaryIO, message: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Writes one message.

    Args:
        stream: to whom.
        message: JSON values.
        arrays: of numbers or truth values; any shape.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    about = [[name, array.dtype.str, array.shape] for name, array in whole.items()]
    header = json.dumps({**message, "arrays": about}).encode()
    stream.write(_HEAD.pack(_MAGIC, len(header)) + header)
    for array in whole.values():
        if array.size:
            stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], Arrays]:
    """Reads one message.

    Raises:
        EOFError: there is none: whoever sent has ended.
        ProtocolError: it is none, or it ends early.
    """
    head = stream.read(_HEAD.size)
    if not head:
        raise EOFError
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise ProtocolError(f"no message begins with {head!r}")
    length = _HEAD.unpack(head)[1]
    if length > _MAX_HEADER:
        raise ProtocolError(f"a header of {length} bytes")
    header = bytes(_take(stream, length))
    try:
        message = json.loads(header)
        about = [(str(name), dtype, [int(size) for size in shape]) for name, dtype, shape in message.pop("arrays")]
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # no JSON, no object, no such list in it
        raise ProtocolError(f"a header {header[:80]!r}") from error
    arrays: Arrays = {}
    for name, dtype, shape in about:
        if dtype not in _DTYPES or any(size < 0 for size in shape):
            raise ProtocolError(f"an array {name} of {dtype} {shape}")
        count = math.prod(shape) * np.dtype(dtype).itemsize
        if count > _MAX_BYTES:
            raise ProtocolError(f"an array {name} of {count} bytes")
        arrays[name] = np.frombuffer(_take(stream, count), dtype).reshape(shape)
    return message, arrays


def _take(stream: BinaryIO, count: int) -> bytearray:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        part = stream.read(min(count - done, 1 << 20))
        if not part:
            raise ProtocolError(f"{count - done} bytes are missing")
        view[done : done + len(part)] = part
        done += len(part)
    return data


class Estimator:
    """The official estimator with what is learnt about it while it works."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Loads the model.

        Args:
            config: `checkout`, `checkpoint`, `mhr`, `device`, `mode`, `vertices` (bool).

        Raises:
            Unusable: no torch, no such device, or a checkout that is not what it should be.
        """
        self._torch = _import("torch", "It is needed by SAM 3D Body")
        self.device = _device(self._torch, config["device"])
        _make_deterministic(self._torch)
        package = _import("sam_3d_body", f"The checkout {config['checkout']} needs it (its INSTALL.md says what else)")
        missing = [name for name in ("load_sam_3d_body", "SAM3DBodyEstimator") if not hasattr(package, name)]
        if missing:
            raise Unusable(f"{package.__file__} has no {missing[0]}; it is another sam_3d_body. Check --sam3d-path.")
        if self.device == "cpu":
            _keep_off_cuda(self._torch)
        model, model_config = package.load_sam_3d_body(
            checkpoint_path=config["checkpoint"], device=self.device, mhr_path=config["mhr"]
        )
        self._estimator = package.SAM3DBodyEstimator(model, model_config)
        parameters = inspect.signature(self._estimator.process_one_image).parameters
        for name in ("bboxes", "cam_int", "inference_type"):
            if name not in parameters:
                raise Unusable(f"{config['checkout']}: process_one_image takes no {name}. Update the checkout.")
        self.takes_masks = "masks" in parameters
        self.uses_centre = bool(_setting(model_config, "MODEL", "DECODER", "USE_INTRIN_CENTER"))
        self.faces: NDArray[Any] = np.asarray(self._estimator.faces)
        self.dinov3 = _digest("dinov3")
        self._looks = _Looks(self._torch, model)
        self._mode = config["mode"]
        self._keys = (*OUTPUTS, *([VERTICES] if config["vertices"] else ()))
        self._most: int | None = None  # people that fit into memory at once, once it has run out

    @property
    def about(self) -> dict[str, Any]:
        """What ghost gets to know about this environment, in the message `ready`."""
        return {
            "masks": self.takes_masks,
            "uses_centre": self.uses_centre,
            "device": self.device,
            "gpu": "" if self.device == "cpu" else str(self._torch.cuda.get_device_name()),
            "python": platform.python_version(),
            "torch": str(self._torch.__version__),
            "dinov3": self.dinov3,
        }

    def estimate(self, arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        """The bodies of the people of a frame.

        Args:
            arrays: `image` (H, W, 3) uint8 RGB, `boxes` (n, 4) float32, `camera` (3, 3) float32 and, where there are
                masks, `labels` (H, W) uint16: 1 + the number of the box.

        Returns:
            A message `bodies` with `rows`, the numbers of the boxes, `halved_to`, the new limit of people at once if
            memory ran out, and `gpu_peak`, the most bytes that tensors have taken on the GPU so far; for these rows
            those of OUTPUTS, pred_vertices if asked for, `feature` if there is one.
        """
        todo = [list(range(len(arrays["boxes"])))]
        rows: list[int] = []
        found: list[dict[str, NDArray[Any]]] = []
        halved_to = None
        while todo:
            group = todo.pop(0)
            if self._most is not None and len(group) > self._most:
                todo[:0] = [group[: self._most], group[self._most :]]
                continue
            bodies = self._call(arrays, group)
            if bodies is not None:
                rows += group
                found += bodies
            elif len(group) > 1:
                self._most = halved_to = len(group) // 2
                todo.insert(0, group)
        stacked = {name: np.stack([body[name] for body in found]) for name in (found[0] if found else ())}
        peak = 0 if self.device == "cpu" else int(self._torch.cuda.max_memory_allocated())
        return {"type": "bodies", "rows": rows, "halved_to": halved_to, "gpu_peak": peak}, stacked

    def _call(self, arrays: Arrays, group: list[int]) -> list[dict[str, NDArray[Any]]] | None:
        """The bodies in these boxes; None if memory ran out."""
        options: dict[str, Any] = {}
        if self.takes_masks and "labels" in arrays:
            numbers = np.array(group, np.uint16) + np.uint16(1)
            options["masks"] = (arrays["labels"] == numbers[:, None, None]).astype(np.uint8)
        self._looks.forget()
        try:
            bodies = self._estimator.process_one_image(
                arrays["image"],
                bboxes=arrays["boxes"][group],
                cam_int=self._torch.from_numpy(arrays["camera"][None].astype(np.float32)),
                inference_type=self._mode,
                **options,
            )
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            bodies = None
        if bodies is None:  # after the except clause: the error holds what the model had in memory
            gc.collect()
            if self.device != "cpu":
                self._torch.cuda.empty_cache()
            return None
        if len(bodies) != len(group):
            raise Unusable(f"process_one_image gave {len(bodies)} bodies for {len(group)} boxes. Update the checkout.")
        result = [{name: _output(body, name) for name in self._keys} for body in bodies]
        looks = self._looks.of(len(group))
        if looks is not None:
            for one, look in zip(result, looks, strict=True):
                one["feature"] = look
        return result


def _output(body: Mapping[str, Any], name: str) -> NDArray[np.float32]:
    if name not in body:
        raise Unusable(f"process_one_image gave no {name}. ghost knows the checkout of February 2026; update it.")
    array: NDArray[np.float32] = np.asarray(body[name], np.float32)
    shape = OUTPUTS.get(name, array.shape)
    if name == "focal_length":
        array = array.reshape(())
    if array.shape != shape:
        raise Unusable(f"process_one_image gave {name} of shape {array.shape}, expected {shape}. Update the checkout.")
    return array


def _setting(config: Any, *names: str) -> Any:  # noqa: ANN401
    """A value of the model's nested configuration; None where it says nothing, which is off."""
    for name in names:
        config = config.get(name) if isinstance(config, Mapping) else None
    return config


def _digest(package: str) -> str:
    """sha256 of the source of a package that has been imported; "" if none has.

    That of DINOv3 comes through `torch.hub` from the head of a branch, so the checkout does not determine it.
    """
    digest = hashlib.sha256()
    folders = [Path(path) for path in getattr(sys.modules.get(package), "__path__", ())]
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest() if folders else ""


class _Looks:
    """What the backbone saw of each person, averaged over the person's mask in the crop.

    `run_inference` is given the crops' masks, and the backbone runs first on the bodies (in "full" on hands as well).
    A model without these two has no looks.
    """

    def __init__(self, torch: Any, model: Any) -> None:  # noqa: ANN401
        self._torch = torch
        self._masks: Any = None
        self._pooled: NDArray[np.float16] | None = None
        inference, backbone = getattr(model, "run_inference", None), getattr(model, "backbone", None)
        register = getattr(backbone, "register_forward_hook", None)
        if inference is None or register is None:
            return

        def run_inference(img: Any, batch: Any, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
            self._masks = batch.get("mask") if isinstance(batch, dict) else None
            return inference(img, batch, *rest, **options)

        model.run_inference = run_inference
        register(self._see)

    def forget(self) -> None:
        """Before each image."""
        self._masks = self._pooled = None

    def of(self, count: int) -> NDArray[np.float16] | None:
        """(count, D) of the people of the last image, unit length; None if there are none."""
        return self._pooled if self._pooled is not None and len(self._pooled) == count else None

    def _see(self, _module: Any, _inputs: Any, output: Any) -> None:  # noqa: ANN401
        masks, self._masks = self._masks, None  # of the first run only
        seen = output[-1] if isinstance(output, tuple | list) else output
        if masks is None or getattr(seen, "ndim", 0) != 4:
            return
        masks = masks.reshape(-1, 1, *masks.shape[-2:]).to(seen.device, self._torch.float32)
        if len(masks) != len(seen):
            return
        height, width = seen.shape[-2:]
        across = round(height * masks.shape[-1] / masks.shape[-2])  # some backbones look at the middle columns only
        share = self._torch.nn.functional.adaptive_avg_pool2d(masks, (height, max(across, width)))
        left = (share.shape[-1] - width) // 2
        share = share[..., left : left + width]
        share = self._torch.where(share.sum((2, 3), keepdim=True) > 0, share, self._torch.ones_like(share))
        pooled = (seen.float() * share).sum((2, 3)) / share.sum((2, 3))
        pooled = pooled / pooled.norm(dim=1, keepdim=True).clamp_min(1e-12)
        self._pooled = pooled.detach().cpu().numpy().astype(np.float16)


def _import(name: str, why: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unusable(
            f"{sys.executable} cannot import {name}: {error}. {why}; install it there, "
            "or name the Python of another environment with --sam3d-python."
        ) from error


def _device(torch: Any, wanted: str) -> str:  # noqa: ANN401
    """The device's name for torch, to which "cuda" means the same from now on. Raises Unusable."""
    if wanted == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise Unusable(
            f"SAM 3D Body needs a CUDA GPU, and torch {torch.__version__} of {sys.executable} finds none it can use. "
            "Run where there is one, or choose --backend embedded (--device cpu tries the CPU, many seconds a person)."
        )
    index = int(wanted.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise Unusable(f"--device {wanted}: there are {torch.cuda.device_count()} CUDA GPUs, counted from 0.")
    torch.cuda.set_device(index)
    return f"cuda:{index}"


def _make_deterministic(torch: Any) -> None:  # noqa: ANN401
    """The same result for the same input, in float32 where that is asked for; as in common.models.devices."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def _keep_off_cuda(torch: Any) -> None:  # noqa: ANN401
    """Makes code that asks for "cuda" by name stay on the CPU; in this process only, no file is changed."""

    def stay(tensor: Any, *_: Any, **__: Any) -> Any:  # noqa: ANN401
        return tensor

    torch.Tensor.cuda = stay
    for name, module in list(sys.modules.items()):
        move = getattr(module, "recursive_to", None)
        if name.partition(".")[0] == "sam_3d_body" and callable(move):
            module.recursive_to = _staying(move)  # type: ignore[attr-defined]


def _staying(move: Any) -> Any:  # noqa: ANN401
    def recursive_to(x: Any, target: Any) -> Any:  # noqa: ANN401
        return move(x, "cpu" if str(target).startswith("cuda") else target)

    return recursive_to


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text or "ALLOC_FAILED" in text


def main() -> None:
    """Serves one client: descriptors to read from and to write to are the arguments."""
    with open(int(sys.argv[1]), "rb") as requests, open(int(sys.argv[2]), "wb") as replies:  # noqa: PTH123
        try:
            config, _ = receive(requests)
            estimator = Estimator(config)
            send(replies, {"type": "ready", **estimator.about}, {"faces": estimator.faces.astype(np.int64)})
            while True:
                try:
                    _, arrays = receive(requests)
                except EOFError:
                    return
                send(replies, *estimator.estimate(arrays))
        except Unusable as problem:
            send(replies, {"type": "failed", "message": str(problem)})


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:] = [
        path for path in sys.path if not path or Path(path).resolve() != here
    ]  # ghost's modules are not for it
    main()
