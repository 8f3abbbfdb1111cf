package algoperf

import (
	"encoding/json"
	"errors"
	"github.com/spdopt/spdopt/internal/golden"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// published are the times and scores of the competition in testdata/golden.
type published struct {
	Base   []string                    `json:"base_workloads"`
	Held   []string                    `json:"held_out_workloads"`
	Times  map[string]map[string]maybe `json:"time_to_target_s"`
	Ratios map[string]map[string]maybe `json:"ratio_after_rules"`
	Grid   map[string]float64          `json:"score_trapz100"`
	Exact  map[string]float64          `json:"score_exact_integral"`
	Speed  map[string]float64          `json:"geomean_time_ratio_vs_baseline"`
}

// maybe is a number, "inf", or null for what was not run.
type maybe float64

func (m *maybe) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "null":
		*m = maybe(math.NaN())
	case `"inf"`:
		*m = maybe(math.Inf(1))
	default:
		return json.Unmarshal(text, (*float64)(m))
	}
	return nil
}

// publishedTables returns the tables of both rulesets with their published numbers.
func publishedTables(t *testing.T) map[Ruleset]struct {
	published
	table *Table
} {
	t.Helper()
	var file struct {
		External published          `json:"external"`
		Self     published          `json:"self_tuning"`
		Budget   map[string]float64 `json:"max_runtime_v05_s"`
	}
	golden.Load(t, "algoperf_v05_scoring.json", &file)
	out := map[Ruleset]struct {
		published
		table *Table
	}{}
	for rules, p := range map[Ruleset]published{External: file.External, SelfTuning: file.Self} {
		table := &Table{Workloads: slices.Concat(p.Base, p.Held), Base: map[string]string{}, Budget: map[string]float64{}}
		for w, b := range file.Budget {
			table.Budget[w] = b
			if rules == SelfTuning {
				table.Budget[w] = V05().SelfBudget * b
			}
		}
		for _, v := range p.Held {
			for _, w := range p.Base {
				if strings.HasPrefix(v, w+"_") {
					table.Base[v] = w
				}
			}
		}
		for s := range p.Times {
			table.Submissions = append(table.Submissions, s)
		}
		slices.Sort(table.Submissions)
		for _, s := range table.Submissions {
			var row []float64
			for _, w := range table.Workloads {
				v, ok := p.Times[s][w]
				if !ok {
					t.Fatalf("no time of %s on %s", s, w)
				}
				row = append(row, float64(v))
			}
			table.Seconds = append(table.Seconds, row)
		}
		out[rules] = struct {
			published
			table *Table
		}{p, table}
	}
	return out
}

func near(a, b, tol float64) bool { return a == b || math.Abs(a-b) <= tol }

// TestPublishedScores recomputes the scores, exact integrals, ratios and speeds of all submissions of the competition.
func TestPublishedScores(t *testing.T) {
	count := 0
	for ruleset, g := range publishedTables(t) {
		scores, err := V05().Compute(g.table, "baseline")
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range scores.Rows {
			count++
			s := row.Submission
			if !near(row.Score, g.Grid[s], 1e-12) || !near(row.Exact, g.Exact[s], 1e-12) {
				t.Errorf("%s, %s: score %v, exact %v; published %v and %v", ruleset, s, row.Score, row.Exact, g.Grid[s], g.Exact[s])
			}
			if !near(row.Speed, g.Speed[s], 1e-12) {
				t.Errorf("%s, %s: speed %v, published %v", ruleset, s, row.Speed, g.Speed[s])
			}
			for j, w := range scores.Workloads {
				want := float64(g.Ratios[s][w])
				if math.IsNaN(want) {
					want = math.Inf(1)
				}
				if !near(row.Ratios[j], want, 1e-12) {
					t.Errorf("%s, %s on %s: ratio %v (%s), published %v", ruleset, s, w, row.Ratios[j], row.Why[j], want)
				}
			}
		}
	}
	if count != 17 {
		t.Errorf("%d scores, want 17", count)
	}
}

