package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Letter is what one receiver is to be told. Body is JSON that means nothing here. It is an alias, so that those who
// write letters can declare the same fields instead of importing this package.
type Letter = struct {
	To   string // the receiver's name
	At   time.Time
	Body []byte
}

// Posted is a letter that waits. It is an alias, as Letter is.
type Posted = struct {
	Seq  uint64 // grows with each letter, over all receivers
	At   time.Time
	Body []byte
}

// Waiting is how the letters of one receiver stand. It is an alias, as Letter is.
type Waiting = struct {
	Count  int
	Oldest time.Time // of the letters that wait; zero where none does
	Newest uint64    // the number of the last one; 0 where none does
}

// Note is what must be remembered of something that holds until it ends; nil Data forgets the key. It is an alias, as
// Letter is.
type Note = struct {
	Key  string
	Data []byte // JSON that means nothing here
}

// sealedLetter is a letter as it is kept.
type sealedLetter struct {
	At   time.Time       `json:"at"`
	Body json.RawMessage `json:"body"`
}

// Announce makes letters and notes durable, whole or not at all, outside of any change of the state.
func (s *Store) Announce(letters []Letter, notes []Note) error {
	if len(letters) == 0 && len(notes) == 0 {
		return nil
	}
	return s.update("announce", func(tx *bbolt.Tx) error {
		if err := putLetters(tx, letters); err != nil {
			return err
		}
		b, err := bucket(tx, bucketNotes)
		if err != nil {
			return err
		}
		for _, n := range notes {
			if err := putNote(b, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func putNote(b *bbolt.Bucket, n Note) error {
	key, err := joinKey(n.Key)
	switch {
	case err != nil:
		return err
	case n.Data == nil:
		return b.Delete(key)
	case !json.Valid(n.Data):
		return fmt.Errorf("note %q: want JSON", n.Key)
	}
	return b.Put(key, seal(key, n.Data))
}

// Notes are those that are remembered, by key.
func (s *Store) Notes() (found []Note, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		b, err := bucket(tx, bucketNotes)
		if err != nil {
			return err
		}
		return b.ForEach(func(k, v []byte) error {
			data, err := unseal(k, v)
			found = append(found, Note{string(k), bytes.Clone(data)})
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	return found, nil
}

// checkLetters refuses letters that could not be read back.
func checkLetters(letters []Letter) error {
	for _, l := range letters {
		if _, err := joinKey(l.To); err != nil {
			return fmt.Errorf("letter: %w", err)
		}
		if !json.Valid(l.Body) {
			return fmt.Errorf("letter to %s: want JSON", l.To)
		}
	}
	return nil
}

// putLetters appends letters to the outbox, in their order.
func putLetters(tx *bbolt.Tx, letters []Letter) error {
	if err := checkLetters(letters); err != nil {
		return err
	}
	b, err := bucket(tx, bucketOutbox)
	if err != nil {
		return err
	}
	for _, l := range letters {
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		key := letterKey(l.To, seq)
		value, err := sealJSON(key, sealedLetter{l.At, l.Body})
		if err != nil {
			return err
		}
		if err := b.Put(key, value); err != nil {
			return err
		}
	}
	return nil
}

// letterKey orders the letters to one receiver as they were written: its name, a zero byte, the number in eight bytes.
func letterKey(to string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(to+"\x00"), seq)
}

// splitLetterKey is what letterKey made the key of.
func splitLetterKey(key []byte) (to string, seq uint64, err error) {
	at := len(key) - 9
	if at < 1 || key[at] != 0 {
		return "", 0, fmt.Errorf("%w: want the key of a letter, got %q", ErrDamaged, key)
	}
	return string(key[:at]), binary.BigEndian.Uint64(key[at+1:]), nil
}

// Letters are the oldest letters that wait for a receiver and have a greater number than after, at most so many, in
// their order.
func (s *Store) Letters(to string, after uint64, most int) (found []Posted, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		return eachLetter(tx, to, after, func(seq uint64, key, value []byte) (bool, error) {
			if len(found) == most {
				return false, nil
			}
			var l sealedLetter
			if err := unsealJSON(key, value, &l); err != nil {
				return false, err
			}
			found = append(found, Posted{seq, l.At, l.Body})
			return true, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read letters to %s: %w", to, err)
	}
	return found, nil
}

// eachLetter calls do with the letters to a receiver that have a greater number than after, oldest first, until it
// returns false or an error.
func eachLetter(tx *bbolt.Tx, to string, after uint64, do func(seq uint64, key, value []byte) (more bool, err error)) error {
	b, err := bucket(tx, bucketOutbox)
	if err != nil {
		return err
	}
	prefix, c := []byte(to+"\x00"), b.Cursor()
	for k, v := c.Seek(letterKey(to, after+1)); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		_, seq, err := splitLetterKey(k)
		if err != nil {
			return err
		}
		if more, err := do(seq, k, v); !more || err != nil {
			return err
		}
	}
	return nil
}

// Waiting says how many letters wait for a receiver.
func (s *Store) Waiting(to string) (w Waiting, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		return eachLetter(tx, to, 0, func(seq uint64, key, value []byte) (bool, error) {
			if w.Count++; w.Count == 1 {
				var l sealedLetter
				if err := unsealJSON(key, value, &l); err != nil {
					return false, err
				}
				w.Oldest = l.At
			}
			w.Newest = seq
			return true, nil
		})
	})
	if err != nil {
		return Waiting{}, fmt.Errorf("count letters to %s: %w", to, err)
	}
	return w, nil
}

// Delivered takes the letters to a receiver up to a number out of the outbox. That there are none is no error.
func (s *Store) Delivered(to string, upTo uint64) error {
	return s.update("take letters out", func(tx *bbolt.Tx) error {
		var keys [][]byte
		err := eachLetter(tx, to, 0, func(seq uint64, key, _ []byte) (bool, error) {
			if seq > upTo {
				return false, nil
			}
			keys = append(keys, bytes.Clone(key))
			return true, nil
		})
		for _, k := range keys {
			err = errors.Join(err, tx.Bucket(bucketOutbox).Delete(k))
		}
		return err
	})
}

// Discarded counts the letters that were given up, by receiver. It is an alias, as Letter is.
type Discarded = struct {
	Old    map[string]int // written before the moment that was asked for
	Excess map[string]int // the oldest where there were too many
	Gone   map[string]int // to receivers that there are no more
}

// Discard takes letters out of the outbox that nobody is to be told any more: those before olderThan, the oldest to a
// receiver that has more than most, and those to receivers that are not among these.
func (s *Store) Discard(receivers []string, olderThan time.Time, most int) (d Discarded, err error) {
	var victims [][]byte
	err = s.view(func(tx *bbolt.Tx) (err error) {
		victims, d, err = discardable(tx, receivers, olderThan, most)
		return err
	})
	if err != nil || len(victims) == 0 {
		return d, err
	}
	return d, s.update("discard letters", func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketOutbox)
		for _, k := range victims {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func discardable(tx *bbolt.Tx, receivers []string, olderThan time.Time, most int) (victims [][]byte, d Discarded, err error) {
	b, err := bucket(tx, bucketOutbox)
	if err != nil {
		return nil, d, err
	}
	d = Discarded{map[string]int{}, map[string]int{}, map[string]int{}}
	left, err := countLetters(b)
	if err != nil {
		return nil, d, err
	}
	known := map[string]bool{}
	for _, r := range receivers {
		known[r] = true
	}
	err = b.ForEach(func(k, v []byte) error {
		to, _, err1 := splitLetterKey(k)
		var l sealedLetter
		if err := errors.Join(err1, unsealJSON(k, v, &l)); err != nil {
			return err
		}
		count := map[string]int(nil)
		switch {
		case !known[to]:
			count = d.Gone
		case l.At.Before(olderThan):
			count = d.Old
		case left[to] > most:
			count = d.Excess
		default:
			return nil
		}
		count[to]++
		left[to]--
		victims = append(victims, bytes.Clone(k))
		return nil
	})
	return victims, d, err
}

func countLetters(b *bbolt.Bucket) (map[string]int, error) {
	n := map[string]int{}
	err := b.ForEach(func(k, _ []byte) error {
		to, _, err := splitLetterKey(k)
		n[to]++
		return err
	})
	return n, err
}

// update runs fn in a transaction that has reached the disk when it returns.
func (s *Store) update(what string, fn func(*bbolt.Tx) error) error {
	if err := guard(func() error { return s.db.Update(fn) }); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
