package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/esadapt/serve"
)

func (a *app) serveCommand() *cobra.Command {
	var stdio bool
	cmd := &cobra.Command{
		Use:   "serve --stdio",
		Short: "Let another program drive a search, by JSON lines",
		Long: `Let another program minimize: it sends one JSON object a line on standard input and gets one line back on standard output.

  {"op":"open","dim":2,"x0":[1,2],"sigma0":2,"seed":7,"budget":5000}   -> {"x":[[..],[..]],"restarts":0}
  {"op":"tell","f":[..]}                                               -> the next points, or {"stop":"why"}
  {"op":"best"}                                                        -> {"x":[..],"f":..,"evaluations":..}
  {"op":"save","path":".."}  {"op":"load","path":".."}  {"op":"ask"}  {"op":"close"}

"open" also takes "lower", "upper", "scale", "integers" (the first so many variables), "constraints" (then "tell" has "g" as well), "objectives" and "options".
What can't be done is answered by {"error":".."} and changes nothing. The end of the input is the end of the program.`,
		Example: "  spdopt serve --stdio",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("serve takes no arguments, got %q", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			if !stdio {
				return usagef("serve where? give --stdio")
			}
			return a.serveStdio()
		},
	}
	cmd.Flags().BoolVar(&stdio, "stdio", false, "on standard input and output")
	return cmd
}

// serveStdio answers until the input ends or the program is interrupted.
func (a *app) serveStdio() error {
	ended := make(chan error, 1)
	go func() { ended <- serve.Serve(a.in, a.out) }()
	select {
	case err := <-ended:
		return err
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
}
