package dense

import (
	"fmt"
	"os"
	"strings"
)

// PathVariable is the environment variable that forces a path at program start: avx512, avx2, neon or portable.
const PathVariable = "SPDOPT_DENSE"

type path uint8

const (
	portable path = iota
	avx2
	avx512
	neon
)

var pathNames = [...]string{portable: "portable", avx2: "avx2", avx512: "avx512", neon: "neon"}

func (p path) String() string { return pathNames[p] }

// includes says whether a machine whose best path is p can also run q.
func (p path) includes(q path) bool { return q == p || q == portable || q == avx2 && p == avx512 }

// active is set once before main starts; only tests change it later.
var (
	active    path
	activeErr error
)

func init() { active, activeErr = choosePath(os.Getenv(PathVariable), bestPath()) }

// choosePath returns the path asked for, or the best one together with an error that says why it is not the one asked for.
func choosePath(asked string, best path) (path, error) {
	if asked == "" {
		return best, nil
	}
	for p, name := range pathNames {
		switch {
		case name != asked:
		case !best.includes(path(p)):
			return best, fmt.Errorf("%s=%s: this processor or system has no %s; using %s", PathVariable, asked, name, best)
		default:
			return path(p), nil
		}
	}
	return best, fmt.Errorf("%s=%s: unknown path; use avx512, avx2, neon or portable; using %s", PathVariable, asked, best)
}

// Path returns the name of the kernels in use: avx512, avx2, neon or portable. The error is not nil when the environment variable PathVariable
// names an unknown path or one that this machine cannot run; the best path that it can run is then in use.
func Path() (string, error) { return active.String(), activeErr }

// Features returns the processor features found that the kernels look for, separated by commas ("" if none).
func Features() string { return strings.Join(cpuFeatures(), ",") }
