package laplace

import (
	"slices"

	"github.com/spdopt/spdopt/nnopt/curvature"
)

// fullLimit bounds the parameters of a dense precision: 0.8 GB for each of its three matrices.
const fullLimit = 10000

// selectParameters fills places, groups and group from the options.
func (p *Posterior[T]) selectParameters() error {
	layout := curvature.Layout(p.net)
	names, err := p.chosenBlocks(layout)
	if err != nil {
		return err
	}
	owner := p.owners(layout)
	for _, b := range layout {
		if !slices.Contains(names, b.Name) {
			continue
		}
		for at := b.Start; at < b.End(); at++ {
			if p.o.Indices != nil {
				if _, found := slices.BinarySearch(p.o.Indices, at); !found {
					continue
				}
			}
			k := slices.Index(p.groups, owner[b.Name])
			if k < 0 {
				k = len(p.groups)
				p.groups = append(p.groups, owner[b.Name])
			}
			p.places, p.group = append(p.places, at), append(p.group, k)
		}
	}
	switch d := len(p.places); {
	case d == 0:
		return optionError("subset", "has no parameters")
	case d > fullLimit && p.o.structure() == Full:
		return optionError("structure", "full of %d parameters would need matrices of %.3g GB; %d is the most: take kronecker or diagonal, the last layer, or fewer parameters",
			d, 8e-9*float64(d)*float64(d), fullLimit)
	}
	return nil
}

// owners returns the group of every block: the weights of a layer stand for its bias too, unless that is separate.
func (p *Posterior[T]) owners(layout []curvature.Block) map[string]string {
	owner := map[string]string{}
	for _, b := range layout {
		owner[b.Name] = b.Name
	}
	for _, l := range p.net.Layers() {
		if l.Bias != "" && !p.o.Curvature.SeparateBias {
			owner[l.Bias] = l.Weight
		}
	}
	return owner
}

// chosenBlocks returns the names of the blocks that hold parameters of the posterior.
func (p *Posterior[T]) chosenBlocks(layout []curvature.Block) (names []string, err error) {
	o := &p.o
	switch {
	case o.LastLayer:
		layers := p.net.Layers()
		if len(layers) == 0 {
			return nil, optionError("last layer", "does not exist: the network has no layer with a weight matrix")
		}
		last := layers[len(layers)-1]
		names = append(names, last.Weight)
		if last.Bias != "" {
			names = append(names, last.Bias)
		}
	case o.Blocks != nil:
		if _, err := curvature.Indices(layout, o.Blocks...); err != nil {
			return nil, err
		}
		names = slices.Clone(o.Blocks)
	default:
		for _, b := range layout {
			names = append(names, b.Name)
		}
		if err := checkIndices(o.Indices, p.net.Dim()); err != nil {
			return nil, err
		}
	}
	if o.structure() != Kronecker {
		return names, nil
	}
	return p.supported(names)
}

func checkIndices(indices []int, dim int) error {
	for k, at := range indices {
		if at < 0 || at >= dim || k > 0 && at <= indices[k-1] {
			return optionError("indices", "number %d is %d; they must ascend from 0 to below the %d parameters", k, at, dim)
		}
	}
	return nil
}

// supported leaves out the blocks without Kronecker factors if the options say so.
func (p *Posterior[T]) supported(names []string) ([]string, error) {
	seen := map[string]bool{}
	weights := map[string]string{}
	for _, l := range p.net.Layers() {
		seen[l.Weight], seen[l.Bias] = true, true
		weights[l.Bias] = l.Weight
	}
	for _, name := range p.net.Unobserved() {
		seen[name] = false
	}
	var kept, missing []string
	for _, name := range names {
		weight, isBias := weights[name]
		switch {
		case !seen[name] || isBias && !seen[weight]:
			missing = append(missing, name)
		case isBias && !p.o.Curvature.SeparateBias && !slices.Contains(names, weight):
			return nil, optionError("blocks", "name %s without the weights %s; set SeparateBias", name, weight)
		default:
			kept = append(kept, name)
		}
	}
	for _, l := range p.net.Layers() {
		if l.Bias != "" && !p.o.Curvature.SeparateBias && slices.Contains(kept, l.Weight) && !slices.Contains(kept, l.Bias) {
			return nil, optionError("blocks", "name %s without its bias %s; set SeparateBias", l.Weight, l.Bias)
		}
	}
	if len(missing) > 0 && !p.o.Curvature.Skip {
		return nil, &curvature.SupportError{Blocks: missing}
	}
	return kept, nil
}
