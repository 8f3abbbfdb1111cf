package manifold_test

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

func ExampleFrame_MarshalBinary() {
	p, err := manifold.NewFrame(mat.NewSymDense(2, []float64{4, 1, 1, 3}))
	if err != nil {
		panic(err)
	}
	data, err := p.MarshalBinary()
	if err != nil {
		panic(err)
	}
	q := manifold.IdentityFrame(2, 1)
	if err := q.UnmarshalBinary(data); err != nil {
		panic(err)
	}
	fmt.Println(len(data), mat.Equal(p.Sym(), q.Sym()))
	// Output: 96 true
}
