package esadapt

// registry lists the strategies, the default first. A new one is a file and a line here.
var registry = []StrategyInfo{
	{"cma", "CMA-ES with negative weights, full covariance in spectral form", "O(lambda n^2) and a share of O(n^3); memory n^2", "Hansen, arXiv:1604.00772", newCMA},
}
