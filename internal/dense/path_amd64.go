package dense

import "golang.org/x/sys/cpu"

func bestPath() path {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA || !x.HasBMI2:
		return portable
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL:
		return avx512
	}
	return avx2
}

func cpuFeatures() []string {
	x := &cpu.X86
	var f []string
	for _, c := range []struct {
		has  bool
		name string
	}{
		{x.HasAVX2, "avx2"}, {x.HasFMA, "fma"}, {x.HasBMI2, "bmi2"}, {x.HasAVX512F, "avx512f"}, {x.HasAVX512DQ, "avx512dq"},
		{x.HasAVX512BW, "avx512bw"}, {x.HasAVX512VL, "avx512vl"}, {x.HasAVX512BF16, "avx512bf16"}, {x.HasAVX512VNNI, "avx512vnni"},
		{x.HasAMXBF16, "amxbf16"}, {x.HasAMXInt8, "amxint8"},
	} {
		if c.has {
			f = append(f, c.name)
		}
	}
	return f
}
