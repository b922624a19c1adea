package policy

// Nearest returns the candidate that word was probably meant to be, or "" where none is near.
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }
