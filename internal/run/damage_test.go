package run

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDamagedFiles: a manifest or a result that is no JSON any more is a *DamageError that names the file and says what to do.
func TestDamagedFiles(t *testing.T) {
	for _, file := range []string{manifestFile, resultFile} {
		r := begin(t)
		require.NoError(t, r.Finish(Result{Status: string(Finished)}, nil))
		require.NoError(t, r.Close())
		path := filepath.Join(r.Dir(), file)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for what, content := range map[string]string{"it ends in the middle": string(text[:len(text)/2]), "byte 1": "\x00", `"schema" holds another kind`: `{"schema":"x"}`} {
			require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
			_, err := Inspect(r.Dir())
			var damage *DamageError
			require.ErrorAs(t, err, &damage)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, what)
			require.ErrorContains(t, err, "bring back the file")
		}
	}
}
