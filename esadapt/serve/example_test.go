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

func ExampleSession_Handle() {
	s := serve.Session{NoFiles: true}
	s.Handle([]byte(`{"op":"open","dim":1,"x0":[2],"seed":1,"budget":4}`))
	fmt.Println(string(s.Handle([]byte(`{"op":"tell","f":[4,3,NaN,"Infinity"]}`))))
	// Output:
	// {"stop":"max-evaluations: give more evaluations if the value still falls, or resume the state"}
}
