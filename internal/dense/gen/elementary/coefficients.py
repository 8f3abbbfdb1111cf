"""Prints the polynomials of the elementary functions: Chebyshev interpolation in 60 digits (needs mpmath)."""
import struct

from mpmath import mp, mpf, log, exp, sin, cos, sqrt, chebyfit, pi

mp.dps = 60


def show(name, f, lo, hi, degree, weight):
    coefs, err = chebyfit(f, [lo, hi], degree + 1, error=True)
    print(f"\t// {name}: degree {degree}, error {mp.nstr(err * weight, 3)} relative to the function")
    print("\t" + ", ".join(f"{float(c):.20g}" for c in reversed(coefs)) + ",")


def series(start, z, first):
    """sum of 2 z^k/(2k+1) from k = start, divided by z^start"""
    return mp.nsum(lambda k: 2 * z**k / (2 * (k + start) + 1), [0, mp.inf])


h = log(2) / 2
show("exp", lambda r: (exp(r) - 1 - r) / r**2 if abs(r) > mpf("1e-15") else mpf(1) / 2 + r / 6, -h * mpf("1.0001"), h * mpf("1.0001"), 9, h**2)
zmax = ((sqrt(2) - 1) / (sqrt(2) + 1)) ** 2 * mpf("1.0001")
show("log", lambda z: series(1, z, 3), 0, zmax, 6, zmax / 2)
show("pow", lambda z: series(2, z, 5), 0, zmax, 7, zmax**2 / 2)
q = (pi / 4) ** 2 * mpf("1.0001")
show("sin", lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z if z > mpf("1e-20") else -mpf(1) / 6, 0, q, 5, q)
show("cos", lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2 if z > mpf("1e-20") else mpf(1) / 24, 0, q, 5, q**2)
def bits(x): return hex(struct.unpack("<Q", struct.pack("<d", x))[0])
ln2 = log(2)
hi = struct.unpack("<d", struct.pack("<Q", struct.unpack("<Q", struct.pack("<d", float(ln2)))[0] & ~((1 << 21) - 1)))[0]
print("ln2 hi", bits(hi), hi, "lo", bits(float(ln2 - mpf(hi))), float(ln2 - mpf(hi)))
print("2/3 lo", bits(float(mpf(2) / 3 - mpf(2.0 / 3))))
