package objective

import (
	"fmt"
	"os"
	"strings"
)

// basics are the variables that every program gets, as far as they are set; names with a star begin so.
var basics = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TMP", "TEMP", "TZ", "LANG", "LC_*", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT"}

// Environment returns the environment of an objective's processes: what programs cannot do without (PATH, HOME, the folder for temporary files, language and time zone) and what is
// asked for. An entry is NAME, which passes the variable of this process on and must be set, or NAME=VALUE. Nothing else of this process' environment is seen, so that no secret in it reaches a program unasked.
func Environment(asked []string) ([]string, error) {
	var all []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, b := range basics {
			if start, open := strings.CutSuffix(b, "*"); name == b || open && strings.HasPrefix(name, start) {
				all = append(all, pair)
			}
		}
	}
	for _, a := range asked {
		name, value, given := strings.Cut(a, "=")
		if name == "" || strings.ContainsRune(a, 0) {
			return nil, fmt.Errorf("%q is neither NAME nor NAME=VALUE", a)
		}
		if !given {
			var set bool
			if value, set = os.LookupEnv(name); !set {
				return nil, fmt.Errorf("the variable %s is not set", name)
			}
		}
		all = append(all, name+"="+value) // the last of a name counts
	}
	return all, nil
}
