// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// yesterday is how people stood when a backup was made: what logs them in, and their phone.
type yesterday struct {
	*cluster
	browser *faces.Browser
	tokens  *answer
	app     *faces.App // on its way in
	code    string     // not redeemed yet
	phone   *device.Device
	payment string // approved, and not sent yet
	paying  *answer
}

// signedIn loads a page that is for those who are.
func (c *cluster) signedIn(browser *faces.Browser) (*faces.Page, bool) {
	c.Helper()
	page := browser.Get(c.issuer + "/account")
	return page, page.Status == http.StatusOK && !slices.Contains(page.Fields(), "username")
}

func (c *cluster) signIn(browser *faces.Browser) {
	c.Helper()
	page, in := c.signedIn(browser)
	if in {
		c.Fatal("a browser is signed in that was not")
	}
	browser.Submit(page, "username", "alice", "password", password)
	if page, in = c.signedIn(browser); !in {
		c.Fatalf("a browser cannot sign in: %d %s", page.Status, page.Body)
	}
}

// pay sends a request that has to be approved, or one that was.
func (c *cluster) pay(token, approved string) *answer {
	return c.ask(0, http.MethodPost, "/pay", "500", bearer(token), header("Gatehouse-Operation", approved))
}

// before has people log in, and somebody approve a request.
func (c *cluster) before() *yesterday {
	c.Helper()
	y := &yesterday{cluster: c, browser: c.browser(), tokens: c.login(), app: c.app(), paying: c.alice(0, "payments:write")}
	c.signIn(y.browser)
	y.phone = c.phone(0, c.subject(y.tokens.Access))
	var told struct{ Operation, Number string }
	must(c, json.Unmarshal([]byte(c.ask(0, http.MethodPost, "/pay", "500", bearer(y.paying.Access)).Body), &told))
	c.approve(y.phone, told.Number)
	y.payment = told.Operation
	y.app.Ask("scope", "openid offline_access accounts:read").Asks("password")
	y.code = c.code()
	return y
}

// refused has all of it tried.
func (y *yesterday) refused() {
	y.Helper()
	if page, in := y.signedIn(y.browser); in {
		y.Errorf("the browser is signed in: %d %s", page.Status, page.Body)
	}
	for _, has := range []*answer{y.tokens, y.paying} {
		if got := y.send(http.MethodPost, y.issuer+"/token", refreshing(has.Refresh), ""); got.Error != "invalid_grant" {
			y.Errorf("refreshing: %d %s", got.Status, got.Body)
		}
	}
	if got := y.send(http.MethodPost, y.issuer+"/token", redeeming(y.code), ""); got.Error != "invalid_grant" {
		y.Errorf("redeeming: %d %s", got.Status, got.Body)
	}
	if got := y.app.Answer(faces.ByPassword("alice", password)); got.Code != "" || got.Error == "" {
		y.Errorf("the app goes on: %d %s", got.Status, got.Body)
	}
	if got := y.pay(y.paying.Access, y.payment); got.Status != http.StatusForbidden {
		y.Errorf("what was approved passes: %d %s", got.Status, got.Body)
	}
}

// revoked ends the access tokens, which no store has.
func (y *yesterday) revoked() {
	y.Helper()
	if got := y.send(http.MethodGet, y.issuer+"/api", nil, y.tokens.Access); got.Status != http.StatusOK {
		y.Errorf("before the keys are revoked, an access token gets %d %s", got.Status, got.Body)
	}
	node := y.nodes[0]
	listed, err := node.Command(y.Context(), "keys", "list", "--json", "--address", node.Socket()).Output()
	must(y, err)
	var keys []struct{ KID string }
	must(y, json.Unmarshal(listed, &keys))
	for _, key := range keys {
		if said, err := node.Command(y.Context(), "keys", "revoke", key.KID, "--address", node.Socket()).CombinedOutput(); err != nil {
			y.Fatalf("revoking a key: %v: %s", err, said)
		}
	}
	for _, has := range []*answer{y.tokens, y.paying} {
		if got := y.send(http.MethodGet, y.issuer+"/api", nil, has.Access); got.Status != http.StatusUnauthorized {
			y.Errorf("an access token gets %d %s", got.Status, got.Body)
		}
	}
}

// anew has everybody log in again, with the phone as well.
func (y *yesterday) anew() {
	y.Helper()
	y.signIn(y.browser)
	y.login()
	if got := y.byPhone(0, y.phone); y.ask(0, http.MethodGet, "/api", "", bearer(got.Access)).Status != http.StatusOK {
		y.Error("the phone is not known any more")
	}
	y.inOrder()
}

// TestABackupWithoutItsLogins: after a break-in an operator restores yesterday's backup, and nobody comes back in by what was a login then:
// not in a browser, not by tokens, a code or a half-finished login, and not past an approval. Users, phones and the audit trail are there.
func TestABackupWithoutItsLogins(t *testing.T) {
	t.Parallel()
	c := startWith(t, 0, "")
	embedded := strings.Replace(storedIn(withPhones, "storage badger data"), "seal_key {env.GATEHOUSE_SEAL_KEY}", "", 1)
	c.join(c.nodeOf(embedded))
	node := c.nodes[0]
	had := c.before()
	c.stores(node, nil, "backup", "a.backup")
	must(t, node.Stop())

	var planned, is struct {
		taken
		Source  struct{ Digest string }
		LeftOut map[string]int64 `json:"left_out"`
	}
	c.stores(node, &planned, "restore", "a.backup", "--without-logins", "--dry-run")
	c.stores(node, &is, "restore", "a.backup", "--without-logins")
	if is.Written == 0 || planned.Written != is.Written || planned.Source != is.Source {
		t.Errorf("planned %+v, done %+v", planned, is)
	}
	for _, table := range []string{"auth_session", "code", "confirmation", "confirmation_slot", "family", "grant", "request", "roster", "session"} {
		if is.LeftOut[table] == 0 || is.LeftOut[table] != planned.LeftOut[table] {
			t.Errorf("of %s are left out %d, planned were %d", table, is.LeftOut[table], planned.LeftOut[table])
		}
	}
	must(t, node.Restart(t.Context()))
	had.refused()
	had.revoked()
	had.anew()
	must(t, node.Stop())

	// The same file over what PostgreSQL holds.
	key, err := os.ReadFile(filepath.Join(node.Dir, "data.key"))
	must(t, err)
	c.key = strings.TrimSpace(string(key))
	must(t, write(node, "Caddyfile.postgres", c.issuer, withPhones))
	into := []string{"import", "a.backup", "--config", "Caddyfile.postgres"}
	c.stores(node, &planned, into...)
	c.refuses(node, "not empty", append(into, "--without-logins")...)
	is.LeftOut = nil
	c.stores(node, &is, append(into, "--without-logins", "--overwrite")...)
	if is.Written != 0 || is.Removed == 0 || is.Same == 0 || is.LeftOut["session"] == 0 {
		t.Errorf("over what was there: %+v", is)
	}
	other, err := c.nodeOf(withPhones)
	must(t, err)
	c.nodes[0] = other
	c.balancer.only(other.Addresses[0])
	had.refused()
	had.revoked()
	had.anew()
}
