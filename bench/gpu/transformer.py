"""Trains a small transformer on letters with each optimizer, for equal steps and equal time. compare.py calls it."""

import time

import torch
import torch.nn.functional as F

import rivals
from spdopt_torch import Spectral


def attention(q, k, v):
    """Causal attention; PyTorch 1 has no function for it."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), float("-inf")).softmax(-1) @ v


class Block(torch.nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.n1, self.n2, self.heads = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d), heads
        self.qkv, self.out = torch.nn.Linear(d, 3 * d), torch.nn.Linear(d, d)
        self.up, self.down = torch.nn.Linear(d, 4 * d), torch.nn.Linear(4 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, d // self.heads).transpose(1, 2) for y in self.qkv(self.n1(x)).split(d, 2))
        x = x + self.out(attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Model(torch.nn.Module):
    def __init__(self, letters, d, layers, heads, length):
        super().__init__()
        self.letter, self.place = torch.nn.Embedding(letters, d), torch.nn.Parameter(torch.randn(length, d) * 0.02)
        self.blocks, self.norm = torch.nn.Sequential(*[Block(d, heads) for _ in range(layers)]), torch.nn.LayerNorm(d)
        self.head = torch.nn.Linear(d, letters, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.letter(x) + self.place[: x.shape[1]])))

    def split(self):
        """The matrices of the blocks, and everything else."""
        matrices = [p for name, p in self.named_parameters() if p.dim() == 2 and name.startswith("blocks.")]
        own = set(matrices)
        return matrices, [p for p in self.parameters() if p not in own]


class Several:
    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def step(self):
        for o in self.optimizers:
            o.step()


DECAY = 0.1


def mixed(make):
    """An optimizer of the blocks' matrices, with AdamW for everything else."""
    def both(model, factor):
        matrices, rest = model.split()
        return Several(make(matrices, factor), rivals.adamw(rest, lr=1e-3)[0])
    return both


# By name: what makes the optimizer for a model, given a factor on the learning rate.
MAKERS = {
    "AdamW": lambda model, factor: rivals.adamw(model.parameters(), lr=1e-3 * factor, weight_decay=DECAY)[0],
    "Muon": mixed(lambda matrices, factor: rivals.Muon(matrices, lr=2e-3 * factor, weight_decay=DECAY)),
    "SOAP": mixed(lambda matrices, factor: rivals.SOAP(matrices, lr=2e-3 * factor, weight_decay=DECAY)),
    "Spectral": mixed(lambda matrices, factor: Spectral(matrices, lr=2e-3 * factor, weight_decay=DECAY)),
}
FACTORS = (0.5, 1, 2, 4)
LEAST, MOST = 1 / 64, 256  # beyond these a best factor is taken as it is


class Race:
    """The text, nine tenths for training, and the sizes of the model."""

    def __init__(self, text, device, sizes, batch, synchronize):
        number = {c: i for i, c in enumerate(sorted(set(text)))}
        data = torch.tensor([number[c] for c in text], device=device)
        cut = len(data) * 9 // 10
        self.letters, self.device, self.sizes, self.batch, self.synchronize = len(number), device, sizes, batch, synchronize
        self.data, self.held = data[:cut], data[cut:]

    def loss(self, model, data):
        length = self.sizes["length"]
        rows = data[torch.randint(0, len(data) - length, (self.batch, 1), device=self.device) + torch.arange(length + 1, device=self.device)]
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = model(rows[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())

    @torch.no_grad()
    def held_out(self, model, batches=16):
        torch.manual_seed(12345)
        return sum(self.loss(model, self.held).item() for _ in range(batches)) / batches

    def run(self, name, factor, steps, seed=0):
        """The losses on the text of training by step and second, each the mean since the one before, and the loss on the rest of the text at the end."""
        torch.manual_seed(seed)
        model = Model(self.letters, **self.sizes).to(self.device)
        optimizer, curve, sums = MAKERS[name](model, factor), [], torch.zeros((), device=self.device)
        self.synchronize()
        began, seen = time.time(), 0
        for step in range(1, steps + 1):
            loss = self.loss(model, self.data)
            for p in model.parameters():
                p.grad = None
            loss.backward()
            optimizer.step()
            sums, seen = sums + loss.detach(), seen + 1
            if step % 20 == 0 or step == steps:
                curve.append((step, (sums / seen).item(), time.time() - began))  # item waits
                sums, seen = torch.zeros((), device=self.device), 0
        return {"factor": factor, "curve": curve, "held_out": self.held_out(model)}


def best_factor(loss):
    """The factor of the least loss, and all that were tried: FACTORS, and powers of two beyond while the best is at an end."""
    tried = {factor: loss(factor) for factor in FACTORS}
    while True:
        best = min(tried, key=tried.get)
        if min(tried) < best < max(tried) or not LEAST < best < MOST:
            return best, tried
        beyond = best / 2 if best == min(tried) else best * 2
        tried[beyond] = loss(beyond)


def training(race, steps):
    """Every optimizer with the factor on its learning rate that does best in a fifth of the steps."""
    results = {}
    for name in MAKERS:
        def loss(factor, name=name):
            held_out = race.run(name, factor, max(1, steps // 5))["held_out"]
            return held_out if held_out == held_out else float("inf")

        best, tried = best_factor(loss)
        results[name] = race.run(name, best, steps)
        results[name]["tried"] = {str(factor): tried[factor] for factor in sorted(tried)}
    return results


def report(results):
    """Prints the losses at equal steps and at equal time."""
    shortest = min(r["curve"][-1][2] for r in results.values())
    print(f"{'':10s} {'rate x':>6s} {'steps':>6s} {'time':>8s} {'loss':>7s} {'held out':>9s}   loss after {shortest:.1f} s")
    for name, r in results.items():
        step, loss, seconds = r["curve"][-1]
        then = [point[1] for point in r["curve"] if point[2] <= shortest]
        print(f"{name:10s} {r['factor']:6g} {step:6d} {seconds:6.1f} s {loss:7.4f} {r['held_out']:9.4f}   " + (f"{then[-1]:.4f}" if then else "none"))
