package alert

import (
	"math/rand/v2"
	"time"
)

// giveUpAfter is how long one event is tried: as long as the schedule of Standard Webhooks lasts.
const giveUpAfter = 75*time.Hour + 35*time.Minute

// schedule is how long after the first, second, … failure in a row a webhook is tried again, after Standard Webhooks.
var schedule = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// backOff is how long to wait after so many failures in a row, with up to a tenth of jitter on top.
func backOff(failures int) time.Duration {
	d := schedule[min(max(failures, 1), len(schedule))-1]
	return d + time.Duration(rand.Int64N(int64(d)/10))
}
