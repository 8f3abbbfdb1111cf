"""The spectral preconditioner of spdopt as a PyTorch optimizer: one file, ctypes, no compilation.

    go build -tags cuda -buildmode=c-shared -o libspdopt.so ./cuda/cshared

    from spdopt_torch import Spectral
    optimizer = Spectral(model.parameters(), lr=3e-3, weight_decay=0.1)

Parameters and gradients are contiguous float32 CUDA tensors; the library works on them in place, on the current stream, without copies and without
waiting. Matrices get a Kronecker-factored preconditioner, everything else takes AdamW steps. state_dict and load_state_dict work as usual.

SPDOPT_LIBRARY names the library; the default is libspdopt.so beside this file. cuda/cshared/spdopt.h documents the interface underneath.
Never yet run on a GPU: it was tested on an emulated driver, without PyTorch's own CUDA memory.
"""

import ctypes
import os
import signal

import torch

_ABI = 2
_PRECISIONS = {"bf16": 0, "tf32": 1, "fp32": 2}


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


class _Group:
    """The library's object for the parameters of one group."""

    def __init__(self, params, options):
        self.params, self.device = params, params[0].device
        shapes = (_Shape * len(params))(*[_Shape(p.shape[0], p.numel() // p.shape[0]) if p.dim() > 1 else _Shape(1, p.numel()) for p in params])
        index, lib = self.device.index or 0, library()
        _check(lib.spd_open(index))
        count, size, work = ctypes.c_int(), ctypes.c_int64(), ctypes.c_int64()
        _check(lib.spd_layout(shapes, len(params), options, None, 0, count, size))
        self.slots = (_Slot * count.value)()
        _check(lib.spd_layout(shapes, len(params), options, self.slots, count.value, count, size))
        _check(lib.spd_work_bytes(index, shapes, len(params), options, work))
        self.state = torch.zeros(size.value // 4, dtype=torch.float32, device=self.device)
        self.work = torch.empty(work.value, dtype=torch.uint8, device=self.device)
        self.object = ctypes.c_uint64()
        _check(lib.spd_create(index, shapes, len(params), options, self.state.data_ptr(), self.work.data_ptr(), self.object))
        self.addresses = ((ctypes.c_uint64 * len(params))(), (ctypes.c_uint64 * len(params))())
        _check(lib.spd_begin(self.object, self.stream()))

    def stream(self):
        return torch.cuda.current_stream(self.device).cuda_stream

    def views(self):
        """The arrays of the state, as (parameter, name, tensor)."""
        for s in self.slots:
            yield self.params[s.parameter], s.name.decode(), self.state[s.offset:s.offset + s.rows * s.cols].view(s.rows, s.cols)

    def step(self, lr, decay, scale):
        for k, p in enumerate(self.params):
            self.addresses[0][k] = p.data_ptr()
            self.addresses[1][k] = p.grad.data_ptr()
        _check(library().spd_step(self.object, *self.addresses, len(self.params), self.stream(), lr, decay, scale))

    def close(self):
        if self.object.value:
            torch.cuda.synchronize(self.device)
            library().spd_destroy(self.object)
            self.object.value = 0


class Spectral(torch.optim.Optimizer):
    """The preconditioner S^(-1/root) m with S = alpha C (x) K kept as eigenbases and eigenvalues, moved by matrix products only.

    lr            learning rate
    weight_decay  parameters shrink by 1 - weight_decay * lr
    momentum      moving average of the gradient, with bias correction
    beta2         weight of a step in S
    every         steps between two updates of a matrix's factors; each step updates its share of the matrices
    precision     "bf16", "tf32" or "fp32" for products; masters are float32
    The other options are those of spd_options in spdopt.h. Only lr and weight_decay may differ from step to step.
    """

    def __init__(self, params, lr=3e-3, weight_decay=0.0, momentum=0.9, beta2=0.05, root=2.0, every=10, precision="bf16", damping=1e-16, max_norm=0.0,
                 terms=0, exact=False, keep=False, max_dim=8192, adam_betas=(0.9, 0.999), adam_eps=1e-8, graphs=True):
        if precision not in _PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(_PRECISIONS)}, not {precision!r}")
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, beta2=beta2, root=root, every=every, precision=precision,
                                      damping=damping, max_norm=max_norm, terms=terms, exact=exact, keep=keep, max_dim=max_dim, adam_betas=adam_betas, adam_eps=adam_eps, graphs=graphs, steps=0))
        self._groups = {}

    def _group(self, index):
        if index not in self._groups:
            g = self.param_groups[index]
            for k, p in enumerate(g["params"]):
                self._suit(p, f"parameter {k} of group {index}", g["params"][0])
            options = _Options(_PRECISIONS[g["precision"]], g["every"], g["max_dim"], 0 if g["graphs"] else 1, g["terms"], int(g["exact"]), int(g["keep"]), 0, g["root"], g["momentum"], g["beta2"],
                               g["damping"], g["max_norm"], *g["adam_betas"], g["adam_eps"])
            self._groups[index] = _Group(g["params"], options)
            for p, name, view in self._groups[index].views():
                self.state[p][name] = view
        return self._groups[index]

    @staticmethod
    def _suit(t, what, like):
        if not t.is_cuda:
            raise ValueError(f"{what} is on {t.device}; move the model to a CUDA device before making the optimizer")
        if t.device != like.device:
            raise ValueError(f"{what} is on {t.device}, others of its group on {like.device}; use a group for each device")
        if t.dtype != torch.float32:
            raise ValueError(f"{what} is {t.dtype}; keep parameters in float32, and use autocast for lower precision")
        if t.is_sparse or not t.is_contiguous():
            raise ValueError(f"{what} is not contiguous; call .contiguous() on it")

    def step(self, closure=None):
        """Enqueues one step on the current stream. Gradients and options that do not fit are refused before any parameter changes."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for index, g in enumerate(self.param_groups):
            for k, p in enumerate(g["params"]):
                if p.grad is None:
                    raise ValueError(f"parameter {k} of group {index} has no gradient; leave it out of the optimizer, or give it one of zeros")
                self._suit(p.grad, f"the gradient of parameter {k} of group {index}", p)
            self._group(index)
        for index, g in enumerate(self.param_groups):
            self._group(index).step(float(g["lr"]), float(g["weight_decay"]), 1.0)
            g["steps"] += 1
        return loss

    def load_state_dict(self, state_dict):
        """Takes over what state_dict gave, for parameters of the same shapes."""
        for index in range(len(self.param_groups)):
            self._group(index)
        super().load_state_dict(state_dict)
        for index, g in enumerate(self.param_groups):
            group = self._groups[index]
            group.params = g["params"]
            for p, name, view in group.views():
                saved = self.state[p].get(name)
                if saved is None:
                    if g["steps"]:
                        raise SpdoptError(f"the saved state has no {name}")
                    continue
                view.copy_(saved)
                self.state[p][name] = view
            _check(library().spd_resume(group.object, group.stream(), g["steps"]))

    def close(self):
        """Waits for the device and gives the library's objects back."""
        for group in self._groups.values():
            group.close()
        self._groups.clear()
