package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// completions says which arguments and flags take the name of something that "list" knows, so that shells complete them from the registries.
var completions = []struct {
	command string // below spdopt
	flag    string // "" is the first argument
	kinds   []string
}{
	{"solve", "", []string{"problems"}},
	{"solve", "method", []string{"solvers"}},
	{"solve", "metric", []string{"metrics"}},
	{"root", "method", []string{"roots"}},
	{"minimize", "fn", []string{"functions"}},
	{"minimize", "strategy", []string{"strategies"}},
	{"train", "", []string{"workloads"}},
	{"train", "opt", []string{"optimizers"}},
}

// complete installs the completions in the command tree; an entry whose command or flag is not there is skipped.
func complete(root *cobra.Command) {
	for _, c := range completions {
		cmd, _, err := root.Find(strings.Fields(c.command))
		if err != nil || cmd == root {
			continue
		}
		names := func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if c.flag == "" && len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return namesOf(c.kinds), cobra.ShellCompDirectiveNoFileComp
		}
		if c.flag == "" {
			cmd.ValidArgsFunction = names
		} else if cmd.Flags().Lookup(c.flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(c.flag, names)
		}
	}
}

// namesOf returns the entries of the kinds of listings, each with what it is.
func namesOf(kinds []string) (all []cobra.Completion) {
	for _, l := range listings {
		for _, kind := range kinds {
			if l.kind != kind {
				continue
			}
			for _, e := range l.entries() {
				all = append(all, cobra.CompletionWithDesc(e.Name, e.What))
			}
		}
	}
	return all
}
