"""Tests of spdopt_torch on the emulated driver: SPDOPT_LIBCUDA, SPDOPT_LIBCUBLAS and SPDOPT_LIBRARY name the libraries; cuda/cshared runs them."""

import copy
import ctypes
import random
import unittest

import fake_torch

fake_torch.install()

import spdopt_torch  # noqa: E402

SHAPES = [(6, 4), (5,), (6, 4), (3, 2, 2)]


def model(seed=1):
    r, params = random.Random(seed), []
    for shape in SHAPES:
        p = fake_torch.Tensor(shape)
        p.set([r.gauss(0, 1) for _ in range(p.numel())])
        p.grad = fake_torch.Tensor(shape)
        params.append(p)
    return params


def train(optimizer, params, steps):
    """Takes steps on the sum of squares and returns its values."""
    losses = []
    for _ in range(steps):
        losses.append(sum(v * v for p in params for v in p.get()))
        for p in params:
            p.grad.set([2 * v for v in p.get()])
        optimizer.step()
    return losses


def values(params):
    return [p.get() for p in params]


class Tests(unittest.TestCase):
    def test_descends_in_place_without_waiting(self):
        params = model()
        optimizer = spdopt_torch.Spectral(params, lr=0.05, every=2, precision="tf32")
        places = [p.data_ptr() for p in params]
        losses = train(optimizer, params, 12)
        self.assertLess(losses[-1], 0.5 * losses[0])
        self.assertEqual(places, [p.data_ptr() for p in params])
        names = (b"cuStreamSynchronize", b"cuCtxSynchronize", b"cuMemcpyHtoDAsync", b"cuMemcpyHtoD", b"cuMemcpyDtoH", b"cuMemAlloc")
        before = [fake_torch.driver.spdEmuCalls(n) for n in names]
        optimizer.step()
        self.assertEqual(before, [fake_torch.driver.spdEmuCalls(n) for n in names])
        optimizer.close()

    def test_state_dict_round_trip(self):
        params = model()
        first = spdopt_torch.Spectral(params, lr=0.05, every=3)
        train(first, params, 5)
        saved, middle = copy.deepcopy(first.state_dict()), values(params)
        train(first, params, 4)
        other = model(seed=2)
        for p, v in zip(other, middle):
            p.set(v)
        second = spdopt_torch.Spectral(other, lr=0.9, every=3)
        second.load_state_dict(saved)
        self.assertEqual(second.param_groups[0]["lr"], 0.05)
        train(second, other, 4)
        self.assertEqual(values(params), values(other))
        self.assertEqual(sorted(first.state[params[0]]), ["left_basis", "left_values", "momentum", "right_basis", "right_values", "step", "totals"])
        self.assertEqual(sorted(first.state[params[1]]), ["first", "second", "step"])
        first.close()
        second.close()

    def test_groups_and_streams(self):
        params = model()
        context = spdopt_torch.Spectral([{"params": params[:2]}, {"params": params[2:], "lr": 0.0}], lr=0.05)
        before = values(params)
        stream = ctypes.c_void_p()
        fake_torch.context(0)
        self.assertEqual(fake_torch.driver.cuStreamCreate(ctypes.byref(stream), 1), 0)
        fake_torch.current.cuda_stream = stream.value
        try:
            train(context, params, 2)
        finally:
            fake_torch.current.cuda_stream = 0
        after = values(params)
        self.assertNotEqual(before[:2], after[:2])
        self.assertEqual(before[2:], after[2:])
        context.close()

    def refused(self, change, kind=ValueError):
        """The text of the exception of a step after a change; the step must have changed nothing, and the next one must go through."""
        params = model()
        optimizer = spdopt_torch.Spectral(params)
        train(optimizer, params, 1)
        before, grads = values(params), [p.grad for p in params]
        places = [g.at for g in grads]
        change(params)
        with self.assertRaises(kind) as caught:
            optimizer.step()
        self.assertEqual(before, values(params))
        for p, g, at in zip(params, grads, places):
            p.grad, g.at = g, at
        fake_torch.current.cuda_stream = 0
        optimizer.step()
        self.assertNotEqual(before, values(params))
        optimizer.close()
        return str(caught.exception)

    @staticmethod
    def gradient(**changes):
        def change(params):
            params[2].grad = fake_torch.Tensor(SHAPES[2], **changes)
        return change

    def test_refuses_tensor_that_is_not_contiguous(self):
        self.assertIn("call .contiguous()", self.refused(self.gradient(contiguous=False)))

    def test_refuses_unsupported_dtype(self):
        self.assertIn("keep parameters in float32", self.refused(self.gradient(dtype="bfloat16")))

    def test_refuses_tensor_that_says_another_device(self):
        self.assertIn("on cuda:1, its parameter on cuda:0", self.refused(self.gradient(device=fake_torch.Device("cuda", 1))))

    def test_refuses_memory_of_another_device(self):
        def elsewhere(params):
            params[0].grad.at = fake_torch.Tensor(SHAPES[0], device=fake_torch.Device("cuda", 1)).at
        self.assertIn("move them to device 0", self.refused(elsewhere, spdopt_torch.SpdoptError))

    def test_refuses_stream_of_another_device(self):
        fake_torch.context(1)
        stream = ctypes.c_void_p()
        fake_torch.driver.cuStreamCreate(ctypes.byref(stream), 1)

        def foreign(params):
            fake_torch.current.cuda_stream = stream.value
        self.assertIn("pass a stream of device 0", self.refused(foreign, spdopt_torch.SpdoptError))

    def test_step_without_memory_changes_nothing(self):
        self.assertIn("nothing was changed", self.refused(lambda params: fake_torch.driver.spdEmuFail(b"cuGraphLaunch", 1, 2), spdopt_torch.SpdoptError))

    def test_refuses_unknown_precision(self):
        with self.assertRaisesRegex(ValueError, "precision of group 0 must be one of"):
            spdopt_torch.Spectral(model(), precision="int4")

    def test_refuses_wrong_device_index(self):
        lonely = model()[:1]
        lonely[0].device = lonely[0].grad.device = fake_torch.Device("cuda", 9)
        with self.assertRaisesRegex(spdopt_torch.SpdoptError, "there is no device 9; there are 0 to 1"):
            spdopt_torch.Spectral(lonely).step()

    def test_keeps_what_a_turn_leaves(self):
        params = model()
        optimizer = spdopt_torch.Spectral(params, lr=0.05, every=1, precision="fp32", keep=True)
        losses = train(optimizer, params, 8)
        self.assertLess(losses[-1], losses[0])
        rest = optimizer.state[params[0]]["left_rest"].get()
        self.assertTrue(any(v != 0 for v in rest))
        optimizer.close()


if __name__ == "__main__":
    unittest.main()
