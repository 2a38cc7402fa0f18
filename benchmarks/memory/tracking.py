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


_plain_attention = torch.nn.functional.scaled_dot_product_attention


def _flash_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **kwargs):
    """
    Scaled dot product attention as on a GPU: flash attention, which makes the output and one float32 per query and
    head. The meta device by itself takes the plain formula with its N x N matrices.
    """
    if query.device.type != "meta":
        options = {"attn_mask": attn_mask, "dropout_p": dropout_p, "is_causal": is_causal, "scale": scale}
        return _plain_attention(query, key, value, **options, **kwargs)
    if attn_mask is not None:
        raise ValueError("Flash attention takes no mask, and the prefill of one prompt without padding needs none.")
    options = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale}
    return aten._scaled_dot_product_flash_attention(query, key, value, **options)[0]


@contextmanager
def sizes_only(gradients: bool = False):
    """Let Mini-Monkey, with its weights on the meta device, take inputs on the CPU, to generate or to train."""
    # PyTorch's autocast does not know the meta device. Where it is used here it is used to turn it off.
    off = mock.patch("torch.autocast", lambda *args, **kwargs: nullcontext())
    # No function mode: a pass that is repeated for gradients would not see it.
    flash = mock.patch("torch.nn.functional.scaled_dot_product_attention", _flash_attention)
    with torch.set_grad_enabled(gradients), off, flash, _ValuesWhereNeeded():
        yield
