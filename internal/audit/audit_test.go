// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

type fixture struct {
	clock *storagetest.Clock
	db    *storagetest.FaultyDB
	lines *bytes.Buffer
	trail *audit.Trail
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{clock: storagetest.NewClock(), lines: &bytes.Buffer{}}
	db, err := memstore.Open(memstore.Config{Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	f.db = storagetest.Faulty(db)
	f.trail, err = audit.New(audit.Config{DB: f.db, Logger: slog.New(slog.NewJSONHandler(f.lines, nil)), Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) list(t *testing.T, since time.Time, limit int) []audit.Event {
	t.Helper()
	events, err := f.trail.List(t.Context(), since, limit)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

var full = audit.Event{
	Name: "login.attempt", Outcome: audit.Refused, Reason: "wrong_secret", Subject: "usr_1", By: "user:usr_2", ClientID: "app", Realm: "password",
	SessionID: "ses_1", GrantID: "gra_1", DeviceID: "dev_1", Operation: "op_1", ClientIP: "192.0.2.1", RequestID: "req_1",
}

func TestRecordWritesLineAndItem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.trail.Record(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	stored := f.list(t, time.Time{}, 0)
	if len(stored) != 1 {
		t.Fatalf("%d events, want 1", len(stored))
	}
	want := full
	want.Time = f.clock.Now()
	if diff := cmp.Diff(want, stored[0], cmpopts.IgnoreFields(audit.Event{}, "ID")); diff != "" {
		t.Error(diff)
	}
	var line struct {
		Audit map[string]string `json:"audit"`
	}
	if err := json.Unmarshal(f.lines.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	wantLine := map[string]string{
		"id": stored[0].ID, "name": "login.attempt", "outcome": "refused", "reason": "wrong_secret", "sub": "usr_1", "by": "user:usr_2",
		"client_id": "app", "realm": "password", "sid": "ses_1", "grant_id": "gra_1", "device_id": "dev_1", "operation": "op_1", "client_ip": "192.0.2.1", "request_id": "req_1",
	}
	if diff := cmp.Diff(wantLine, line.Audit); diff != "" {
		t.Error(diff)
	}
}

func TestRecordSaysWhenTheStoreDidNot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrClosed})
	if err := f.trail.Record(t.Context(), full); !errors.Is(err, storage.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	if f.lines.Len() == 0 {
		t.Error("the log line is missing: it does not depend on the store")
	}
}

func TestLogStoresNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.trail.Log(t.Context(), full)
	if n := len(f.list(t, time.Time{}, 0)); n != 0 {
		t.Errorf("%d events stored", n)
	}
	if bytes.Count(f.lines.Bytes(), []byte("\n")) != 1 {
		t.Errorf("lines: %s", f.lines)
	}
}

func TestAppendBelongsToItsTransaction(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.trail.Prepare(full)
	rolledBack := errors.New("rolled back")
	err := f.db.Update(t.Context(), func(tx storage.Tx) error {
		return errors.Join(f.trail.Append(tx, e), rolledBack)
	})
	if !errors.Is(err, rolledBack) || len(f.list(t, time.Time{}, 0)) != 0 {
		t.Fatalf("err %v, events %v", err, f.list(t, time.Time{}, 0))
	}
	twice := storagetest.Twice(f.db, 1)
	for range 8 {
		if err := twice.Update(t.Context(), func(tx storage.Tx) error { return f.trail.Append(tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.list(t, time.Time{}, 0)); n != 1 {
		t.Fatalf("one prepared event is %d items", n)
	}
}

func TestListIsOrderedByTimeAndBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var names []string
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := f.trail.Record(t.Context(), audit.Event{Name: name}); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Second)
	}
	since := f.clock.Now().Add(-3 * time.Second)
	for _, e := range f.list(t, since, 2) {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"b", "c"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestEventsAreKeptForAYear(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.trail.Record(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(audit.Keep - time.Millisecond)
	if n := len(f.list(t, time.Time{}, 0)); n != 1 {
		t.Fatal("gone too early")
	}
	f.clock.Advance(time.Millisecond)
	if n := len(f.list(t, time.Time{}, 0)); n != 0 {
		t.Fatal("kept too long")
	}
}

func TestListSaysWhenTheStoreFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.trail.List(ctx, time.Time{}, 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	logger := slog.New(slog.DiscardHandler)
	for _, c := range []audit.Config{
		{Logger: logger, Now: f.clock.Now}, {DB: f.db, Now: f.clock.Now}, {DB: f.db, Logger: logger},
	} {
		if _, err := audit.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func BenchmarkLog(b *testing.B) {
	f := newFixture(b)
	b.ReportAllocs()
	for b.Loop() {
		f.lines.Reset()
		f.trail.Log(b.Context(), full)
	}
}
