"""Times the preconditioner on all matrices of GPT-2 small against PyTorch's fused AdamW, Muon's Newton-Schulz iteration and refreshes by eigh and QR as
Shampoo and SOAP make them, all on one machine in one run, and trains a small transformer with each. bench/gpu/run.sh calls it.

Never yet run on a GPU: it was written without one.
"""

import argparse
import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
from spdopt_torch import Spectral  # noqa: E402

SHAPES = [(2304, 768), (768, 768), (3072, 768), (768, 3072)] * 12  # 48 matrices, 85 M parameters


def timed(f, repeats=20, warm=12):
    """The median, the mean, the least and the largest time of a call in milliseconds."""
    for _ in range(warm):
        f()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        f()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    times.sort()
    return {"median_ms": times[len(times) // 2], "mean_ms": sum(times) / len(times), "least_ms": times[0], "most_ms": times[-1]}


def parameters(seed=0):
    g = torch.Generator(device="cuda").manual_seed(seed)
    params = [torch.nn.Parameter(torch.randn(s, device="cuda", generator=g) * 0.02) for s in SHAPES]
    for p in params:
        p.grad = torch.randn(p.shape, device="cuda", generator=g)
    return params


def newton_schulz(m, steps=5):
    """Muon's iteration, in bfloat16, on a batch of matrices."""
    x = m.bfloat16()
    wide = x.shape[-2] <= x.shape[-1]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum and newton_schulz for matrices, scaled to the length of AdamW's steps; matrices of one shape together."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            shapes = {}
            for p in g["params"]:
                shapes.setdefault(tuple(p.shape), []).append(p)
            for shape, params in shapes.items():
                for p in params:
                    s = self.state[p]
                    if "m" not in s:
                        s["m"] = torch.zeros_like(p)
                    s["m"].lerp_(p.grad, 1 - g["momentum"])
                x = newton_schulz(torch.stack([self.state[p]["m"] for p in params]))
                for p, d in zip(params, x):
                    p.add_(d.to(p.dtype), alpha=-g["lr"] * 0.2 * math.sqrt(max(shape)))


class SOAP(torch.optim.Optimizer):
    """Adam in eigenbases of the second moments along both sides of a matrix (Vyas et al., arXiv:2409.11321), which a QR iteration brings up to date every so
    many steps; without the reordering of the published code."""

    def __init__(self, params, lr, betas=(0.95, 0.95), eps=1e-8, weight_decay=0.0, every=10):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, every=every))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                self.move(p, self.state[p], g)

    def move(self, p, s, g):
        first, second = g["betas"]
        sides = (p.grad @ p.grad.mT, p.grad.mT @ p.grad)
        if not s:
            s.update(steps=0, m=torch.zeros_like(p), v=torch.zeros_like(p), sides=[(1 - second) * x for x in sides])
            s["bases"] = [torch.linalg.eigh(x).eigenvectors for x in s["sides"]]
            return  # the first gradient makes the bases alone
        s["steps"] += 1
        left, right = s["bases"]
        s["m"].lerp_(p.grad, 1 - first)
        s["v"].lerp_((left.mT @ p.grad @ right).square(), 1 - second)
        direction = left @ (left.mT @ s["m"] @ right / (s["v"].sqrt() + g["eps"])) @ right.mT
        p.mul_(1 - g["lr"] * g["weight_decay"])
        p.add_(direction, alpha=-g["lr"] * math.sqrt(1 - second ** s["steps"]) / (1 - first ** s["steps"]))
        for x, new in zip(s["sides"], sides):
            x.lerp_(new, 1 - second)
        if s["steps"] % g["every"] == 0:
            s["bases"] = [torch.linalg.qr(x @ q).Q for x, q in zip(s["sides"], s["bases"])]


def refresh(kind):
    """What one refresh of all bases costs, as Shampoo (eigh) and SOAP (QR of L Q) make it."""
    factors = []
    for n, count in ((768, 60), (2304, 12), (3072, 24)):
        a = torch.randn(count, n, n, device="cuda")
        factors.append((a @ a.mT / n, torch.linalg.qr(torch.randn(count, n, n, device="cuda")).Q))

    def run():
        for a, q in factors:
            for i in range(len(a)):
                torch.linalg.eigh(a[i]) if kind == "eigh" else torch.linalg.qr(a[i] @ q[i])
    return timed(run, repeats=2, warm=1)


