"""Arrays between the CPU and the device, without either waiting for the other."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Note = TypeVar("Note")
"""What belongs to an array and comes back with it."""


def upload(array: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """A copy of an array on a device.

    Towards a GPU through page-locked memory, so that the copy runs beside what the GPU computes; torch keeps that
    memory until the copy is done, and uses it again for the next.
    """
    source = np.ascontiguousarray(array)
    dtype = torch.from_numpy(np.empty(0, source.dtype)).dtype
    buffer = torch.empty(source.shape, dtype=dtype, pin_memory=device.type == "cuda")
    np.copyto(buffer.numpy(), source)
    # Elsewhere nobody would keep the memory until a copy is done that was not waited for.
    return buffer.to(device, non_blocking=device.type == "cuda")


class Downloads(Generic[Note]):
    """Label images on their way from the device to the CPU: at most so many at once, in order.

    On a GPU an image is copied into page-locked memory behind the work that makes it; nobody waits until `depth` images
    are on their way, and then only for the oldest. On a CPU it is there at once.
    """

    def __init__(self, depth: int = 4) -> None:
        """Nothing is on its way.

        Args:
            depth: images on their way at most. Four 1080p images of uint16 take 17 MB of page-locked memory.
        """
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, got {depth}")
        self._depth = depth
        self._under_way: deque[tuple[Note, torch.Tensor, torch.cuda.Event | None]] = deque()
        self._free: list[torch.Tensor] = []

    def __len__(self) -> int:
        return len(self._under_way)

    def put(self, image: torch.Tensor, note: Note) -> list[tuple[Note, NDArray[np.generic]]]:
        """Sends an image on its way.

        Args:
            image: on any device; may be overwritten on its device's current stream after this.
            note: comes back with it.

        Returns:
            What has arrived, oldest first, as arrays of their own.
        """
        if image.device.type != "cuda":  # such as that of a frame before anybody was found: behind all others
            return [*self.rest(), (note, image.detach().cpu().clone().numpy())]
        arrived = []
        while self._under_way and (len(self._under_way) >= self._depth or self._landed()):
            arrived.append(self._oldest())
        buffer = self._buffer(image)
        buffer.copy_(image, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(image.device))
        self._under_way.append((note, buffer, event))
        return arrived

    def rest(self) -> list[tuple[Note, NDArray[np.generic]]]:
        """All that is still on its way, oldest first; waits for it."""
        return [self._oldest() for _ in range(len(self._under_way))]

    def _landed(self) -> bool:
        event = self._under_way[0][2]
        return event is None or bool(event.query())  # type: ignore[no-untyped-call]

    def _oldest(self) -> tuple[Note, NDArray[np.generic]]:
        note, buffer, event = self._under_way.popleft()
        if event is not None:
            event.synchronize()
        array = buffer.numpy().copy()
        self._free.append(buffer)
        return note, array

    def _buffer(self, image: torch.Tensor) -> torch.Tensor:
        """Page-locked memory for an image: of one that has arrived, if it was alike."""
        for place, buffer in enumerate(self._free):
            if buffer.shape == image.shape and buffer.dtype == image.dtype:
                return self._free.pop(place)
        self._free.clear()
        return torch.empty(image.shape, dtype=image.dtype, pin_memory=True)
