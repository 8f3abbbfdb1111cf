package matio

import "bytes"

// saveAsMAT is how MATLAB writes a file that is read.
const saveAsMAT = "save it in MATLAB with save('FILE', 'NAME', '-v7')"

// foreign lists formats that are recognised by their first bytes but not read, each with what to do.
var foreign = []struct{ magic, what, try string }{
	{"\x89HDF\r\n\x1a\n", "is an HDF5 file, which is not read",
		`convert it: python3 -c "import h5py, numpy; numpy.save('out.npy', h5py.File('FILE')['NAME'][()])"`},
	{"MATLAB 7.3 MAT-file", "is a MAT v7.3 (HDF5) file, which is not read",
		saveAsMAT + `, or convert it: python3 -c "import h5py, numpy; numpy.save('out.npy', h5py.File('FILE')['NAME'][()].T)"`},
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
	if isTensors(head) { // before the rest, because any bytes begin it
		return Safetensors, nil
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return "", &Error{File: file, What: f.what, Try: f.try}
		}
	}
	switch {
	case isMAT(head):
		return MAT, nil
	case bytes.HasPrefix(head, []byte(npyMagic)):
		return NPY, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return NPZ, nil
	case len(head) >= len(marketBanner) && bytes.EqualFold(head[:len(marketBanner)], []byte(marketBanner)):
		return MTX, nil
	}
	return "", nil
}

// isTensors recognises the length of a header below 4 GB and the header's beginning.
func isTensors(head []byte) bool {
	return len(head) > 9 && bytes.Equal(head[4:8], []byte{0, 0, 0, 0}) && head[8] == '{' && (head[9] == '"' || head[9] == '}')
}

// isMAT recognises a MAT file of level 5 by the text that all programs write, or by the version and the byte order.
func isMAT(head []byte) bool {
	if bytes.HasPrefix(head, []byte("MATLAB 5.0 MAT-file")) {
		return true
	}
	return len(head) >= matHeader && (string(head[124:matHeader]) == "\x00\x01IM" || string(head[124:matHeader]) == "\x01\x00MI")
}
