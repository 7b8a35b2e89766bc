// SPDX-License-Identifier: Apache-2.0

package database_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/realm/database"
)

func TestQueriesThatAreTaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, driver, query, want string }{
		{"plain", "", "SELECT 1 WHERE login = $1", ""},
		{"small letters", "", "select 1 where login = $1", ""},
		{"twice", "", "SELECT 1 WHERE a = $1 OR b = $1", ""},
		{"in brackets", "", "(SELECT 1 WHERE a = $1)", ""},
		{"comments", "", "-- who?\n/* SELECT ; ' */ SELECT 1 -- '\n WHERE a = $1", ""},
		{"a semicolon at the end", "", "SELECT 1 WHERE a = $1; ", "SELECT 1 WHERE a = $1"},
		{"comments behind the end", "", "SELECT 1 WHERE a = $1;; -- that's it\n/* ' */", "SELECT 1 WHERE a = $1"},
		{"a string", "", "SELECT ';$2''?' WHERE a = $1", ""},
		{"a name in quotes", "", `SELECT ";$2""'?" WHERE a = $1`, ""},
		{"a dollar in a name", "", "SELECT a$2, é$3 WHERE a = $1", ""},
		{"no blanks", "", "SELECT 1 WHERE a=$1AND b=2", "fails"},
		{"escapes", "postgres", `SELECT E'\';$2', e'\\' WHERE a = $1`, ""},
		{"no escapes", "postgres", `SELECT '\' WHERE a = $1`, ""},
		{"a word that ends in e", "postgres", `SELECT some '\' WHERE a = $1`, ""},
		{"dollar quotes", "postgres", "SELECT $$;'$2$$, $a$ $$ ; $b$ $a$ WHERE a = $1", ""},
		{"comments in comments", "postgres", "SELECT /* /* */ $2 ; */ 1 WHERE a = $1", ""},
		{"casts and operators of PostgreSQL", "postgres", "SELECT a::text, b ? 'c', d @> e, f[1:2] WHERE a = $1::text", ""},
		{"a question mark", "sqlite", "SELECT 1 WHERE a = ?", ""},
		{"a question mark with a number", "sqlite", "SELECT 1 WHERE a = ?1 OR b = ?1", ""},
		{"quotes of SQLite", "sqlite", "SELECT `;$2``?`, [;$2'] WHERE a = ?", ""},
		{"no comments in comments", "sqlite", "SELECT /* /* */ 1 WHERE a = $1", ""},
		{"a comment that ends early", "sqlite", "SELECT /* a /*/ 1 WHERE a = $1", ""},
	} {
		for _, driver := range []string{database.Postgres, database.SQLite} {
			if tt.driver != "" && driver != tt.driver {
				continue
			}
			want := tt.want
			if want == "" {
				want = tt.query
			}
			got, err := database.CheckQuery(driver, tt.query)
			if want == "fails" {
				if err == nil {
					t.Errorf("%s, %s: it is taken as %q", driver, tt.name, got)
				}
				continue
			}
			if err != nil || got != want {
				t.Errorf("%s, %s: %q, %v, want %q", driver, tt.name, got, err, want)
			}
		}
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, driver, query, says string }{
		{"nothing", "", "", "is not a SELECT"},
		{"a comment", "", "-- SELECT $1", "is not a SELECT"},
		{"an update", "", "UPDATE users SET password = $1", "is not a SELECT"},
		{"a delete", "", "DELETE FROM users WHERE login = $1", "is not a SELECT"},
		{"a delete behind WITH", "", "WITH a AS (DELETE FROM users RETURNING *) SELECT * FROM a WHERE login = $1", "is not a SELECT"},
		{"a pragma", "", "PRAGMA query_only = $1", "is not a SELECT"},
		{"a block", "", "DO $$ BEGIN END $$", "is not a SELECT"},
		{"a word like it", "", "SELECTED $1", "is not a SELECT"},
		{"a string first", "", "'SELECT' $1", "is not a SELECT"},
		{"two statements", "", "SELECT 1 WHERE a = $1; DELETE FROM users", "more than one statement"},
		{"two behind a comment", "", "SELECT 1 WHERE a = $1 /* ; */ ; -- ;\n SELECT 2", "more than one statement"},
		{"no parameter", "", "SELECT 1", "no parameter: write $1"},
		{"a parameter in a string", "", "SELECT 1 WHERE a = '$1'", "no parameter"},
		{"a parameter in a comment", "", "SELECT 1 -- $1", "no parameter"},
		{"another parameter", "", "SELECT 1 WHERE a = $1 AND b = $2", "the parameter $2"},
		{"the second only", "", "SELECT 1 WHERE a = $2", "the parameter $2"},
		{"the tenth", "", "SELECT 1 WHERE a = $10", "the parameter $10"},
		{"a leading zero", "", "SELECT 1 WHERE a = $01", "the parameter $01"},
		{"an open string", "", "SELECT 1 WHERE a = $1 AND b = 'x", "ends within"},
		{"an open name", "", `SELECT 1 WHERE a = $1 AND "b`, "ends within"},
		{"an open comment", "", "SELECT 1 WHERE a = $1 /* x", "ends within"},
		{"length", "", "SELECT 1 WHERE a = $1 --" + strings.Repeat("x", 16<<10), "longer than"},
		{"a question mark", "postgres", "SELECT 1 WHERE a = ?", "no parameter: write $1"},
		{"open dollars", "postgres", "SELECT $a$ WHERE a = $1 $b$", "ends within"},
		{"an open comment in a comment", "postgres", "SELECT 1 WHERE a = $1 /* /* */", "ends within"},
		{"a parameter in dollars", "postgres", "SELECT 1 WHERE a = $$ $1 $$", "no parameter"},
		{"a parameter by name", "sqlite", "SELECT 1 WHERE a = :login", "the parameter :login"},
		{"a parameter by another name", "sqlite", "SELECT 1 WHERE a = @login", "the parameter @login"},
		{"a dollar with a name", "sqlite", "SELECT 1 WHERE a = $login", "the parameter $login"},
		{"two question marks", "sqlite", "SELECT 1 WHERE a = ? OR b = ?", "write $1 for each"},
		{"a mixture", "sqlite", "SELECT 1 WHERE a = $1 OR b = ?1", "write $1 for each"},
	} {
		for _, driver := range []string{database.Postgres, database.SQLite} {
			if tt.driver != "" && driver != tt.driver {
				continue
			}
			if got, err := database.CheckQuery(driver, tt.query); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s, %s: %q, %v, want an error with %q", driver, tt.name, got, err, tt.says)
			}
		}
	}
}

// FuzzCheckQuery: what is taken begins with SELECT, is taken again as it is, and has its parameter.
func FuzzCheckQuery(f *testing.F) {
	for _, seed := range []string{
		"SELECT 1 WHERE a = $1; --", `SELECT E'\'' || $1`, "SELECT $$ $1 $$, $1", "SELECT /* /* */ */ ?", "SELECT [a]`b` ?1", "(select $1)",
	} {
		f.Add(true, seed)
		f.Add(false, seed)
	}
	f.Fuzz(func(t *testing.T, lite bool, query string) {
		driver := database.Postgres
		if lite {
			driver = database.SQLite
		}
		taken, err := database.CheckQuery(driver, query)
		if err != nil {
			return
		}
		again, err := database.CheckQuery(driver, taken)
		if err != nil || again != taken || !strings.HasPrefix(query, taken) {
			t.Errorf("%q is taken as %q, and that as %q, %v", query, taken, again, err)
		}
		if !strings.Contains(taken, "$1") && !strings.Contains(taken, "?") {
			t.Errorf("%q has no parameter", taken)
		}
	})
}
