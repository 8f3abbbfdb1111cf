"""The spectral preconditioner of spdopt as a PyTorch optimizer: one file, ctypes, no compilation.

    go build -tags cuda -buildmode=c-shared -o libspdopt.so ./cuda/cshared

    from spdopt_torch import Spectral
    optimizer = Spectral(model.parameters(), lr=3e-3, weight_decay=0.1)

Parameters and gradients are contiguous float32 CUDA tensors; the library works on them in place, on the current stream, without copies and without
waiting. Matrices get a Kronecker-factored preconditioner, everything else takes AdamW steps. Lower precision is autocast's; torch.amp.GradScaler,
schedulers, hooks, closures, state_dict, copies and pickles work as with PyTorch's own optimizers, and parameters without a gradient are left as they are.

SPDOPT_LIBRARY names the library; the default is libspdopt.so beside this file. cuda/cshared/spdopt.h documents the interface underneath.
Run with PyTorch 2.11 on an H100; the tests run it on an emulated driver, with PyTorch for the processor.
"""

import ctypes
import math
import os
import signal
import sys
import weakref

import torch

_ABI = 2
_PRECISIONS = {"bf16": 0, "tf32": 1, "fp32": 2}
_LEAST = sys.float_info.min
# torch.compile must not look into calls of the library.
_uncompiled = torch.compiler.disable if hasattr(torch, "compiler") else lambda f: f


class SpdoptError(RuntimeError):
    """What the library refuses, with the remedy."""


class _Shape(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_int64), ("cols", ctypes.c_int64)]


class _Options(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("precision", "every", "max_dim", "no_graphs", "terms", "exact", "keep", "unused")] + [
        (name, ctypes.c_double) for name in ("root", "momentum", "beta2", "damping", "max_norm", "adam_beta1", "adam_beta2", "adam_eps")]


class _Slot(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("parameter", "rows", "cols", "offset")] + [("name", ctypes.c_char * 16)]


def _load(path):
    # Go's runtime takes over SIGPIPE, which Python ignores.
    before = signal.getsignal(signal.SIGPIPE)
    lib = ctypes.CDLL(path)
    try:
        signal.signal(signal.SIGPIPE, before)
    except (TypeError, ValueError):
        pass
    i, i64, u64, p, d = ctypes.c_int, ctypes.c_int64, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_double
    shapes, options = ctypes.POINTER(_Shape), ctypes.POINTER(_Options)
    for name, result, arguments in (
        ("spd_abi", i, []),
        ("spd_error", ctypes.c_char_p, []),
        ("spd_open", i, [i]),
        ("spd_layout", i, [shapes, i, options, ctypes.POINTER(_Slot), i, ctypes.POINTER(i), ctypes.POINTER(i64)]),
        ("spd_work_bytes", i, [i, shapes, i, options, ctypes.POINTER(i64)]),
        ("spd_create", i, [i, shapes, i, options, p, p, ctypes.POINTER(u64)]),
        ("spd_begin", i, [u64, p]),
        ("spd_resume", i, [u64, p, i64]),
        ("spd_step", i, [u64, ctypes.POINTER(u64), ctypes.POINTER(u64), i, p, d, d, d]),
        ("spd_steps", i64, [u64]),
        ("spd_destroy", i, [u64]),
    ):
        f = getattr(lib, name)
        f.restype, f.argtypes = result, arguments
    if lib.spd_abi() != _ABI:
        raise SpdoptError(f"{path} has interface version {lib.spd_abi()}; this file needs {_ABI}")
    return lib


_library = None


def library():
    """The loaded library."""
    global _library
    if _library is None:
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libspdopt.so")
        _library = _load(os.environ.get("SPDOPT_LIBRARY", here))
    return _library


def _check(code):
    if code != 0:
        raise SpdoptError(library().spd_error().decode())


