package run

import (
	"bytes"
	"encoding/json"
)

// Field is one field of a JSON object.
type Field struct {
	Name  string
	Value json.RawMessage
}

// Fields returns the fields of a JSON object, such as Result.Value, in their order: those before the first mistake if it is damaged, none if it is something else.
func Fields(object json.RawMessage) (all []Field) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return all
		}
		all = append(all, Field{name.(string), value})
	}
	return all
}

// Scalar returns the text of a number, a word or a truth value, and false for anything else.
func (f Field) Scalar() (string, bool) {
	switch f.Value[0] {
	case '{', '[', 'n':
		return "", false
	case '"':
		var word string
		err := json.Unmarshal(f.Value, &word)
		return word, err == nil
	}
	return string(f.Value), true
}
