// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// filling are records of others, as many of each kind as of the next, under ids that are spread as real ones are: each transaction then
// touches pages of its own, as in a database that has been in use for a while. In an empty one all of them touch the same few.
const filling = `INSERT INTO gatehouse.items (key, value, expires_at)
	SELECT convert_to(kind || CASE WHEN kind ~ '_$' THEN lower(translate(hash, '0189', 'abcd')) ELSE hash END, 'UTF8'),
		convert_to(repeat('x', 300), 'UTF8'), (extract(epoch FROM now()) * 1000)::bigint + (random() * 2592000000)::bigint + 86400000
	FROM unnest(ARRAY['family/rt_', 'grant/grt_', 'grant#subject/30:usr_', 'roster/usr_', 'session/ses_', 'session#subject/30:usr_', 'code/',
		'cutoff/session/ses_', 'cutoff/subject/usr_', 'login_counter/', 'user/usr_', 'audit#sub/30:usr_']) AS kind, generate_series(1, $1 / 12) AS n,
		translate(substr(encode(sha256(convert_to(kind || n, 'UTF8')), 'base64'), 1, 26), '+/', '-_') AS hash`

// fillDatabase has a server make its tables, and fills them.
func fillDatabase(path string, database *postgres.Server, records int) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	s, err := startOn(inPostgres(database.DSN("postgres", postgres.User), 2), path, dir, "", "")
	if err != nil {
		return err
	}
	s.stop()
	return connected(database, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, filling, records); err != nil {
			return err
		}
		for _, statement := range []string{"VACUUM ANALYZE gatehouse.items", "CHECKPOINT"} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

// connected does something with a connection to the database.
func connected(database *postgres.Server, do func(context.Context, *pgx.Conn) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, database.DSN("postgres", postgres.User))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return do(ctx, conn)
}
