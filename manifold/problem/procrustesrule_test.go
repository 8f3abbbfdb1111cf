package problem

import (
	"math"
	"testing"
)

// TestLogRule: rules of every width and number of nodes are as exact as they claim up to their width, by positive weights, and few nodes more than needed are claimed.
func TestLogRule(t *testing.T) {
	const points = 400
	for steps := range int(fitWidth*widthSteps*widthMargin) + 2 {
		for nodes := 2; nodes <= fitNodes; nodes++ {
			r := ruleFor(nodes, float64(steps)/widthSteps)
			var worst float64
			for i := range points + 1 {
				l := r.width * (2*float64(i)/points - 1)
				var value float64
				for j, s := range r.nodes {
					if w := r.weights[j]; !(s > 0 && s < 1 && w > 0) {
						t.Fatalf("width %v: node %v of weight %v", r.width, s, w)
					}
					value += math.Expm1(l) * r.weights[j] / (1 + s*math.Expm1(l))
				}
				worst = max(worst, math.Abs(value-l))
			}
			claim := ruleError(nodes, r.width)
			if worst > claim+1e-13 || claim > 1e-13 && worst < claim/20 {
				t.Errorf("width %v, %d nodes: error %g, claimed %g", r.width, nodes, worst, claim)
			}
		}
	}
	if ruleFor(5, 1.3) != ruleFor(5, 1.35) || ruleFor(5, 1.3).width < 1.3 {
		t.Error("rules are made again")
	}
}
