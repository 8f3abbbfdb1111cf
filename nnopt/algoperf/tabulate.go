package algoperf

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Merge puts logs together that belong to one comparison: equal rules and targets, no trial twice. names tell them apart in errors.
func Merge(logs []*Log, names []string) (*Log, error) {
	if len(logs) == 0 {
		return nil, fmt.Errorf("there is no log")
	}
	if len(names) != len(logs) {
		return nil, fmt.Errorf("%d names for %d logs", len(names), len(logs))
	}
	if k := slices.Index(logs, nil); k >= 0 {
		return nil, fmt.Errorf("%s: log %d is nil", names[k], k)
	}
	all := &Log{Header: logs[0].Header, Records: slices.Clone(logs[0].Records)}
	all.Terms = slices.Clone(all.Terms)
	for k, l := range logs[1:] {
		for before := range k + 1 {
			if what := differences(&logs[before].Header, &l.Header); what != "" {
				return nil, fmt.Errorf("%s and %s cannot be scored together: %s", names[before], names[k+1], what)
			}
		}
		for _, t := range l.Terms {
			if !slices.Contains(all.Terms, t) {
				all.Terms = append(all.Terms, t)
			}
		}
		all.Records, all.Data = append(all.Records, l.Records...), joinData(all.Data, l.Data)
		if err := all.checkRecords(); err != nil {
			return nil, fmt.Errorf("%s: %w, also in an earlier log", names[k+1], err)
		}
	}
	sortRecords(all)
	return all, nil
}

// sortRecords orders the records by workload as in the terms, submission in the order of their first trials, study and trial.
func sortRecords(l *Log) {
	workload, submission := map[string]int{}, map[string]int{}
	for i, t := range l.Terms {
		workload[t.Workload] = i
	}
	for i, name := range l.submissions() {
		submission[name] = i
	}
	slices.SortStableFunc(l.Records, func(a, b Record) int {
		return cmp.Or(workload[a.Workload]-workload[b.Workload], submission[a.Submission]-submission[b.Submission], a.Study-b.Study, a.Trial-b.Trial)
	})
}

// submissions lists the names in the log, those of the registry in its order before the others by name.
func (l *Log) submissions() (names []string) {
	for _, r := range l.Records {
		if !slices.Contains(names, r.Submission) {
			names = append(names, r.Submission)
		}
	}
	place := map[string]int{}
	for i, e := range Entries() {
		place[e.Name] = i - len(Entries())
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(place[a]-place[b], cmp.Compare(a, b)) })
	return names
}

// Tabulate returns the times of a log: the median over the studies of the least time of the trials of a study. A submission without trials on a workload has
// not run it; a study without a trial counts as missed.
func (l *Log) Tabulate() *Table {
	t := &Table{Submissions: l.submissions(), Base: map[string]string{}, Budget: map[string]float64{}}
	for _, w := range l.Terms {
		t.Workloads = append(t.Workloads, w.Workload)
		t.Budget[w.Workload] = w.Budget
		if w.Base != "" {
			t.Base[w.Workload] = w.Base
		}
	}
	for _, s := range t.Submissions {
		row := make([]float64, len(t.Workloads))
		for j, w := range t.Workloads {
			row[j] = l.time(s, w)
		}
		t.Seconds = append(t.Seconds, row)
	}
	return t
}

func (l *Log) time(submission, workload string) float64 {
	least := make([]float64, l.Studies)
	for n := range least {
		least[n] = math.Inf(1)
	}
	run := false
	for i := range l.Records {
		if r := &l.Records[i]; r.Submission == submission && r.Workload == workload {
			run = true
			least[r.Study] = min(least[r.Study], r.Time())
		}
	}
	if !run {
		return math.NaN()
	}
	return Median(least)
}
