"""GPUs that are not there: the real code runs as on CUDA, computes on the CPU, and fails where a GPU would.

A tensor on one says `cuda:N`, so that everything that asks for a device, autocast included, takes its way on CUDA, and
holds its true values in a tensor of the CPU, so that what depends on values runs as well. Refused is what CUDA refuses
and a CPU bears: operators on tensors of two devices, and types for which it has no kernel. Copies for which the program
does not wait are late: page-locked memory holds rubbish until an event behind the copy has passed, and a tensor made
from such memory shows whatever is written there afterwards. What makes the CPU wait for the GPU is listed.

Not seen are faults inside of kernels, other rounding, work on several streams, time and memory. Parameters must not ask
for gradients: that ends the process. A mode of torch belongs to a thread, so everything has to run in the one that
entered; what another one computes is refused.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_CPU = torch.device("cpu")
_MADE_OF_OTHERS = "CompositeImplicitAutograd"  # torch's word for operators that are
_RUBBISH = 0xA5  # each byte of page-locked memory to which a copy is on its way

_WAITS = frozenset(
    {
        _aten._local_scalar_dense, _aten.nonzero, _aten.masked_select, _aten.equal, _aten.bincount, _aten.is_nonzero,
        _aten.unique_dim, _aten._unique2, _aten.unique_consecutive, _aten.unique_dim_consecutive,
    }
)  # fmt: skip
"""Operators of whose result the CPU has to know the values or the shape."""

_TAKES_NUMBERS = frozenset({_aten.index_put, _aten.index_put_, _aten.where, _aten.fill_, _aten.masked_fill_})
"""Operators, besides those that go element by element, to which a single number may come from the CPU."""

_BY_INDICES = frozenset({_aten.index, _aten._unsafe_index, _aten.index_put, _aten.index_put_})
"""Operators whose second argument is a list of indices, which they copy to the device if need be."""

_FLOATING_ONLY = (
    "bmm", "mm", "addmm", "baddbmm", "convolution", "upsample_bi", "_upsample_bi", "grid_sampler", "native_layer_norm",
    "native_group_norm", "_softmax", "avg_pool", "_adaptive_avg_pool",
)  # fmt: skip
"""Operators for which CUDA has no kernel of whole numbers, unlike the CPU; how their names begin."""

_WITH_FEW_OPERATORS = (torch.uint16, torch.uint32, torch.uint64)
_NO_KERNEL_NEEDED = frozenset(
    {
        "empty", "empty_like", "zeros", "full", "detach", "alias", "view", "slice", "select", "as_strided", "expand",
        "permute", "transpose", "unsqueeze", "squeeze", "fill_", "zero_", "clone", "copy_", "_to_copy",
    }
)  # fmt: skip
"""What can be done with those types without a doubt; torch calls their support limited."""


class Refused(RuntimeError):
    """What a GPU would not do, in the words of torch where it has some."""


class OnGpu(torch.Tensor):
    """A tensor that says that it lies on a GPU."""

    values: torch.Tensor
    gpu: PretendedCuda

    @staticmethod
    def __new__(cls, values: torch.Tensor, device: torch.device, gpu: PretendedCuda) -> OnGpu:
        usual = torch.inference_mode(False) if torch.is_inference_mode_enabled() else contextlib.nullcontext()
        with usual:  # what is made in inference mode could not meet what was made before
            made: OnGpu = torch.Tensor._make_wrapper_subclass(
                cls, values.size(), strides=values.stride(), storage_offset=values.storage_offset(),
                dtype=values.dtype, device=device,
            )  # fmt: skip
        made.values, made.gpu = values, gpu
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnGpu({self.values!r}, device={self.device})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _OTHERWISE:
            return _OTHERWISE[func](*args, **(kwargs or {}))
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise Refused(f"{func} with a tensor of a pretended GPU: in another thread, or after the GPU's end")


def _contiguous(tensor: Any, memory_format: torch.memory_format = torch.contiguous_format) -> Any:
    return tensor if tensor.is_contiguous(memory_format=memory_format) else tensor.clone(memory_format=memory_format)


def _nonzero(tensor: Any, *, as_tuple: bool = False) -> Any:
    found = _aten.nonzero.default(tensor)
    return found.unbind(1) if as_tuple else found


_OTHERWISE: dict[Any, Callable[..., Any]] = {
    torch.Tensor.__getitem__: lambda tensor, index: _gpu_of((tensor, index)).get(tensor, index),
    torch.Tensor.__setitem__: lambda tensor, index, value: _gpu_of((tensor, index, value)).set(tensor, index, value),
    torch.Tensor.__invert__: torch.bitwise_not,
    torch.Tensor.contiguous: _contiguous,
    torch.Tensor.copy_: lambda target, source, non_blocking=False: _aten.copy_.default(target, source, non_blocking),
    torch.Tensor.nonzero: _nonzero,
    torch.nonzero: _nonzero,
    torch.Tensor.tolist: lambda tensor: tensor.cpu().tolist(),
}
"""What torch does in Python's own way: most of it asks its part for CUDA, which is not there, for the current device
before it comes to operators."""


class _Stream:
    def __init__(self, device: torch.device) -> None:
        self.device = device


class _Event:
    """A `torch.cuda.Event`. When it is asked for the first time, the GPU has not come to it yet."""

    def __init__(self, gpu: PretendedCuda) -> None:
        self._gpu = gpu
        self._behind: tuple[torch.device, int] | None = None
        self._was_asked = False

    def record(self, stream: _Stream) -> None:
        self._behind = stream.device, len(self._gpu.late)

    def query(self) -> bool:
        if self._was_asked:
            self._pass()
        was_asked, self._was_asked = self._was_asked, True
        return was_asked

    def synchronize(self) -> None:
        self._gpu.waits.append("Event.synchronize")
        self._pass()

    def _pass(self) -> None:
        assert self._behind is not None, "an event that was never recorded"
        self._gpu.arrive(*self._behind)


class PretendedCuda(TorchDispatchMode):
    """See the module; made by `pretended_cuda`.

    Attributes:
        waits: what has made the CPU wait for a GPU, in order; for whoever counts to clear.
        late: copies to page-locked memory: from which device, what, where to; None once they are done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.late: list[tuple[torch.device, torch.Tensor, torch.Tensor] | None] = []
        self._locked: dict[int, weakref.ref[torch.Tensor]] = {}  # page-locked memory, by its address

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # it takes 4 s to import, to keep compilers away that are not here

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.is_inference_mode_enabled() and _is_made_of_others(func):
            with self:  # outside of inference mode torch has taken it apart before
                return func._op_dk(getattr(torch._C.DispatchKey, _MADE_OF_OTHERS), *args, **kwargs)
        tensors = [*_tensors(args), *_tensors(kwargs.values())]
        there = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
        packet, asked = func.overloadpacket, _full(kwargs.get("device"))
        if packet is _aten._to_copy:
            return self._to(func, args[0], asked or args[0].device, kwargs)
        if packet is _aten.copy_ and len({tensor.device for tensor in tensors}) > 1:
            return self._copy(*args)
        if not there and (asked is None or asked.type != "cuda"):
            return self._on_cpu(func, args, kwargs)
        self._check(func, packet, args, tensors, there)
        device = there[0].device if asked is None else asked
        kwargs |= {"device": _CPU} if asked is not None else {}
        kwargs.pop("pin_memory", None)
        if packet is _aten._softmax and args[2]:  # from half precision to float32 in one: CUDA alone can do that
            args = (args[0].values.float(), args[1], False)
        results = func(*_values(args), **{name: _values(one) for name, one in kwargs.items()})
        if _writes_first(func):
            return args[0]
        return kwargs["out"] if "out" in kwargs else self._wrapped(results, device)

    def arrive(self, device: torch.device, count: int) -> None:
        """Does those of the first so many late copies that come from a device."""
        for place, copy in enumerate(self.late[:count]):
            if copy is not None and copy[0] == device:
                copy[2].copy_(copy[1])
                self.late[place] = None

    def get(self, tensor: Any, index: Any) -> Any:
        """tensor[index]."""
        self._check_index(tensor, index)
        return OnGpu(tensor.values[_values(index)], tensor.device, self)

    def set(self, tensor: Any, index: Any, value: Any) -> None:
        """tensor[index] = value."""
        self._check_index(tensor, index, fills=not isinstance(value, torch.Tensor) or value.numel() == 1)
        if isinstance(value, torch.Tensor) and value.ndim and value.device != tensor.device:
            raise Refused(f"{_described(value)} put into {_described(tensor)}")
        tensor.values[_values(index)] = _values(value)

    def _on_cpu(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        is_locked = kwargs.pop("pin_memory", False)
        result = func(*args, **kwargs)
        if is_locked:
            self._locked[result.untyped_storage().data_ptr()] = weakref.ref(result)
        return result

    def _is_locked(self, tensor: torch.Tensor) -> bool:
        if isinstance(tensor, OnGpu):
            return False
        owner = self._locked.get(tensor.untyped_storage().data_ptr())
        return owner is not None and owner() is not None

    def _wrapped(self, results: Any, device: torch.device) -> Any:
        if isinstance(results, torch.Tensor):
            return OnGpu(results, device, self)
        if type(results) in (list, tuple):
            return type(results)(self._wrapped(one, device) for one in results)
        return results

    def _to(self, func: Any, source: torch.Tensor, target: torch.device, kwargs: dict[str, Any]) -> Any:
        """tensor.to(...), where something changes by it."""
        goes_on = bool(kwargs.pop("non_blocking", False))
        kwargs.pop("pin_memory", None)
        result = func(_values(source), **{**kwargs, "device": target if target.type == "meta" else _CPU})
        if isinstance(source, OnGpu):
            if target.type == "cuda":
                return OnGpu(result, target, self)
            if goes_on:
                return self._send(source, torch.empty_like(result))
            self.waits.append(f"{_described(source)} to the CPU")
        elif target.type == "cuda":
            if goes_on and self._is_locked(source) and result.dtype == source.dtype:
                return OnGpu(source.detach(), target, self)  # the same memory: who writes there afterwards shows
            self.waits.append(f"{_described(source)} to {target}")
            return OnGpu(result, target, self)
        return result

    def _copy(self, target: torch.Tensor, source: torch.Tensor, goes_on: bool = False) -> torch.Tensor:
        """target.copy_(source) between devices."""
        if goes_on and self._is_locked(target) and isinstance(source, OnGpu):
            return self._send(source, target)
        if not (isinstance(target, OnGpu) and isinstance(source, OnGpu)):
            is_number = source.ndim == 0 and isinstance(target, OnGpu)  # goes along with the kernel
            if not is_number and not (goes_on and self._is_locked(source)):
                self.waits.append(f"{_described(source)} to {target.device}")
        _values(target).copy_(_values(source))
        return target

    def _send(self, source: OnGpu, target: torch.Tensor) -> torch.Tensor:
        """Sends a copy on its way to the CPU."""
        target.view(torch.uint8).fill_(_RUBBISH)
        self.late.append((source.device, source.values.clone(), target))
        return target

    def _check(self, func: Any, packet: Any, args: Any, tensors: list[torch.Tensor], there: list[OnGpu]) -> None:
        """Raises Refused for what CUDA refuses, and notes for what it waits."""
        name = packet.__name__
        indices = [one for one in args[1] if one is not None] if packet in _BY_INDICES else []
        if any(tensor.device != tensors[0].device for tensor in tensors):
            free = {id(one) for one in indices if one.device == _CPU}
            if packet in _TAKES_NUMBERS or torch.Tag.pointwise in func.tags:
                free |= {id(tensor) for tensor in tensors if tensor.ndim == 0 and tensor.device == _CPU}
            devices = {tensor.device for tensor in tensors if id(tensor) not in free}
            if len(devices) > 1 or _CPU in devices:
                raise Refused(
                    "Expected all tensors to be on the same device, but found at least two devices: "
                    f"{func} of {', '.join(map(_described, tensors))}"
                )
        for tensor in there:
            if not tensor.is_floating_point() and _needs_floating(name):
                raise Refused(f'"{name}" not implemented for {tensor.dtype} on CUDA')
            if tensor.dtype in _WITH_FEW_OPERATORS and name not in _NO_KERNEL_NEEDED:
                raise Refused(f'"{name}" may not be implemented for {tensor.dtype} on CUDA')
        if packet in _WAITS or func is _aten.repeat_interleave.Tensor:
            self.waits.append(name)
        fills = packet in _TAKES_NUMBERS and len(indices) == 1 and args[2].numel() == 1
        self.waits += [f"{name} by {_described(one)}" for one in indices if _index_waits(one, fills=fills)]

    def _check_index(self, tensor: Any, index: Any, *, fills: bool = False) -> None:
        """The same for an index in square brackets."""
        if not isinstance(tensor, OnGpu):
            raise Refused(f"indices should be on the same device as what they choose of, {_described(tensor)}")
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, torch.Tensor):
                if part.device not in (tensor.device, _CPU):
                    raise Refused(f"{_described(tensor)} indexed by {_described(part)}")
                if _index_waits(part, fills=fills) or not part.ndim:
                    self.waits.append(f"indexing by {_described(part)}")
            elif not (part is None or part is Ellipsis or isinstance(part, int | slice)):
                self.waits.append(f"indexing by a {type(part).__name__}")


