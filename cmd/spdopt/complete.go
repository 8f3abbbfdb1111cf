package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/run"
	"github.com/spdopt/spdopt/manifold/problem"
)

// completions says which arguments and flags take the name of something that "list" knows, so that shells complete them from the registries.
var completions = []struct {
	command string // below spdopt
	flag    string // "" is the first argument
	kinds   []string
}{
	{"solve", "", []string{"problems"}},
	{"root", "method", []string{"roots"}},
	{"minimize", "fn", []string{"functions"}},
	{"minimize", "strategy", []string{"strategies"}},
	{"worker", "fn", []string{"functions"}},
	{"check gradient", "", []string{"problems"}},
	{"bench es", "functions", []string{"functions"}},
	{"bench es", "strategy", []string{"strategies"}},
	{"bench spd", "problems", []string{"problems"}},
	{"bench nn", "opts", []string{"submissions"}},
	{"bench nn", "workloads", []string{"races"}},
	{"bench cost", "opts", []string{"submissions"}},
	{"bench cost", "workloads", []string{"races"}},
	{"bench target", "workloads", []string{"races"}},
	{"train", "", []string{"workloads"}},
	{"train", "opt", []string{"optimizers"}},
}

// ofRuns are the commands whose arguments name runs.
var ofRuns = []string{"runs show", "runs resume", "runs compare", "runs export", "runs rm", "watch", "report", "plot", "ask", "tell", "laplace", "curvature trace", "curvature spectrum",
	"curvature topk", "curvature factors", "curvature check", "influence score", "influence lds",
	"influence remove"}

// complete installs the completions in the command tree.
func (a *app) complete(root *cobra.Command) {
	for _, c := range completions {
		cmd, _, err := root.Find(strings.Fields(c.command))
		if err != nil || cmd == root {
			panic("completions name an unknown command " + c.command)
		}
		names := func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if c.flag == "" && len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return namesOf(c.kinds), cobra.ShellCompDirectiveNoFileComp
		}
		if c.flag == "" {
			cmd.ValidArgsFunction = names
		} else if err := cmd.RegisterFlagCompletionFunc(c.flag, names); err != nil {
			panic(err)
		}
	}
	a.completeSolve(root)
	for _, name := range ofRuns {
		cmd, _, err := root.Find(strings.Fields(name))
		if err != nil || cmd == root {
			panic("completions name an unknown command " + name)
		}
		cmd.ValidArgsFunction = a.runNames
	}
}

// completeSolve completes the methods and metrics of the problem that is named, or of any.
func (a *app) completeSolve(root *cobra.Command) {
	solve, _, err := root.Find([]string{"solve"})
	if err != nil {
		panic(err)
	}
	for flag, of := range map[string]struct {
		names func(problem.Problem) []string
		known []string // kinds of listings that say what the names are
	}{"method": {methodNames, []string{"solvers"}}, "metric": {problem.Problem.Metrics, []string{"metrics", "means"}}} {
		err := solve.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, args []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
			var names []string
			for _, p := range problem.List() {
				if len(args) == 0 || p.Name == args[0] {
					names = append(names, of.names(p)...)
				}
			}
			what := map[string]string{}
			for _, e := range entriesOf(of.known) {
				what[e.Name] = e.What
			}
			for k, name := range names {
				if slices.Index(names, name) == k {
					all = append(all, cobra.CompletionWithDesc(name, what[name]))
				}
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			panic(err)
		}
	}
}

// runNames returns the runs in --runs, each with what it is.
func (a *app) runNames(*cobra.Command, []string, string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	runs, _ := run.List(a.runs) // what cannot be read cannot be completed
	for _, i := range runs {
		all = append(all, cobra.CompletionWithDesc(filepath.Base(i.Dir), i.Manifest.Verb+" "+i.Manifest.Name+", "+string(i.Status)))
	}
	return all, cobra.ShellCompDirectiveDefault
}

// namesOf returns the entries of the kinds of listings, each with what it is.
func namesOf(kinds []string) (all []cobra.Completion) {
	for _, e := range entriesOf(kinds) {
		all = append(all, cobra.CompletionWithDesc(e.Name, e.What))
	}
	return all
}

func entriesOf(kinds []string) (all []listEntry) {
	for _, l := range listings {
		if slices.Contains(kinds, l.kind) {
			all = append(all, l.entries()...)
		}
	}
	return all
}
