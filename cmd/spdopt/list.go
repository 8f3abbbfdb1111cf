package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/manifold/solve"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
	"github.com/spdopt/spdopt/nnopt/train"
	"github.com/spdopt/spdopt/roots"
)

// listEntry is one thing that can be named on the command line.
type listEntry struct {
	Name    string   `json:"name"`
	What    string   `json:"what"`
	Input   string   `json:"input,omitempty"`
	Methods []string `json:"methods,omitempty"`
	Metrics []string `json:"metrics,omitempty"`
	Flags   []string `json:"flags,omitempty"`
}

// listing is one kind of such things; the entries come from the registries of the packages.
type listing struct {
	kind    string
	entries func() []listEntry
}

var listings = []listing{
	{"problems", func() (all []listEntry) {
		for _, p := range problem.List() {
			flags := slices.Clone(p.Uses)
			if p.OnDevice() {
				flags = append(flags, "device")
			}
			all = append(all, listEntry{p.Name, p.What, p.Input, methodNames(p), p.Metrics(), flags})
		}
		return all
	}},
	{"solvers", func() (all []listEntry) {
		for _, s := range append(solve.Solvers(), solve.Special()...) {
			all = append(all, listEntry{Name: s.Name, What: s.What, Input: s.Needs})
		}
		return all
	}},
	{"roots", func() (all []listEntry) {
		for _, m := range roots.Methods() {
			all = append(all, listEntry{Name: m.Name, What: m.Title})
		}
		return all
	}},
	{"metrics", func() (all []listEntry) {
		for _, m := range manifold.Metrics() {
			all = append(all, listEntry{Name: m.Name, What: m.What})
		}
		for _, c := range manifold.Comparisons() {
			all = append(all, listEntry{Name: c.Name, What: c.What})
		}
		return all
	}},
	{"means", func() (all []listEntry) {
		for _, m := range manifold.Averages() {
			all = append(all, listEntry{Name: m.Name, What: m.What})
		}
		return all
	}},
	{"spaces", func() (all []listEntry) {
		for _, s := range manifold.Spaces() {
			all = append(all, listEntry{Name: s.Name, What: s.What})
		}
		return all
	}},
	{"workloads", func() (all []listEntry) {
		for _, w := range train.Workloads() {
			all = append(all, listEntry{Name: w.Name, What: w.What, Input: w.Data})
		}
		return all
	}},
	{"optimizers", func() (all []listEntry) {
		for _, o := range nnopt.Optimizers() {
			all = append(all, listEntry{Name: o.Name, What: o.What})
		}
		return all
	}},
	{"races", raceListing},
	{"submissions", submissionListing},
	{"layers", func() (all []listEntry) {
		for _, l := range net.Layers() {
			all = append(all, listEntry{Name: l.Name, What: l.What})
		}
		return all
	}},
	{"losses", func() (all []listEntry) {
		for _, l := range net.Losses() {
			all = append(all, listEntry{Name: l.Name, What: l.What})
		}
		return all
	}},
	{"strategies", func() (all []listEntry) {
		for _, s := range esadapt.Strategies() {
			all = append(all, listEntry{Name: s.Name, What: s.Summary})
		}
		return all
	}},
	{"objectives", func() (all []listEntry) {
		for _, f := range objective.Forms() {
			all = append(all, listEntry{Name: f.Name, What: f.Summary})
		}
		return all
	}},
	{"functions", func() (all []listEntry) {
		for _, d := range bbob.All() {
			all = append(all, listEntry{Name: d.ID, What: d.Title + " (" + string(d.Group) + ")"})
		}
		return all
	}},
	{"formats", func() (all []listEntry) {
		for _, f := range matio.Formats() {
			all = append(all, listEntry{Name: string(f), What: f.Title()})
		}
		return all
	}},
}

func listKinds() (kinds []string) {
	for _, l := range listings {
		kinds = append(kinds, l.kind)
	}
	return kinds
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "list [KIND]",
		Short:     "List what can be named: problems, solvers, workloads, optimizers, functions, formats and more",
		Long:      "List what can be named on the command line: " + strings.Join(listKinds(), ", ") + "; without KIND all of it.",
		Example:   "  spdopt list problems\n  spdopt list --json",
		ValidArgs: listKinds(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("list takes one kind, got %q as well", args[1])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			chosen := listings
			if len(args) == 1 {
				chosen = nil
				for _, l := range listings {
					if l.kind == args[0] {
						chosen = []listing{l}
					}
				}
				if chosen == nil {
					return unknown("kind", args[0], "list", listKinds(), "spdopt list --help")
				}
			}
			if a.json {
				return a.printJSON(listObject(chosen))
			}
			a.printListings(chosen)
			return nil
		},
	}
}

func listObject(chosen []listing) map[string]any {
	object := map[string]any{"schema": schema}
	for _, l := range chosen {
		object[l.kind] = l.entries()
	}
	return object
}

func (a *app) printListings(chosen []listing) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for k, l := range chosen {
		if k > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, l.kind)
		for _, e := range l.entries() {
			fmt.Fprintf(w, "  %s\t%s\n", e.Name, e.What)
			if e.Input != "" {
				fmt.Fprintf(w, "  \tinput: %s\n", e.Input)
			}
			if len(e.Methods) > 0 {
				fmt.Fprintf(w, "  \tmethods: %s\n", strings.Join(e.Methods, ", "))
			}
			if len(e.Metrics) > 0 {
				fmt.Fprintf(w, "  \tmetrics: %s\n", strings.Join(e.Metrics, ", "))
			}
			if len(e.Flags) > 0 {
				fmt.Fprintf(w, "  \tflags: --%s\n", strings.Join(e.Flags, ", --"))
			}
		}
	}
	w.Flush()
}
