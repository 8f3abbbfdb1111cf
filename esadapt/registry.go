package esadapt

// registry lists the strategies, the default first. A new one is a file and a line here.
var registry = []StrategyInfo{
	{"cma", "CMA-ES with negative weights, full covariance in spectral form", "O(lambda n^2) and a share of O(n^3) time, 2.5 n^2 numbers", "Hansen, arXiv:1604.00772", false, 2.5, newCMA},
	{"dd-cma", "CMA-ES with a fast diagonal: covariance D C D", "O(lambda n^2) and a share of O(n^3) time, 7 n^2 numbers", "Akimoto and Hansen, ECJ 2020", false, 7, newDDCMA},
	{"xnes", "exponential natural evolution strategy: the Riemannian step", "O(n^3) time, 6 n^2 numbers", "Glasmachers et al., GECCO 2010", false, 6, newXNES},
	{"ma-es", "matrix adaptation: CMA-ES without covariance", "O(lambda n^2) time, n^2 numbers", "Beyer and Sendhoff, IEEE TEC 2017", false, 1, newMAES},
	{"1+1-cma", "elitist (1+1)-CMA-ES with active update", "O(n^2) time, 2 n^2 numbers", "Igel et al., GECCO 2006; Arnold and Hansen, GECCO 2010", false, 2, newOnePlusOne},
	{"sep-cma", "CMA-ES with a diagonal covariance", "O(lambda n)", "Ros and Hansen, PPSN 2008", false, 0, newSepCMA},
	{"snes", "separable natural evolution strategy", "O(lambda n)", "Schaul et al., GECCO 2011", false, 0, newSNES},
	{"vd-cma", "CMA-ES with covariance D (I + v v^T) D", "O(lambda n)", "Akimoto et al., GECCO 2014", false, 0, newVDCMA},
	{"lm-ma-es", "limited-memory matrix adaptation, for large dimensions", "O(lambda n log n)", "Loshchilov et al., IEEE TEC 2019", false, 0, newLMMAES},
	{"axis", "line searches along the axes, for separable functions", "O(n (n + generations))", "Langerman et al. 1994; Posik, GECCO 2009", true, 1, newAxisSearch},
}