def floors():
    """What the machine gives: products in each precision and copies."""
    result = {}
    a, b = torch.randn(12, 3072, 3072, device="cuda"), torch.randn(12, 3072, 3072, device="cuda")
    for name, cast, tf32 in (("bf16", torch.bfloat16, False), ("tf32", torch.float32, True), ("fp32", torch.float32, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        x, y = a.to(cast), b.to(cast)
        t = timed(lambda: torch.bmm(x, y), repeats=5, warm=2)["least_ms"]
        result[name + "_tflops"] = 12 * 2 * 3072**3 / t / 1e9
    x = torch.empty(1 << 28, device="cuda")
    y = torch.empty_like(x)
    result["copy_gb_per_s"] = 2 * x.numel() * 4 / timed(lambda: y.copy_(x), repeats=5, warm=2)["least_ms"] / 1e6
    return result


TERMS = 4  # factors of the truncated Cayley map, the default


def flops(every):
    """Arithmetic of a step in TFLOP: application, and rotation, statistics and the turn of the factors of a share of the matrices: the truncated map takes
    2 TERMS - 1 products, the target and the basis one each."""
    apply = sum(4 * m * n * (m + n) for m, n in SHAPES)
    update = sum(4 * m * n * (m + n) + 2 * (2 * TERMS + 1) * (m**3 + n**3) for m, n in SHAPES)
    return (apply + (update / every if every else 0)) / 1e12


def traffic(every, precision):
    """The least bytes of a step in GB: gradient, momentum and parameters read, momentum and parameters written, bases read; of an update bases, their
    copies and eigenvalues read and written."""
    wide = 2 if precision == "bf16" else 4
    apply = sum(5 * 4 * m * n + wide * (m * m + n * n) for m, n in SHAPES)
    update = sum((2 * 4 + wide) * (m * m + n * n) for m, n in SHAPES)
    return (apply + (update / every if every else 0)) / 1e9


def step_times():
    results = {}
    machine = floors()
    for precision in ("bf16", "tf32", "fp32"):
        for name, every in (("apply only", 1 << 20), ("update every 10", 10), ("update every step", 1)):
            params = parameters()
            before = torch.cuda.memory_allocated()
            o = Spectral(params, every=every, precision=precision)
            t = timed(o.step)
            interval = 0 if every > 1000 else every
            work, moved = flops(interval), traffic(interval, precision)
            t.update(share_of_memory=moved / machine["copy_gb_per_s"] * 1e3 / t["median_ms"], memory_gb=(torch.cuda.memory_allocated() - before) / 1e9, tflop=work, share_of_arithmetic=work / machine[precision + "_tflops"] * 1e3 / t["median_ms"])
            results[f"spectral {precision}, {name}"] = t
            o.close()
            del o, params
            torch.cuda.empty_cache()
    params = parameters()
    results["AdamW fused"] = timed(torch.optim.AdamW(params, lr=1e-3, fused=True).step)
    results["Muon"] = timed(Muon(params, lr=1e-3).step)
    results["SOAP, QR every 10"] = timed(SOAP(params, lr=1e-3).step, repeats=10, warm=2)
    del params
    torch.cuda.empty_cache()
    params = parameters()
    shapes = {}
    for p in params:
        shapes.setdefault(tuple(p.shape), []).append(p.grad)
    stacks = [torch.stack(g) for g in shapes.values()]
    results["Newton-Schulz of Muon"] = timed(lambda: [newton_schulz(s) for s in stacks])
    for kind in ("eigh", "QR"):
        results[f"refresh of all bases by {kind}"] = refresh(kind)
    own, ns = results["spectral bf16, update every 10"]["median_ms"], results["Newton-Schulz of Muon"]["median_ms"]
    goals = {
        "update every 10 below 4 ms (H200)": own < 4,
        "update every 10 below 2.2 times Muon's Newton-Schulz": own < 2.2 * ns,
        "memory at most that of SOAP (two moments, two bases, two second moments of a matrix)":
            results["spectral bf16, update every 10"]["memory_gb"] <= sum(4 * (2 * m * n + 2 * m * m + 2 * n * n) for m, n in SHAPES) / 1e9,
        "20 times cheaper than eigh at interval 10": 20 * own < results["refresh of all bases by eigh"]["median_ms"] / 10,
    }
    return {"machine": machine, "steps": results, "goals": goals}


class Block(torch.nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.n1, self.n2, self.heads = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d), heads
        self.qkv, self.out = torch.nn.Linear(d, 3 * d), torch.nn.Linear(d, d)
        self.up, self.down = torch.nn.Linear(d, 4 * d), torch.nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, d // self.heads).transpose(1, 2) for y in self.qkv(self.n1(x)).split(d, 2))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Model(torch.nn.Module):
    def __init__(self, tokens, d=384, layers=6, heads=6, length=256):
        super().__init__()
        self.token, self.place = torch.nn.Embedding(tokens, d), torch.nn.Parameter(torch.randn(length, d) * 0.02)
        self.blocks, self.norm = torch.nn.Sequential(*[Block(d, heads) for _ in range(layers)]), torch.nn.LayerNorm(d)
        self.head = torch.nn.Linear(d, tokens, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.token(x) + self.place[: x.shape[1]])))


