package signal

import (
	"slices"
	"sort"

	"signalbox/rules/route"
)

// roll is all keys in their order. New ones are sorted in when somebody asks.
type roll struct {
	keys  []*key
	added []*key
}

func (r *roll) add(k *key) { r.added = append(r.added, k) }

// sorted are all keys in their order. They are good until a key is added or removed.
func (r *roll) sorted() []*key {
	if len(r.added) == 0 {
		return r.keys
	}
	sort.Slice(r.added, func(i, j int) bool { return lessKey(r.added[i].id, r.added[j].id) })
	old, added := len(r.keys)-1, len(r.added)-1
	r.keys = slices.Grow(r.keys, len(r.added))[:len(r.keys)+len(r.added)]
	for at := len(r.keys) - 1; added >= 0; at-- { // from the back, so that old ones move once
		if old >= 0 && lessKey(r.added[added].id, r.keys[old].id) {
			r.keys[at] = r.keys[old]
			old--
		} else {
			r.keys[at] = r.added[added]
			added--
		}
	}
	r.added = nil
	return r.keys
}

// remove takes those of the sorted keys from..to out that are gone.
func (r *roll) remove(from, to int, gone func(*key) bool) {
	kept := slices.DeleteFunc(r.keys[from:to], gone)
	r.keys = slices.Delete(r.keys, from+len(kept), to)
}

// seek is the index of the first of sorted keys that does not come before id.
func seek(keys []*key, id *route.Key) int {
	return sort.Search(len(keys), func(i int) bool { return !lessKey(keys[i].id, *id) })
}

func lessKey(a, b route.Key) bool {
	if a.Route != b.Route {
		return a.Route < b.Route
	}
	if a.Class != b.Class {
		return a.Class < b.Class
	}
	return a.Network < b.Network
}
