// SPDX-License-Identifier: Apache-2.0

package pgdsn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/pgdsn"
)

// TestParseRefuses: nothing of what is refused is repeated, wherever the password stands in it.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const secret = "sesame"
	for _, tt := range []struct{ name, dsn, says string }{
		{"password as a parameter", "postgres://u@localhost/db?password=sesame&sslmode=sure", "failed to configure TLS"},
		{"password of a certificate", "postgres://u@localhost/db?sslpassword=sesame&port=x", "invalid port"},
		{"password in words with blanks", "host=localhost password = 'sesame' port=x", "invalid port"},
		{"password with a quote", `host=localhost password='a\'sesame' port=x`, "invalid port"},
		{"password with a colon", "postgres://u:sesame:x%zz@localhost/db", "failed to parse as URL"},
		{"a word that is none", "sesame", "failed to parse as keyword/value"},
		{"a certificate that is not there", "host=db password=sesame sslmode=verify-full sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"},
		{"a mode that is none of ours", "host=localhost password=sesame target_session_attrs=sesame", "target_session_attrs"},
		{"a number of connections that is none", "host=localhost password=sesame pool_max_conns=sesame", "no connection string"},
		{"elsewhere as it comes", "postgres://u:sesame@db.example.com/db", "whether db.example.com is spoken to in the clear"},
		{"elsewhere rather without", "host=10.0.0.1 password=sesame sslmode=allow", "whether 10.0.0.1 is"},
		{"elsewhere rather with", "host=10.0.0.1 password=sesame sslmode=prefer", "whether 10.0.0.1 is"},
		{"one of several elsewhere", "host=localhost,db password=sesame", "whether db is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := pgdsn.Parse(tt.dsn)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), secret) {
				t.Errorf("it says %v; want %q, and not the password", err, tt.says)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for dsn, hosts := range map[string][]string{
		"host=/run/postgresql dbname=db":                       {"/run/postgresql"},
		"postgres://u:p@localhost/db":                          {"localhost"},
		"postgres://u:p@127.0.0.1,[::1]/db":                    {"127.0.0.1", "::1"},
		"postgres://u:p@db.example.com/db?sslmode=verify-full": {"db.example.com"},
		"host=a,b sslmode=require":                             {"a", "b"},
		"host=a sslmode=disable":                               {"a"}, // somebody says so
	} {
		config, err := pgdsn.Parse(dsn)
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
			continue
		}
		if diff := cmp.Diff(hosts, pgdsn.Hosts(config.ConnConfig)); diff != "" {
			t.Errorf("%s: %s", dsn, diff)
		}
	}
}
