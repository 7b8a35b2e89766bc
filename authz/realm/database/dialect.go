// SPDX-License-Identifier: Apache-2.0

package database

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/gatehouse-id/gatehouse/internal/pgdsn"
)

// Drivers.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
)

// dialect is what differs between databases.
type dialect struct {
	connector func(dsn string, timeout time.Duration) (driver.Connector, error)
	// parameters are how the login name may be written in a query.
	parameters []string
	// sigils are what parameters begin with, quotes what quotes beside ' and ".
	sigils, quotes string
	// escapes, dollars and nests are PostgreSQL's E'…', $$…$$ and comments within comments.
	escapes, dollars, nests bool
}

var dialects = map[string]*dialect{
	Postgres: {connector: connectPostgres, parameters: []string{"$1"}, sigils: "$", escapes: true, dollars: true, nests: true},
	SQLite:   {connector: connectSQLite, parameters: []string{"$1", "?1", "?"}, sigils: "$?:@", quotes: "`["},
}

// connectPostgres describes connections that write nothing. A host elsewhere is spoken to in the clear only by an operator
// who says so: sslmode=prefer, the default, leaves that to whoever answers.
func connectPostgres(dsn string, timeout time.Duration) (driver.Connector, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil { // whose text may hold parts of the secret
		return nil, errors.New("is no connection string of PostgreSQL")
	}
	if config.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("asks for the simple protocol, which puts values into the text of the query")
	}
	if host, found := pgdsn.Wavering(config); found {
		return nil, fmt.Errorf("leaves open whether %s is spoken to in the clear: add sslmode=verify-full", host)
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > timeout {
		config.ConnectTimeout = timeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "gatehouse"
	}
	config.RuntimeParams["default_transaction_read_only"] = "on"
	return stdlib.GetConnector(*config), nil
}

// connectSQLite describes connections to a file that exists, which write nothing. A name in double quotes is that of a column
// and never a text: of two spellings of id, one would make everybody the same user.
func connectSQLite(dsn string, timeout time.Duration) (driver.Connector, error) {
	path, query, uri := strings.TrimPrefix(dsn, "file:"), "", strings.HasPrefix(dsn, "file:")
	if uri {
		path, query, _ = strings.Cut(path, "?")
	} else {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, errors.New("names no file")
	}
	asked, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("is no URI of a file")
	}
	options := url.Values{
		"mode": {"ro"}, "_query_only": {"1"}, "_defensive": {"1"}, "_dqs": {"0"},
		"_busy_timeout": {fmt.Sprint(timeout.Milliseconds())},
	}
	for name, values := range asked {
		switch {
		case name == "mode" && slices.Equal(values, []string{"ro"}):
		case name == "immutable" || name == "nolock":
			options[name] = values
		default:
			return nil, fmt.Errorf("has the parameter %q: a file is opened by mode=ro, immutable and nolock", name)
		}
	}
	connector, err := sqlite.NewConnector("file:" + path + "?" + options.Encode())
	if err != nil {
		return nil, errors.New("is no URI of a file")
	}
	return connector, nil
}
