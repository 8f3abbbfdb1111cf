package objective

import (
	"errors"
	"strings"
)

// Split cuts a command line into words as a shell would: at white space outside quotes, with a backslash before a character that is meant literally.
// Nothing is expanded.
func Split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, escaped, open := false, false, rune(0)
	for _, c := range line {
		switch {
		case escaped:
			if open == '"' && c != '"' && c != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && open != '\'':
			escaped, inWord = true, true
		case open != 0 && c == open:
			open = 0
		case open != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			open, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if open != 0 || escaped {
		return nil, errors.New("objective: the command ends inside quotes or after a backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("objective: the command is empty")
	}
	return words, nil
}

// Shell returns the arguments that let the shell run a line.
func Shell(line string) []string { return []string{"/bin/sh", "-c", line} }

// quote writes words so that a shell reads them back.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w)
	}
	return strings.Join(quoted, " ")
}

func quoteWord(w string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./=:,+@%", c)
	}
	if w != "" && strings.IndexFunc(w, func(c rune) bool { return !plain(c) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
