// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"
)

// Bounds of a pool.
const (
	maxOpen     = 8
	maxIdle     = 2
	maxIdleTime = 5 * time.Minute
	maxLifetime = 30 * time.Minute
)

// errSeveral is returned for a login name of several rows.
var errSeveral = errors.New("the query returns more than one row for one login name")

// pool connects when it is first used.
type pool struct {
	connector driver.Connector

	mu     sync.Mutex
	db     *sql.DB
	closed bool
}

func (p *pool) open() (*sql.DB, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("opening the users' database: it was closed")
	}
	if p.db == nil {
		p.db = sql.OpenDB(p.connector)
		p.db.SetMaxOpenConns(maxOpen)
		p.db.SetMaxIdleConns(maxIdle)
		p.db.SetConnMaxIdleTime(maxIdleTime)
		p.db.SetConnMaxLifetime(maxLifetime)
	}
	return p.db, nil
}

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.db == nil {
		return nil
	}
	if err := p.db.Close(); err != nil {
		return fault("closing the users' database", err)
	}
	return nil
}

// row returns the one row that the query has for a login name; nil when there is none, and one of them with [errSeveral] when there
// are more. It holds no connection any more when
// it returns: what follows takes long.
func (p *pool) row(ctx context.Context, query, login string) ([]column, error) {
	db, err := p.open()
	if err != nil {
		return nil, err
	}
	row, err := single(ctx, db, query, login)
	switch {
	case unreadable(err):
		return nil, nil
	case errors.Is(err, errSeveral):
		return row, err
	case err != nil && ctx.Err() != nil: // which drivers tell in words of their own
		return nil, fault("reading a user's row", ctx.Err())
	case err != nil:
		return nil, fault("reading a user's row", err)
	}
	return row, nil
}

func single(ctx context.Context, db *sql.DB, query, login string) ([]column, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	rows, err := tx.QueryContext(ctx, query, login)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if err := checkColumns(names); err != nil {
		return nil, &ours{err}
	}
	if !rows.Next() {
		return nil, rows.Err()
	}
	row := make([]column, len(names))
	into := make([]any, len(names))
	for i, name := range names {
		row[i].name, into[i] = name, &row[i].value
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	if rows.Next() {
		return row, errSeveral
	}
	return row, rows.Err()
}
