package signal

import (
	"time"

	"signalbox/rules/route"
)

// Where a baseline comes from.
const (
	own         = "own"
	poolNetwork = "pool of the class on the network"
	poolClass   = "pool of the class"
)

// pool names the keys that share a baseline: a class on a network, or, with no network, a class.
type pool struct {
	class   route.Class
	network route.Network
}

// pools are the baselines of pools of keys. They are made anew in each minute in which somebody asks: at once where there
// are few keys, else some keys in each round, while those of before are in use.
type pools struct {
	normals map[pool]*normal
	minute  int64 // since the Unix epoch, that they were begun in
	made    bool

	sums   map[pool]*Learned // being made; nil for none
	began  int64             // minute
	newest time.Time         // moment that all are faded to
	next   route.Key         // the first key that is not summed yet
}

// poolsPerRound is how many keys are summed at most in one round.
const poolsPerRound = 20_000

// normal is the baseline to judge a key by: its own, else that of its class on its network over all routes, else that of
// its class; nil where none of them rests on enough.
func (b *Book) normal(k *key, minute int64) *normal {
	if n := k.learned.normal(own); n != nil {
		return n
	}
	b.fillPools(minute)
	return b.pools.of(k)
}

func (p *pools) normal(k *key) *normal {
	if n := k.learned.normal(own); n != nil {
		return n
	}
	return p.of(k)
}

// of is the baseline of the narrowest pool of a key that has one.
func (p *pools) of(k *key) *normal {
	if n := p.normals[pool{k.id.Class, k.id.Network}]; n != nil {
		return n
	}
	return p.normals[pool{class: k.id.Class}]
}

// fillPools goes on making the pools of a minute, as far as the round has room for it.
func (b *Book) fillPools(minute int64) {
	p := &b.pools
	if p.sums == nil && p.made && p.minute == minute || b.room <= 0 {
		return
	}
	keys := b.roll.sorted()
	if p.sums == nil {
		p.begin(b.newest.of(keys), minute)
	}
	from := seek(keys, &p.next)
	to := min(len(keys), from+b.room)
	b.room -= to - from
	p.sum(keys[from:to])
	if to < len(keys) {
		p.next = keys[to].id
		return
	}
	p.finish()
}

// fill makes the pools of a minute at once.
func (p *pools) fill(keys []*key, minute int64) {
	var n newest
	n.lost = true
	p.begin(n.of(keys), minute)
	p.sum(keys)
	p.finish()
}

func (p *pools) begin(newest time.Time, minute int64) {
	p.sums, p.began, p.newest, p.next = map[pool]*Learned{}, minute, newest, route.Key{}
}

// newest is the moment of the newest baseline of all keys, kept up so that nobody has to look at all of them.
type newest struct {
	at   time.Time
	lost bool // the key that it was of has gone, or has an older one now
}

// moved notes that the baseline of a key is of another moment than it was.
func (n *newest) moved(k *key, was time.Time) {
	n.lost = n.lost || k.learned.At.Before(was) && !was.Before(n.at)
	if k.learned.At.After(n.at) {
		n.at = k.learned.At
	}
}

// gone notes that a key is forgotten.
func (n *newest) gone(k *key) { n.lost = n.lost || !k.learned.At.Before(n.at) }

// of is the newest moment of all keys.
func (n *newest) of(keys []*key) time.Time {
	if n.lost {
		*n = newest{}
		for _, k := range keys {
			n.moved(k, k.learned.At)
		}
	}
	return n.at
}

// sum adds the baselines of keys to the pools that they belong to.
func (p *pools) sum(keys []*key) {
	for _, k := range keys {
		if k.learned.messages() == 0 {
			continue
		}
		l := k.learned
		l.fade(p.newest)
		for _, id := range []pool{{k.id.Class, k.id.Network}, {class: k.id.Class}} {
			if p.sums[id] == nil {
				p.sums[id] = &Learned{}
			}
			p.sums[id].merge(&l)
		}
	}
}

// finish makes what was summed the pools in use.
func (p *pools) finish() {
	p.normals, p.minute, p.made = map[pool]*normal{}, p.began, true
	for id, sum := range p.sums {
		source := poolClass
		if id.network != "" {
			source = poolNetwork
		}
		if n := sum.normal(source); n != nil {
			p.normals[id] = n
		}
	}
	p.sums = nil
}
