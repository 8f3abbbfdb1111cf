package engine

import "github.com/spdopt/spdopt/internal/dense"

// Gather implements Movement.
func (*cpu[T]) Gather(table dense.Matrix[T], index []int32, dst dense.Matrix[T]) {
	MustHave("Gather", len(index), dst.Rows)
	MustHave("Gather", table.Cols, dst.Cols)
	for i, k := range index {
		copy(dst.Row(i), table.Row(int(k)))
	}
}

// Scatter implements Movement.
func (*cpu[T]) Scatter(src dense.Matrix[T], index []int32, table dense.Matrix[T]) {
	MustHave("Scatter", len(index), src.Rows)
	MustHave("Scatter", table.Cols, src.Cols)
	for i, k := range index {
		dense.Axpy(1, src.Row(i), table.Row(int(k)))
	}
}

// Copy implements Movement.
func (c *cpu[T]) Copy(x, y Batch[T]) {
	x.MustMatch("Copy", &y)
	for i := range x.Count * x.Rows {
		copy(y.row(i), x.row(i))
	}
}

// Window is the geometry of the patches of an image of Height x Width pixels with Channels values each. A patch is what lies under a kernel of
// KernelHeight x KernelWidth pixels: pixel after pixel, the channels of a pixel next to each other, and the channels of one group after
// those of another. Patches stand StrideHeight and StrideWidth pixels apart, the pixels of a patch Dilation; beyond the image are
// PaddingHeight and PaddingWidth zeros at each side.
type Window struct {
	Height, Width, Channels, Groups     int
	KernelHeight, KernelWidth, Dilation int
	StrideHeight, StrideWidth           int
	PaddingHeight, PaddingWidth         int
}

// Size returns the numbers of patches above and beside each other; below 1 the kernel does not fit.
func (w *Window) Size() (height, width int) {
	height = (w.Height+2*w.PaddingHeight-w.Dilation*(w.KernelHeight-1)-1)/w.StrideHeight + 1
	width = (w.Width+2*w.PaddingWidth-w.Dilation*(w.KernelWidth-1)-1)/w.StrideWidth + 1
	return height, width
}

// Patches implements Movement.
func (c *cpu[T]) Patches(w Window, images, patches Batch[T]) {
	MustFit("Patches", &w, &images, &patches)
	c.runBlocks(blockTask[T]{do: movePatches[T]{}, window: w, a: images, c: patches}, images.Count, images.Count*patches.Rows*patches.Cols)
}

// Pixels implements Movement.
func (c *cpu[T]) Pixels(w Window, patches, images Batch[T]) {
	MustFit("Pixels", &w, &images, &patches)
	c.runBlocks(blockTask[T]{do: movePatches[T]{back: true}, window: w, a: images, c: patches}, images.Count, images.Count*patches.Rows*patches.Cols)
}

// MustFit panics with Error unless images and patches have the shapes that w says.
func MustFit[T dense.Float](op string, w *Window, images, patches *Batch[T]) {
	height, width := w.Size()
	MustHave(op, images.Count, patches.Count)
	MustHave(op, w.Height*w.Width, images.Rows)
	MustHave(op, w.Channels, images.Cols, images.Stride)
	MustHave(op, height*width, patches.Rows)
	MustHave(op, w.KernelHeight*w.KernelWidth*w.Channels, patches.Cols)
}

// movePatches copies the patches of one image, or adds them up at its pixels.
type movePatches[T dense.Float] struct{ back bool }

func (m movePatches[T]) block(t *blockTask[T], k int) {
	w := &t.window
	image, patches := t.a.Data[k*t.a.Step:][:w.Height*w.Width*w.Channels], t.c.At(k)
	if m.back {
		clear(image)
	}
	_, across := w.Size()
	channels := w.Channels / w.Groups
	line := w.KernelWidth * channels
	for i := range patches.Rows {
		patch := patches.Row(i)
		top, left := i/across*w.StrideHeight-w.PaddingHeight, i%across*w.StrideWidth-w.PaddingWidth
		for g := range w.Groups {
			for a := range w.KernelHeight {
				place := patch[:line]
				patch = patch[line:]
				y := top + a*w.Dilation
				if y >= 0 && y < w.Height {
					m.moveLine(w, image[y*w.Width*w.Channels:][:w.Width*w.Channels], place, left, g*channels, channels)
				} else if !m.back {
					clear(place)
				}
			}
		}
	}
}

// moveLine moves the pixels of one line under the kernel, from pixel left and the given first channel on.
func (m movePatches[T]) moveLine(w *Window, line, place []T, left, first, channels int) {
	if w.Groups == 1 && w.Dilation == 1 {
		from, end := min(w.KernelWidth, max(0, -left)), max(0, min(w.KernelWidth, w.Width-left))
		if from >= end {
			from, end = 0, 0
		}
		if !m.back {
			clear(place[:from*channels])
			clear(place[end*channels:])
		}
		if from < end {
			m.move(line[(left+from)*channels:(left+end)*channels], place[from*channels:end*channels])
		}
		return
	}
	for b := range w.KernelWidth {
		x, pixel := left+b*w.Dilation, place[b*channels:(b+1)*channels]
		if x >= 0 && x < w.Width {
			m.move(line[x*w.Channels+first:][:channels], pixel)
		} else if !m.back {
			clear(pixel)
		}
	}
}

func (m movePatches[T]) move(pixels, place []T) {
	if !m.back {
		copy(place, pixels)
		return
	}
	pixels = pixels[:len(place)]
	for i, v := range place {
		pixels[i] += v
	}
}
