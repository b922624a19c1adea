package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"signalbox/rules/route"
)

// report prints what became of the stories, and ends in the exit code that it means.
func (t *tester) report(w io.Writer, junit, output string) error {
	if junit != "" {
		if err := t.writeJUnit(junit); err != nil {
			return wrong("", fmt.Errorf("--junit: %w", strip(err)))
		}
	}
	show := t.text
	if output == "json" {
		show = t.json
	}
	err := show(w)
	all := t.all()
	switch n := t.problems(); {
	case err != nil:
		return err
	case n > 0:
		return wrong("signalbox schema story helps your editor", fmt.Errorf("stories: %s", plural(n, "problem")))
	case failed(all) > 0:
		return no("signalbox test --verbose prints what each test decided", fmt.Errorf("%d of %s failed", failed(all), plural(len(all), "test")))
	}
	return nil
}

func (t *tester) json(w io.Writer) error {
	all := t.all()
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Tests  int          `json:"tests"`
		Failed int          `json:"failed"`
		Files  []playedFile `json:"files"`
	}{len(all), failed(all), t.played})
}

func (t *tester) text(w io.Writer) error {
	var b strings.Builder
	for _, f := range t.played {
		for _, p := range f.Problems {
			fmt.Fprintln(&b, p)
		}
		for i := range f.Tests {
			t.story(&b, &f.Tests[i])
		}
		switch n := failed(f.Tests); {
		case len(f.Problems) > 0:
			fmt.Fprintf(&b, "FAIL  %s: cannot be played\n", f.File)
		case n > 0:
			fmt.Fprintf(&b, "FAIL  %s: %d of %s\n", f.File, n, plural(len(f.Tests), "test"))
		case len(f.Tests) > 0:
			fmt.Fprintf(&b, "ok    %s: %s\n", f.File, plural(len(f.Tests), "test"))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *tester) story(w io.Writer, s *playedStory) {
	if t.verbose {
		word := "ok"
		if len(s.Failures) > 0 {
			word = "FAIL"
		}
		fmt.Fprintf(w, "%-4s  %s\n", word, s.Test)
		rows := make([][]string, len(s.Decisions))
		for i := range s.Decisions {
			d := &s.Decisions[i]
			cells := decisionCells(d)
			cells[1] = route.Duration(d.Time.Sub(s.Start)).String() // in the time of the story
			rows[i] = append(cells[:2:2], cells[3:]...)
		}
		_ = columns(w, "        ", rows) // to memory
	}
	for _, f := range s.Failures {
		fmt.Fprintln(w, f)
	}
}

// The results in JUnit's XML, as CI servers read it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		File    string       `xml:"file,attr"`
		Line    int          `xml:"line,attr,omitempty"`
		Time    string       `xml:"time,attr"`
		Failure *junitDetail `xml:"failure,omitempty"`
		Error   *junitDetail `xml:"error,omitempty"`
	}
	junitDetail struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes the whole file or none: a reader never sees half of it.
func (t *tester) writeJUnit(name string) error {
	data, err := xml.MarshalIndent(t.junit(), "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".junit-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.WriteString(xml.Header + string(data) + "\n"); err == nil {
		err = f.Chmod(0o644) // CI servers read it as somebody else
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (t *tester) junit() junitSuites {
	var out junitSuites
	total := time.Duration(0)
	for i := range t.played {
		s, took := t.played[i].junit()
		out.Tests, out.Failures, out.Errors = out.Tests+s.Tests, out.Failures+s.Failures, out.Errors+s.Errors
		out.Suites = append(out.Suites, s)
		total += took
	}
	out.Time = inSeconds(total)
	return out
}

func (f *playedFile) junit() (junitSuite, time.Duration) {
	s := junitSuite{Name: f.File, Tests: len(f.Tests), Failures: failed(f.Tests)}
	total := time.Duration(0)
	for i := range f.Tests {
		x := &f.Tests[i]
		c := junitCase{Name: x.Test, Class: f.File, File: f.File, Line: x.Line, Time: inSeconds(x.took)}
		if len(x.Failures) > 0 {
			lines := make([]string, len(x.Failures))
			for k := range x.Failures {
				lines[k] = x.Failures[k].String()
			}
			c.Failure = &junitDetail{lines[0], strings.Join(lines, "\n")}
		}
		total += x.took
		s.Cases = append(s.Cases, c)
	}
	if len(f.Problems) > 0 {
		s.Tests, s.Errors = s.Tests+1, 1
		s.Cases = append(s.Cases, junitCase{Name: "can be played", Class: f.File, File: f.File, Time: inSeconds(0), Error: &junitDetail{f.Problems[0], strings.Join(f.Problems, "\n")}})
	}
	s.Time = inSeconds(total)
	return s, total
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
