// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"runtime"

	"github.com/gatehouse-id/gatehouse/internal/passhash"
)

// Hashes returns how many password hashes the module has computed.
func (m *Module) Hashes() uint64 { return m.passwords.Stats().Runs }

// Connected reports whether the module has opened its pool, and how many connections are open.
func (m *Module) Connected() (pool bool, connections int) {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if m.pool.db == nil {
		return false, 0
	}
	return true, m.pool.db.Stats().OpenConnections
}

// Exec runs whatever it is given on the module's own connections, outside of any transaction.
func (m *Module) Exec(ctx context.Context, statement string) error {
	db, err := m.pool.open()
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return err
}

// CheckQuery is what [New] makes of a query.
func CheckQuery(driver, query string) (string, error) { return dialects[driver].check(query) }

// Occupy leaves the module one place to check passwords in, and holds it for a while by a check that takes long. The returned
// function waits for its end.
func (m *Module) Occupy(ctx context.Context, like string) (wait func() error, err error) {
	if m.passwords, err = passhash.New(passhash.Config{Concurrent: 1, Queue: -1, Like: like}); err != nil {
		return nil, err
	}
	ended := make(chan error)
	go func() { ended <- m.passwords.Spend(ctx, "x") }()
	for m.passwords.Stats().InFlight == 0 {
		runtime.Gosched()
	}
	return func() error { return <-ended }, nil
}
