package dense

// bestPath needs no question: every 64-bit Arm processor that Go runs on has these instructions.
func bestPath() path { return neon }

func cpuFeatures() []string { return []string{"asimd"} }
