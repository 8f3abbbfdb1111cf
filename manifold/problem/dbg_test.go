package problem
import ("testing";"fmt";"github.com/spdopt/spdopt/manifold/solve")
func TestDbgB(t *testing.T){
 for _,kap:=range []float64{1e2,1e6}{
  d:=Data{Matrices: scattered(50,20,kap)}
  for _,me:=range []string{"newton","trust"}{
  r,err:=Solve("barycenter",d,&Options{Method:me,Solver:solve.Options{MaxIterations:25,Callback:func(s *solve.Status)bool{fmt.Printf("%s it %d ev %d g %.3g step %.3g cost %.12g\n",me,s.Iteration,s.Evaluations,s.GradientNorm/s.GradientScale,s.StepNorm,s.Cost);return false}}})
  if err!=nil{t.Fatal(err)}
  fmt.Println(r.HessianProducts,r.Evaluations,r.Reason)
  }
  p,_:=ByName("barycenter"); in,_,_:=p.instance(&d,&Options{}); b:=in.(*barycenterObjective); fmt.Println(b.scale, b.trace)
 }
}
func TestDbgS(t *testing.T){
  d:=Data{Matrices: scattered(100,20,1e2)}
  p,_:=ByName("barycenter"); in,m,_:=p.instance(&d,&Options{}); b:=in.(*barycenterObjective)
  b.follows=true
  var mm *barycenterMemo
  r,_:=logIterate(&barycenterRun{b, make([]float32, m.VectorLen()), make([]float64, b.n)}, &Options{Solver:solve.Options{Callback:func(s *solve.Status)bool{ mm=b.at; fr,sw:=0,0; for _,x:=range mm.spectra {fr+=x.fresh; sw+=x.sweeps}; fmt.Println(s.Iteration,s.StepNorm,fr,sw,mm.spectra[0].residual,b.accuracy); return false}}}, barycenterDirection)
  fmt.Println(r.HessianProducts)
}
