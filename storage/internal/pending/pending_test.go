// SPDX-License-Identifier: Apache-2.0

package pending_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/pending"
)

// TestWrites: what is noted is nobody else's, the last note of a key counts, and it comes back in order.
func TestWrites(t *testing.T) {
	t.Parallel()
	writes := pending.Writes{}
	value := []byte("1")
	at := time.Unix(1, 2_000_003).In(time.FixedZone("east", 3600))
	for _, err := range []error{
		writes.Put(storage.Item{Key: "a/2", Value: value, ExpiresAt: at}), writes.Put(storage.Item{Key: "a/1"}), writes.Delete("a/1"),
		writes.Put(storage.Item{Key: "b/1"}), writes.Put(storage.Item{Key: "a/0"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	value[0] = '2'
	want := []pending.Write{{Key: "a/1"}, {Key: "a/2", Item: &storage.Item{Key: "a/2", Value: []byte("1"), ExpiresAt: time.UnixMilli(1002).UTC()}}}
	if diff := cmp.Diff(want, writes.From("a/", pending.First("a/", "a/0"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if first := pending.First("a/", ""); first != "a/" {
		t.Errorf("a scan from the beginning begins at %q", first)
	}
}

// TestInsert: only where nothing is, and not where nobody can tell.
func TestInsert(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for found, want := range map[error]error{storage.ErrNotFound: nil, nil: storage.ErrExists, down: down} {
		writes := pending.Writes{}
		err := writes.Insert(storage.Item{Key: "a"}, func(string) (storage.Item, error) { return storage.Item{}, found })
		if !errors.Is(err, want) || (len(writes) == 1) != (want == nil) {
			t.Errorf("finding %v: %v, %v", found, err, writes)
		}
	}
}

// TestLimits: who may not write does not, and nobody writes more than one transaction bears.
func TestLimits(t *testing.T) {
	t.Parallel()
	var none pending.Writes
	if err := none.Put(storage.Item{Key: "a"}); !errors.Is(err, storage.ErrReadOnly) {
		t.Error(err)
	}
	writes := pending.Writes{}
	for i := range storage.MaxWrites {
		if err := writes.Put(storage.Item{Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := writes.Delete("one more"); !errors.Is(err, storage.ErrTooLarge) {
		t.Error(err)
	}
	if err := writes.Delete("0"); err != nil {
		t.Errorf("what is noted already may be noted otherwise: %v", err)
	}
	if err := (pending.Writes{}).Put(storage.Item{Key: "a", Value: make([]byte, storage.MaxValue+1)}); !errors.Is(err, storage.ErrTooLarge) {
		t.Error(err)
	}
}