class Several:
    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def step(self):
        for o in self.optimizers:
            o.step()


def train(make, data, tokens, steps, seed=0):
    """The loss by step and by second of wall time."""
    torch.manual_seed(seed)
    model = Model(tokens).cuda()
    optimizer, curve = make(model), []
    torch.cuda.synchronize()
    began = time.time()
    for step in range(steps):
        batch = data[torch.randint(0, len(data) - 257, (64, 1), device="cuda") + torch.arange(257, device="cuda")]
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1).float(), batch[:, 1:].flatten())
        for p in model.parameters():
            p.grad = None
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            curve.append((step, time.time() - began, loss.item()))
    return curve


def training(text, steps):
    kinds = sorted(set(text))
    data = torch.tensor([kinds.index(c) for c in text], device="cuda")

    def split(model):
        matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "blocks" in n]
        return matrices, [p for p in model.parameters() if not any(p is m for m in matrices)]

    def muon(model):
        matrices, rest = split(model)
        return Several(Muon(matrices, lr=2e-3), torch.optim.AdamW(rest, lr=1e-3, fused=True))

    def spectral(model):
        matrices, rest = split(model)
        return Several(Spectral(matrices, lr=2e-3, weight_decay=0.1), torch.optim.AdamW(rest, lr=1e-3, fused=True))

    def soap(model):
        matrices, rest = split(model)
        return Several(SOAP(matrices, lr=2e-3, weight_decay=0.1), torch.optim.AdamW(rest, lr=1e-3, fused=True))

    makers = {"AdamW": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=0.1, fused=True), "Muon": muon, "SOAP": soap, "Spectral": spectral}
    return {name: train(make, data, len(kinds), steps) for name, make in makers.items()}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--out", default=".")
    a.add_argument("--text", help="text to train on; without it, there is no training")
    a.add_argument("--steps", type=int, default=1000)
    o = a.parse_args()
    result = step_times()
    for name, t in result["steps"].items():
        shares = f"; {t['share_of_arithmetic']:.0%} of the arithmetic, {t['share_of_memory']:.0%} of the memory floor" if "tflop" in t else ""
        print(f"{name:40s} {t['median_ms']:9.3f} ms  (mean {t['mean_ms']:.3f}, least {t['least_ms']:.3f}, most {t['most_ms']:.3f}{shares})")
    for name, met in result["goals"].items():
        print(f"{'met' if met else 'MISSED':8s} {name}")
    if o.text:
        with open(o.text, encoding="utf-8") as f:
            result["training"] = training(f.read(), o.steps)
        shortest = min(curve[-1][1] for curve in result["training"].values())
        for name, curve in result["training"].items():
            then = [point for point in curve if point[1] <= shortest][-1]
            print(f"{name:10s} loss {curve[-1][2]:.4f} after {curve[-1][0] + 1} steps, {curve[-1][1]:.1f} s; {then[2]:.4f} after {shortest:.1f} s")
    with open(os.path.join(o.out, "compare.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)


if __name__ == "__main__":
    main()
