package problem
import "testing"
func BenchmarkDbg(b *testing.B){ d:=Data{Matrices: scattered(100,20,1e2)}; for b.Loop(){ Solve("barycenter",d,nil)}}
