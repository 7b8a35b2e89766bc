// SPDX-License-Identifier: Apache-2.0

package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-id/gatehouse/storage"
)

// What the database says, as SQLSTATE.
const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateRetry         = "CR000" // CockroachDB's
	stateUnknown       = "40003" // CockroachDB's, of a commit
	stateUnique        = "23505"
	stateDiskFull      = "53100"
	stateNumber        = "22P02" // that is none

	stateDuplicateSchema = "42P06"
	stateDuplicateTable  = "42P07"
	stateDuplicateObject = "42710"
	stateNoFunction      = "42883"
	stateNotSupported    = "0A000"
	stateSyntax          = "42601"
	stateInternal        = "XX000"
)

var (
	// errLost is a transaction that has to run again.
	errLost = errors.New("the transaction collided with another")
	// errTaken is one that has to run again, and to look where it inserts.
	errTaken = errors.New("the transaction inserted over an item")
	// errPresent is one that has to run again, and to read what it presumed to be absent.
	errPresent = errors.New("the transaction presumed an item to be absent")
	// errCut is a connection that ended before anything was committed over it.
	errCut = errors.New("the connection was cut")
)

// fault says what an error of the database means to a caller. A cancellation is the caller's own and stays what it is.
func fault(ctx context.Context, doing string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	said, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok && pgconn.Timeout(err):
		return fmt.Errorf("%s: %w: %w", doing, storage.ErrUnavailable, err)
	case !ok:
		return fmt.Errorf("%s: %w: %w: %w", doing, storage.ErrUnavailable, errCut, err)
	}
	switch said.Code {
	case stateSerialization, stateDeadlock, stateRetry:
		return errLost
	case stateUnique:
		return errTaken
	case stateDiskFull:
		return fmt.Errorf("%s: %w: %w", doing, storage.ErrFull, err)
	}
	if ends(said) {
		return fmt.Errorf("%s: %w: %w: %w", doing, storage.ErrUnavailable, errCut, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, storage.ErrUnavailable, err)
}

// verdict is fault for a commit: where nobody said that it failed, nobody knows. Who was sent away by an administrator may have
// been committed before.
func verdict(ctx context.Context, err error) error {
	said, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok && pgconn.SafeToRetry(err):
		return fmt.Errorf("committing: %w: %w: %w", storage.ErrUnavailable, errCut, err)
	case !ok, said.Code == stateUnknown, ends(said):
		return fmt.Errorf("committing: %w: %w", storage.ErrUnknown, err)
	}
	return fault(ctx, "committing", err)
}

// ends reports whether the database ended the session with what it said.
func ends(said *pgconn.PgError) bool {
	severity := cmp.Or(said.SeverityUnlocalized, said.Severity)
	return severity == "FATAL" || severity == "PANIC"
}
