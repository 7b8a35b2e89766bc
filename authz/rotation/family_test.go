// SPDX-License-Identifier: Apache-2.0

package rotation_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/rotation"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

const (
	ttl  = 30 * 24 * time.Hour
	idle = 14 * 24 * time.Hour
)

var start = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// line is a family as a grant gets it.
func line(id string) rotation.Family {
	return rotation.Family{
		ID: id, Seed: []byte(id + " has a seed of its own"), Generation: 1, RotatedAt: start,
		IdleTTL: int64(idle / time.Second), IdleExpiresAt: start.Add(idle), ExpiresAt: start.Add(ttl),
	}
}

// A family knows every token it has issued, and no other: neither a guess, nor another family's, nor one of its future.
func TestGenuine(t *testing.T) {
	t.Parallel()
	family, other := line("rt_one"), line("rt_two")
	first := family.Token()
	family.Rotate(start.Add(time.Hour))
	second := family.Token()
	future := family
	future.Rotate(start)
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"the one before", first, true},
		{"the current one", second, true},
		{"one to come", future.Token(), false},
		{"a guess", first + "x", false},
		{"the secret of one in the place of another", strings.Replace(second, ".2.", ".1.", 1), false},
		{"another family's", other.Token(), false},
		{"another family's under this name", "rt_one" + strings.TrimPrefix(other.Token(), "rt_two"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token, ok := rotation.ParseToken(tt.text)
			if got := ok && family.Genuine(token); got != tt.want {
				t.Errorf("Genuine = %v, want %v", got, tt.want)
			}
		})
	}
}

// Of a token that is used the time to use the next one counts anew; the family's own end does not move.
func TestRotate(t *testing.T) {
	t.Parallel()
	family := line("rt_one")
	later := start.Add(3 * 24 * time.Hour)
	family.Rotate(later)
	if family.Generation != 2 || !family.RotatedAt.Equal(later) || !family.IdleExpiresAt.Equal(later.Add(idle)) || !family.ExpiresAt.Equal(start.Add(ttl)) {
		t.Errorf("the family is %+v", family)
	}
}

func TestParseToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       bool
	}{
		{"ours", "rt_abc.1.secret", true},
		{"a high generation", "rt_abc.zz.secret", true},
		{"empty", "", false},
		{"an access token", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", false},
		{"two parts", "rt_abc.1", false},
		{"four parts", "rt_abc.1.secret.x", false},
		{"generation zero", "rt_abc.0.secret", false},
		{"no generation", "rt_abc..secret", false},
		{"generation with a zero in front", "rt_abc.01.secret", false},
		{"generation with a sign", "rt_abc.+1.secret", false},
		{"generation in upper case", "rt_abc.A.secret", false},
		{"negative generation", "rt_abc.-1.secret", false},
		{"generation beyond 63 bits", "rt_abc.1y2p0ij32e8e8.secret", false},
		{"another kind", "ses_abc.1.secret", false},
		{"as long as may be", "rt_abc.1." + strings.Repeat("s", 247), true},
		{"too long", "rt_abc.1." + strings.Repeat("s", 248), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, got := rotation.ParseToken(tt.text); got != tt.want {
				t.Errorf("ParseToken = %v, want %v", got, tt.want)
			}
		})
	}
}

// A token is read by the shape in which it is printed, whatever its generation.
func TestEveryTokenLooksLikeOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		family := rotation.Family{
			ID: randid.New("rt"), Seed: []byte(randid.Secret()), Generation: rapid.Uint64Range(1, 1<<63-1).Draw(t, "generation"),
		}
		token, ok := rotation.ParseToken(family.Token())
		if !ok || token.Family != family.ID || token.Generation != family.Generation || !family.Genuine(token) {
			t.Errorf("%q is read as %+v", family.Token(), token)
		}
	})
}
