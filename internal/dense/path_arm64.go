package dense

// bestPath needs no question: every 64-bit Arm processor that Go runs on has these instructions. The kernels have been tested on an emulated processor only;
// nothing is known of their speed beyond the number of their instructions.
func bestPath() path { return neon }

func cpuFeatures() []string { return []string{"asimd"} }
