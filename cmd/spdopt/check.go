package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
)

// checkReport is the JSON object of "check".
type checkReport struct {
	Schema int           `json:"schema"`
	What   string        `json:"what"`
	Passed bool          `json:"passed"`
	Checks []checkOutput `json:"checks"`
}

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check WHAT",
		Short: "Check that this installation gives right results, or that a gradient is right",
		Long: "Check, in a few seconds, that this installation gives right results on this machine (check install), or that a gradient fits its cost " +
			"(check gradient). A failed check makes the exit code 4.",
		Example:   "  spdopt check install\n  spdopt check gradient tyler --data samples.npy",
		ValidArgs: []string{"install"},
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("check: say what: install or gradient")
			case args[0] != "install":
				return unknown("check", args[0], "", []string{"install", "gradient"}, "spdopt check --help")
			case len(args) > 1:
				return usagef("check install takes no arguments, got %q", args[1])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			var checks []selftest.Check
			if err := unlessInterrupted(a.ctx, func(*guard) error { checks = selftest.Run(); return nil }); err != nil {
				return err
			}
			r := checkReport{Schema: schema, What: "install", Passed: true, Checks: checkOutputs(checks)}
			for _, c := range r.Checks {
				r.Passed = r.Passed && c.Passed
			}
			if a.json {
				if err := a.printJSON(r); err != nil {
					return err
				}
			} else {
				a.printChecks(checks)
			}
			if !r.Passed {
				return &unmetError{"check install: a check failed"}
			}
			return nil
		},
	}
	cmd.AddCommand(a.checkGradientCommand())
	return cmd
}

// printChecks prints checks as a table.
func (a *app) printChecks(checks []selftest.Check) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "check\tvalue\tlimit\t")
	for _, c := range checkOutputs(checks) {
		fmt.Fprintf(w, "%s\t%s\t%.2g\t%s\n", c.Name, c.value(), float64(c.Limit), c.word())
	}
	w.Flush()
}
