package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/roots"
)

// rootResult is the function of one matrix; h is the second factor of a polar decomposition.
type rootResult struct {
	name  string
	x     dense.Matrix[float64]
	h     *dense.Matrix[float64]
	rep   roots.Report
	took  time.Duration
	check *rootCheck
}

// compute evaluates the function at m and, where asked to, once more on another road.
func (job *rootJob) compute(m *matio.Matrix) (*rootResult, error) {
	evaluate := job.symmetric
	if job.q.Kind == roots.KindPolar {
		evaluate = job.polar
	}
	began := time.Now()
	r, verify, err := evaluate(m)
	r.took = time.Since(began)
	if err = job.explain(m, err); err != nil {
		return nil, err
	}
	if !job.f.verify {
		return r, nil
	}
	v, err := verify()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: --check: %w", m.File, m.Subject(), err)
	}
	allowed := r.rep.Bound
	if job.o.Tol > 0 {
		allowed = min(allowed, job.o.Tol)
	}
	r.check = &rootCheck{v.Road, num(v.Difference), num(allowed + v.Promise), v.Holds(allowed)}
	if !r.check.Passed && job.missed == nil {
		job.missed = &unmetError{fmt.Sprintf("%s: %s: --check: the result differs from that of %s by %.3g, where %.3g is allowed",
			m.File, m.Subject(), v.Road, v.Difference, allowed+v.Promise)}
	}
	return r, nil
}

func (job *rootJob) symmetric(m *matio.Matrix) (*rootResult, func() (roots.Verification, error), error) {
	var dst mat.SymDense
	a := mat.NewSymDense(m.Rows, m.Data)
	compute := roots.Compute
	if job.f.precision == "single" {
		compute = computeSingle
	}
	rep, err := compute(&dst, a, job.q, job.o)
	r := &rootResult{rep: rep}
	if !dst.IsEmpty() {
		r.x = full(&dst)
	}
	return r, func() (roots.Verification, error) { return roots.Verify(&dst, a, rep, job.o) }, err
}

// computeSingle is roots.Compute in float32.
func computeSingle(dst *mat.SymDense, a mat.Symmetric, q roots.Query, o *roots.Options) (roots.Report, error) {
	n := a.SymmetricDim()
	x := make([]float32, n*n)
	for i := range n {
		for j := range n {
			x[i*n+j] = float32(a.At(i, j))
		}
	}
	rep, err := roots.Compute32(x, x, n, q, o)
	var accuracy *roots.AccuracyError
	if err == nil || errors.As(err, &accuracy) {
		dst.ReuseAsSym(n)
		for i := range n {
			for j := i; j < n; j++ {
				dst.SetSym(i, j, float64(x[i*n+j]))
			}
		}
	}
	return rep, err
}

func (job *rootJob) polar(m *matio.Matrix) (*rootResult, func() (roots.Verification, error), error) {
	if m.Rows < m.Cols {
		return &rootResult{}, nil, &matio.Error{File: m.File, What: fmt.Sprintf("%s is %d x %d: polar needs at least as many rows as columns", m.Subject(), m.Rows, m.Cols),
			Try: "transpose it; the factors of A^T = U H give A = H U^T"}
	}
	var u mat.Dense
	var h mat.SymDense
	a := mat.NewDense(m.Rows, m.Cols, m.Data)
	rep, err := roots.Polar(&u, &h, a, job.o)
	r := &rootResult{rep: rep}
	if !u.IsEmpty() {
		r.x = dense.Of(u.RawMatrix())
		second := full(&h)
		r.h = &second
	}
	return r, func() (roots.Verification, error) { return roots.VerifyPolar(&u, a, rep) }, err
}

// rootWords turns the names of options in messages into those of flags.
var rootWords = strings.NewReplacer("roots: ", "", "raise Options.Tol, add a ridge, or let the method be auto", "raise --tol, give --jitter, or leave --method to auto",
	"needs a basis to start from (Options.Start)", "needs a basis to start from, which only a program can give")

// explain names the matrix and the flags that help. An accuracy that could not be promised is remembered; the result stands.
func (job *rootJob) explain(m *matio.Matrix, err error) error {
	if err == nil {
		return nil
	}
	var definite *roots.NotPositiveDefiniteError
	var accuracy *roots.AccuracyError
	var file *matio.Error
	named := &reworded{err, fmt.Sprintf("%s: %s: %s", m.File, m.Subject(), rootWords.Replace(err.Error()))}
	switch {
	case errors.As(err, &accuracy):
		if job.missed == nil {
			job.missed = named
		}
		return nil
	case errors.As(err, &file):
		return err
	case errors.As(err, &definite) && job.q.Kind == roots.KindPolar:
		return &matio.Error{File: m.File, What: fmt.Sprintf("%s has not full column rank: smallest singular value %.3g (largest %.3g)",
			m.Subject(), definite.Smallest, definite.Largest), Err: err}
	case errors.As(err, &definite):
		bad := &matio.Error{File: m.File, What: fmt.Sprintf("%s is not positive definite: smallest eigenvalue %.3g (largest %.3g)", m.Subject(), definite.Smallest, definite.Largest)}
		if e := (matio.Check{Kind: matio.SPD}).Apply(m); errors.As(e, &file) {
			bad = file
		}
		remedy := fmt.Sprintf("--cutoff 1e-12 to drop the eigenvalues up to that part of the largest (%d not positive)", definite.Negligible)
		if bad.Try = strings.TrimPrefix(bad.Try, "try "); bad.Try != "" {
			remedy = bad.Try + ", or " + remedy
		}
		bad.Try = "try " + remedy
		return bad
	}
	return named
}

