package policy

import "strings"

// maxWord bounds the words that are compared; no name of a policy is longer.
const maxWord = 64

// Nearest returns the candidate that differs least from word, the first of several, or "" where none is near: a name of
// three letters may differ by one, one of six by two, and an abbreviation is near what it stands for.
func Nearest(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)+1
	if len(word) > maxWord {
		return ""
	}
	for _, c := range candidates {
		if strings.EqualFold(c, word) && c != word || len(word) >= 3 && strings.HasPrefix(c, word) && c != word {
			return c
		}
		if gap := len(c) - len(word); gap >= least || -gap >= least || len(c) > maxWord {
			continue
		}
		if d := distance(word, c); d > 0 && d < least {
			best, least = c, d
		}
	}
	return best
}

// didYouMean is the suggestion in brackets with a space before it, or nothing.
func didYouMean(word string, candidates []string) string {
	if s := Nearest(word, candidates); s != "" {
		return ` (did you mean "` + s + `"?)`
	}
	return ""
}

// distance counts the letters to insert, drop, change or swap with their neighbour to get from a to b (optimal string
// alignment).
func distance(a, b string) int {
	var rows [3][maxWord + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// alternatives joins words as "a, b or c".
func alternatives(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
}
