//go:build integration

package kannel_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// tap stands between Kannel's calls and signalbox, passes them on as they are, and remembers those that signalbox took.
// While signalbox is away it hangs up, as a port without a listener would.
type tap struct {
	url    string
	to     string
	mu     sync.Mutex // guards calls and boxes
	calls  []call
	boxes  int // signalbox processes so far
	client http.Client
}

// call is one call of a dlr-url that signalbox answered with 200.
type call struct {
	id, asked, carried string // the sender's id, the route it asked for, the link that carried the message
	fid                string // the SMSC's id
	bits               int
	box                int // of the tap's boxes, which one took it
}

func (c *call) accepted() bool { return c.bits&8 != 0 }
func (c *call) final() bool    { return c.bits&3 != 0 }

func newTap(t *testing.T, to string) *tap {
	p := &tap{to: to, client: http.Client{Timeout: 10 * time.Second}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := p.client.Get(p.to + r.URL.RequestURI())
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		p.note(r)
	}
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}

func (p *tap) note(r *http.Request) {
	bits, _ := strconv.Atoi(r.FormValue("status"))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call{r.FormValue("id"), r.FormValue("route"), r.FormValue("smsc"), r.FormValue("fid"), bits, p.boxes})
}

// restarted says that another signalbox takes the calls from now on.
func (p *tap) restarted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boxes++
}

// taken are the calls that signalbox took so far.
func (p *tap) taken() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]call(nil), p.calls...)
}

// count counts calls.
func count(calls []call, which func(*call) bool) int {
	n := 0
	for i := range calls {
		if which(&calls[i]) {
			n++
		}
	}
	return n
}
