// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/internal/contend"
)

// ErrNewer is a database that a newer release has made.
var ErrNewer = errors.New("the database is of a newer release; run that release, or restore a backup made with this one")

//go:embed migrations/*.sql
var migrations embed.FS

// advisory is the lock under which tables are made, for all of a database that has such locks.
const advisory = 0x6761746568737465 // "gatehste"

// steps are the migrations, the first of which is number 1.
func steps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(names))
	for i, name := range names { // which Glob has sorted
		if !strings.HasPrefix(name, fmt.Sprintf("migrations/%04d_", i+1)) {
			return nil, fmt.Errorf("migration %s is not number %d", name, i+1)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		texts[i] = string(text)
	}
	return texts, nil
}

// names are those of our tables, as they stand in statements.
type names struct{ schema, items, migrations string }

func namesIn(schema string) names {
	in := func(table string) string { return pgx.Identifier{schema, table}.Sanitize() }
	return names{schema: schema, items: in("items"), migrations: in("migrations")}
}

// maxMigrations is how often a node tries to make the tables while others do, and migrationPause how long it waits at most between two
// tries.
const (
	maxMigrations  = 30
	migrationPause = time.Second
)

// migrate brings the tables to what this release knows. Where there is nothing to do it takes no lock and needs no right but to read.
//
// Nodes that start together wait for each other on an advisory lock. Not every database that speaks the protocol has one: some refuse it,
// some take it and lock nothing; and some cannot make tables in a transaction, or commit each statement of one by itself. So nothing rests
// on either. Each statement of a migration does nothing when it was done before, its number is entered last, and who collides with another
// node looks again.
func migrate(ctx context.Context, conn *pgx.Conn, n names) error {
	steps, err := steps()
	if err != nil {
		return err
	}
	together := func() error {
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(advisory)); err != nil {
				return fmt.Errorf("waiting for other nodes: %w", err)
			}
			return apply(ctx, tx, n, steps)
		})
	}
	attempt, apart := together, false
	for run := range maxMigrations {
		is, err := version(ctx, conn, n)
		if err != nil || is == len(steps) {
			return err
		}
		switch err = attempt(); {
		case err == nil:
			return nil
		case says(err, stateNoFunction, stateNotSupported) && !apart:
			apart = true
			attempt = func() error { return apply(ctx, conn, n, steps) }
		case !says(err, collisions...):
			return err
		default:
			if err := contend.Pause(ctx, run, migrationPause); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("making the tables, %d times: %w", maxMigrations, storage.ErrConflict)
}

// collisions are what a database says to one of several nodes that make the same tables: beside what it says to updates, that a name was
// taken in the meantime, or that what it knew of its tables has changed.
var collisions = []string{
	stateSerialization, stateDeadlock, stateRetry, stateUnique, stateDuplicateSchema, stateDuplicateTable, stateDuplicateObject, stateInternal,
}

// says reports whether the database gave one of some states as the cause.
func says(err error, states ...string) bool {
	said, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(states, said.Code)
}

// querier is a connection, or a transaction of one.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version returns the number of the last migration; 0 where there are no tables yet. One that this release does not know is [ErrNewer].
func version(ctx context.Context, q querier, n names) (is int, err error) {
	var there bool
	err = q.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'migrations')",
		n.schema).Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	if err := q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM "+n.migrations).Scan(&is); err != nil {
		return 0, err
	}
	steps, err := steps()
	if err == nil && is > len(steps) {
		err = fmt.Errorf("its tables are of version %d, this release knows up to %d: %w", is, len(steps), ErrNewer)
	}
	return is, err
}

func apply(ctx context.Context, q querier, n names, steps []string) error {
	is, err := version(ctx, q, n)
	if err != nil {
		return err
	}
	if is == 0 {
		if err := prepare(ctx, q, n); err != nil {
			return err
		}
	}
	for i := is; i < len(steps); i++ {
		for statement := range strings.SplitSeq(strings.ReplaceAll(steps[i], "{{items}}", n.items), ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := q.Exec(ctx, statement); err != nil {
				return fmt.Errorf("applying migration %d: %w", i+1, err)
			}
		}
		if _, err := q.Exec(ctx, "INSERT INTO "+n.migrations+" (version) VALUES ($1)", i+1); err != nil { // only one node's stands
			return fmt.Errorf("noting migration %d: %w", i+1, err)
		}
	}
	return nil
}

// prepare makes the schema, where it is missing, and the table of migrations.
func prepare(ctx context.Context, q querier, n names) error {
	var there bool
	err := q.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM information_schema.schemata WHERE schema_name = $1)", n.schema).Scan(&there)
	if err != nil {
		return err
	}
	statements := []string{
		"CREATE TABLE IF NOT EXISTS " + n.migrations + " (version integer NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
	}
	if !there {
		statements = append([]string{"CREATE SCHEMA IF NOT EXISTS " + pgx.Identifier{n.schema}.Sanitize()}, statements...)
	}
	for _, statement := range statements {
		if _, err := q.Exec(ctx, statement); err != nil {
			return fmt.Errorf("preparing the schema %q: %w", n.schema, err)
		}
	}
	return nil
}