// scoresOf returns the scores of a table by submission.
func scoresOf(t *testing.T, r Rules, table *Table) map[string]Score {
	t.Helper()
	s, err := r.Compute(table, "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Score{}
	for _, row := range s.Rows {
		out[row.Submission] = row
	}
	return out
}

func tableOf(rows ...[]float64) *Table {
	t := &Table{Base: map[string]string{}, Budget: map[string]float64{}, Seconds: rows}
	for i := range rows {
		t.Submissions = append(t.Submissions, string(rune('a'+i)))
	}
	for j := range rows[0] {
		w := "w" + string(rune('0'+j))
		t.Workloads = append(t.Workloads, w)
		t.Budget[w] = 100
	}
	return t
}

func TestScoreIdentities(t *testing.T) {
	inf := math.Inf(1)
	s := scoresOf(t, V05(), tableOf([]float64{1, 2, 3}, []float64{4, 8, 12}, []float64{inf, inf, inf}, []float64{4.0001, 3, inf}))
	if s["a"].Score != 1 || s["a"].Exact != 1 {
		t.Errorf("fastest everywhere: %+v", s["a"])
	}
	if s["c"].Score != 0 || s["c"].Exact != 0 {
		t.Errorf("never anywhere: %+v", s["c"])
	}
	if s["b"].Exact != 0 || s["b"].Ratios[0] != 4 || Profile(s["b"].Ratios, 4) != 1 || !(s["b"].Score > 0) {
		t.Errorf("a ratio of 4 counts as solved and adds nothing to the exact score: %+v", s["b"])
	}
	if !math.IsInf(s["d"].Ratios[0], 1) || s["d"].Why[0] != "too slow" || s["d"].Ratios[1] != 1.5 || s["d"].Why[2] != "missed" {
		t.Errorf("above 4: %+v", s["d"])
	}
}

// TestUnsolvedWorkloadsCount: a workload that nobody solves stays in the denominator, as ResNet-50 in the self-tuning ruleset of v0.5.
func TestUnsolvedWorkloadsCount(t *testing.T) {
	inf := math.Inf(1)
	s := scoresOf(t, V05(), tableOf([]float64{1, 1, 1, inf}, []float64{2.5, 2.5, inf, inf}))
	if s["a"].Exact != 0.75 || math.Abs(s["b"].Exact-0.25) > 1e-15 || s["a"].Why[3] != "missed" {
		t.Errorf("%+v", s)
	}
	g := publishedTables(t)[SelfTuning]
	j := slices.Index(g.table.Workloads, "imagenet_resnet")
	if j < 0 || slices.ContainsFunc(g.table.Seconds, func(row []float64) bool { return row[j] < inf }) || len(g.Base) != 8 {
		t.Errorf("the published table has no workload that nobody solved: %v", g.table.Workloads)
	}
}

// TestGridApproachesIntegral: the trapezoid rule differs from the integral by at most the share of a step, less on finer grids.
func TestGridApproachesIntegral(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		ratios := make([]float64, 1+r.IntN(9))
		for i := range ratios {
			ratios[i] = 1 + 4*r.Float64()
		}
		for _, grid := range []int{100, 1000, 10000} {
			rules := V06()
			rules.Grid = grid
			if d := math.Abs(rules.Trapezoid(ratios) - rules.Integral(ratios)); d > 0.5/float64(grid-1)+1e-12 {
				t.Errorf("grid %d: off by %v", grid, d)
			}
		}
	}
}

// randomTable has missed workloads, and variants of the first two.
func randomTable(r *rand.Rand) *Table {
	rows := make([][]float64, 3+r.IntN(4))
	for i := range rows {
		rows[i] = make([]float64, 6)
		for j := range rows[i] {
			rows[i][j] = math.Exp(r.NormFloat64())
			if r.Float64() < 0.2 {
				rows[i][j] = math.Inf(1)
			}
		}
	}
	t := tableOf(rows...)
	t.Base["w4"], t.Base["w5"] = "w0", "w1"
	return t
}

