package api

import "strings"

// matches reports whether the values of If-None-Match name the entity tag, or any ("*"). Weak tags compare as strong
// ones do, as RFC 9110 has it for this header.
func matches(headers []string, etag string) bool {
	return len(headers) == 1 && headers[0] == "*" || names(headers, etag)
}

// names reports whether the values of If-None-Match name the entity tag itself.
func names(headers []string, etag string) bool {
	for _, h := range headers {
		for h != "" {
			var tag string
			if tag, h = nextTag(h); tag == etag {
				return true
			}
		}
	}
	return false
}

// nextTag cuts the first entity tag off a list, without its mark of weakness; the rest is empty where it is no list.
func nextTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, " \t,")
	list = strings.TrimPrefix(list, "W/")
	if list == "" || list[0] != '"' {
		return "", ""
	}
	end := strings.IndexByte(list[1:], '"')
	if end < 0 {
		return "", ""
	}
	return list[:end+2], list[end+2:]
}
