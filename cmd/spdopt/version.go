package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/dense"
)

// release is the version that this source is on the way to; a build from a tagged module says its own.
var release = "0.1.0-dev"

// versionOutput is the JSON object of "version".
type versionOutput struct {
	Schema      int      `json:"schema"`
	Version     string   `json:"version"`
	Revision    string   `json:"revision,omitempty"`
	Go          string   `json:"go"`
	OS          string   `json:"os"`
	Arch        string   `json:"arch"`
	CPUFeatures []string `json:"cpu_features"`
	DensePath   string   `json:"dense_path"`
	Processors  int      `json:"processors"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the Go release and the kernels in use",
		Example: "  spdopt version --json",
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return a.printVersion() },
	}
}

func (a *app) printVersion() error {
	v := currentVersion()
	if a.json {
		return a.printJSON(v)
	}
	a.pairs(
		[2]string{"spdopt", v.Version},
		[2]string{"revision", v.Revision},
		[2]string{"go", fmt.Sprintf("%s %s/%s, %d processors", v.Go, v.OS, v.Arch, v.Processors)},
		[2]string{"dense kernels", v.DensePath},
		[2]string{"cpu features", strings.Join(v.CPUFeatures, " ")},
	)
	return nil
}

func currentVersion() versionOutput {
	path, _ := dense.Path()
	v := versionOutput{Schema: schema, Version: release, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		CPUFeatures: []string{}, DensePath: path, Processors: runtime.GOMAXPROCS(0)}
	if f := dense.Features(); f != "" {
		v.CPUFeatures = strings.Split(f, ",")
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if strings.HasPrefix(info.Main.Version, "v") && !strings.Contains(info.Main.Version, "v0.0.0-") {
		v.Version = strings.TrimPrefix(info.Main.Version, "v")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// build names the version with the start of its revision.
func (v versionOutput) build() string {
	if v.Revision == "" {
		return v.Version
	}
	return v.Version + "+" + v.Revision[:min(12, len(v.Revision))]
}
