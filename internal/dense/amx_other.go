//go:build !(linux && amd64)

package dense

import "unsafe"

const errTiles = Error("products by tiles")

func tilesBytes(int) bool { return false }

func tilesPairs(int) bool { return false }

func (q *quadProduct) multiplyTiles(tile, int, tile, use, unsafe.Pointer, int) { panic(errTiles) }

func (p *panel) runTiles(int) { panic(errTiles) }
