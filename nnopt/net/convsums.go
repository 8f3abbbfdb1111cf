package net

import "github.com/spdopt/spdopt/internal/dense"

// sumPatches sets dst, with a row for each image, to the sum over all output positions of the patches of the last input, from the pixels: the patches are
// neither made nor read (arXiv:2311.00636, KFAC-reduce for convolutions). Per image it adds up rows of pixels, one sum for each row of the kernel, and then
// columns of the sums: K H_out W C + K^2 W_out C additions instead of the K^2 H_out W_out C that summing patches takes.
func (c *Conv2d[T]) sumPatches(dst Matrix[T]) {
	w := &c.window
	width, height := w.Width*w.Channels, w.Height
	c.line = grown(c.line, width)
	for n := range dst.Rows {
		image := c.x.View(n*height*w.Width, 0, height*w.Width, w.Channels)
		for ki := range w.KernelHeight {
			clear(c.line)
			for i := range c.outHeight {
				if y := i*w.StrideHeight + ki*w.Dilation - w.PaddingHeight; y >= 0 && y < height {
					dense.Axpy(1, image.Data[y*width:][:width], c.line)
				}
			}
			for kj := range w.KernelWidth {
				c.sumColumns(ki*w.KernelWidth+kj, kj*w.Dilation-w.PaddingWidth, dst.Row(n))
			}
		}
	}
}

// sumColumns sets the channels of element k of the kernel in a summed patch to the sum of the pixels of the line that the element sees, from column first
// on.
func (c *Conv2d[T]) sumColumns(k, first int, patch []T) {
	w := &c.window
	each := w.Channels / w.Groups
	size := len(patch) / w.Groups
	for g := range w.Groups {
		to := patch[g*size+k*each:][:each]
		clear(to)
		for j := range c.outWidth {
			x := j*w.StrideWidth + first
			if x < 0 || x >= w.Width {
				continue
			}
			for i, v := range c.line[x*w.Channels+g*each:][:each] {
				to[i] += v
			}
		}
	}
}
