package algoperf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt/data"
)

// The places of the files below the folder of the data.
const (
	digitFolder = "mnist"
	textFile    = "text.txt"
)

// Data gives the workloads their examples: from files below a folder, or generated ones of the same form. It may be shared by trials that run at
// the same time.
type Data struct {
	folder string // "" generates

	digits, small func() (*data.Images[float32], error)
	text          func() ([]int32, int, error)
	pages         func() *data.Set[float32] // always generated
}

// OpenData returns the data of a folder with the IDX files of MNIST in mnist/ and a text in UTF-8 in text.txt; the folder "" generates sets of the same
// form. Files are read when a workload asks for them.
func OpenData(folder string) *Data {
	d := &Data{folder: folder}
	d.digits = sync.OnceValues(d.readDigits)
	d.small = sync.OnceValues(d.halveDigits)
	d.pages = sync.OnceValue(func() *data.Set[float32] { return clicks(clickExamples, data.Stream(generatedSeed, "clicks", 0)) })
	tokens := sync.OnceValues(d.readText)
	d.text = func() ([]int32, int, error) {
		t, err := tokens()
		return t.tokens, t.size, err
	}
	return d
}

// generatedDigits and generatedText are the sizes of generated sets.
const (
	generatedDigits = 4000
	generatedText   = 200000
	generatedSeed   = 7
)

func (d *Data) readDigits() (*data.Images[float32], error) {
	if d.folder == "" {
		return data.Blobs[float32](generatedDigits, data.Stream(generatedSeed, "digits", 0)), nil
	}
	folder := filepath.Join(d.folder, digitFolder)
	images, labels, err := data.FindIDX(folder)
	if err != nil {
		return nil, missing(err, folder, "put the IDX files of MNIST there (train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz, or the t10k pair)")
	}
	return data.ReadIDX[float32](images, labels, 10)
}

// missing says where a file belongs that is not there.
func missing(err error, place, what string) error {
	text := "is not there"
	var known *matio.Error
	if errors.As(err, &known) {
		text = known.What
	}
	return &matio.Error{File: place, What: text, Try: what + ", or name another folder, or use generated data"}
}

// halveDigits returns the digits with every square of 2 x 2 pixels replaced by its mean.
func (d *Data) halveDigits() (*data.Images[float32], error) {
	full, err := d.digits()
	if err != nil {
		return nil, err
	}
	h, w := full.Height/2, full.Width/2
	s := &data.Images[float32]{Height: h, Width: w, Channels: 1, Labels: full.Labels}
	s.N, s.Classes, s.X = full.N, full.Classes, dense.New[float32](full.N, h*w)
	for k := range s.N {
		from, to := full.X.Row(k), s.X.Row(k)
		for i := range to {
			at := i/w*2*full.Width + i%w*2
			to[i] = (from[at] + from[at+1] + from[at+full.Width] + from[at+full.Width+1]) / 4
		}
	}
	return s, nil
}

// tokenized is a text as numbers of characters.
type tokenized struct {
	tokens []int32
	size   int // of the vocabulary
}

func (d *Data) readText() (tokenized, error) {
	text := ""
	if d.folder == "" {
		text = data.Sentences(generatedText, data.Stream(generatedSeed, "text", 0))
	} else {
		file := filepath.Join(d.folder, textFile)
		var err error
		if text, err = data.ReadText(file); errors.Is(err, fs.ErrNotExist) {
			return tokenized{}, missing(err, file, "put a text of about a million characters there, such as Tiny Shakespeare")
		} else if err != nil {
			return tokenized{}, err
		}
	}
	t := data.NewTokenizer(text, 0)
	tokens, err := t.Encode(text)
	return tokenized{tokens, t.Size()}, err
}

var errNoData = errors.New("the data are not open; open them with OpenData")

func (d *Data) isOpen() bool { return d != nil && d.digits != nil }

// Digest returns a number for the contents that the workloads are made of, such as "digits:1f2e3d4c text:...": targets and logs belong to one.
func (d *Data) Digest(ws []Workload) (string, error) {
	if !d.isOpen() {
		return "", errNoData
	}
	var parts []string
	for _, need := range []Need{NeedDigits, NeedText} {
		wanted := false
		for _, w := range ws {
			wanted = wanted || w.Needs == need
		}
		if !wanted {
			continue
		}
		sum, err := d.digest(need)
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("%s:%s", need, sum))
	}
	return strings.Join(parts, " "), nil
}

func (d *Data) digest(need Need) (string, error) {
	h := sha256.New()
	var buffer []byte
	switch need {
	case NeedDigits:
		s, err := d.digits()
		if err != nil {
			return "", err
		}
		for i, v := range s.X.Data {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
			if i%4096 == 4095 {
				h.Write(buffer)
				buffer = buffer[:0]
			}
		}
		for _, c := range s.Classes {
			buffer = append(buffer, byte(c))
		}
	case NeedText:
		tokens, size, err := d.text()
		if err != nil {
			return "", err
		}
		buffer = binary.LittleEndian.AppendUint32(buffer, uint32(size))
		for _, t := range tokens {
			buffer = append(buffer, byte(t))
		}
	}
	h.Write(buffer)
	return hex.EncodeToString(h.Sum(nil)[:4]), nil
}
