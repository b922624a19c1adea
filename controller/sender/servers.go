package sender

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
)

// servers are the replicas.
type servers []*url.URL

func parseServers(texts []string) (servers, error) {
	if len(texts) == 0 {
		return nil, errors.New("servers: want a URL such as http://127.0.0.1:9465, got none")
	}
	var all servers
	for i, text := range texts {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("servers[%d]: want a URL such as http://127.0.0.1:9465, got another text", i)
		}
		all = append(all, u)
	}
	return all, nil
}

// turns goes through the replicas in random order, each as often as the others.
type turns struct {
	all  servers
	left servers // of this time through, shuffled
}

// next is another replica than the last one, where there are several.
func (t *turns) next() *url.URL {
	if len(t.left) == 0 {
		t.left = append(t.left, t.all...)
		rand.Shuffle(len(t.left), func(i, j int) { t.left[i], t.left[j] = t.left[j], t.left[i] })
	}
	u := t.left[len(t.left)-1]
	t.left = t.left[:len(t.left)-1]
	return u
}
