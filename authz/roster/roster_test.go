// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/roster"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func list(sessions ...string) *roster.Roster {
	r := new(roster.Roster)
	for i, session := range sessions {
		at := noon.Add(time.Duration(i) * time.Minute)
		r.Grants = append(r.Grants, roster.Listed{ID: string(rune('a' + i)), SessionID: session, ExpiresAt: at})
	}
	return r
}

func TestSurplus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		sessions []string
		session  string
		want     int
	}{
		{"nothing to give way", nil, "s", -1},
		{"the oldest of the one session", []string{"s", "s", "s"}, "s", 0},
		{"the session that has the most", []string{"a", "b", "b", "b"}, "a", 1},
		{"the new one counts for its session", []string{"a", "b", "b", "a"}, "b", 1},
		{"the oldest where all have as many", []string{"a", "b"}, "c", 0},
		{"none of a session that has none", []string{"a", "a", "b"}, "c", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := list(tt.sessions...).Surplus(tt.session); got != tt.want {
				t.Errorf("place %d gives way, want %d", got, tt.want)
			}
		})
	}
}

func TestExpireAndEnds(t *testing.T) {
	t.Parallel()
	r := list("s", "s", "s")
	if got, want := r.Ends(), noon.Add(2*time.Minute); !got.Equal(want) {
		t.Errorf("it ends at %s, want %s", got, want)
	}
	r.Expire(noon.Add(time.Minute))
	if diff := cmp.Diff([]roster.Listed{{ID: "c", SessionID: "s", ExpiresAt: noon.Add(2 * time.Minute)}}, r.Grants); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	r.Expire(noon.Add(time.Hour))
	if len(r.Grants) != 0 || !r.Ends().IsZero() {
		t.Errorf("left is %v, which ends at %s", r.Grants, r.Ends())
	}
}
