"""Times the preconditioner on all matrices of GPT-2 small against PyTorch's fused AdamW, Muon's Newton-Schulz iteration and refreshes by eigh and QR as
Shampoo and SOAP make them, all on one machine in one run, and trains a small transformer with each. bench/gpu/run.sh calls it.

With EMULATE=1 everything is tiny and runs on the emulated driver with PyTorch for the processor (python/cpu_torch.py): a test of this file, whose
times mean nothing.
"""

import argparse
import json
import os
import sys
import time
import traceback

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "python"))
EMULATED = bool(os.environ.get("EMULATE"))
if EMULATED:
    import cpu_torch

    cpu_torch.install()

import rivals  # noqa: E402
import transformer  # noqa: E402
from spdopt_torch import Spectral  # noqa: E402

DEVICE = torch.device("cpu" if EMULATED else "cuda")


def shapes_of(d):
    """The matrices of a layer of GPT-2 of width d."""
    return [(3 * d, d), (d, d), (4 * d, d), (d, 4 * d)]


if EMULATED:
    SHAPES, WIDTH, COPIES, WARM, REPEATS = shapes_of(8) * 2, 32, 1 << 12, 2, 2
    MODEL, BATCH = {"d": 8, "layers": 1, "heads": 2, "length": 8}, 4
else:
    SHAPES, WIDTH, COPIES, WARM, REPEATS = shapes_of(768) * 12, 3072, 1 << 28, 12, 20  # 48 matrices, 85 M parameters
    MODEL, BATCH = {"d": 384, "layers": 6, "heads": 6, "length": 256}, 64


def allocated():
    return 0 if EMULATED else torch.cuda.memory_allocated()


def release():
    if not EMULATED:
        torch.cuda.empty_cache()


