package jsonfloat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Fault words an error of encoding/json for readers who know JSON and not Go.
func Fault(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return misplaced(kind)
	case errors.Is(err, io.EOF), errors.As(err, &syntax) && syntax.Offset == 0:
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && strings.Contains(err.Error(), "unexpected end"):
		return errors.New("it ends in the middle")
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	if text, ours := strings.CutPrefix(err.Error(), "json: "); ours {
		return errors.New(text)
	}
	return err
}

// misplaced says which field cannot hold which value.
func misplaced(kind *json.UnmarshalTypeError) error {
	what := "it"
	if at := keys(kind.Field); at != "" {
		what = strconv.Quote(at)
	}
	number, is := strings.CutPrefix(kind.Value, "number ")
	if !is {
		return fmt.Errorf("%s holds another kind of value (%s)", what, kind.Value)
	}
	if _, err := strconv.ParseFloat(number, 64); err != nil {
		return fmt.Errorf("%s is beyond the range of numbers", number)
	}
	return fmt.Errorf("%s cannot be %s", what, number)
}

// keys returns a path in a document without the names of embedded structs, which begin with a capital letter as no key of ours does.
func keys(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "."), func(s string) bool { return s != "" && unicode.IsUpper(rune(s[0])) })
	return strings.Join(parts, ".")
}
