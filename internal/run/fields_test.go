package run

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFields(t *testing.T) {
	for text, want := range map[string]string{
		`{"b":1,"a":{"z":[1, 2]},"c":"two words","d":true,"e":null,"b":-0.50e3}`: `[b=1 true a={"z":[1, 2]} false c="two words" true d=true true e=null false b=-0.50e3 true]`,
		"{}": "[]", "[1]": "[]", "": "[]", "nonsense": "[]",
		`{"a":1,"b":[2,}`:    "[a=1 true]",
		`{"a":1 "b":2}`:      "[a=1 true]",
		`{"a":"\u00e9\n"}`:   `[a="\u00e9\n" true]`,
		`{"a":"NaN","b":17}`: `[a="NaN" true b=17 true]`,
	} {
		var got []string
		for _, f := range Fields(json.RawMessage(text)) {
			_, scalar := f.Scalar()
			got = append(got, fmt.Sprintf("%s=%s %v", f.Name, f.Value, scalar))
		}
		require.Equal(t, want, fmt.Sprint(got), text)
	}
	text, _ := Fields(json.RawMessage(`{"a":"\u00e9\n"}`))[0].Scalar()
	require.Equal(t, "é\n", text)
}
