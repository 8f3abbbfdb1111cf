//go:build !unix

package objective

import (
	"errors"
	"os/exec"
)

// supported says no: without process groups a program that hangs could not be stopped together with what it started.
func supported() error {
	return errors.New("objective: programs as objectives need process groups, which this system does not have; use spdopt serve --stdio instead")
}

func lead(*exec.Cmd) {}

func killGroup(*exec.Cmd) error { return supported() }

func terminateGroup(*exec.Cmd) error { return supported() }
