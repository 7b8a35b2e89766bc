// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// ours is an error that was made here and says nothing of anybody.
type ours struct{ error }

// Unwrap returns the error itself.
func (e *ours) Unwrap() error { return e.error }

// unspeaking are the classes of errors whose texts are about statements, connections and rights. The texts of others repeat
// values: a login name, which may be a password in the wrong field.
var unspeaking = []string{"08", "25", "28", "3D", "42", "53", "55", "57", "58"}

// fault returns an error for the log: what the database says, as far as it cannot be about somebody.
func fault(doing string, err error) error {
	var known *ours
	var connecting *pgconn.ConnectError
	var postgres *pgconn.PgError
	var lite *sqlite.Error
	var network *net.OpError
	switch {
	case errors.As(err, &known), errors.As(err, &connecting), errors.As(err, &lite), errors.As(err, &network), isAny(err,
		context.DeadlineExceeded, context.Canceled, sql.ErrConnDone, sql.ErrTxDone, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.As(err, &postgres) && slices.Contains(unspeaking, postgres.Code[:min(2, len(postgres.Code))]):
		return fmt.Errorf("%s: %s (SQLSTATE %s)", doing, postgres.Message, postgres.Code)
	case errors.As(err, &postgres):
		return fmt.Errorf("%s: SQLSTATE %s", doing, postgres.Code)
	}
	return fmt.Errorf("%s: the driver reports a %T", doing, err)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// untyped are the errors of PostgreSQL for a text that no value of the column's type can be: a login name that nobody has.
var untyped = []string{"22P02", "22003", "22007", "22008", "22021"}

// unreadable reports whether the database could not take the login name for a value to look for.
func unreadable(err error) bool {
	var postgres *pgconn.PgError
	return errors.As(err, &postgres) && slices.Contains(untyped, postgres.Code)
}
