package route

import "time"

// Note says what the line of a recording is: an observation as it was taken, or what the one who recorded did meanwhile.
type Note uint8

// The notes. Those from NoteStart on are no observations.
const (
	NoteTaken   Note = iota // an observation, joined, as the loop took it
	NoteCarried             // a baseline that was known when the segment began
	NoteStart               // the process began here: it knew baselines and its durable state, and had seen nothing yet
	NoteRound               // every lane was judged
	NoteHeld                // the same, but nothing was to be changed, because the clock could not be trusted
	NoteUnkept              // the same, but what it led to could not be made durable, and so did not happen
	NoteJump                // the clock had jumped, and the moments of the state moved with it
	NoteGap                 // observations, or what was done, were not recorded
	NoteOrder               // an operator's order was obeyed
)

var noteNames = [...]string{"taken", "carried", "start", "round", "held", "unkept", "jump", "gap", "order"}

// String is the note in the words of a recording.
func (n Note) String() string { return noteNames[n] }

// ParseNote reads a note in the words of a recording; ok is false for any other word.
func ParseNote(word string) (n Note, ok bool) {
	for i, name := range noteNames {
		if name == word {
			return Note(i), true
		}
	}
	return 0, false
}

// Mark is what a recording tells beside an observation, or in place of one.
type Mark struct {
	Note    Note
	At      time.Time     // when it was taken or done, on the clock of the one who recorded
	By      time.Duration // NoteJump: how far the state moved
	Missing uint64        // NoteGap: how many observations and marks there were at least
	Order   *Order        // NoteOrder: what was ordered
}
