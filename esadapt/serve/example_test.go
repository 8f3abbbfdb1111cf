package serve_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/spdopt/spdopt/esadapt/serve"
)

func ExampleServe() {
	in := strings.NewReader(`{"op":"ask"}
{"op":"open","dim":2,"x0":[0,5],"upper":[0.5,null],"sigma0":-1}
{"op":"close"}
`)
	if err := serve.Serve(in, os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"error":"no problem is open: send {\"op\":\"open\",\"dim\":..} first"}
	// {"error":"Sigma0 = -1: it must be positive, about a third of the region where the minimum is expected"}
	// {"ok":true}
}