// TestScoreMetamorphic: another submission can only lower the scores of the others, times of a workload may be rescaled, and the
// order of submissions and workloads is of no effect.
func TestScoreMetamorphic(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		table := randomTable(r)
		before := scoresOf(t, V05(), table)

		scaled := *table
		scaled.Seconds = nil
		factor := make([]float64, len(table.Workloads))
		for j := range factor {
			factor[j] = math.Ldexp(1, r.IntN(20)-10)
		}
		for _, row := range table.Seconds {
			row = slices.Clone(row)
			for j := range row {
				row[j] *= factor[j]
			}
			scaled.Seconds = append(scaled.Seconds, row)
		}
		for s, row := range scoresOf(t, V05(), &scaled) {
			if row.Score != before[s].Score || row.Exact != before[s].Exact {
				t.Errorf("seed %d: rescaled times change the score of %s", seed, s)
			}
		}

		fewer := *table
		fewer.Submissions, fewer.Seconds = table.Submissions[1:], table.Seconds[1:]
		for _, rules := range []Rules{V05(), V06()} {
			all := scoresOf(t, rules, table)
			for s, row := range scoresOf(t, rules, &fewer) {
				if all[s].Exact > row.Exact+1e-15 || all[s].Score > row.Score+1e-15 {
					t.Errorf("seed %d, %s: %s gains from another submission", seed, rules.Name, s)
				}
			}
		}

		turned := *table
		turned.Submissions, turned.Seconds = slices.Clone(table.Submissions), slices.Clone(table.Seconds)
		slices.Reverse(turned.Submissions)
		slices.Reverse(turned.Seconds)
		for s, row := range scoresOf(t, V05(), &turned) {
			if row.Score != before[s].Score {
				t.Errorf("seed %d: the order of submissions changes the score of %s", seed, s)
			}
		}
	}
}

func TestVariantsGate(t *testing.T) {
	inf := math.Inf(1)
	// w0 with variant w2, w1 without one; b misses the variant, c is too slow there, d misses the base
	table := tableOf([]float64{1, 1, 1}, []float64{1, 1, inf}, []float64{1, 1, 5}, []float64{inf, 1, inf}, []float64{1, 1, 4})
	table.Base["w2"] = "w0"
	s := scoresOf(t, V05(), table)
	for name, want := range map[string]float64{"a": 1, "b": 0.5, "c": 0.5, "d": 0.5, "e": 1} {
		if got := s[name].Exact; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if s["b"].Why[0] != "variant w2" || s["d"].Why[0] != "missed" {
		t.Errorf("why: %q and %q", s["b"].Why, s["d"].Why)
	}
	for name, row := range scoresOf(t, V06(), table) {
		if want := map[string]float64{"d": 0.5}[name]; name != "d" && row.Exact != 1 || name == "d" && row.Exact != want {
			t.Errorf("v0.6, %s: %v", name, row.Exact)
		}
	}
}

func TestMedian(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{3, 1, 2}, 2}, {[]float64{1, 3}, 2}, {[]float64{inf, 1, inf, 2, inf}, inf}, {[]float64{inf, 1, 2, 3, inf}, 3}, {[]float64{inf, 1}, inf}, {[]float64{5}, 5},
	} {
		if got := Median(c.in); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.in, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestBadTables(t *testing.T) {
	for name, change := range map[string]func(*Table){
		"nothing to score": func(t *Table) { t.Submissions = nil },
		"a time of":        func(t *Table) { t.Seconds[1][1] = -1 },
		"a time of 0":      func(t *Table) { t.Seconds[0][0] = 0 },
		"of 1 submissions": func(t *Table) { t.Seconds = t.Seconds[:1] },
		"of 1 workloads":   func(t *Table) { t.Seconds[1] = t.Seconds[1][:1] },
		"base workload":    func(t *Table) { t.Base["w1"] = "elsewhere" },
	} {
		table := tableOf([]float64{1, 2}, []float64{2, 1})
		change(table)
		if _, err := V05().Compute(table, ""); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var u *UnknownError
	if _, err := V05().Compute(tableOf([]float64{1}), "z"); !errors.As(err, &u) || u.Name != "z" {
		t.Errorf("unknown reference: %v", err)
	}
	if _, err := RulesByName("v9"); !errors.As(err, &u) {
		t.Errorf("unknown rules: %v", err)
	}
}

// TestMissing: what was not run counts as missed and is named.
func TestMissing(t *testing.T) {
	s := scoresOf(t, V05(), tableOf([]float64{1, math.NaN()}, []float64{2, 3}))
	if s["a"].Exact != 0.5 || !slices.Equal(s["a"].Missing, []string{"w1"}) || s["a"].Why[1] != "not run" {
		t.Errorf("%+v", s["a"])
	}
}
