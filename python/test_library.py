"""Wrong calls of the C library on the emulated driver: each is an error with a text, and none ends the process. cuda/cshared runs them."""

import ctypes
import unittest

import fake_torch

fake_torch.install()

from spdopt_torch import _Options, _Shape, _Slot, library  # noqa: E402

SHAPES = (_Shape * 2)(_Shape(4, 3), _Shape(1, 5))
BYTES, COUNT = ctypes.c_int64(), ctypes.c_int()


class Tests(unittest.TestCase):
    def setUp(self):
        self.lib = library()

    def refused(self, text, code):
        self.assertEqual(code, -1)
        self.assertIn(text, self.lib.spd_error().decode())

    def made(self):
        self.assertEqual(self.lib.spd_layout(SHAPES, 2, None, None, 0, COUNT, BYTES), 0)
        state, work = fake_torch.Tensor((BYTES.value,), "uint8"), ctypes.c_int64()
        self.assertEqual(self.lib.spd_work_bytes(0, SHAPES, 2, None, work), 0)
        memory, handle = fake_torch.Tensor((work.value,), "uint8"), ctypes.c_uint64()
        self.assertEqual(self.lib.spd_create(0, SHAPES, 2, None, state.at, memory.at, handle), 0)
        self.assertNotEqual(handle.value, 0)
        return handle

    def test_arguments(self):
        lib = self.lib
        self.refused("there are no parameters", lib.spd_layout(None, 2, None, None, 0, COUNT, BYTES))
        self.refused("there are no parameters", lib.spd_layout(SHAPES, 0, None, None, 0, COUNT, BYTES))
        self.refused("parameter 0 has no elements (0 x 3)", lib.spd_layout((_Shape * 1)(_Shape(0, 3)), 1, None, None, 0, COUNT, BYTES))
        self.refused("count is NULL", lib.spd_layout(SHAPES, 2, None, None, 0, None, BYTES))
        self.refused("bytes is NULL", lib.spd_layout(SHAPES, 2, None, None, 0, COUNT, None))
        self.refused("bytes is NULL", lib.spd_work_bytes(0, SHAPES, 2, None, None))
        self.refused("object is NULL", lib.spd_create(0, SHAPES, 2, None, 256, 256, None))
        self.refused("there is no device 7", lib.spd_work_bytes(7, SHAPES, 2, None, BYTES))
        self.refused("aligned to 256 bytes", lib.spd_create(0, SHAPES, 2, None, 8, 8, ctypes.c_uint64()))
        for text, options in (("precision 3", _Options(precision=3)), ("unused must be 0", _Options(unused=1)), ("every", _Options(every=-1)), ("momentum", _Options(momentum=1))):
            self.refused(text, lib.spd_layout(SHAPES, 2, options, None, 0, COUNT, BYTES))

    def test_slots(self):
        for room in (-1, 0, 1, 3, 100):
            slots = (_Slot * 100)()
            self.assertEqual(self.lib.spd_layout(SHAPES, 2, None, slots, room, COUNT, BYTES), 0)
            self.assertEqual(sum(s.rows > 0 for s in slots), min(max(room, 0), COUNT.value))
        end = 0
        for s in sorted(slots[:COUNT.value], key=lambda s: s.offset):
            self.assertGreaterEqual(s.offset, end)
            end = s.offset + s.rows * s.cols
        self.assertLessEqual(4 * end, BYTES.value)
        self.assertEqual([(s.name, s.rows, s.cols) for s in slots[:COUNT.value] if s.parameter == 0],
                         [(b"momentum", 4, 3), (b"left_basis", 4, 4), (b"left_values", 1, 4), (b"right_basis", 3, 3), (b"right_values", 1, 3), (b"totals", 1, 2)])

    def test_objects(self):
        lib, handle, addresses = self.lib, self.made(), (ctypes.c_uint64 * 2)()
        self.refused("call spd_begin or spd_resume first", lib.spd_step(handle, addresses, addresses, 2, None, 0.1, 0, 0))
        self.refused("no parameters or gradients", lib.spd_step(handle, None, addresses, 2, None, 0.1, 0, 0))
        self.assertEqual(lib.spd_begin(handle, None), 0)
        self.refused("not in the memory of a device", lib.spd_step(handle, addresses, addresses, 2, None, 0.1, 0, 0))
        self.refused("1 parameters and 1 gradients where 2 belong", lib.spd_step(handle, addresses, addresses, 1, None, 0.1, 0, 0))
        self.refused("-1 steps", lib.spd_resume(handle, None, -1))
        self.assertEqual(lib.spd_steps(handle), 0)
        self.assertEqual(lib.spd_resume(handle, None, 7), 0)
        self.assertEqual(lib.spd_steps(handle), 7)
        self.assertEqual(lib.spd_destroy(handle), 0)
        for dead in (handle.value, 0, 12345):
            self.refused(f"there is no object {dead}", lib.spd_destroy(dead))
            self.refused(f"there is no object {dead}", lib.spd_begin(dead, None))
            self.refused(f"there is no object {dead}", lib.spd_step(dead, addresses, addresses, 2, None, 0.1, 0, 0))
            self.assertEqual(lib.spd_steps(dead), -1)


if __name__ == "__main__":
    unittest.main()
