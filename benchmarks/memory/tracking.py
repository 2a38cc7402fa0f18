"""
The peak memory of real code without its memory: run a model on PyTorch's meta device, whose tensors have sizes but no
values, and count the bytes of the tensors that are alive at the same time.

    with LiveMemory(model) as memory, sizes_only():
        model.generate(**inputs, max_new_tokens=1)
    memory.peak
"""

import weakref
from contextlib import contextmanager, nullcontext
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only


aten = torch.ops.aten


class LiveMemory(TorchDispatchMode):
    """
    Count the bytes of all tensors that operations make and that are still alive, on any device.

    What an operation needs inside itself is not seen. `torch.distributed._tools.mem_tracker` counts the same way, but
    takes the parameters in, and one can't set its peak back.

    Args:
        model (`torch.nn.Module`): its parameters and buffers are not counted.

    Attributes:
        current, peak (`int`): bytes now and at most, since the start or the last `restart_peak`.
    """

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.current = self.peak = 0
        weights = [tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers())]
        self._known = {storage._cdata: storage for storage in weights}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_iter(outputs):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return outputs

    def _add(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()
        if address in self._known:
            return

        def remove(_):
            del self._known[address]
            self.current -= size

        self._known[address] = weakref.ref(storage, remove)
        self.current += size
        self.peak = max(self.peak, self.current)

    def restart_peak(self) -> int:
        """The peak so far; the next one starts at what is alive now."""
        peak, self.peak = self.peak, self.current
        return peak


class _ValuesWhereNeeded(TorchDispatchMode):
    """
    Let a model on the meta device take inputs that have values: ids, masks and positions on the CPU.

    They stay there, so that what depends on their values (where images are, how many tokens stay) comes out right.
    Whatever they meet on the meta device is on the meta device, and a value that is asked of it is 0.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is aten._to_copy.default:
            return self._copy(args[0], kwargs)
        devices = {tensor.device.type for tensor in tree_iter((args, kwargs)) if isinstance(tensor, torch.Tensor)}
        if devices == {"cpu", "meta"} and func is not aten.index.Tensor:  # the number of true values is a size
            args, kwargs = tree_map_only(torch.Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        return func(*args, **kwargs)

    def _copy(self, tensor, kwargs):
        target = torch.device(kwargs.get("device") or tensor.device).type
        if (tensor.device.type, target) == ("meta", "cpu"):
            return torch.zeros(tensor.shape, dtype=kwargs.get("dtype") or tensor.dtype)
        if (tensor.device.type, target) == ("cpu", "meta"):
            kwargs["device"] = "cpu"
        return aten._to_copy.default(tensor, **kwargs)


class _FlashAttention(TorchFunctionMode):
    """
    Scaled dot product attention as on a GPU: flash attention, which makes the output and one float32 per query and
    head. The meta device by itself takes the plain formula with its N x N matrices.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention or args[0].device.type != "meta":
            return func(*args, **kwargs)
        if kwargs["attn_mask"] is not None:
            raise ValueError(
                "Flash attention takes no mask, and the prefill of one prompt without padding needs none."
            )
        return aten._scaled_dot_product_flash_attention(
            *args, dropout_p=kwargs["dropout_p"], is_causal=kwargs["is_causal"], scale=kwargs["scale"]
        )[0]


@contextmanager
def sizes_only():
    """Let Mini-Monkey, with its weights on the meta device, generate from inputs on the CPU."""
    # PyTorch's autocast does not know the meta device. Where it is used here it is used to turn it off.
    off = mock.patch("torch.autocast", lambda *args, **kwargs: nullcontext())
    with torch.no_grad(), off, _FlashAttention(), _ValuesWhereNeeded():
        yield
