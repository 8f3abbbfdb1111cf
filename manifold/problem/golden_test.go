package problem

import (
	"encoding/json"
	"os"
	"testing"
)

// golden holds the answers of scikit-learn, SciPy and NumPy; see testdata/catalogue.py.
type golden struct {
	LedoitWolf float64 `json:"ledoit_wolf"`
	OAS        float64 `json:"oas"`
	Huber      [2]float64
	Glasso     struct {
		S, Precision []float64
		Rho          float64
	}
	GMM struct {
		Weights, Means, Covariances []float64
		LogLikelihood               float64 `json:"log_likelihood"`
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}
