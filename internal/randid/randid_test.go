// SPDX-License-Identifier: Apache-2.0

package randid_test

import (
	"regexp"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/randid"
)

func TestNewHasPrefixAndAlphabet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prefix string
		want         *regexp.Regexp
	}{
		{"user", "usr", regexp.MustCompile(`^usr_[a-z2-7]{26}$`)},
		{"device", "dev", regexp.MustCompile(`^dev_[a-z2-7]{26}$`)},
		{"no prefix", "", regexp.MustCompile(`^[a-z2-7]{26}$`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := randid.New(tt.prefix); !tt.want.MatchString(got) {
				t.Errorf("New(%q) = %q, want it to match %s", tt.prefix, got, tt.want)
			}
		})
	}
}

func TestSecretIsBase64URLOf256Bits(t *testing.T) {
	t.Parallel()
	want := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	if got := randid.Secret(); !want.MatchString(got) {
		t.Errorf("Secret() = %q, want it to match %s", got, want)
	}
}

func TestNothingRepeats(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 10_000 {
		for _, v := range []string{randid.New("x"), randid.Secret()} {
			if seen[v] {
				t.Fatalf("%q was drawn twice", v)
			}
			seen[v] = true
		}
	}
}

// A generator that stands still in some bits still passes the test above.
func TestEveryCharacterVaries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		draw   func() string
		values int
	}{
		{"New", func() string { return randid.New("") }, 32},
		{"Secret", randid.Secret, 64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := make(map[int]map[byte]bool)
			last := len(tt.draw()) - 1 // the last character carries what is left of the bits
			for range 4_000 {
				for i, c := range []byte(tt.draw()[:last]) {
					if seen[i] == nil {
						seen[i] = make(map[byte]bool)
					}
					seen[i][c] = true
				}
			}
			for i := range last {
				if got := len(seen[i]); got != tt.values {
					t.Errorf("position %d took %d values in 4,000 draws, want %d", i, got, tt.values)
				}
			}
		})
	}
}

func TestHashIsSHA256(t *testing.T) {
	t.Parallel()
	// FIPS 180-4 example for "abc", and the empty string.
	tests := []struct{ name, secret, want string }{
		{"abc", "abc", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"},
		{"empty", "", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := randid.Hash(tt.secret); got != tt.want {
				t.Errorf("Hash(%q) = %q, want %q", tt.secret, got, tt.want)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = randid.New("usr")
	}
}

func BenchmarkSecretAndHash(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = randid.Hash(randid.Secret())
	}
}