def once(f):
    """The time of a call in milliseconds."""
    if EMULATED:
        start = time.perf_counter()
        f()
        return 1e3 * (time.perf_counter() - start)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    f()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def timed(f, repeats=REPEATS, warm=WARM, least=3, most_ms=2000):
    """The median, the mean, the least and the largest time of a call in milliseconds. Of calls that take long there are fewer, but not below least."""
    early = [once(f) for _ in range(min(2, warm))]  # the first makes what is made once
    affordable = int(most_ms / early[-1])
    for _ in range(min(warm - 2, affordable)):
        f()
    times = sorted(once(f) for _ in range(min(repeats, max(least, affordable))))
    return {"median_ms": times[len(times) // 2], "mean_ms": sum(times) / len(times), "least_ms": times[0], "most_ms": times[-1]}


def normal(*shape):
    return torch.randn(shape, device=DEVICE)


def parameters(seed=0):
    torch.manual_seed(seed)
    params = [torch.nn.Parameter(normal(*s) * 0.02) for s in SHAPES]
    for p in params:
        p.grad = normal(*p.shape)
    return params


def refresh(kind):
    """What one refresh of all bases costs, as Shampoo (eigh) and SOAP (QR of L Q) make it."""
    counts = {}
    for shape in SHAPES:
        for n in shape:
            counts[n] = counts.get(n, 0) + 1
    factors = []
    for n, count in counts.items():
        a = normal(count, n, n)
        factors.append((a @ a.mT / n, torch.eye(n, device=DEVICE)))

    def run():
        for a, q in factors:
            for i in range(len(a)):
                torch.linalg.eigh(a[i]) if kind == "eigh" else torch.linalg.qr(a[i] @ q)
    return timed(run, repeats=2, warm=1)


def floors():
    """What the machine gives: products in each precision and copies."""
    result = {}
    a, b = normal(12, WIDTH, WIDTH), normal(12, WIDTH, WIDTH)
    for name, cast, precision in (("bf16", torch.bfloat16, "highest"), ("tf32", torch.float32, "high"), ("fp32", torch.float32, "highest")):
        torch.set_float32_matmul_precision(precision)
        x, y = a.to(cast), b.to(cast)
        t = timed(lambda: torch.bmm(x, y), repeats=5, warm=2)["least_ms"]
        result[name + "_tflops"] = 12 * 2 * WIDTH**3 / t / 1e9
    x = torch.empty(COPIES, device=DEVICE)
    y = torch.empty_like(x)
    result["copy_gb_per_s"] = 2 * x.numel() * 4 / timed(lambda: y.copy_(x), repeats=5, warm=2)["least_ms"] / 1e6
    torch.set_float32_matmul_precision("high")  # of the rivals
    return result


def measured(results, name, t):
    """Keeps times under a name, and prints them at once: what comes later may fail."""
    results[name] = t
    shares = f"; {t['share_of_arithmetic']:.0%} of the arithmetic, {t['share_of_memory']:.0%} of the memory floor" if "tflop" in t else ""
    memory = f"; {t['memory_gb']:.2f} GB" if "memory_gb" in t and not EMULATED else ""
    print(f"{name:40s} {t['median_ms']:9.3f} ms  (mean {t['mean_ms']:.3f}, least {t['least_ms']:.3f}, most {t['most_ms']:.3f}{shares}{memory})")


TERMS = 4  # factors of the truncated Cayley map, the default: it takes 2 TERMS - 2 products


def flops(every):
    """Arithmetic of a step in TFLOP: application, and rotation, statistics and the turn of the factors of a share of the matrices: the products of the
    truncated map, one for the target and one for the basis."""
    apply = sum(4 * m * n * (m + n) for m, n in SHAPES)
    update = sum(4 * m * n * (m + n) + 2 * (2 * TERMS) * (m**3 + n**3) for m, n in SHAPES)
    return (apply + (update / every if every else 0)) / 1e12


def traffic(every, precision):
    """The least bytes of a step in GB: gradient, momentum and parameters read, momentum and parameters written, bases read; of an update bases, their
    copies and eigenvalues read and written."""
    wide = 2 if precision == "bf16" else 4
    apply = sum(5 * 4 * m * n + wide * (m * m + n * n) for m, n in SHAPES)
    update = sum((2 * 4 + wide) * (m * m + n * n) for m, n in SHAPES)
    return (apply + (update / every if every else 0)) / 1e9


def begun(every, precision):
    """An optimizer whose first interval is over, in which every step updates all matrices."""
    o = Spectral(parameters(), every=every, precision=precision)
    o.step()
    saved = o.state_dict()
    for state in saved["state"].values():
        state["step"] = every
    o.load_state_dict(saved)
    return o


def spectral_times(machine, results):
    """Step times in each precision and interval, with their shares of the floors and the memory of the optimizer."""
    for precision in ("bf16", "tf32", "fp32"):
        for name, every in (("apply only", 1 << 20), ("update every 10", 10), ("update every step", 1)):
            before = allocated()
            o = begun(every, precision)
            t = timed(o.step)
            interval = 0 if every > 1000 else every
            work, moved = flops(interval), traffic(interval, precision)
            own = sum(2 * 4 * m * n for m, n in SHAPES)  # parameters and gradients
            t.update(share_of_memory=moved / machine["copy_gb_per_s"] * 1e3 / t["median_ms"], memory_gb=(allocated() - before - own) / 1e9, tflop=work,
                     share_of_arithmetic=work / machine[precision + "_tflops"] * 1e3 / t["median_ms"])
            measured(results, f"spectral {precision}, {name}", t)
            o.close()
            del o
            release()


def profiled():
    """Prints the kernels that the device spends most time in, of steps in bf16."""
    from torch.profiler import ProfilerActivity, profile

    steps, result = 10, {}
    for every in (10, 1):
        o = begun(every, "bf16")
        for _ in range(WARM):
            o.step()
        torch.cuda.synchronize()
        with profile(activities=[ProfilerActivity.CUDA]) as record:
            for _ in range(steps):
                o.step()
            torch.cuda.synchronize()
        rows = sorted(((r.device_time_total / 1e3 / steps, r.count / steps, r.key) for r in record.key_averages()), reverse=True)
        print(f"kernels of a step in bf16, update every {every}: {sum(r[0] for r in rows):.3f} ms")
        for ms, count, name in rows[:24]:
            print(f"{ms:9.4f} ms {count:6.1f} x {name[:90]}")
        result[f"update every {every}"] = rows
        o.close()
    return result


def rival_times(results):
    """Step times of the others, float32 products in tf32."""
    params = parameters()
    adamw, fused = rivals.adamw(params, lr=1e-3)
    measured(results, "AdamW fused" if fused else "AdamW", timed(adamw.step))
    measured(results, "Muon", timed(rivals.Muon(params, lr=1e-3).step))
    if hasattr(torch.optim, "Muon"):
        measured(results, "torch.optim.Muon", timed(torch.optim.Muon(params, lr=1e-3, adjust_lr_fn="match_rms_adamw").step))
    before = allocated()
    soap = rivals.SOAP(params, lr=1e-3)
    measured(results, "SOAP, QR every 10", {**timed(soap.step, repeats=min(10, REPEATS), warm=2), "memory_gb": (allocated() - before) / 1e9})
    del soap, params, adamw
    release()
    shapes = {}
    for p in parameters():
        shapes.setdefault(tuple(p.shape), []).append(p.grad)
    stacks = [torch.stack(g) for g in shapes.values()]
    measured(results, "Newton-Schulz of Muon", timed(lambda: [rivals.newton_schulz(s) for s in stacks]))
    if hasattr(torch, "compile"):
        compiled = torch.compile(rivals.newton_schulz, **({"backend": "eager"} if EMULATED else {}))
        try:
            measured(results, "Newton-Schulz, torch.compile", timed(lambda: [compiled(s) for s in stacks]))
        except Exception as e:  # no Triton, no compiler
            print(f"torch.compile does not work here: {str(e).strip().splitlines()[0]}")
    for kind in ("eigh", "QR"):
        measured(results, f"refresh of all bases by {kind}", refresh(kind))


def judge(results):
    """Whether the goals are met, by the times of the others."""
    spectral = results["spectral bf16, update every 10"]
    own, ns = spectral["median_ms"], min(t["median_ms"] for name, t in results.items() if name.startswith("Newton-Schulz"))
    goals = {
        "update every 10 below 4 ms (H200)": own < 4,
        "update every 10 below 2.2 times Muon's Newton-Schulz": own < 2.2 * ns,
        "memory at most that of SOAP (two moments, two bases, two second moments of a matrix)":
            spectral["memory_gb"] <= sum(4 * (2 * m * n + 2 * m * m + 2 * n * n) for m, n in SHAPES) / 1e9,
        "20 times cheaper than eigh at interval 10": 20 * own < results["refresh of all bases by eigh"]["median_ms"] / 10,
    }
    for name, met in goals.items():
        print(f"{'goal' if EMULATED else 'met' if met else 'MISSED':8s} {name}")
    return goals


def train(text, steps):
    with open(text, encoding="utf-8") as f:
        race = transformer.Race(f.read(), DEVICE, MODEL, BATCH, torch.cuda.synchronize)
    results = transformer.training(race, steps)
    transformer.report(results)
    return results


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", default=".")
    a.add_argument("--text", help="text to train on; without it, there is no training")
    a.add_argument("--steps", type=int, default=1000)
    o = a.parse_args()
    if EMULATED:
        print("EMULATED, at tiny sizes: the times mean nothing, and goals are not judged")
    print(f"PyTorch {torch.__version__}, {DEVICE if EMULATED else torch.cuda.get_device_name()}")
    machine, steps, good = floors(), {}, True
    print("; ".join(f"{name} {v:.4g}" for name, v in machine.items()))
    result = {"emulated": EMULATED, "torch": torch.__version__, "machine": machine, "steps": steps}
    parts = {"spectral": lambda: spectral_times(machine, steps), "rivals": lambda: rival_times(steps), "goals": lambda: judge(steps)}
    if not EMULATED:
        parts["profile"] = profiled
    if o.text:
        parts["training"] = lambda: train(o.text, o.steps)
    for name, part in parts.items():  # one that fails does not hide the others
        try:
            if (found := part()) is not None:
                result[name] = found
        except Exception:
            good = False
            traceback.print_exc(file=sys.stdout)
        with open(os.path.join(o.out, "compare.json"), "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
