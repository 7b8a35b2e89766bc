// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"maps"
	"time"
)

// sighting is a claim of another loop's, and since when this one has seen it.
type sighting struct {
	claim string
	since time.Time
}

// sightings are the claims of other loops, by line. Whether one is over is judged by how long it has stood there, by this node's clock
// alone: that of the node which claims may say anything.
type sightings struct {
	most time.Duration // how long a claim stands whose loop is alive, and a margin
	by   map[string]sighting
}

// taken reports whether somebody delivers the head of a line, and until when that is to be believed. Looked at twice it says the same.
func (s *sightings) taken(row *line, now time.Time) (until time.Time, taken bool) {
	if row.Claim == "" {
		delete(s.by, row.id())
		return until, false
	}
	seen := s.by[row.id()]
	if seen.claim != row.Claim || now.Before(seen.since) {
		seen = sighting{claim: row.Claim, since: now}
		s.by[row.id()] = seen
	}
	until = seen.since.Add(s.most)
	return until, now.Before(until)
}

// forget drops what was seen so long ago that its line has gone on or was removed.
func (s *sightings) forget(now time.Time) {
	maps.DeleteFunc(s.by, func(_ string, seen sighting) bool { return now.Sub(seen.since) > 2*s.most })
}
