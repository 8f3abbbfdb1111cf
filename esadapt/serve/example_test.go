package serve_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	// {"error":"open: sigma0 = -1: it must be positive, about a third of the region where the minimum is expected"}
	// {"ok":true}
}

func ExampleSession_Handle() {
	s := serve.Session{NoFiles: true}
	s.Handle([]byte(`{"op":"open","dim":1,"x0":[2],"seed":1,"budget":4}`))
	fmt.Println(string(s.Handle([]byte(`{"op":"tell","f":[4,3,NaN,"Infinity"]}`))))
	// Output:
	// {"stop":"max-evaluations: give more evaluations if the value still falls, or resume the state"}
}

func ExampleNewHandler() {
	h, err := serve.NewHandler(serve.HTTPOptions{Token: "sixteen letters or more"})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(h)
	defer server.Close()
	post := func(path, body string) string {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+path, strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer sixteen letters or more")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return string(text)
	}
	session := strings.Split(post("/v1/open", `{"dim":2,"x0":[1,2],"seed":7,"budget":6}`), `"`)[3]
	fmt.Print(post("/v1/"+session+"/tell", `{"f":[5,4,3,2,1,0]}`))
	fmt.Print(post("/v1/"+session+"/close", ""))
	// Output:
	// {"stop":"max-evaluations: give more evaluations if the value still falls, or resume the state"}
	// {"ok":true}
}

// A search driven by lines of JSON, as another program does through standard input.
func Example() {
	var s serve.Session
	first := string(s.Handle([]byte(`{"op":"open","dim":2,"x0":[1,2],"seed":7,"budget":2}`)))
	fmt.Println(strings.HasPrefix(first, `{"x":[[`)) // the points to evaluate
	for _, line := range []string{`{"op":"tell","f":3}`, `{"op":"tell","f":[3,1]}`, `{"op":"close"}`} {
		fmt.Println(string(s.Handle([]byte(line))))
	}
	// Output:
	// true
	// {"error":"tell: f: a number is not a list of numbers"}
	// {"stop":"max-evaluations: give more evaluations if the value still falls, or resume the state"}
	// {"ok":true}
}
