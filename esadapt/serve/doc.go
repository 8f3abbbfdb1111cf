// Package serve drives an esadapt.Search from outside by JSON lines, version 1 of the protocol: the caller sends one object a line and gets exactly one
// line back.
//
//	> {"op":"open","dim":5,"x0":[..],"sigma0":2,"seed":7,"budget":50000,"constraints":0,"integers":0,
//	   "scale":[..],"lower":[..],"upper":[..],"options":{}}
//	< {"x":[[..],[..]],"restarts":0}          the first batch
//	> {"op":"tell","f":[..],"g":[[..],..]}    values in the same order; g only with constraints (feasible: every g <= 0)
//	< {"x":[[..]],"restarts":0}               the next batch, or {"stop":"why"}
//	> {"op":"ask"}                            < the batch that waits, again
//	> {"op":"best"}                           < {"x":[..],"f":..,"evaluations":..}
//	> {"op":"save","path":".."}               < {"ok":true}
//	> {"op":"load","path":".."}               < {"ok":true}       without "path" the state travels as "state" in save's answer and in load
//	> {"op":"close"}                          < {"ok":true}
//
// budget is the number of evaluations that the caller will spend; restarts happen inside. integers = k means the first k variables.
// With "objectives":k, k > 1, every element of f is a list and best answers {"front":[{"x":[..],"f":[..]},..],"evaluations":..}. NaN and
// infinities are read as bare tokens, null (NaN) or strings. Anything that cannot be done is answered by {"error":".."} and changes nothing.
//
// Serve speaks it on two streams, NewHandler over HTTP for many callers.
package serve
