package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/monitor"
	"github.com/spdopt/spdopt/internal/report"
)

func (a *app) reportCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "report RUN...",
		Short: "Write a page about one run, or about several side by side",
		Long: `Write one HTML file that needs nothing else: progress, curves, result, workers, failures, settings with their origins, and the environment; of several runs also what they
have in common and the settings in which they differ.`,
		Example: `  spdopt report 7f3a0c21 --html run.html
  spdopt report runs/first runs/second --html compare.html`,
		Args: someRuns,
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "" {
				return usagef("report needs --html FILE")
			}
			views, err := a.views(args)
			if err != nil {
				return err
			}
			if err := writeWith(file, func(w io.Writer) error { return report.Write(w, monitor.Page(views)) }); err != nil {
				return err
			}
			return a.written(file)
		},
	}
	cmd.Flags().StringVar(&file, html, "", "file to write")
	if err := cmd.MarkFlagFilename(html, html); err != nil {
		panic(err)
	}
	writtenLast(cmd, html)
	return cmd
}

func someRuns(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s needs a run (spdopt runs list)", cmd.CommandPath())
	}
	return nil
}

// views reads the runs of those names.
func (a *app) views(names []string) ([]*monitor.View, error) {
	var views []*monitor.View
	for _, name := range names {
		dir, err := a.runDir(name)
		if err != nil {
			return nil, err
		}
		v, err := monitor.Read(dir)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// written says which file was written.
func (a *app) written(file string) error {
	if a.json {
		return a.printJSON(map[string]any{"schema": schema, "file": file})
	}
	a.pairs([2]string{"written", file})
	return nil
}
