// SPDX-License-Identifier: Apache-2.0

package pgstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// partitioned is how an operator makes the table before the first node starts, with the audit trail apart. docs/scale.md has the same.
const partitioned = `CREATE SCHEMA IF NOT EXISTS %[1]s;
CREATE TABLE IF NOT EXISTS %[1]s.items (key bytea NOT NULL PRIMARY KEY, value bytea NOT NULL, expires_at bigint) PARTITION BY RANGE (key);
CREATE TABLE IF NOT EXISTS %[1]s.items_before PARTITION OF %[1]s.items FOR VALUES FROM (MINVALUE) TO ('audit');
CREATE TABLE IF NOT EXISTS %[1]s.items_audit PARTITION OF %[1]s.items FOR VALUES FROM ('audit') TO ('audiu');
CREATE TABLE IF NOT EXISTS %[1]s.items_behind PARTITION OF %[1]s.items FOR VALUES FROM ('audiu') TO (MAXVALUE);`

// TestPartitions: a store whose table is in parts is the same store.
func TestPartitions(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t testing.TB, place string, now func() time.Time) (storage.DB, error) {
		conn, err := pgx.Connect(t.Context(), server.DSN(t))
		must(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		schema := postgres.Schema("parts of " + place)
		_, err = conn.Exec(t.Context(), fmt.Sprintf(partitioned, schema))
		must(t, err)
		return openWith(t, place, now, func(c *pgstore.Config) { c.Schema = schema })
	})
}
