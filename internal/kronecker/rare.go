package kronecker

import "github.com/spdopt/spdopt/internal/dense"

const (
	fewColumns = 256 // below so many columns an element of a product costs less than the look at it
	sampled    = 32  // rows that say which columns are rare
	rarely     = 8   // a column is rare if at most one in so many of its elements is not zero
)

// rareColumns lists the columns of x that are zero in nearly all rows, or none if there are too few of them to be worth a way of their own. It looks at a
// sample of the rows: the list decides what products cost, not what they are.
func (o *Outer[T]) rareColumns(x dense.Matrix[T]) []int {
	if x.Cols < fewColumns {
		return nil
	}
	if len(o.counts) != x.Cols {
		o.counts = make([]int, x.Cols)
	}
	clear(o.counts)
	step, seen := max(1, x.Rows/sampled), 0
	for i := 0; i < x.Rows; i += step {
		for j, v := range x.Row(i) {
			if v != 0 {
				o.counts[j]++
			}
		}
		if seen++; seen == rarely && len(o.atMost(0)) < x.Cols/rarely {
			return nil
		}
	}
	if len(o.atMost(seen/rarely)) < x.Cols/rarely {
		return nil
	}
	return o.rare
}

// atMost lists the columns with at most limit elements in the sample.
func (o *Outer[T]) atMost(limit int) []int {
	o.rare = o.rare[:0]
	for j, n := range o.counts {
		if n <= limit {
			o.rare = append(o.rare, j)
		}
	}
	return o.rare
}

// cross adds the products of the rare columns with all columns to the upper triangle of sum: a row for each element that is not zero.
func (o *Outer[T]) cross(x dense.Matrix[T], rare []int, sum dense.Matrix[float64]) {
	o.crossed = grown(o.crossed, len(rare)*x.Cols)
	clear(o.crossed)
	for i := range x.Rows {
		row := x.Row(i)
		for k, j := range rare {
			if v := row[j]; v != 0 {
				dense.Axpy(v, row, o.crossed[k*x.Cols:][:x.Cols])
			}
		}
	}
	for k, j := range rare {
		addUp(sum.Row(j)[j:x.Cols], o.crossed[k*x.Cols:][j:x.Cols])
	}
	first := 0 // of the rare columns behind a run
	for _, r := range o.runs {
		for first < len(rare) && rare[first] < r.from {
			first++
		}
		for i := r.from; i < r.from+r.length; i++ {
			to := sum.Row(i)
			for k := first; k < len(rare); k++ {
				to[rare[k]] += float64(o.crossed[k*x.Cols+i])
			}
		}
	}
}
