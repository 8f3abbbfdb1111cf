package jsonfloat

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAppendList(t *testing.T) {
	got := string(AppendList([]byte("x="), []float64{0.1, -2, 1e300, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)}))
	if want := `x=[0.1,-2,1e+300,-0,"NaN","Infinity","-Infinity"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := string(AppendList(nil, nil)); got != "[]" {
		t.Errorf("nothing is %s, want []", got)
	}
}

// TestNumbersReadBack: every finite number comes back with the same bits.
func TestNumbersReadBack(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 1000 {
		v := math.Float64frombits(rng.Uint64())
		if v-v != 0 {
			continue
		}
		var back float64
		if err := json.Unmarshal(Append(nil, v), &back); err != nil || math.Float64bits(back) != math.Float64bits(v) {
			t.Fatalf("seed %d: %v comes back as %v (%v)", seed, v, back, err)
		}
	}
}