def _options(g, what):
    """The library's form of a group's options, after all of them have been checked."""
    if g["precision"] not in _PRECISIONS:
        raise ValueError(f"precision of {what} must be one of {', '.join(_PRECISIONS)}, not {g['precision']!r}")
    first, second = g["adam_betas"]
    for name, v, least, end in (("lr", g["lr"], 0, math.inf), ("weight_decay", g["weight_decay"], 0, math.inf), ("momentum", g["momentum"], 0, 1), ("beta2", g["beta2"], _LEAST, 1),
                                ("root", g["root"], _LEAST, math.inf), ("every", g["every"], 1, 1 << 31), ("damping", g["damping"], 0, math.inf), ("max_norm", g["max_norm"], 0, math.inf),
                                ("max_dim", g["max_dim"], 1, 1 << 31), ("adam_betas", first, 0, 1), ("adam_betas", second, 0, 1), ("adam_eps", g["adam_eps"], _LEAST, math.inf)):
        if not least <= v < end:
            raise ValueError(f"{name} of {what} cannot be {v}")
    # The library reads 0 as its default; the least number acts as 0.
    return _Options(_PRECISIONS[g["precision"]], g["every"], g["max_dim"], 0 if g["graphs"] else 1, g["terms"], int(g["exact"]), int(g["keep"]), 0, g["root"], g["momentum"] or _LEAST,
                    g["beta2"], g["damping"] or _LEAST, g["max_norm"], first or _LEAST, second or _LEAST, g["adam_eps"])


