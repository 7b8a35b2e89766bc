// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxMessage bounds what is taken for one message of the database's. A row is a key and a value.
const maxMessage = 1 << 20

// ErrPooler is a pooler that does not lend a connection for a whole transaction.
var ErrPooler = errors.New("between this node and PostgreSQL stands a pooler that bears no transactions; its pool_mode must be transaction or session")

// connect makes the tables over a connection of its own, and then the pool.
func (db *DB) connect(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(db.config.DSN)
	if err != nil {
		return err // which has the password masked
	}
	switch {
	case db.config.MaxConns > 0:
		config.MaxConns = int32(min(db.config.MaxConns, 1<<16))
	case !strings.Contains(db.config.DSN, "pool_max_conns"):
		config.MaxConns = defaultConns
	}
	if _, named := config.ConnConfig.RuntimeParams["application_name"]; !named {
		config.ConnConfig.RuntimeParams["application_name"] = "gatehouse"
	}
	config.ConnConfig.ConnectTimeout = cmp.Or(config.ConnConfig.ConnectTimeout, db.config.Timeout)
	config.ConnConfig.MaxProtocolMessageBodyLen = maxMessage
	pooled, err := db.ready(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	if pooled {
		db.config.Logger.InfoContext(ctx, "between this node and PostgreSQL stands a pooler: statements are not prepared")
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	} else {
		config.AfterConnect = db.settle
	}
	if !db.config.NoNotices {
		db.listen(ctx, config.ConnConfig, pooled)
	}
	db.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	return err
}

// ready sees that the tables are what this release knows, and whether somebody stands in between who lends out connections.
func (db *DB) ready(ctx context.Context, config *pgx.ConnConfig) (pooled bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(time.Minute, db.config.Timeout))
	defer cancel()
	plain := config.Copy()
	plain.DefaultQueryExecMode = pgx.QueryExecModeExec // a pooler may forget what was prepared
	conn, err := pgx.ConnectConfig(ctx, plain)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }() // there is nothing left to say
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return false, fmt.Errorf("asking who serves: %w", err)
	}
	if pooled = pid != conn.PgConn().PID(); pooled {
		if tx, err := conn.Begin(ctx); err != nil {
			return true, fmt.Errorf("%w: %w", ErrPooler, err)
		} else if err := tx.Rollback(ctx); err != nil {
			return true, fmt.Errorf("%w: %w", ErrPooler, err)
		}
	}
	return pooled, migrate(ctx, conn, namesIn(db.config.Schema))
}

// listen prepares for the notices of other nodes. A pooler lends a connection to whoever comes next, with what was to be heard on it.
func (db *DB) listen(ctx context.Context, config *pgx.ConnConfig, pooled bool) {
	if pooled {
		db.config.Logger.InfoContext(ctx, "behind a pooler nothing is heard of what other nodes commit: it is looked for from time to time")
		return
	}
	config = config.Copy()
	config.RuntimeParams["application_name"] += " notices"
	db.news = newNews(config, channelOf(db.config.Schema), &db.config, &db.hub)
}

// settle has a session read through the index also where a table is still small: who reads a whole table collides with all who write to it.
// Not every database that speaks the protocol knows the setting, and none needs it to be right.
func (db *DB) settle(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, db.config.Timeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "SET enable_seqscan = off"); conn.IsClosed() {
		return err
	}
	return nil
}

// Where names the tables that a DSN and a schema lead to, without user and password: the same name is the same store, as long as nobody
// calls one server by two names.
func Where(dsn, schema string) (string, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", err
	}
	hosts := []string{fmt.Sprintf("%s:%d", config.Host, config.Port)}
	for _, other := range config.Fallbacks {
		if host := fmt.Sprintf("%s:%d", other.Host, other.Port); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return fmt.Sprintf("%s/%s/%s", strings.Join(hosts, ","), cmp.Or(config.Database, config.User), cmp.Or(schema, DefaultSchema)), nil
}
