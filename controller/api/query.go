package api

import (
	"net/http"
	"net/url"
	"strings"

	"signalbox/rules/route"
)

// values are the parameters of a request.
type values url.Values

// maxName bounds the names of routes, classes and senders in requests, in bytes.
const maxName = 128

// query reads the parameters; a bad escape is a problem, not a parameter less.
func query(r *http.Request) (values, *problem) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("query", clip(err.Error()))
	}
	return values(v), nil
}

// one is the value of a parameter, or "" where it is not given.
func (v values) one(name string) (string, *problem) {
	switch all := v[name]; len(all) {
	case 0:
		return "", nil
	case 1:
		return all[0], nil
	}
	return "", bad(name, "want it once")
}

// name is the value of a parameter that names something.
func (v values) name(param string) (string, *problem) {
	s, wrong := v.one(param)
	if wrong == nil && len(s) > maxName {
		wrong = bad(param, "want at most 128 bytes")
	}
	if wrong == nil && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		wrong = bad(param, "want a name without control characters")
	}
	return s, wrong
}

func (v values) class() (route.Class, *problem) {
	s, wrong := v.name("class")
	return route.Class(s), wrong
}

func (v values) network() (route.Network, *problem) {
	s, wrong := v.one("network")
	if wrong != nil || s == "" {
		return "", wrong
	}
	n, err := route.ParseNetwork(s)
	if err != nil {
		return "", bad("network", `want a network such as "234-15", a country such as "GB", or "*", got "`+clip(s)+`"`)
	}
	return n, nil
}

// lane is the class and the network of a request that has to name both.
func (v values) lane() (l route.Lane, wrong *problem) {
	if l.Class, wrong = v.class(); wrong != nil {
		return l, wrong
	}
	if l.Network, wrong = v.network(); wrong != nil {
		return l, wrong
	}
	switch {
	case l.Class == "":
		wrong = bad("class", "want a traffic class such as otp")
	case l.Network == "":
		wrong = bad("network", `want a network such as "234-15", a country such as "GB", or "*"`)
	}
	return l, wrong
}
