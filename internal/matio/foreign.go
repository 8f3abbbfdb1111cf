package matio

import "bytes"

// foreign lists formats that are recognised by their first bytes but not read, each with what to do.
var foreign = []struct{ magic, what, try string }{
	{"\x89HDF\r\n\x1a\n", "is an HDF5 file, which is not read",
		`convert it: python3 -c "import h5py, numpy; numpy.save('out.npy', h5py.File('FILE')['NAME'][()])"`},
	{"MATLAB 7.3 MAT-file", "is a MAT v7.3 (HDF5) file, which is not read",
		`convert it: python3 -c "import h5py, numpy; numpy.save('out.npy', h5py.File('FILE')['NAME'][()].T)"`},
	{"MATLAB 5.0 MAT-file", "is a MAT v5 file, which is not read",
		`convert it: python3 -c "import scipy.io, numpy; numpy.save('out.npy', scipy.io.loadmat('FILE')['NAME'])"`},
	{"PAR1", "is a Parquet file, which is not read",
		`convert it: python3 -c "import pandas, numpy; numpy.save('out.npy', pandas.read_parquet('FILE').to_numpy(float))"`},
	{"ARROW1", "is an Arrow file, which is not read",
		`convert it: python3 -c "import pandas, numpy; numpy.save('out.npy', pandas.read_feather('FILE').to_numpy(float))"`},
	{"\x1f\x8b", "is compressed by gzip", "decompress it: gunzip FILE"},
	{"\xff\xfe", "is text in UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"},
	{"\xfe\xff", "is text in UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"},
	{"\x80\x02", "is a Python pickle, which is never loaded", "save the array with numpy.save"},
	{"\x80\x03", "is a Python pickle, which is never loaded", "save the array with numpy.save"},
	{"\x80\x04", "is a Python pickle, which is never loaded", "save the array with numpy.save"},
	{"\x80\x05", "is a Python pickle, which is never loaded", "save the array with numpy.save"},
}

// sniff decides the format by the first bytes of a file; "" means that they do not tell.
func sniff(head []byte, file string) (Format, error) {
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return "", &Error{File: file, What: f.what, Try: f.try}
		}
	}
	switch {
	case len(head) > 9 && bytes.Equal(head[4:8], []byte{0, 0, 0, 0}) && bytes.HasPrefix(head[8:], []byte(`{"`)):
		return "", badf(file, "is a safetensors file, which is not read").
			try(`convert it: python3 -c "import safetensors.numpy, numpy; numpy.savez('out.npz', **safetensors.numpy.load_file('FILE'))"`)
	case bytes.HasPrefix(head, []byte(npyMagic)):
		return NPY, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return NPZ, nil
	case len(head) >= len(marketBanner) && bytes.EqualFold(head[:len(marketBanner)], []byte(marketBanner)):
		return MTX, nil
	}
	return "", nil
}
