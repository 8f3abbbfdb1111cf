package data

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spdopt/spdopt/internal/matio"
)

// ReadText reads a text in UTF-8 that is not empty.
func ReadText(file string) (string, error) {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return "", matio.SystemError(file, "open", err)
	}
	if len(bytes) == 0 {
		return "", badf(file, "", "the file is empty")
	}
	if !utf8.Valid(bytes) {
		at := 0
		for rest := bytes; ; {
			r, n := utf8.DecodeRune(rest)
			if r == utf8.RuneError && n == 1 {
				return "", badf(file, "convert it to UTF-8", "byte %d is not text in UTF-8", at)
			}
			at, rest = at+n, rest[n:]
		}
	}
	return string(bytes), nil
}

// Tokenizer turns text into numbers and back. Tokens are characters, or with merges also frequent sequences of them inside of words (byte-pair encoding,
// Sennrich et al., arXiv:1508.07909; a word is a run without blanks together with the blanks before it).
type Tokenizer struct {
	tokens []string
	number map[string]int32
	merges [][2]int32 // the pair that token len(characters)+k was made of
	rank   map[[2]int32]int32
}

// NewTokenizer learns the characters of text, in the order of their code points, and at most the given number of merges: each time of the most frequent
// pair of neighbouring tokens, of equal ones the smallest, as long as some pair occurs twice.
func NewTokenizer(text string, merges int) *Tokenizer {
	t := &Tokenizer{number: map[string]int32{}, rank: map[[2]int32]int32{}}
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	for _, r := range slices.Sorted(maps.Keys(seen)) {
		t.add(string(r))
	}
	if merges <= 0 {
		return t
	}
	counts := map[string]int{}
	for w := range words(text) {
		counts[w]++
	}
	var all []countedWord
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, countedWord{t.characters(w), counts[w]})
	}
	for range merges {
		best, count := mostFrequent(all)
		if count < 2 {
			break
		}
		merged := t.add(t.tokens[best[0]] + t.tokens[best[1]])
		t.rank[best] = merged
		t.merges = append(t.merges, best)
		for i := range all {
			all[i].tokens = merge(all[i].tokens, best, merged)
		}
	}
	return t
}

type countedWord struct {
	tokens []int32
	count  int
}

func mostFrequent(all []countedWord) (best [2]int32, count int) {
	pairs := map[[2]int32]int{}
	for _, w := range all {
		for i := range len(w.tokens) - 1 {
			pairs[[2]int32(w.tokens[i:i+2])] += w.count
		}
	}
	for p, n := range pairs {
		if n > count || n == count && (p[0] < best[0] || p[0] == best[0] && p[1] < best[1]) {
			best, count = p, n
		}
	}
	return best, count
}

func (t *Tokenizer) add(token string) int32 {
	n := int32(len(t.tokens))
	t.tokens = append(t.tokens, token)
	if _, known := t.number[token]; !known {
		t.number[token] = n
	}
	return n
}

func (t *Tokenizer) characters(s string) []int32 {
	var out []int32
	for _, r := range s {
		out = append(out, t.number[string(r)])
	}
	return out
}

// merge replaces the pair by the merged token, from left to right, in place.
func merge(tokens []int32, pair [2]int32, merged int32) []int32 {
	out := tokens[:0]
	for i := 0; i < len(tokens); i++ {
		if i+1 < len(tokens) && tokens[i] == pair[0] && tokens[i+1] == pair[1] {
			out = append(out, merged)
			i++
			continue
		}
		out = append(out, tokens[i])
	}
	return out
}

// words cuts a text before each run of blanks.
func words(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, inWord := 0, false
		for i, r := range text {
			blank := strings.ContainsRune(" \n\t\r", r)
			if blank && inWord {
				if !yield(text[start:i]) {
					return
				}
				start = i
			}
			inWord = !blank
		}
		if start < len(text) {
			yield(text[start:])
		}
	}
}

// Size returns the number of tokens.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// Encode returns the tokens of text; a character that the tokenizer has not learned is an error that names it.
func (t *Tokenizer) Encode(text string) ([]int32, error) {
	for i, r := range text {
		if _, ok := t.number[string(r)]; !ok {
			return nil, badf("text", "", "character %q at byte %d did not occur in the text that the tokens were learned from", r, i)
		}
	}
	if len(t.merges) == 0 {
		return t.characters(text), nil
	}
	known := map[string][]int32{}
	var out []int32
	for w := range words(text) {
		tokens, ok := known[w]
		if !ok {
			tokens = t.encodeWord(w)
			known[w] = tokens
		}
		out = append(out, tokens...)
	}
	return out, nil
}

// encodeWord applies the merges in the order in which they were learned.
func (t *Tokenizer) encodeWord(w string) []int32 {
	tokens := t.characters(w)
	for {
		var best [2]int32
		merged := int32(-1)
		for i := range len(tokens) - 1 {
			pair := [2]int32(tokens[i : i+2])
			if m, ok := t.rank[pair]; ok && (merged < 0 || m < merged) {
				best, merged = pair, m
			}
		}
		if merged < 0 {
			return tokens
		}
		tokens = merge(tokens, best, merged)
	}
}

// Decode returns the text of tokens.
func (t *Tokenizer) Decode(tokens []int32) string {
	var b strings.Builder
	for _, k := range tokens {
		b.WriteString(t.tokens[k])
	}
	return b.String()
}

// Windows draws count pieces of length tokens at random places, and sets x to them, a token a row, and next to what follows each token. There must be
// more than length tokens.
func Windows[T Float](tokens []int32, count, length int, r *rand.Rand, x *Matrix[T], next *[]int32) {
	*x = sized(*x, count*length, 1)
	*next = (*next)[:0]
	for k := range count {
		at := r.IntN(len(tokens) - length)
		setWindow(tokens[at:at+length+1], x.Data[k*length:], next)
	}
}

// AllWindows is Windows for the pieces that lie next to each other from the start, at most count of them.
func AllWindows[T Float](tokens []int32, count, length int, x *Matrix[T], next *[]int32) (pieces int) {
	pieces = min(count, (len(tokens)-1)/length)
	*x = sized(*x, pieces*length, 1)
	*next = (*next)[:0]
	for k := range pieces {
		setWindow(tokens[k*length:(k+1)*length+1], x.Data[k*length:], next)
	}
	return pieces
}

func setWindow[T Float](tokens []int32, x []T, next *[]int32) {
	for i, v := range tokens[:len(tokens)-1] {
		x[i] = T(v)
		*next = append(*next, tokens[i+1])
	}
}