def _index_waits(index: torch.Tensor, *, fills: bool) -> bool:
    """Whether CUDA waits for an index: to know where it is true, unless all that is filled alike, or to copy it."""
    return index.device == _CPU or (index.dtype in (torch.bool, torch.uint8) and not fills)


@functools.cache
def _is_made_of_others(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _MADE_OF_OTHERS)


@functools.cache
def _writes_first(func: Any) -> bool:
    first = next(iter(func._schema.arguments), None)
    return first is not None and first.is_write


@functools.cache
def _needs_floating(name: str) -> bool:
    return name.startswith(_FLOATING_ONLY)


def _values(one: Any) -> Any:
    """Arguments as they are on the CPU."""
    if isinstance(one, OnGpu):
        return one.values
    return type(one)(map(_values, one)) if type(one) in (list, tuple) else one


def _tensors(several: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors among arguments and in lists among them."""
    for one in several:
        if isinstance(one, torch.Tensor):
            yield one
        elif type(one) in (list, tuple):
            yield from _tensors(one)


def _gpu_of(several: Iterable[Any]) -> PretendedCuda:
    return next(tensor.gpu for tensor in _tensors(several) if isinstance(tensor, OnGpu))


def _full(device: Any) -> torch.device | None:
    """With its number, which tensors always have."""
    if device is None or torch.device(device) != torch.device("cuda"):
        return None if device is None else torch.device(device)
    return torch.device("cuda", 0)


def _described(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"


@contextlib.contextmanager
def pretended_cuda() -> Iterator[PretendedCuda]:
    """Within it there are as many GPUs as one asks for, in this thread."""
    gpu = PretendedCuda()
    answers: dict[str, Any] = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_bf16_supported": lambda including_emulation=True: True,
        "current_stream": lambda device=None: _Stream(_full(device or "cuda") or _CPU),
        "Event": lambda **_: _Event(gpu),
    }
    before = torch._C._only_lift_cpu_tensors(), torch.__future__.get_overwrite_module_params_on_conversion()
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.callback(torch._C._set_only_lift_cpu_tensors, before[0])
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, before[1])
        torch._C._set_only_lift_cpu_tensors(True)  # or torch.tensor would ask for CUDA before it comes to operators
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters become tensors of another class
        yield stack.enter_context(gpu)
