package main

import (
	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/cmd/spdopt/internal/selftest"
	"github.com/spdopt/spdopt/internal/engine"
)

func (a *app) checkDeviceCommand() *cobra.Command {
	var device string
	cmd := &cobra.Command{
		Use:   "device",
		Short: "Check that a device gives what the processor gives",
		Long: "Compare every operation of a device, a root, a mean, steps of two optimizers and the losses of a small network with what the processor gives. " +
			"A failed check makes the exit code 4, a device that is absent or cannot be used 6.",
		Example: "  spdopt check device\n  spdopt check device --device cuda:1 --json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			if device == "cpu" || device == "" {
				return usagef("check device compares a device with the processor; the processor itself: spdopt check install")
			}
			return a.checkDevice(device)
		},
	}
	cmd.Flags().StringVar(&device, "device", "cuda", "which device: cuda, cuda:1")
	return cmd
}

func (a *app) checkDevice(name string) error {
	product, err := engine.Describe(name)
	if err != nil {
		return err
	}
	var checks []selftest.Check
	if err := unlessInterrupted(a.ctx, func(*guard) (err error) { checks, err = selftest.Device(name); return err }); err != nil {
		return err
	}
	return a.reportChecks(checkReport{What: "device", Device: name, Product: product}, checks)
}
