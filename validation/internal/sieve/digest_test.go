// SPDX-License-Identifier: Apache-2.0

package sieve_test

import (
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/validation/internal/sieve"
)

func digester(tb testing.TB, scope ...string) *sieve.Digester {
	tb.Helper()
	d, err := sieve.NewDigester(scope...)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestDigestTellsTokensApart(t *testing.T) {
	t.Parallel()
	d := digester(t)
	tokens := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "a", "aa", "a\x00", strings.Repeat("a", 16), strings.Repeat("a", 17), strings.Repeat("a", 900), strings.Repeat("a", 16<<10),
	}))
	rapid.Check(t, func(t *rapid.T) {
		first, second := tokens.Draw(t, "first"), tokens.Draw(t, "second")
		if (d.Sum(first) == d.Sum(second)) != (first == second) {
			t.Fatalf("%q and %q", first, second)
		}
	})
}

// Each bit of a token counts.
func TestDigestCoversTheWholeToken(t *testing.T) {
	t.Parallel()
	d := digester(t)
	token := []byte(strings.Repeat("x", 900))
	want := d.Sum(string(token))
	for i := range token {
		for bit := range 8 {
			token[i] ^= 1 << bit
			if d.Sum(string(token)) == want {
				t.Fatalf("bit %d of byte %d does not count", bit, i)
			}
			token[i] ^= 1 << bit
		}
	}
	if d.Sum(string(token)) != want {
		t.Error("one token has two digests")
	}
}

// A digest is worth nothing outside the process, nor for another instance.
func TestDigestersHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	one, another := digester(t, "a"), digester(t, "a")
	if one.Sum("token") == another.Sum("token") {
		t.Error("two digesters share a key")
	}
}

func TestDigestAllocatesNothing(t *testing.T) {
	d := digester(t)
	token := strings.Repeat("x", 900)
	d.Sum(token)
	// The race detector makes pools forget.
	if n := testing.AllocsPerRun(1000, func() { d.Sum(token) }); n > 0.5 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

func TestDigestConcurrently(t *testing.T) {
	t.Parallel()
	d := digester(t)
	long, short := strings.Repeat("x", 900), "y"
	wantLong, wantShort := d.Sum(long), d.Sum(short)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 2000 {
				if d.Sum(long) != wantLong || d.Sum(short) != wantShort {
					t.Error("a digest depends on what others do")
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkDigest(b *testing.B) {
	d := digester(b)
	token := strings.Repeat("x", 900)
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Sum(token)
	}
}
