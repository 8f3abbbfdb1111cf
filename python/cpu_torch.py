"""Lets PyTorch for the processor use the emulated driver, for tests on machines without a GPU: tensors, autograd, modules and everything else of PyTorch is
real, their memory counts as the device's, and work runs when it is enqueued. Only what asks for CUDA is replaced here."""

import ctypes
import os
import types

import torch

driver = ctypes.CDLL(os.environ["SPDOPT_LIBCUDA"])
driver.spdEmuCalls.argtypes = [ctypes.c_char_p]
driver.spdEmuFail.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int]


def _check(gradients, found, scale):
    """What the kernel behind GradScaler does, which only CUDA has before PyTorch 2.3."""
    for g in gradients:
        if not torch.isfinite(g).all():
            found.fill_(1)
        g.mul_(scale)


def install():
    driver.spdEmuShare(1)
    torch.Tensor.is_cuda = property(lambda self: True)
    torch.cuda.current_stream = lambda device=None: types.SimpleNamespace(cuda_stream=0)
    torch.cuda.is_current_stream_capturing = lambda: False
    torch.cuda.synchronize = lambda device=None: None
    if not hasattr(torch, "amp") or not hasattr(torch.amp, "GradScaler"):
        torch.cuda.amp.grad_scaler.amp_definitely_not_available = lambda: False
        torch._amp_foreach_non_finite_check_and_unscale_ = _check
        torch._amp_update_scale_ = _update


def _update(scale, growth_tracker, found, growth, backoff, interval):
    if found.item():
        scale.mul_(backoff)
        growth_tracker.zero_()
    elif growth_tracker.item() + 1 == interval:
        scale.mul_(growth)
        growth_tracker.zero_()
    else:
        growth_tracker.add_(1)
    return scale


def GradScaler(**options):
    """PyTorch's GradScaler, by the name that it has in this version."""
    if hasattr(torch, "amp") and hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler("cpu", **options)
    return torch.cuda.amp.GradScaler(**options)
