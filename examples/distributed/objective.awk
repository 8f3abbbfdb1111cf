# The objective: reads one line such as {"type":"eval","id":41,"x":[0.5,1.5],...} and prints the Rosenbrock function of x.
{
	sub(/.*"x":\[/, "")
	sub(/\].*/, "")
	n = split($0, x, ",")
	for (i = 1; i < n; i++) f += 100 * (x[i + 1] - x[i] ^ 2) ^ 2 + (1 - x[i]) ^ 2
	printf "%.17g\n", f
}