def _aligned(count, dtype, bytes_each, device):
    """Memory that starts at a multiple of 256 bytes, which not every allocator gives."""
    t = torch.empty(count + 256 // bytes_each, dtype=dtype, device=device)
    start = -t.data_ptr() % 256 // bytes_each
    return t[start:start + count]


def _destroy(device, handle):
    try:
        torch.cuda.synchronize(device)
    finally:
        library().spd_destroy(handle)


class _Part:
    """The library's object for parameters that take all their steps together."""

    def __init__(self, params, states, options):
        """Goes on from what states hold, one for each parameter, or starts where they are empty; afterwards they hold views of the memory in use."""
        self.params, self.states, self.options, self.device, self.steps = params, states, bytes(options), params[0].device, states[0].get("step", 0)
        shapes = (_Shape * len(params))(*[_Shape(p.shape[0], p.numel() // p.shape[0]) if p.dim() > 1 else _Shape(1, p.numel()) for p in params])
        index, lib = self.device.index or 0, library()
        _check(lib.spd_open(index))
        count, size, work = ctypes.c_int(), ctypes.c_int64(), ctypes.c_int64()
        _check(lib.spd_layout(shapes, len(params), options, None, 0, count, size))
        slots = (_Slot * count.value)()
        _check(lib.spd_layout(shapes, len(params), options, slots, count.value, count, size))
        _check(lib.spd_work_bytes(index, shapes, len(params), options, work))
        self.state, self.work = _aligned(size.value // 4, torch.float32, 4, self.device), _aligned(work.value, torch.uint8, 1, self.device)
        handle = ctypes.c_uint64()
        _check(lib.spd_create(index, shapes, len(params), options, self.state.data_ptr(), self.work.data_ptr(), handle))
        self.object, self.close = handle, weakref.finalize(self, _destroy, self.device, handle)
        self.close.atexit = False
        self.addresses = ((ctypes.c_uint64 * len(params))(), (ctypes.c_uint64 * len(params))())
        views = [(states[s.parameter], s.name.decode(), self.state[s.offset:s.offset + s.rows * s.cols].view(s.rows, s.cols)) for s in slots]
        _check(lib.spd_begin(handle, self.stream()))
        if self.steps:
            self.resume(views)
        for state, name, view in views:
            state[name] = view
        self.count()

    def resume(self, views):
        for state, name, view in views:
            if name not in state:
                raise SpdoptError(f"the saved state has no {name}")
            if state[name].shape != view.shape:
                raise SpdoptError(f"{name} of the saved state is {tuple(state[name].shape)} where {tuple(view.shape)} belongs")
        for state, name, view in views:
            view.copy_(state[name])
        _check(library().spd_resume(self.object, self.stream(), self.steps))

    def stream(self):
        return torch.cuda.current_stream(self.device).cuda_stream

    def count(self):
        for state in self.states:
            state["step"] = self.steps

    def step(self, lr, decay):
        for k, p in enumerate(self.params):
            self.addresses[0][k] = p.data_ptr()
            self.addresses[1][k] = p.grad.data_ptr()
        _check(library().spd_step(self.object, *self.addresses, len(self.params), self.stream(), lr, decay, 1.0))
        self.steps += 1
        self.count()


class Spectral(torch.optim.Optimizer):
    """The preconditioner S^(-1/root) m with S = alpha C (x) K kept as eigenbases and eigenvalues, moved by matrix products only.

    lr            learning rate
    weight_decay  parameters shrink by 1 - weight_decay * lr
    momentum      moving average of the gradient, with bias correction
    beta2         weight of a step in S
    every         steps between two updates of a matrix's factors; each step updates its share of the matrices, each of the first every steps all of them
    precision     "bf16", "tf32" or "fp32" for products; masters are float32
    The other options are those of spd_options in spdopt.h. Only lr and weight_decay may differ from step to step: with OneCycleLR and CyclicLR pass
    cycle_momentum=False.

    Parameters of a group that have had their gradients in the same steps share memory and graphs. Where some of them have none in a step, they are
    parted from the others for good, which copies their state and waits for the device once.
    A step cannot be captured in a torch.cuda.CUDAGraph: what it does differs from step to step.
    """

    def __init__(self, params, lr=3e-3, weight_decay=0.0, momentum=0.9, beta2=0.05, root=2.0, every=10, precision="bf16", damping=1e-16, max_norm=0.0,
                 terms=0, exact=False, keep=False, max_dim=8192, adam_betas=(0.9, 0.999), adam_eps=1e-8, graphs=True):
        self._part = {}
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, beta2=beta2, root=root, every=every, precision=precision,
                                      damping=damping, max_norm=max_norm, terms=terms, exact=exact, keep=keep, max_dim=max_dim, adam_betas=adam_betas, adam_eps=adam_eps, graphs=graphs))

    def __setstate__(self, state):
        super().__setstate__(state)
        self._part = {}

    def add_param_group(self, param_group):
        """Takes in parameters with options of their own, before or between steps."""
        super().add_param_group(param_group)
        try:
            _options(self.param_groups[-1], f"group {len(self.param_groups) - 1}")
        except ValueError:
            self.param_groups.pop()
            raise

    @staticmethod
    def _suit(t, what, like):
        if not t.is_cuda:
            raise ValueError(f"{what} is on {t.device}; move the model to a CUDA device before making the optimizer")
        if t.device != like.device:
            raise ValueError(f"{what} is on {t.device}, its parameter on {like.device}")
        if t.dtype != torch.float32:
            raise ValueError(f"{what} is {t.dtype}; keep parameters in float32, and use autocast for lower precision")
        if t.is_sparse:
            raise ValueError(f"{what} is sparse; make the layer with sparse=False")
        if not t.is_contiguous():
            raise ValueError(f"{what} is not contiguous; call .contiguous() on it")

    def _make(self, params, options):
        part = _Part(params, [self.state[p] for p in params], options)
        for p in params:
            self._part[p] = part
        return part

    def _parts(self, params, options):
        """The library's objects for exactly these parameters of a group."""
        found = {}
        for p in params:
            found.setdefault(self._part.get(p) or (p.device, self.state[p].get("step", 0)), []).append(p)
        parts = []
        for part, own in found.items():
            if not isinstance(part, _Part):
                parts.append(self._make(own, options))
            elif part.options != bytes(options):
                raise ValueError("only lr and weight_decay can change after the first step; make another optimizer, or pass cycle_momentum=False to the scheduler")
            elif len(own) == len(part.params):
                parts.append(part)
            else:
                here = set(own)
                self._make([p for p in part.params if p not in here], options)
                parts.append(self._make(own, options))
                part.close()
        return parts

    def step(self, closure=None):
        """Enqueues one step on the current stream. Gradients and options that do not fit are refused before any parameter changes."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._move()
        return loss

    @_uncompiled
    def _move(self):
        if torch.cuda.is_current_stream_capturing():
            raise SpdoptError("a step cannot be captured in a CUDA graph; capture the gradient alone, and call step after each replay")
        todo = []
        for index, g in enumerate(self.param_groups):
            options, present = _options(g, f"group {index}"), []
            for k, p in enumerate(g["params"]):
                if p.grad is not None and p.numel() > 0:
                    self._suit(p, f"parameter {k} of group {index}", p)
                    self._suit(p.grad, f"the gradient of parameter {k} of group {index}", p)
                    present.append(p)
            todo.append((g, options, present))
        for part, g in [(part, g) for g, options, present in todo for part in self._parts(present, options)]:
            part.step(float(g["lr"]), float(g["weight_decay"]))

    def load_state_dict(self, state_dict):
        """Takes over what state_dict gave, for parameters of the same shapes."""
        self.close()
        super().load_state_dict(state_dict)
        for index, g in enumerate(self.param_groups):
            self._parts([p for p in g["params"] if self.state[p]], _options(g, f"group {index}"))

    def close(self):
        """Waits for the device and gives the library's objects back. A later step makes them again."""
        for part in set(self._part.values()):
            part.close()
        self._part.clear()
