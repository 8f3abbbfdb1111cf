package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fewDigits makes a folder of 50 images of 8 x 8, each a bar whose place is its class, with noise.
func fewDigits(t *testing.T) string {
	t.Helper()
	const n, side = 50, 8
	folder := t.TempDir()
	images := binary.BigEndian.AppendUint32(nil, 0x803)
	labels := binary.BigEndian.AppendUint32(nil, 0x801)
	for k, size := range []uint32{n, side, side} {
		images = binary.BigEndian.AppendUint32(images, size)
		if k == 0 {
			labels = binary.BigEndian.AppendUint32(labels, size)
		}
	}
	for i := range n {
		class := i % 4
		for p := range side * side {
			pixel := byte(i * p * 37 % 90)
			if p/side/2 == class {
				pixel += 150
			}
			images = append(images, pixel)
		}
		labels = append(labels, byte(class))
	}
	for name, content := range map[string][]byte{"images-idx3-ubyte": images, "labels-idx1-ubyte": labels} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestInfluenceOfRun runs every verb and method on a trained run of images, with a cache and a picture, and on one of points with noise.
func TestInfluenceOfRun(t *testing.T) {
	run := trainedRun(t, "mnist-mlp", "--data", fewDigits(t), "--steps", "20", "--eval-every", "20", "--batch", "20")
	cache, picture := filepath.Join(t.TempDir(), "cache"), filepath.Join(t.TempDir(), "digits.svg")
	score := func(args ...string) *scoresOf {
		t.Helper()
		var out scoresOf
		decode(t, succeed(t, append([]string{"influence", "score", run, "--json", "--batch", "500"}, args...)...), &out)
		return &out
	}
	first := score("--queries", "3,0", "--top", "3", "--cache", cache, "--svg", picture, "--per-module", "--samples", "1")
	again := score("--queries", "3,0", "--top", "3", "--cache", cache, "--per-module", "--samples", "1", "--bits", "8")
	if len(first.Scores) != 2 || len(first.Modules) != 2 || first.Scores[0].Query != 3 {
		t.Fatalf("%+v", first)
	}
	for k, q := range first.Scores {
		if len(q.Helpful) != 3 || len(q.Harmful) != 3 || !(q.Helpful[0].Score > 0 && q.Harmful[0].Score < 0 && q.Helpful[0].Score >= q.Helpful[1].Score) {
			t.Errorf("%+v", q)
		}
		if d := q.Helpful[0].Score - again.Scores[k].Helpful[0].Score; d > 0.05*q.Helpful[0].Score || -d > 0.05*q.Helpful[0].Score {
			t.Errorf("from the cache, with 8 bits: %v, before %v", again.Scores[k].Helpful[0], q.Helpful[0])
		}
		if d := q.Helpful[0].ByModule[0] + q.Helpful[0].ByModule[1] - q.Helpful[0].Score; d > 1e-6 || d < -1e-6 {
			t.Errorf("modules do not add up: %+v", q.Helpful[0])
		}
	}
	svg, err := os.ReadFile(picture)
	if err != nil || !strings.HasPrefix(string(svg), "<svg") || strings.Contains(string(svg), "NaN") || !strings.Contains(string(svg), "query 3, helpful") {
		t.Errorf("%v, %.80s", err, svg)
	}
	if self := score("--self", "--top", "4", "--method", "identity"); len(self.Self) != 4 || self.Self[3].Score <= 0 {
		t.Errorf("%+v", self.Self)
	}
	points := trainedRun(t, "diffusion", "--steps", "20", "--eval-every", "20", "--batch", "100")
	o := succeed(t, "influence", "score", points, "--method", "diagonal", "--skip", "--draws", "2", "--samples", "1", "--count", "2", "--batch", "1000")
	if !strings.Contains(o.stdout, "helpful") || !strings.Contains(o.stdout, "left out") || !strings.Contains(o.stdout, "gain") {
		t.Error(o.stdout)
	}
}

// scoresOf is what the tests read of "influence score".
type scoresOf struct {
	Modules []string
	Scores  []struct {
		Query            int
		Helpful, Harmful []oneScore
	}
	Self []oneScore
}

type oneScore struct {
	Example  int
	Score    float64
	ByModule []float64 `json:"by_module"`
}

// TestInfluenceRetrains: the verbs that train again report every method with a standard error.
func TestInfluenceRetrains(t *testing.T) {
	run := trainedRun(t, "mnist-mlp", "--data", fewDigits(t), "--steps", "8", "--eval-every", "8", "--batch", "20")
	var lds struct {
		Methods []struct {
			Method string
			Mean   float64
			StdErr float64
		}
		Ceiling *struct {
			Pairs, Others struct{ Mean, StdErr float64 }
		}
	}
	common := []string{run, "--json", "--count", "4", "--methods", "ekfac,trak", "--features", "16", "--samples", "1", "--batch", "1000"}
	kept := filepath.Join(t.TempDir(), "measured.json")
	first := succeed(t, append([]string{"influence", "lds", "--subsets", "4", "--measured", kept}, common...)...)
	if again := succeed(t, append([]string{"influence", "lds", "--subsets", "4", "--measured", kept}, common...)...); again.stdout != first.stdout {
		t.Errorf("from kept measurements %s, before %s", again.stdout, first.stdout)
	}
	if o := invoke(append([]string{"influence", "lds", "--subsets", "5", "--measured", kept}, common...)...); o.code != exitInput || !strings.Contains(o.stderr, "other queries") {
		t.Errorf("measurements of other subsets: exit code %d, %s", o.code, o.stderr)
	}
	decode(t, first, &lds)
	if len(lds.Methods) != 2 || lds.Ceiling == nil || lds.Methods[1].Method != "trak" || !(lds.Methods[0].Mean >= -1 && lds.Methods[0].Mean <= 1) {
		t.Errorf("%+v", lds)
	}
	var removed struct {
		Methods []struct {
			Counts []struct {
				Removed int
				Mean    float64
			}
		}
	}
	decode(t, succeed(t, append([]string{"influence", "remove", "--remove", "5", "--repeats", "1"}, append(common, "--count", "1")...)...), &removed)
	if len(removed.Methods) != 2 || len(removed.Methods[0].Counts) != 1 || removed.Methods[0].Counts[0].Removed != 5 {
		t.Errorf("%+v", removed)
	}
}

// TestInfluenceRefuses: each mistake has its exit code and says what it is.
func TestInfluenceRefuses(t *testing.T) {
	run := trainedRun(t, "mnist-mlp", "--data", fewDigits(t), "--steps", "2", "--eval-every", "2", "--batch", "20")
	graph := trainedRun(t, "graph", "--steps", "2")
	points := trainedRun(t, "diffusion", "--steps", "2", "--eval-every", "2")
	other := trainedRun(t, "mnist-mlp", "--data", fewDigits(t), "--steps", "2", "--eval-every", "2", "--batch", "20")
	swapModel(t, other, points)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":      {nil, exitUsage, "influence what? lds"},
		"verb":         {[]string{"scores", run}, exitUsage, "score"},
		"no run":       {[]string{"score"}, exitUsage, "one run"},
		"no folder":    {[]string{"score", filepath.Join(run, "none")}, exitInput, "no run"},
		"method":       {[]string{"score", run, "--method", "guess"}, exitUsage, "trak"},
		"methods":      {[]string{"lds", run, "--methods", "guess"}, exitUsage, "trak"},
		"trak":         {[]string{"score", run, "--method", "trak", "--self"}, exitUsage, "trak"},
		"bits":         {[]string{"score", run, "--bits", "3"}, exitUsage, "8"},
		"query":        {[]string{"score", run, "--queries", "100000"}, exitUsage, "100000"},
		"empty subset": {[]string{"lds", run, "--share", "0"}, exitUsage, "subset"},
		"features":     {[]string{"lds", run, "--features", "-1"}, exitUsage, "must be positive"},
		"one subset":   {[]string{"lds", run, "--subsets", "1"}, exitUsage, "at least 2"},
		"removal":      {[]string{"remove", run, "--remove", "0"}, exitUsage, "--remove"},
		"scale":        {[]string{"score", run, "--damping-scale", "large"}, exitUsage, "weighted"},
		"damping":      {[]string{"score", run, "--damping", "-1"}, exitUsage, "negative"},
		"no damping":   {[]string{"score", run, "--damping", "0"}, exitUsage, "--damping-scale absolute"},
		"singular":     {[]string{"score", run, "--damping-scale", "absolute", "--damping", "0", "--samples", "1"}, exitFailure, "damping"},
		"dependent":    {[]string{"score", graph}, exitUsage, "depend"},
		"no images":    {[]string{"score", points, "--svg", filepath.Join(t.TempDir(), "x.svg")}, exitUsage, "grey images"},
		"no factors":   {[]string{"score", points, "--count", "1"}, exitUsage, "--skip"},
		"no classes":   {[]string{"score", points, "--skip", "--measurement", "margin", "--method", "identity", "--draws", "1"}, exitInput, "class"},
		"architecture": {[]string{"score", other}, exitInput, "another model"},
	} {
		o := invoke(append([]string{"influence"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.says) {
			t.Errorf("%s: exit code %d, %s", name, o.code, o.stderr)
		}
	}
}
