package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestZZ(t *testing.T) {
	var ns []int
	for _, s := range strings.Split(os.Getenv("ZN"), ",") {
		n, _ := strconv.Atoi(s)
		ns = append(ns, n)
	}
	k := 1e2
	if os.Getenv("ZK") != "" {
		k, _ = strconv.ParseFloat(os.Getenv("ZK"), 64)
	}
	rep, _ := strconv.Atoi(os.Getenv("ZR"))
	_, err := Run(context.Background(), Config{Problems: strings.Split(os.Getenv("ZP"), ","), Sizes: ns, Kappas: []float64{k}, All: os.Getenv("ZA") != "", Repeats: rep}, func(e Entry) {
		fmt.Printf("%-18s %-12s n=%-4d %8.3f ms it %d ev %d hv %d rel %.1e  prod %.3f us cert %.1e %s %s\n", e.Problem, e.Method, e.N, 1e3*e.CPU, e.Iterations, e.Evaluations, e.Products, e.Relative, 1e6*e.Product, e.Certificate.Value, e.Reason, e.Error)
	})
	if err != nil {
		t.Fatal(err)
	}
}
