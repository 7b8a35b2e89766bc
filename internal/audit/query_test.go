// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// told records events by name, a second apart, and returns when the first was.
func told(t *testing.T, f *fixture, events ...audit.Event) (began time.Time) {
	t.Helper()
	began = f.clock.Now()
	for _, e := range events {
		if err := f.trail.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Second)
	}
	return began
}

func names(events []audit.Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

func TestQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	began := told(t, f,
		audit.Event{Name: "login.a", Subject: "u1", ClientID: "c1", Outcome: audit.Accepted, By: "user:u1"},
		audit.Event{Name: "login.b", Subject: "u1", ClientID: "c2", Outcome: audit.Refused},
		audit.Event{Name: "device.c", Subject: "u2", DeviceID: "d1", Outcome: audit.Accepted, By: "operator", Object: "application:bank"},
		audit.Event{Name: "operation.d", Subject: "u2", DeviceID: "d1", Operation: "o1", ClientID: "c1", Outcome: audit.Accepted},
		audit.Event{Name: "operation.e", Subject: "u2", DeviceID: "d1", Operation: "o1", Outcome: audit.Refused},
		audit.Event{Name: "login.f", Subject: "u1/x", Outcome: audit.Accepted},
	)
	at := func(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }
	for _, tt := range []struct {
		name  string
		query audit.Query
		want  string
	}{
		{"everything", audit.Query{}, "login.a login.b device.c operation.d operation.e login.f"},
		{"from a moment on", audit.Query{Since: at(4)}, "operation.e login.f"},
		{"until a moment", audit.Query{Until: at(1)}, "login.a"},
		{"between two moments", audit.Query{Since: at(1), Until: at(3)}, "login.b device.c"},
		{"a time before anything", audit.Query{Until: began}, ""},
		{"a name", audit.Query{Name: "device.c"}, "device.c"},
		{"a part of a name", audit.Query{Name: "login"}, ""},
		{"the beginning of names", audit.Query{Name: "login.*"}, "login.a login.b login.f"},
		{"any name", audit.Query{Name: "*", Since: at(5)}, "login.f"},
		{"an outcome", audit.Query{Outcome: audit.Refused}, "login.b operation.e"},
		{"a user", audit.Query{Subject: "u1"}, "login.a login.b"},
		{"a user of whose name another is the beginning", audit.Query{Subject: "u1/x"}, "login.f"},
		{"a user from a moment on", audit.Query{Subject: "u2", Since: at(3)}, "operation.d operation.e"},
		{"a user until a moment", audit.Query{Subject: "u2", Until: at(3)}, "device.c"},
		{"a client", audit.Query{ClientID: "c1"}, "login.a operation.d"},
		{"a device", audit.Query{DeviceID: "d1"}, "device.c operation.d operation.e"},
		{"an operation", audit.Query{Operation: "o1"}, "operation.d operation.e"},
		{"who did it", audit.Query{By: "operator"}, "device.c"},
		{"what it was done to", audit.Query{Object: "application:bank"}, "device.c"},
		{"all of it", audit.Query{
			Operation: "o1", DeviceID: "d1", Subject: "u2", ClientID: "c1", Outcome: audit.Accepted, Name: "operation.*", Since: at(1), Until: at(9),
		}, "operation.d"},
		{"what does not fit together", audit.Query{Operation: "o1", Subject: "u1"}, ""},
		{"nobody", audit.Query{Subject: "u3"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page, err := f.trail.Query(t.Context(), tt.query)
			if err != nil || names(page.Events) != tt.want || page.Next != "" || page.Events == nil {
				t.Errorf("got %q, next %q, %v, want %q", names(page.Events), page.Next, err, tt.want)
			}
			var paged []audit.Event // one at a time
			q := tt.query
			q.Limit = 1
			for {
				page, err := f.trail.Query(t.Context(), q)
				if err != nil || len(page.Events) > 1 {
					t.Fatalf("%d events, %v", len(page.Events), err)
				}
				paged = append(paged, page.Events...)
				if page.Next == "" {
					break
				}
				q.After = page.Next
			}
			if names(paged) != tt.want {
				t.Errorf("in pages %q, want %q", names(paged), tt.want)
			}
		})
	}
}

func TestQueryRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := strings.Repeat("x", 201)
	for _, q := range []audit.Query{
		{Name: "a*b"}, {Name: "**"}, {Subject: long}, {DeviceID: long}, {Operation: long}, {ClientID: long}, {After: long},
		{Since: time.Unix(-1, 0)},
	} {
		if _, err := f.trail.Query(t.Context(), q); !errors.Is(err, audit.ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
		if _, err := f.trail.Export(t.Context(), q, io.Discard); !errors.Is(err, audit.ErrQuery) {
			t.Errorf("exporting %+v: %v", q, err)
		}
	}
}

// An id that is too long for an index is kept, and found by other ways.
func TestLongIDsAreStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	told(t, f, audit.Event{Name: "a", ClientID: strings.Repeat("x", 5000)})
	if page, err := f.trail.Query(t.Context(), audit.Query{}); err != nil || len(page.Events) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

// A page has a bounded size, and a query that finds little comes to an end as well.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.trail.Prepare(audit.Event{Name: "a"})
	const many = 20_500
	for i := 0; i < many; i += 20 {
		if err := f.db.Update(t.Context(), func(tx storage.Tx) error {
			for n := range 20 {
				e.ID = fmt.Sprintf("%013d.e", i+n)
				if err := f.trail.Append(tx, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for limit, want := range map[int]int{0: audit.UsualPage, 7: 7, 1 << 20: audit.MaxPage} {
		if page, err := f.trail.Query(t.Context(), audit.Query{Limit: limit}); err != nil || len(page.Events) != want || page.Next == "" {
			t.Errorf("limit %d: %d events, %v", limit, len(page.Events), err)
		}
	}
	page, err := f.trail.Query(t.Context(), audit.Query{Name: "b"})
	if err != nil || len(page.Events) != 0 || page.Next == "" {
		t.Errorf("a query that finds nothing: next %q, %v", page.Next, err)
	}
	if page, err = f.trail.Query(t.Context(), audit.Query{Name: "b", After: page.Next}); err != nil || page.Next != "" {
		t.Errorf("its second page: next %q, %v", page.Next, err)
	}
	if n, err := f.trail.Export(t.Context(), audit.Query{Limit: 3}, io.Discard); err != nil || n != many {
		t.Errorf("%d events exported, %v", n, err)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	all := []audit.Event{full, {Name: "<b>"}, full}
	began := told(t, f, all...)
	var out bytes.Buffer
	n, err := f.trail.Export(t.Context(), audit.Query{Since: began}, &out)
	if err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	var got []audit.Event
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var e audit.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if diff := cmp.Diff(all, got, cmpopts.IgnoreFields(audit.Event{}, "ID", "Time")); diff != "" {
		t.Error(diff)
	}
	if _, err := f.trail.Export(t.Context(), audit.Query{}, fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("a writer that fails: %v", err)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrClosed})
	if _, err := f.trail.Export(t.Context(), audit.Query{}, io.Discard); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a store that fails: %v", err)
	}
}

var errFull = errors.New("no space")

// fullDisk is a writer that fails.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// Who acted is taken from the context where the event does not say it.
func TestWhoActed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	actor := audit.Actor{By: "client:portal", ClientID: "portal", ClientIP: "192.0.2.9", RequestID: "req_9"}
	ctx := audit.WithActor(t.Context(), actor)
	if err := f.trail.Record(ctx, audit.Event{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := f.trail.Record(ctx, audit.Event{Name: "b", By: "operator", ClientID: "c", ClientIP: "::1", RequestID: "r"}); err != nil {
		t.Fatal(err)
	}
	f.trail.Log(ctx, audit.Event{Name: "c"})
	got := f.list(t, time.Time{}, 0)
	want := []audit.Event{
		{Name: "a", By: "client:portal", ClientID: "portal", ClientIP: "192.0.2.9", RequestID: "req_9"},
		{Name: "b", By: "operator", ClientID: "c", ClientIP: "::1", RequestID: "r"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(audit.Event{}, "ID", "Time"), cmpopts.SortSlices(func(a, b audit.Event) bool {
		return a.Name < b.Name
	})); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(strings.Split(f.lines.String(), "\n")[2], `"by":"client:portal"`) {
		t.Errorf("lines: %s", f.lines)
	}
}
