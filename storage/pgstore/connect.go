// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse-id/gatehouse/internal/pgdsn"
)

// maxMessage bounds what is taken for one message of the database's. A row is a key and a value.
const maxMessage = 1 << 20

// ErrPooler is a pooler that does not lend a connection for a whole transaction.
var ErrPooler = errors.New("between this node and PostgreSQL stands a pooler that bears no transactions; its pool_mode must be transaction or session")

// connect makes the tables over a connection of its own, and then the pool.
func (db *DB) connect(ctx context.Context) error {
	config, err := pgdsn.Parse(db.config.DSN)
	if err != nil {
		return err
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
	if len(pgdsn.Hosts(config.ConnConfig)) > 1 && config.ConnConfig.ValidateConnect == nil && !asksForAny(db.config.DSN) {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
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

// asksForAny reports whether a DSN, or the environment, says by itself which of several hosts is wanted. Where nobody does it is the one that
// takes writes: a standby does not know what was revoked since it was cut off, and says nothing of that.
func asksForAny(dsn string) bool {
	return strings.Contains(dsn, "target_session_attrs") || os.Getenv("PGTARGETSESSIONATTRS") != ""
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

// settle has a session wait for the disk, and read through the index also where a table is still small: who reads a whole table collides
// with all who write to it.
// Not every database that speaks the protocol knows the settings.
func (db *DB) settle(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, db.config.Timeout)
	defer cancel()
	for _, setting := range []string{"SET enable_seqscan = off", lasting} {
		if _, err := conn.Exec(ctx, setting); conn.IsClosed() {
			return err
		}
	}
	return nil
}

// lasting has the database answer to a commit when it is on disk, where somebody has told it not to wait: what was acknowledged, such as
// that a token is revoked or a code is spent, is not lost with the server. Who asks for more than that gets it.
const lasting = "DO $$ BEGIN IF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', false); END IF; END $$"

// Where names the tables that a DSN and a schema lead to, without user and password: the same name is the same store, as long as nobody
// calls one server by two names.
func Where(dsn, schema string) (string, error) {
	parsed, err := pgdsn.Parse(dsn)
	if err != nil {
		return "", err
	}
	config := parsed.ConnConfig
	hosts := []string{fmt.Sprintf("%s:%d", config.Host, config.Port)}
	for _, other := range config.Fallbacks {
		if host := fmt.Sprintf("%s:%d", other.Host, other.Port); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return fmt.Sprintf("%s/%s/%s", strings.Join(hosts, ","), cmp.Or(config.Database, config.User), cmp.Or(schema, DefaultSchema)), nil
}
