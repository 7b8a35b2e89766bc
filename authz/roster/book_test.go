// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/roster"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// TestBook: devices are kept by user, written when the list changes, and forgotten after their time. Each operation may fail, and then
// nothing was noted.
func TestBook(t *testing.T) {
	t.Parallel()
	now := noon
	memory, err := memstore.Open(memstore.Config{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = memory.Close() })
	db := storagetest.Frail(memory)
	book := roster.NewBook(24 * time.Hour)
	meet := func(subject string, devices ...string) error {
		return db.Update(t.Context(), func(tx storage.Tx) error { return book.Meet(tx, subject, devices, now) })
	}
	want := func(subject string, devices ...string) {
		t.Helper()
		err := memory.View(t.Context(), func(tx storage.Tx) error {
			got, err := book.Of(tx, subject, now)
			if diff := cmp.Diff(devices, got); diff != "" {
				t.Errorf("devices of %s (-want +got):\n%s", subject, diff)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for nth := 1; ; nth++ {
		db.Break(nth)
		err := meet("alice", "ins_a", "ins_b")
		if !db.Broken() {
			if err != nil || nth < 3 {
				t.Fatalf("after %d operations: %v", nth-1, err)
			}
			break
		}
		if !errors.Is(err, storagetest.ErrFrail) {
			t.Errorf("operation %d failed: %v", nth, err)
		}
		want("alice")
	}
	want("alice", "ins_a", "ins_b")
	want("bob")

	now = now.Add(time.Minute)
	db.Break(2) // which would be the writing
	if err := errors.Join(meet("alice", "ins_a"), meet("alice")); err != nil {
		t.Errorf("what the list says already is written: %v", err)
	}
	db.Break(0)
	now = noon.Add(23 * time.Hour)
	if err := meet("alice", "ins_b"); err != nil {
		t.Fatal(err)
	}
	now = noon.Add(24 * time.Hour)
	want("alice", "ins_b")
	now = noon.Add(47 * time.Hour)
	want("alice")
}
