"""Runs one TensorFlow Lite file through LiteRT: a float32 array in, its output arrays by shape out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelUnavailable

Outputs = dict[tuple[int, ...], NDArray[np.float32]]


class TfliteModel:
    """A TensorFlow Lite model with one input.

    Outputs are told apart by their shapes: the converter names them `Identity`, `Identity_1`, ... in an order
    that differs between versions of the same model, while the shapes are fixed and, in the models used here,
    all different.

    Not safe to call from two threads at once: the interpreter owns its buffers.
    """

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        """Loads the file.

        Args:
            path: the .tflite file.
            threads: threads of the XNNPACK delegate. One is the cheapest in CPU time, and the pipeline runs
                one process per core anyway.

        Raises:
            ModelUnavailable: the file or the runtime is missing, or the file is not a model.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ModelUnavailable(
                f"the runtime of {Path(path).name} cannot be loaded ({error}). Run `make setup`."
            ) from error
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelUnavailable(
                f"{path} cannot be loaded as a model ({error}). Run `ghost weights fetch`."
            ) from error
        (details,) = self._interpreter.get_input_details()
        self._input = details["index"]
        self.input_shape: tuple[int, ...] = tuple(int(n) for n in details["shape"])
        self._outputs = {
            tuple(int(n) for n in output["shape"]): output["index"] for output in self._interpreter.get_output_details()
        }

    def __call__(self, values: NDArray[np.float32]) -> Outputs:
        """Runs the model once.

        Args:
            values: float32 of `input_shape`.

        Returns:
            Every output as a fresh array, under its shape.
        """
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return {shape: self._interpreter.get_tensor(index) for shape, index in self._outputs.items()}
