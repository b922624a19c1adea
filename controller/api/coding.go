package api

import "strings"

// choose returns the content coding that the values of Accept-Encoding like best and the page has. Of equals it is the
// one that is smallest as a rule. A client that refuses everything gets the plain one: it is better off with a table.
func (pg *page) choose(headers []string) coding {
	if len(headers) == 0 {
		return codingPlain
	}
	q := readCodings(headers)
	best := codingPlain
	for c := codingPlain + 1; c < codings; c++ {
		if pg.bodies[c].bytes != nil && q[c] > 0 && q[c] >= q[best] {
			best = c
		}
	}
	return best
}

// readCodings returns the weight of each coding in thousandths. A plain answer that is not named weighs nothing, so that
// whatever is named goes before it.
func readCodings(headers []string) (q [codings]int) {
	var named [codings]bool
	rest := -1 // of "*"
	for _, h := range headers {
		for h != "" {
			var item string
			item, h, _ = strings.Cut(h, ",")
			name, weight := readCoding(item)
			if name == "*" {
				rest = weight
			} else if c, ok := codingOf(name); ok {
				q[c], named[c] = weight, true
			}
		}
	}
	for c := range q {
		if !named[c] && rest >= 0 {
			q[c] = rest
		}
	}
	return q
}

func codingOf(name string) (coding, bool) {
	for c, n := range codingNames {
		if strings.EqualFold(n, name) {
			return coding(c), true
		}
	}
	return codingGzip, strings.EqualFold(name, "x-gzip")
}

// readCoding reads an item such as "gzip;q=0.5"; a weight that cannot be read is 0.
func readCoding(item string) (name string, weight int) {
	name, params, _ := strings.Cut(item, ";")
	name = strings.TrimSpace(name)
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		if p = strings.TrimSpace(p); len(p) >= 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			return name, thousandths(p[2:])
		}
	}
	return name, 1000
}

// thousandths reads a weight of RFC 9110: 0 to 1 with up to three digits.
func thousandths(s string) int {
	if len(s) == 0 || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0
	}
	n, unit := int(s[0]-'0')*1000, 100
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		n += int(s[i]-'0') * unit
		unit /= 10
	}
	if n > 1000 {
		return 0
	}
	return n
}
