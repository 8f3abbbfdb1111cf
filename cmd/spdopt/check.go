package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
)

// checkReport is the JSON object of "check".
type checkReport struct {
	Schema  int           `json:"schema"`
	What    string        `json:"what"`
	Device  string        `json:"device,omitempty"`
	Product string        `json:"product,omitempty"` // that the device is
	Passed  bool          `json:"passed"`
	Checks  []checkOutput `json:"checks"`
}

func (a *app) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check WHAT",
		Short: "Check that this installation or a device gives right results, or that a gradient is right",
		Long: "Check, in a few seconds, that this installation gives right results on this machine (check install), that a GPU gives those of the processor " +
			"(check device), or that a gradient fits its cost (check gradient). A failed check makes the exit code 4.",
		Example: "  spdopt check install\n  spdopt check gradient tyler --data samples.npy",
		Args:    oneVerb("check"),
		RunE:    func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.checkInstallCommand(), a.checkDeviceCommand(), a.checkGradientCommand())
	return cmd
}

func (a *app) checkInstallCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "install",
		Short:   "Check that this installation gives right results on this machine",
		Long:    "Compare a product, eigenvalues, a root, a mean, distances and a stack of matrices in a file with what they must be, in a few seconds. A failed check makes the exit code 4.",
		Example: "  spdopt check install\n  SPDOPT_DENSE=portable spdopt check install --json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			var checks []selftest.Check
			if err := unlessInterrupted(a.ctx, func(*guard) error { checks = selftest.Run(); return nil }); err != nil {
				return err
			}
			return a.reportChecks(checkReport{What: "install"}, checks)
		},
	}
}

// reportChecks prints the checks below what the report says already; the error says that one failed.
func (a *app) reportChecks(r checkReport, checks []selftest.Check) error {
	r.Schema, r.Passed, r.Checks = schema, true, checkOutputs(checks)
	for _, c := range r.Checks {
		r.Passed = r.Passed && c.Passed
	}
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		if r.Device != "" {
			fmt.Fprintf(a.out, "%s: %s\n\n", r.Device, r.Product)
		}
		a.printChecks(checks)
	}
	if !r.Passed {
		return &unmetError{"check " + r.What + ": a check failed"}
	}
	return nil
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
