"""Writes the fixtures of this folder: python3 make.py (numpy 1.24.2 and scipy 1.10.1 wrote the committed ones)."""
import io
import os

import numpy as np
from numpy.lib import format as npy

os.chdir(os.path.dirname(os.path.abspath(__file__)))
i, j = np.indices((3, 4))
real = (4 * i + j - 5) / 4.0
signed = 4 * i + j - 5
unsigned = 4 * i + j
k, r, c = np.indices((2, 3, 3))
stack = (9 * k + 3 * r + c - 7) / 4.0


def save(name, array, version=None):
    with open(name, "wb") as f:
        npy.write_array(f, array, version=version)


for version in (1, 2, 3):
    save(f"v{version}.npy", real, (version, 0))
save("fortran.npy", np.asfortranarray(real))
save("stack.npy", stack)
save("stack_fortran.npy", np.asfortranarray(stack))
for descr in ("f2", "f4", "f8"):
    save(f"little_{descr}.npy", real.astype("<" + descr))
    save(f"big_{descr}.npy", real.astype(">" + descr))
save("big_fortran.npy", np.asfortranarray(real.astype(">f8")))
for descr in ("i1", "i2", "i4", "i8"):
    save(f"{descr}.npy", signed.astype("<" + descr))
    save(f"big_{descr}.npy", signed.astype(">" + descr))
for descr in ("u1", "u2", "u4", "u8"):
    save(f"{descr}.npy", unsigned.astype("<" + descr))
save("bool.npy", (i + j) % 2 == 1)
half = np.array([[6.103515625e-05, 5.960464477539063e-08, 65504, -0.333251953125]], "<f2")
save("half_extremes.npy", half)

save("complex64.npy", real.astype("c8"))
save("complex128.npy", real.astype("c16"))
save("longdouble.npy", real.astype("f16"))
save("string.npy", np.array([["a", "b"]]))
save("structured.npy", np.zeros((2, 2), [("x", "f8"), ("y", "i4")]))
save("vector.npy", real[0])
save("four_axes.npy", np.zeros((1, 1, 2, 2)))
save("no_rows.npy", np.zeros((0, 3)))
with open("object.npy", "wb") as f:
    npy.write_array(f, np.array([[1, "x"]], object), allow_pickle=True)

np.savez("stored.npz", first=real, second=stack)
np.savez_compressed("deflated.npz", first=real, second=stack)
np.savez("with_vector.npz", X=real, y=real[0])
np.savetxt("savetxt.txt", real)
np.savetxt("savetxt_comma.csv", real, delimiter=",", header="a,b,c,d")

import scipy.io
import scipy.sparse

symmetric = stack[0] + stack[0].T
scipy.io.mmwrite("array_general.mtx", real)
scipy.io.mmwrite("array_symmetric.mtx", symmetric, symmetry="symmetric")
scipy.io.mmwrite("array_skew.mtx", stack[0] - stack[0].T, symmetry="skew-symmetric")
scipy.io.mmwrite("coordinate_general.mtx", scipy.sparse.coo_matrix(real))
scipy.io.mmwrite("coordinate_symmetric.mtx", scipy.sparse.coo_matrix(symmetric), symmetry="symmetric")
scipy.io.mmwrite("coordinate_integer.mtx", scipy.sparse.coo_matrix(signed))
scipy.io.mmwrite("coordinate_pattern.mtx", scipy.sparse.coo_matrix(real), field="pattern")
scipy.io.mmwrite("complex.mtx", real.astype("c16"))
scipy.io.savemat("v5.mat", {"a": real})
last = np.moveaxis(stack, 0, -1)  # MATLAB has the matrices of a stack on the last axis
for name, packed in (("v5_stack.mat", False), ("v5_stack_packed.mat", True)):
    scipy.io.savemat(name, {"first": real, "second": last}, do_compression=packed)
types = {t: signed.astype(t) for t in ("f8", "f4", "i1", "i2", "i4", "i8")}
types.update({t: unsigned.astype(t) for t in ("u1", "u2", "u4", "u8")}, logical=(i + j) % 2 == 1)
scipy.io.savemat("v5_types.mat", types, do_compression=True)
definite = np.array([[[2, 0], [0, 3]], [[8, 0], [0, 12]]])
scipy.io.savemat("v5_definite.mat", {"covariances": np.moveaxis(definite, 0, -1).astype(float)}, do_compression=True)
cells = np.empty((1, 2), object)
cells[:] = [[real, "x"]]
scipy.io.savemat("v5_others.mat", {
    "c": real.astype("c16"), "sparse": scipy.sparse.csc_matrix(real), "cells": cells, "s": {"x": real}, "text": "abc",
    "four": np.zeros((2, 2, 2, 2)), "none": np.zeros((0, 3)), "nan": np.array([[np.nan]]), "good": real,
}, do_compression=True)

import json
import struct


def tensors(name, arrays):
    """Writes a safetensors file by its description; arrays are (name, dtype, shape, bytes)."""
    header, body = {"__metadata__": {"by": "make.py"}}, b""
    for key, dtype, shape, data in arrays:
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(name, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def as_tensor(key, dtype, array, descr):
    return key, dtype, list(array.shape), array.astype(descr).tobytes()


tensors("types.safetensors", [as_tensor(f"F{8 * n}", f"F{8 * n}", real, f"<f{n}") for n in (8, 4, 2)]
        + [("BF16", "BF16", [3, 4], (real.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes())]
        + [as_tensor(f"I{8 * n}", f"I{8 * n}", signed, f"<i{n}") for n in (1, 2, 4, 8)]
        + [as_tensor(f"U{8 * n}", f"U{8 * n}", unsigned, f"<u{n}") for n in (1, 2, 4, 8)]
        + [("BOOL", "BOOL", [3, 4], ((i + j) % 2 == 1).tobytes())])
tensors("stack.safetensors", [as_tensor("first", "F64", real, "<f8"), as_tensor("second", "F64", stack, "<f8"), as_tensor("bias", "F32", real[0], "<f4"),
                              ("scale", "F8_E4M3", [2], b"\0\0")])
