package route

import "fmt"

// Network is a destination: an MCC-MNC such as "234-15", a country by its ISO 3166-1 alpha-2 code such as "GB", or "*"
// for everywhere. An MCC-MNC lies in its country, a country in "*".
type Network string

// AnyNetwork is everywhere.
const AnyNetwork Network = "*"

// ParseNetwork checks the form of s. An MCC without a country (901, the international networks) is a network of its own.
func ParseNetwork(s string) (Network, error) {
	n := Network(s)
	switch {
	case n == AnyNetwork, isCountry(s), isMCCMNC(s):
		return n, nil
	}
	return "", fmt.Errorf(`want a network such as "234-15", a country such as "GB", or "*", got %q`, s)
}

// Country is the country that n lies in, n itself where it is a country, and "" where there is none: for "*" and for
// networks that belong to no country.
func (n Network) Country() Network {
	if isMCCMNC(string(n)) {
		return mccCountry(string(n[:3]))
	}
	if isCountry(string(n)) {
		return n
	}
	return ""
}

// Contains reports whether m lies in n; every network lies in itself.
func (n Network) Contains(m Network) bool {
	return n == m || n == AnyNetwork || (isCountry(string(n)) && m.Country() == n)
}

// specificity is 0 for "*", 1 for a country, 2 for an MCC-MNC.
func (n Network) specificity() int {
	switch {
	case n == AnyNetwork:
		return 0
	case isCountry(string(n)):
		return 1
	}
	return 2
}

func isCountry(s string) bool {
	return len(s) == 2 && upper(s[0]) && upper(s[1])
}

// isMCCMNC accepts three digits, a hyphen and two or three digits (ITU-T E.212).
func isMCCMNC(s string) bool {
	if len(s) < 6 || len(s) > 7 || s[3] != '-' {
		return false
	}
	for i := range len(s) {
		if i != 3 && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

func upper(b byte) bool { return b >= 'A' && b <= 'Z' }