// rootSink takes the results as they come: to the output files, into the JSON text, or to be shown.
type rootSink struct {
	w, wH       *matio.Writer
	stack       bool
	keep, show  bool
	text, textH bytes.Buffer
	last, lastH *dense.Matrix[float64]
	reports     []rootReport
	first       roots.Report
}

// open creates the files.
func (s *rootSink) open(a *app, f *rootFlags, stack bool) (err error) {
	s.stack = stack
	if s.w, err = f.create(a, stack); err != nil || f.outH == "" {
		return err
	}
	second := fileFlags{out: f.outH, format: f.format}
	s.wH, err = second.create(a, stack)
	return err
}

func (s *rootSink) abort() {
	for _, w := range []*matio.Writer{s.w, s.wH} {
		if w != nil {
			w.Abort()
		}
	}
}

func (s *rootSink) commit() error {
	for _, w := range []*matio.Writer{s.w, s.wH} {
		if w == nil {
			continue
		}
		if err := w.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (s *rootSink) add(m *matio.Matrix, r *rootResult) error {
	if len(s.reports) == 0 {
		s.first = r.rep
	}
	s.reports = append(s.reports, r.report(m))
	if s.show {
		s.last, s.lastH = &r.x, r.h
	}
	if s.keep {
		appendArray(&s.text, r.x)
		if r.h != nil {
			appendArray(&s.textH, *r.h)
		}
	}
	if s.wH != nil {
		if err := s.wH.Add(r.name, *r.h); err != nil {
			return err
		}
	}
	if s.w == nil {
		return nil
	}
	return s.w.Add(r.name, r.x)
}

func (r *rootResult) report(m *matio.Matrix) rootReport {
	rep := &r.rep
	o := rootReport{
		File: m.File, Matrix: m.Subject(), Method: rep.Method, N: rep.N, Residual: num(rep.Residual), Bound: num(rep.Bound),
		Smallest: num(rep.LambdaMin), Largest: num(rep.LambdaMax), Iterations: rep.Iterations, Reason: rep.Reason,
		Products: num(rep.Work), Seconds: num(r.took.Seconds()), Check: r.check,
	}
	if rep.Kind == roots.KindPolar {
		o.Rows = m.Rows
	}
	for _, l := range rep.Dropped {
		o.Dropped = append(o.Dropped, num(l))
	}
	return o
}

// appendArray adds a matrix to a list of JSON arrays.
func appendArray(b *bytes.Buffer, m dense.Matrix[float64]) {
	if b.Len() > 0 {
		b.WriteByte(',')
	}
	b.Write(matio.AppendRows(nil, m))
}

// array returns the collected matrices as one JSON array.
func (s *rootSink) array(b *bytes.Buffer) json.RawMessage {
	if s.stack {
		return slices.Concat([]byte("["), b.Bytes(), []byte("]"))
	}
	return b.Bytes()
}

// shape describes the size of the matrices.
func (s *rootSink) shape(n int) string {
	if r := s.reports[0].Rows; r > 0 {
		return fmt.Sprintf("%d x %d", r, n)
	}
	return fmt.Sprintf("n = %d", n)
}

// checkLine sums up what --check found, the worst matrix first.
func (s *rootSink) checkLine() string {
	var worst *rootCheck
	failed := 0
	for _, r := range s.reports {
		c := r.Check
		if c == nil {
			return ""
		}
		if !c.Passed {
			failed++
		}
		if worst == nil || float64(c.Difference)/float64(c.Allowed) > float64(worst.Difference)/float64(worst.Allowed) {
			worst = c
		}
	}
	if worst == nil {
		return ""
	}
	word := "passed"
	if failed > 0 {
		word = fmt.Sprintf("failed for %d of %d", failed, len(s.reports))
	}
	return fmt.Sprintf("%s: differs by %.3g, %.3g allowed (%s)", word, float64(worst.Difference), float64(worst.Allowed), worst.Road)
}

// droppedLine lists the eigenvalues that --cutoff dropped.
func (s *rootSink) droppedLine() string {
	const most = 8
	var all []string
	for _, r := range s.reports {
		for _, l := range r.Dropped {
			all = append(all, fmt.Sprintf("%.3g", float64(l)))
		}
	}
	if len(all) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d eigenvalues by --cutoff: %s", len(all), strings.Join(all[:min(most, len(all))], ", "))
	if len(all) == 1 {
		text = "1 eigenvalue by --cutoff: " + all[0]
	}
	if len(all) > most {
		text += " ..."
	}
	return text
}
