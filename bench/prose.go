package bench

import "math/rand/v2"

const (
	proseBytes = 1 << 20 // after which words come again
	vocabulary = 4096
	wordMost   = 9 // letters
)

// prose is words that are as frequent as those of a language: each is taken about
// as often as its rank says, so that the text packs about as well as text does. It is the same in each
// run.
func prose(size int) []byte {
	r := rand.New(rand.NewPCG(20, 26))
	words := make([][]byte, vocabulary)
	for i := range words {
		word := make([]byte, 2+r.IntN(wordMost-1))
		for k := range word {
			word[k] = byte('a' + r.IntN(26))
		}
		words[i] = append(word, ' ')
	}
	rank := rand.NewZipf(r, 1.1, 8, vocabulary-1)
	text := make([]byte, 0, size+wordMost+1)
	for len(text) < size {
		text = append(text, words[rank.Uint64()]...)
	}
	return text[:size]
}
