// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
)

var server postgres.Shared

func TestMain(m *testing.M) { os.Exit(server.Run(m)) }

// insert sends a transaction in one round trip.
func insert(t *testing.T, conn *pgx.Conn, n int) error {
	batch := new(pgx.Batch)
	batch.Queue("BEGIN")
	batch.Queue("INSERT INTO "+table(t)+" VALUES ($1)", n)
	batch.Queue("COMMIT")
	return conn.SendBatch(t.Context(), batch).Close()
}

func table(t *testing.T) string { return postgres.Schema(t.Name()) }

// TestTrips: a rule sees a round trip as a whole before any of it is sent on, and what it holds back of it never arrives.
func TestTrips(t *testing.T) {
	t.Parallel()
	clear, err := pgx.Connect(t.Context(), server.DSN(t))
	must(t, err)
	defer clear.Close(t.Context())
	if _, err := clear.Exec(t.Context(), "CREATE TABLE "+table(t)+" (n int)"); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = clear.Exec(t.Context(), "DROP TABLE "+table(t)) }()
	w := wire.New(t, server.DSN(t))
	for _, tt := range []struct {
		name string
		rule func(*wire.Trip) bool
		want []int // that are there afterwards
	}{
		{"not sent", func(trip *wire.Trip) bool { return trip.Answer }, []int{0}},
		{"sent but for the commit", func(trip *wire.Trip) bool {
			for _, m := range trip.Messages {
				if m.Runs("COMMIT") {
					return false
				}
				trip.Part = append(trip.Part, m.Raw...)
			}
			return true
		}, []int{0}},
		{"not answered", func(trip *wire.Trip) bool { return !trip.Answer }, []int{0, 1}},
	} {
		w.SetTrips(nil)
		conn, err := pgx.Connect(t.Context(), w.DSN(""))
		must(t, err)
		var mu sync.Mutex
		var seen [][]string
		w.SetTrips(func(trip *wire.Trip) bool {
			mu.Lock()
			defer mu.Unlock()
			if runs := trip.Runs(); runs != nil {
				seen = append(seen, runs)
			}
			return true
		})
		if _, err := clear.Exec(t.Context(), "DELETE FROM "+table(t)); err != nil {
			t.Fatal(err)
		}
		must(t, insert(t, conn, 0))
		mu.Lock()
		if diff := cmp.Diff([][]string{{"BEGIN", "INSERT INTO " + table(t) + " VALUES ($1)", "COMMIT"}}, seen); diff != "" {
			t.Errorf("%s: what passed (-want +got):\n%s", tt.name, diff)
		}
		mu.Unlock()
		w.SetTrips(tt.rule)
		if insert(t, conn, 1) == nil {
			t.Errorf("%s: there is an answer", tt.name)
		}
		rows, err := clear.Query(t.Context(), "SELECT n FROM "+table(t))
		must(t, err)
		got, err := pgx.CollectRows(rows, pgx.RowTo[int])
		must(t, err)
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: there is %v, want %v", tt.name, got, tt.want)
		}
		_ = conn.Close(t.Context()) // it has been cut
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
