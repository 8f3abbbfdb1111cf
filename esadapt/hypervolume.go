package esadapt

import (
	"math"
	"slices"
)

// dominates says whether a is no worse than b in every objective and better in one.
func dominates(a, b []float64) bool {
	better := false
	for i, v := range a {
		if v > b[i] {
			return false
		}
		better = better || v < b[i]
	}
	return better
}

// fronts sorts points into layers: rank[i] is 0 for the points that nothing dominates, 1 for those that only points of rank 0 dominate, and so on.
func fronts(f [][]float64, rank []int) {
	left := len(f)
	for i := range rank {
		rank[i] = -1
	}
	for layer := 0; left > 0; layer++ {
		var found []int
		for i := range f {
			if rank[i] >= 0 {
				continue
			}
			free := true
			for j := range f {
				if rank[j] < 0 && j != i && dominates(f[j], f[i]) {
					free = false
					break
				}
			}
			if free {
				found = append(found, i)
			}
		}
		for _, i := range found {
			rank[i] = layer
		}
		left -= len(found)
	}
}

// Hypervolume is the volume of the region between the points and the reference that at least one of the points dominates; points that do not dominate
// the reference count nothing. The cost grows exponentially with the number of objectives; two cost O(m log m), three O(m^2 log m). Method: While, Bradstreet,
// Barone: "A fast way of calculating exact hypervolumes" (IEEE TEC 2012).
// It panics if a point has fewer objectives than the reference.
func Hypervolume(f [][]float64, reference []float64) float64 {
	var in [][]float64
	for _, p := range f {
		inside := true
		for i, v := range p {
			inside = inside && v < reference[i]
		}
		if inside {
			in = append(in, p)
		}
	}
	return volume(nondominated(in), reference)
}

// nondominated returns the points that no other point of f dominates, equal ones once.
func nondominated(f [][]float64) [][]float64 {
	var out [][]float64
	for i, p := range f {
		keep := true
		for j, q := range f {
			if dominates(q, p) || j < i && slices.Equal(q, p) {
				keep = false
				break
			}
		}
		if keep {
			out = append(out, p)
		}
	}
	return out
}

// volume is Hypervolume of mutually nondominated points inside the reference.
func volume(f [][]float64, reference []float64) float64 {
	if len(f) == 0 {
		return 0
	}
	if len(reference) == 2 {
		return area(f, reference)
	}
	sorted := slices.Clone(f)
	last := len(reference) - 1
	slices.SortFunc(sorted, func(a, b []float64) int {
		switch {
		case a[last] > b[last]:
			return -1
		case a[last] < b[last]:
			return 1
		}
		return slices.Compare(a, b)
	})
	var sum float64
	for k, p := range sorted {
		sum += exclusive(p, sorted[k+1:], reference)
	}
	return sum
}

// area is volume in two dimensions: a staircase, walked from the left.
func area(f [][]float64, reference []float64) float64 {
	sorted := slices.Clone(f)
	slices.SortFunc(sorted, slices.Compare)
	var sum float64
	top := reference[1]
	for _, p := range sorted {
		if p[1] < top {
			sum += (reference[0] - p[0]) * (top - p[1])
			top = p[1]
		}
	}
	return sum
}

// exclusive is the volume that p dominates and none of the others does.
func exclusive(p []float64, others [][]float64, reference []float64) float64 {
	v := 1.0
	for i, x := range p {
		v *= reference[i] - x
	}
	if len(others) == 0 {
		return v
	}
	limited := make([][]float64, len(others))
	for k, q := range others {
		limited[k] = make([]float64, len(p))
		for i := range p {
			limited[k][i] = max(p[i], q[i])
		}
	}
	return v - volume(nondominated(limited), reference)
}

// contributions sets c to the hypervolume that would be lost without each point of a front; points that are best in one objective contribute +Inf, so that the
// ends of the front are kept.
func contributions(f [][]float64, c []float64) {
	if len(f) == 0 {
		return
	}
	if len(f[0]) == 2 {
		stairs(f, c)
		return
	}
	reference := slices.Clone(f[0])
	for _, p := range f {
		for i, v := range p {
			reference[i] = max(reference[i], v)
		}
	}
	for k, p := range f {
		c[k] = 0
		for i, v := range p {
			best := true
			for j, q := range f {
				if q[i] < v || q[i] == v && j < k {
					best = false
				}
			}
			if best {
				c[k] = math.Inf(1)
			}
		}
		if c[k] == 0 {
			others := slices.Concat(f[:k], f[k+1:])
			c[k] = exclusive(p, others, reference)
		}
	}
}

// stairs is contributions of a front with two objectives: the rectangle between a point and its neighbours.
func stairs(f [][]float64, c []float64) {
	order := make([]int, len(f))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(f[a], f[b]) })
	for r, i := range order {
		c[i] = math.Inf(1)
		if r > 0 && r < len(order)-1 {
			left, right := f[order[r-1]], f[order[r+1]]
			c[i] = (right[0] - f[i][0]) * (left[1] - f[i][1])
		}
	}
}
