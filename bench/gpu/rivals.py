"""Other optimizers, as compare.py times them and transformer.py trains with them, in plain PyTorch."""

import math

import torch


def adamw(params, **options):
    """PyTorch's AdamW, fused where there is such a thing, and whether it is."""
    params = list(params)
    try:
        return torch.optim.AdamW(params, fused=True, **options), True
    except (TypeError, RuntimeError):  # PyTorch 1, or a device without
        return torch.optim.AdamW(params, **options), False


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
    """Nesterov momentum and newton_schulz for matrices, scaled to the length of AdamW's steps; matrices of one shape together, unlike torch.optim.Muon."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

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
                x = newton_schulz(torch.stack([p.grad.lerp(self.state[p]["m"], g["momentum"]) for p in params]))
                for p, d in zip(params, x):
                    p.mul_(1 - g["lr"] * g["weight_decay"])
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
