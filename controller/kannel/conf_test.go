package kannel

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copied is a folder with the configuration of a site, and its path.
func copied(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/kannel.conf")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kannel.conf")
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines are the lines of a file that name labels, by link.
func labelLines(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range strings.Split(string(data), "\n") {
		if name, value, ok := setting(l); ok && (name == "smsc-id" || name == allowed || name == preferred) {
			out = append(out, strings.TrimSuffix(strings.TrimSuffix(name, "-smsc-id"), "-id")+"="+value)
		}
	}
	return strings.Join(out, " ")
}

func actuatorOf(t *testing.T, path string) *Actuator {
	t.Helper()
	a, err := New(Options{Config: path, Admin: "http://127.0.0.1:1", Password: func() (string, error) { return "admin", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// edited is what a site's configuration says once lanes are written into it.
func edited(t *testing.T, path string, lanes ...Lane) (Applied, error) {
	t.Helper()
	c, err := readConf(path)
	if err != nil {
		t.Fatal(err)
	}
	done := Applied{Primary: map[string]string{}}
	err = actuatorOf(t, path).edit(c, lanes, &done)
	if err == nil {
		err = c.write()
	}
	return done, err
}

func otp(routes ...Route) Lane { return Lane{"otp", routes} }

const asWritten = "smsc=acme-uk allowed=acme-uk;otp preferred=otp smsc=bolt-uk allowed=bolt-uk;otp"

func TestTheTableIsWrittenIntoTheLinks(t *testing.T) {
	for _, c := range []struct {
		name  string
		lanes []Lane
		want  string
	}{
		{"what it says already", []Lane{otp(Route{"acme-uk", 10000, false}, Route{"bolt-uk", 0, false})}, asWritten},
		{"the other one first", []Lane{otp(Route{"bolt-uk", 10000, false}, Route{"acme-uk", 0, false})}, "smsc=acme-uk allowed=acme-uk;otp smsc=bolt-uk preferred=otp allowed=bolt-uk;otp"},
		{"one is out", []Lane{otp(Route{"bolt-uk", 9900, false}, Route{"acme-uk", 100, true})}, "smsc=acme-uk allowed=acme-uk smsc=bolt-uk preferred=otp allowed=bolt-uk;otp"},
		{"one comes back by a ramp", []Lane{otp(Route{"bolt-uk", 9500, false}, Route{"acme-uk", 500, false})}, "smsc=acme-uk allowed=acme-uk;otp smsc=bolt-uk preferred=otp allowed=bolt-uk;otp"},
		{"shares: the greatest", []Lane{otp(Route{"acme-uk", 4000, false}, Route{"bolt-uk", 6000, false})}, "smsc=acme-uk allowed=acme-uk;otp smsc=bolt-uk preferred=otp allowed=bolt-uk;otp"},
		{"equal shares: the first", []Lane{otp(Route{"acme-uk", 5000, false}, Route{"bolt-uk", 5000, false})}, asWritten},
		{"all are out: as it is", []Lane{otp(Route{"acme-uk", 10000, true}, Route{"bolt-uk", 0, true})}, asWritten},
		{"two labels", []Lane{otp(Route{"acme-uk", 10000, false}, Route{"bolt-uk", 0, true}), {"bulk", []Route{{"bolt-uk", 10000, false}}}},
			"smsc=acme-uk allowed=acme-uk;otp preferred=otp smsc=bolt-uk preferred=bulk allowed=bolt-uk;bulk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := copied(t)
			if _, err := edited(t, path, c.lanes...); err != nil {
				t.Fatal(err)
			}
			if got := labelLines(t, path); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			first := labelLines(t, path)
			if done, err := edited(t, path, c.lanes...); err != nil || labelLines(t, path) != first {
				t.Errorf("the second time: got %+v, %v, %s", done, err, labelLines(t, path))
			}
		})
	}
}

func TestNothingElseIsChanged(t *testing.T) {
	path := copied(t)
	was, _ := os.ReadFile(path)
	out := []Lane{otp(Route{"bolt-uk", 10000, false}, Route{"acme-uk", 0, true})}
	back := []Lane{otp(Route{"acme-uk", 10000, false}, Route{"bolt-uk", 0, false})}
	for _, lanes := range [][]Lane{out, back} {
		if _, err := edited(t, path, lanes...); err != nil {
			t.Fatal(err)
		}
	}
	is, _ := os.ReadFile(path)
	sorted := func(b []byte) []string { s := strings.Split(string(b), "\n"); slices.Sort(s); return s }
	if !slices.Equal(sorted(was), sorted(is)) {
		t.Errorf("got other lines there and back:\n%s", is)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v, want that of before", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".signalbox-*")); len(left) != 0 {
		t.Errorf("got %v left behind", left)
	}
}

func TestConfigurationsThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct{ name, was, is, want string }{
		{"no such link", "smsc-id = bolt-uk", "smsc-id = other", `route bolt-uk: want a group = smsc with smsc-id = "bolt-uk", got none`},
		{"no list", `allowed-smsc-id = "bolt-uk;otp"`, "", `want allowed-smsc-id to name another label beside "otp"`},
		{"a list that would get empty", `allowed-smsc-id = "bolt-uk;otp"`, `allowed-smsc-id = "otp"`, `want allowed-smsc-id to name another label beside "otp"`},
		{"an include that is not there", "group = core", "include = \"/nowhere/x.conf\"\n\ngroup = core", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := copied(t)
			data, _ := os.ReadFile(path)
			if err := os.WriteFile(path, []byte(strings.Replace(string(data), c.was, c.is, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			was, _ := os.ReadFile(path)
			_, err := actuatorOf(t, path).Plan([]Lane{otp(Route{"acme-uk", 10000, true}, Route{"bolt-uk", 0, false})})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if is, _ := os.ReadFile(path); string(is) != string(was) {
				t.Error("got it written all the same")
			}
		})
	}
}

func TestIncludesAreFollowedAndCirclesAreNot(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	top := write("kannel.conf", "group = core\nadmin-port = 1\n\ninclude = \""+filepath.Join(dir, "links")+"\"\n")
	acme := write("links/acme.conf", "group = smsc\nsmsc-id = acme\nallowed-smsc-id = \"acme;otp\"\n\n# a second bind of the same route\ngroup = smsc\nsmsc-id = acme\nallowed-smsc-id = acme;otp\n")
	write("links/bolt.conf", "group = smsc\nsmsc-id = \"bolt\"\nallowed-smsc-id = bolt\n")
	write("links/.signalbox-1", "group = smsc\nsmsc-id = bolt\n") // a kill left it half-written
	done, err := edited(t, top, otp(Route{"bolt", 10000, false}, Route{"acme", 0, true}))
	if err != nil || len(done.Primary) != 1 {
		t.Fatalf("got %+v, %v", done, err)
	}
	if got, want := labelLines(t, acme), "smsc=acme allowed=acme smsc=acme allowed=acme"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := labelLines(t, filepath.Join(dir, "links/bolt.conf")), "smsc=bolt preferred=otp allowed=bolt;otp"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	write("links/acme.conf", "include = \""+top+"\"\n")
	if _, err := readConf(top); err == nil || !strings.Contains(err.Error(), "in a circle") {
		t.Errorf("a circle: got %v", err)
	}
}
