// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
)

// TestLimitsThatHold are those that were given, and for the others the defaults.
func TestLimitsThatHold(t *testing.T) {
	t.Parallel()
	db, err := memstore.Open(memstore.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := budget.New(budget.Config{DB: db, Sealer: sealer, Now: time.Now, Limits: budget.Limits{User: 3, Countries: map[string]int{"nl": 7}}})
	if err != nil {
		t.Fatal(err)
	}
	want := budget.Limits{Number: 10, Prefix: 100, User: 3, Countries: map[string]int{"NL": 7}, All: 1000}
	if diff := cmp.Diff(want, s.Limits()); diff != "" {
		t.Error(diff)
	}
}

// TestSpentDoesNotOverflow: of the window before counts the part that has not passed, rounded up, also where there were more than any
// limit allows.
func TestSpentDoesNotOverflow(t *testing.T) {
	t.Parallel()
	hour := time.Unix(3600*1000, 0)
	for _, test := range []struct {
		sent, was int
		after     time.Duration
		want      int
	}{
		{0, 0, 0, 0},
		{3, 4, 0, 7},
		{0, 1, 59 * time.Minute, 1},
		{0, 4, 30 * time.Minute, 2},
		{1, 4, 31 * time.Minute, 3},
		{1, budget.MaxLimit, 30 * time.Minute, 1 + budget.MaxLimit/2},
		{0, 5_000_000, 0, 5_000_000},
		{0, 1 << 40, 30 * time.Minute, 1 << 39},
	} {
		if got := budget.Spent(test.sent, test.was, hour.Add(test.after)); got != test.want {
			t.Errorf("of %d and %d after %s count %d, want %d", test.sent, test.was, test.after, got, test.want)
		}
	}
}
