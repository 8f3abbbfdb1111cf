package main

import "os"

// init lets the test binary be the command line, for tests that need a process of their own, and keeps the runs of tests out of the source.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "spdopt" {
		os.Args = os.Args[1:]
		main()
	}
	if len(os.Args) > 1 && os.Args[1] == "objective" {
		return
	}
	var err error
	if testRuns, err = os.MkdirTemp("", "spdopt-runs-"); err != nil {
		panic(err)
	}
	os.Setenv("SPDOPT_RUNS", testRuns)
}

// testRuns is the folder of runs that tests do not name.
var testRuns string
