package access

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

const someHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestTokensFileSaysEveryProblemWithItsPlace(t *testing.T) {
	const secret = "sbx_not-to-be-repeated"
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":            {"", "t.yml:1:1: file: want tokens, got an empty file"},
		"no mapping":         {"- a", "t.yml:1:1: file: want a mapping of tokens, users"},
		"no YAML":            {"tokens: [", "t.yml:1:1: file: want YAML: line 1: did not find expected node content"},
		"an unknown key":     {"tokens: []\ntokenz: []", "t.yml:2:1: file: want only tokens, users, got another key"},
		"a key twice":        {"tokens: []\ntokens: []", "t.yml:2:1: file: want tokens once"},
		"no list":            {"tokens: {}", `t.yml:1:9: tokens: want a list of lines such as {name: gw-1, role: sender, sha256: "…"}`},
		"the token itself":   {"tokens:\n  - {name: a, role: sender, sha256: " + secret + "}", "t.yml:2:37: tokens[0].sha256: want 64 hex digits, the SHA-256 of the token"},
		"a token as a key":   {"tokens:\n  - {name: a, role: sender, " + secret + ": 1}", "t.yml:2:29: tokens[0]: want only burst, name, not_after, rate, role, sha256, got another key"},
		"a token as a role":  {"tokens:\n  - {name: a, role: " + secret + ", sha256: " + someHash + "}", "t.yml:2:21: tokens[0].role: want sender, source, viewer, operator, admin"},
		"a part left out":    {"tokens:\n  - {name: a, role: sender}", "t.yml:2:5: tokens[0]: want name, role and sha256"},
		"a bad rate and end": {"tokens:\n  - {name: a, role: sender, sha256: " + someHash + ",\n     rate: 5, not_after: soon, burst: 0}", "t.yml:3:12: tokens[0].rate: want calls in a time, such as 50/s or 600/m\nt.yml:3:26: tokens[0].not_after: want a date such as 2027-01-31, or a moment such as 2027-01-31T12:00:00Z\nt.yml:3:39: tokens[0].burst: want a whole number of calls from 1 to 1000000"},
		"one token twice":    {"tokens:\n  - {name: a, role: sender, sha256: " + someHash + "}\n  - {name: b, role: sender, sha256: " + someHash + "}", "t.yml:3:5: tokens: want a token of its own for b, got that of line 2"},
		"two roles": {"tokens:\n  - {name: a, role: sender, sha256: " + someHash + "}\n  - {name: a, role: admin, sha256: " + strings.Repeat("0a", 32) + "}",
			"t.yml:3:5: tokens: want the role, rate and burst that a has at line 2: lines of one name are one client"},
		"no role of a user": {"users: {ann: boss}", "t.yml:1:14: users.ann: want sender, source, viewer, operator, admin"},
		"an alias":          {"tokens: &a []\nusers: *a", "t.yml:2:8: users: want roles by the names of users, such as {ann: operator}"},
	} {
		_, err := readTokens("t.yml", []byte(tc.text))
		var problems Problems
		if !errors.As(err, &problems) || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
}

func TestTokensHaveTheirDefaults(t *testing.T) {
	f, err := readTokens("t.yml", []byte("tokens:\n  - {name: a, role: source, sha256: "+someHash+"}\n  - {name: b, role: viewer, sha256: "+strings.Repeat("0b", 32)+", rate: 600/m}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := f.tokens[0], f.tokens[1]; a.rate != rateOfSources || a.burst != 2*rateOfSources || b.rate != 10 || b.burst != 20 {
		t.Errorf("got %+v and %+v", a, b)
	}
}

func TestBothFilesHaveToFit(t *testing.T) {
	hashed := "'$2y$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi'"
	token := "tokens: [{name: ann, role: viewer, sha256: " + someHash + "}]"
	for name, tc := range map[string]struct{ web, tokens, want string }{
		"a user that there is not":   {"{}", "users: {ann: operator}", "users.ann: want a user that basic_auth_users of the web configuration has"},
		"a name twice":               {"basic_auth_users: {ann: " + hashed + "}", token, "want names of tokens and users apart, got ann twice"},
		"nobody":                     {"{}", "tokens: []", "want a token or a user, got none"},
		"a password for a hash":      {"basic_auth_users: {ann: hunter2}", token, "basic_auth_users.ann: want a bcrypt hash of a cost up to 15"},
		"a hash that takes for ever": {"basic_auth_users: {ann: " + strings.Replace(hashed, "$04$", "$31$", 1) + "}", token, "basic_auth_users.ann: want a bcrypt hash of a cost up to 15"},
		"a password for users":       {"basic_auth_users: hunter2", token, "cannot unmarshal !!str a value"},
		"a key that there is not":    {"tls_config: {}", token, "field tls_config not found"},
		"a key without its file":     {"tls_server_config: {cert_file: a, key_file: b}", token, "no such file"},
		"half of a pair":             {"tls_server_config: {cert_file: a}", token, "missing one of key or key_file"},
		"a header that is not taken": {"http_server_config: {headers: {Server: x}}", token, "can not be configured"},
	} {
		dir := t.TempDir()
		_, err := New(Options{WebConfig: write(t, dir, "web.yml", tc.web), Tokens: write(t, dir, "tokens.yml", tc.tokens), Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add([]byte("tokens:\n  - {name: a, role: sender, sha256: " + someHash + ", not_after: 2026-01-01, rate: 5/s, burst: 3}\nusers: {ann: admin}\n"))
	f.Add([]byte("tokens: [&a {}, *a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := readTokens("t.yml", data)
		if (file == nil) != (err != nil) {
			t.Fatalf("got %v and %v", file, err)
		}
		if file == nil {
			return
		}
		for _, token := range file.tokens {
			if !namePattern.MatchString(token.name) || !(token.rate > 0) || token.burst < 1 || token.hash == (hash{}) {
				t.Errorf("got %+v", token)
			}
		}
	})
}
