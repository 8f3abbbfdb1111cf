"""Step times of Muon and of eigenvalue-corrected Shampoo in torch on one core, for comparison with `go test -bench Step ./nnopt`.

    OMP_NUM_THREADS=1 python3 bench_optim.py [ROWS COLS]...

The steps do what the Go ones do, in float32 with preallocated arrays where torch allows it; numbers are the least processor time of three batches.
"""
import sys
import time

import torch

torch.set_num_threads(1)
torch.manual_seed(1)


def measure(step, count):
    step()
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in range(count):
            step()
        least = min(least, (time.process_time() - start) / count)
    return 1e3 * least


def muon(m, n):
    g, buf = torch.randn(m, n), torch.zeros(m, n)

    def step():
        buf.lerp_(g, 0.05)
        x = buf / buf.norm()
        if m > n:
            x = x.T
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.775 * a + 2.0315 * (a @ a)) @ x

    return step


def eshampoo(m, n, interval):
    left, right = torch.zeros(m, m), torch.zeros(n, n)
    state = {"q": torch.eye(m), "p": torch.eye(n), "t": 0}
    g, mean, second = torch.randn(m, n), torch.zeros(m, n), torch.zeros(m, n)

    def step():
        left.mul_(0.95).addmm_(g, g.T, alpha=0.05)
        right.mul_(0.95).addmm_(g.T, g, alpha=0.05)
        state["t"] += 1
        if state["t"] % interval == 0:
            state["q"] = torch.linalg.eigh(left)[1]
            state["p"] = torch.linalg.eigh(right)[1]
        q, p = state["q"], state["p"]
        r = q.T @ g @ p
        second.mul_(0.95).addcmul_(r, r, value=0.05)
        mean.lerp_(g, 0.1)
        return q @ ((q.T @ mean @ p) / (second.sqrt() + 1e-8)) @ p.T

    return step


def main():
    sizes = [int(v) for v in sys.argv[1:]] or [256, 256, 768, 768]
    print("| shape | muon | eshampoo (eigh), every step | one product |\n|---|--:|--:|--:|")
    for m, n in zip(sizes[::2], sizes[1::2]):
        a, b = torch.randn(m, m), torch.randn(m, n)
        print(f"| {m} x {n} | {measure(muon(m, n), 3):.1f} | {measure(eshampoo(m, n, 1), 1):.1f} | {measure(lambda: a @ b, 5):.2f} |", flush=True)


main()
