// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestARecordOfANewerRelease: a node that cannot read one says that another may know, and leaves it as it is.
func TestARecordOfANewerRelease(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	has := c.login()
	conn, err := pgx.Connect(t.Context(), c.dsn)
	must(t, err)
	defer conn.Close(t.Context())
	write := func(version int) {
		t.Helper()
		tag, err := conn.Exec(t.Context(), "UPDATE gatehouse.items SET value = set_byte(value, 0, $1) WHERE key = convert_to($2, 'UTF8')", version, family(has))
		if err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%v: %v", tag, err)
		}
	}
	write(2)
	for _, asked := range []struct {
		path string
		form url.Values
	}{
		{"/token", refreshing(has.Refresh)},
		{"/revoke", url.Values{"token": {has.Refresh}, "client_id": {"mobile"}}},
	} {
		got := c.send(http.MethodPost, c.at(0, asked.path), asked.form, "")
		if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v %s", asked.path, got.Status, got.Header, got.Body)
		}
	}
	var is checked
	if said, err := c.store(c.nodes[0], &is, "check"); err == nil || is.Found != 1 || is.Findings[0].What != "record_newer" {
		t.Errorf("%v: %+v\n%s", err, is, said)
	}
	write(1)
	if got := c.send(http.MethodPost, c.at(0, "/token"), refreshing(has.Refresh), ""); got.Refresh == "" {
		t.Errorf("afterwards: %d %s", got.Status, got.Body)
	}
}
