"""The little of PyTorch that spdopt_torch uses, on memory of the emulated driver, for tests on machines without PyTorch and without a GPU."""

import contextlib
import copy
import ctypes
import os
import sys
import types
from collections import defaultdict

driver = ctypes.CDLL(os.environ["SPDOPT_LIBCUDA"])
for _name in ("cuMemAlloc_v2", "cuMemFree_v2"):
    getattr(driver, _name).argtypes = [ctypes.c_void_p, ctypes.c_size_t] if _name == "cuMemAlloc_v2" else [ctypes.c_uint64]
driver.cuCtxSetCurrent.argtypes = [ctypes.c_void_p]
driver.cuStreamCreate.argtypes = [ctypes.c_void_p, ctypes.c_uint]
driver.spdEmuCalls.argtypes = [ctypes.c_char_p]
contexts = []


def context(index):
    while len(contexts) <= index:
        c = ctypes.c_void_p()
        assert driver.cuInit(0) == 0
        assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(c), len(contexts)) == 0
        contexts.append(c)
    assert driver.cuCtxSetCurrent(contexts[index]) == 0


class Device:
    def __init__(self, kind, index):
        self.type, self.index = kind, index

    def __eq__(self, other):
        return (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __repr__(self):
        return f"{self.type}:{self.index}"


class Tensor:
    def __init__(self, shape, dtype="float32", device=None, base=None, offset=0, contiguous=True):
        self.shape, self.dtype, self.device = tuple(shape), dtype, device or Device("cuda", 0)
        self.contiguous_, self.is_sparse, self.grad = contiguous, False, None
        self.base = base
        size = 4 if dtype != "uint8" else 1
        if base is None:
            context(self.device.index)
            at = ctypes.c_uint64()
            assert driver.cuMemAlloc_v2(ctypes.byref(at), (max(1, self.numel() * size) + 511) // 512 * 512) == 0
            self.at = at.value
        else:
            self.at = base.at + size * offset

    is_cuda = property(lambda self: self.device.type == "cuda")

    def numel(self):
        n = 1
        for s in self.shape:
            n *= s
        return n

    def dim(self):
        return len(self.shape)

    def data_ptr(self):
        return self.at

    def is_contiguous(self):
        return self.contiguous_

    def __getitem__(self, part):
        return Tensor((part.stop - part.start,), self.dtype, self.device, self, part.start)

    def view(self, *shape):
        return Tensor(shape, self.dtype, self.device, self.base or self, (self.at - (self.base or self).at) // 4)

    @property
    def numbers(self):
        return (ctypes.c_float * self.numel()).from_address(self.at)

    def get(self):
        context(self.device.index)
        assert driver.cuCtxSynchronize() == 0
        return list(self.numbers)

    def set(self, values):
        context(self.device.index)
        assert driver.cuCtxSynchronize() == 0
        self.numbers[:] = values

    def copy_(self, other):
        self.set(other.get())

    def __deepcopy__(self, memo):
        t = Tensor(self.shape, self.dtype, self.device)
        t.copy_(self)
        return t


class Optimizer:
    def __init__(self, params, defaults):
        self.defaults, self.state, self.param_groups = defaults, defaultdict(dict), []
        params = list(params)
        for g in params if params and isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(g)

    def add_param_group(self, group):
        self.param_groups.append({**self.defaults, **group, "params": list(group["params"])})

    def _numbers(self):
        return {id(p): k for k, p in enumerate(p for g in self.param_groups for p in g["params"])}

    def state_dict(self):
        numbers = self._numbers()
        return {"state": {numbers[id(p)]: s for p, s in self.state.items()},
                "param_groups": [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]}

    def load_state_dict(self, saved):
        saved = copy.deepcopy(saved)
        params = [p for g in self.param_groups for p in g["params"]]
        for g, s in zip(self.param_groups, saved["param_groups"]):
            g.update({k: v for k, v in s.items() if k != "params"})
        self.state = defaultdict(dict, {params[k]: s for k, s in saved["state"].items()})


class Stream:
    def __init__(self, handle):
        self.cuda_stream = handle


current = Stream(0)


def install():
    torch = types.ModuleType("torch")
    torch.float32, torch.uint8, torch.float64 = "float32", "uint8", "float64"

    torch.empty = lambda n, dtype, device: Tensor((n,), dtype, device)
    torch.enable_grad = contextlib.nullcontext
    torch.optim = types.SimpleNamespace(Optimizer=Optimizer)
    torch.cuda = types.SimpleNamespace(current_stream=lambda device: current, is_current_stream_capturing=lambda: False,
                                       synchronize=lambda device: (context(device.index), driver.cuCtxSynchronize()))
    sys.modules["torch"] = torch
