// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// taken is what a command that fills a store prints.
type taken struct {
	Written, Same, Removed int64
}

// checked is what "store check" prints.
type checked struct {
	Found, Mended int64
	Findings      []struct{ What, Table, ID string }
}

// withStore is the Caddyfile with another line for the store, and none of the options of PostgreSQL's.
func withStore(store string) string { return storedIn(caddyfile, store) }

// storedIn is another Caddyfile with another line for the store.
func storedIn(caddyfile, store string) string {
	before, rest, _ := strings.Cut(caddyfile, "storage postgres")
	_, after, _ := strings.Cut(rest, "OPTIONS\n\t\t}")
	return before + store + after
}

// write writes a configuration beside that of a node.
func write(node *program.Program, name, issuer, caddyfile string) error {
	text := strings.NewReplacer("ADMIN", node.Socket(), "ISSUER", issuer, "NODE", "http://"+node.Addresses[0], "OPTIONS", "", "USERS", "").Replace(caddyfile)
	return os.WriteFile(filepath.Join(node.Dir, name), []byte(text), 0o600)
}

// store runs "gatehouse store" beside a node, and reads what it prints as JSON. What it says to people comes back.
func (c *cluster) store(node *program.Program, into any, args ...string) (said string, err error) {
	c.Helper()
	cmd := node.Command(c.Context(), append([]string{"store"}, append(args, "--json")...)...)
	cmd.Env = append(slices.Clone(cmd.Env), "GATEHOUSE_SEAL_KEY="+c.key)
	var out, says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &says
	if err = cmd.Run(); into != nil && out.Len() > 0 {
		must(c, json.Unmarshal(out.Bytes(), into))
	}
	return says.String(), err
}

func (c *cluster) stores(node *program.Program, into any, args ...string) {
	c.Helper()
	if said, err := c.store(node, into, args...); err != nil {
		c.Fatalf("store %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

func (c *cluster) refuses(node *program.Program, why string, args ...string) {
	c.Helper()
	if said, err := c.store(node, nil, args...); err == nil || !strings.Contains(said, why) {
		c.Errorf("store %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// goOn refreshes what people have, and wants what was revoked refused.
func (c *cluster) goOn(revoked *answer, have ...*answer) {
	c.Helper()
	for i, has := range have {
		got := c.send(http.MethodPost, c.issuer+"/token", refreshing(has.Refresh), "")
		if got.Refresh == "" {
			c.Fatalf("app %d has to begin again: %d %s", i, got.Status, got.Body)
		}
		*has = *got
	}
	if got := c.send(http.MethodPost, c.issuer+"/token", refreshing(revoked.Refresh), ""); got.Error != "invalid_grant" {
		c.Errorf("what was revoked is refreshed: %d %s", got.Status, got.Body)
	}
	c.login()
}

// inOrder has the store and the audit trail checked.
func (c *cluster) inOrder() {
	c.Helper()
	var is checked
	if c.stores(c.nodes[0], &is, "check"); is.Found != 0 {
		c.Errorf("the store has findings: %+v", is)
	}
	verify := c.nodes[0].Command(c.Context(), "audit", "verify", "--address", c.nodes[0].Socket())
	if said, err := verify.CombinedOutput(); err != nil || strings.Contains(string(said), "FOUND") {
		c.Errorf("the audit trail: %v: %s", err, said)
	}
}

// TestMovesToPostgreSQLAndBack: an operator who outgrows one machine moves the store, most of it while the server runs, and nobody has to
// log in again; the way back is the same.
func TestMovesToPostgreSQLAndBack(t *testing.T) {
	t.Parallel()
	c := startWith(t, 0, "")
	embedded := strings.Replace(withStore("storage badger data"), "seal_key {env.GATEHOUSE_SEAL_KEY}", "", 1)
	old, err := c.nodeOf(embedded)
	must(t, err)
	c.balancer.only(old.Addresses[0])
	has, gone := c.login(), c.login()
	revoke := url.Values{"token": {gone.Refresh}, "client_id": {"mobile"}}
	if got := c.send(http.MethodPost, c.issuer+"/revoke", revoke, ""); got.Status != http.StatusOK {
		t.Fatalf("revoking: %d %s", got.Status, got.Body)
	}

	// Every node gets the key that the embedded store has made.
	key, err := os.ReadFile(filepath.Join(old.Dir, "data.key"))
	must(t, err)
	c.key = strings.TrimSpace(string(key))
	must(t, write(old, "Caddyfile.postgres", c.issuer, caddyfile))

	c.refuses(old, "begin with --ahead while it runs", "migrate", "Caddyfile", "Caddyfile.postgres")
	var planned, ahead, rest taken
	c.stores(old, &planned, "migrate", "Caddyfile", "Caddyfile.postgres", "--ahead", "--dry-run")
	c.stores(old, &ahead, "migrate", "Caddyfile", "Caddyfile.postgres", "--ahead")
	if planned.Written == 0 || ahead.Written == 0 {
		t.Errorf("it would have written %d, and wrote %d", planned.Written, ahead.Written)
	}
	if _, err := c.node(); err == nil || !strings.Contains(err.Error(), "is being filled") {
		t.Errorf("a node starts on a store that is not whole: %v", err)
	}
	late := c.login()
	must(t, old.Stop())
	c.stores(old, &rest, "migrate", "Caddyfile", "Caddyfile.postgres")
	if rest.Same == 0 || rest.Written == 0 || rest.Written >= ahead.Written {
		t.Errorf("ahead %+v, and then %+v", ahead, rest)
	}
	c.refuses(old, "not empty", "migrate", "Caddyfile", "Caddyfile.postgres")

	c.balancer.only()
	for range 2 {
		c.join(c.node())
	}
	c.goOn(gone, has, late)
	c.refuses(old, "a node uses the store", "migrate", "Caddyfile", "Caddyfile.postgres", "--overwrite")
	for _, node := range c.nodes {
		must(t, node.Stop())
	}

	must(t, write(old, "Caddyfile.back", c.issuer, withStore("storage badger back")))
	c.stores(old, &rest, "migrate", "Caddyfile.postgres", "Caddyfile.back")
	c.balancer.only(old.Addresses[0])
	back := old.Caddyfile
	old.Caddyfile = func(addresses []string) string {
		return strings.Replace(back(addresses), "storage badger data", "storage badger back\n\t\tseal_key {env.GATEHOUSE_SEAL_KEY}", 1)
	}
	old.Env = append(old.Env, "GATEHOUSE_SEAL_KEY="+c.key)
	must(t, old.Restart(t.Context()))
	c.goOn(gone, has, late)
}

// TestABackupIsRestored: a backup that was taken while the server ran is put in the place of the store, which is kept; and it fills others.
func TestABackupIsRestored(t *testing.T) {
	t.Parallel()
	c := startWith(t, 0, "")
	node, err := c.nodeOf(strings.Replace(withStore("storage badger data"), "seal_key {env.GATEHOUSE_SEAL_KEY}", "", 1))
	must(t, err)
	c.balancer.only(node.Addresses[0])
	has := c.login()
	c.stores(node, nil, "backup", "a.backup")
	late := c.login()
	c.refuses(node, "a running server uses the store", "restore", "a.backup")
	must(t, node.Stop())

	whole, err := os.ReadFile(filepath.Join(node.Dir, "a.backup"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(node.Dir, "cut.backup"), whole[:len(whole)-1], 0o600))
	c.refuses(node, "cut off", "restore", "cut.backup")
	must(t, node.Restart(t.Context())) // with all that it had
	late = c.send(http.MethodPost, c.issuer+"/token", refreshing(late.Refresh), "")
	must(t, node.Stop())

	var back struct{ Kept string }
	c.stores(node, nil, "restore", "a.backup", "--dry-run")
	c.stores(node, &back, "restore", "a.backup")
	must(t, node.Restart(t.Context()))
	c.goOn(late, has) // what came after the backup is not there
	must(t, node.Stop())
	var is checked
	if c.stores(node, &is, "check"); is.Found != 0 {
		t.Errorf("a restored store has findings: %+v", is)
	}
	if c.stores(node, &is, "check", "--store", "badger:"+back.Kept, "--seal-key", "{file.data.key}"); is.Found != 0 {
		t.Errorf("the store before: %+v", is)
	}

	var first, again taken
	into := []string{"import", "a.backup", "--store", "badger:other", "--seal-key", "{file.data.key}"}
	c.stores(node, &first, into...)
	c.refuses(node, "not empty", into...)
	c.stores(node, &again, append(into, "--overwrite")...)
	if first.Written == 0 || again.Written != 0 || again.Same != first.Written {
		t.Errorf("first %+v, and once more %+v", first, again)
	}
}

// TestASourceThatChanges: a node that nobody has stopped, and that the command does not know of, is noticed.
func TestASourceThatChanges(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	node := c.nodes[0]
	must(t, write(node, "Caddyfile.back", c.issuer, withStore("storage badger back")))
	has, stop := c.login(), make(chan struct{})
	var app sync.WaitGroup
	app.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := c.send(http.MethodPost, c.issuer+"/token", refreshing(has.Refresh), ""); got.Refresh != "" {
				has = got
			}
		}
	})
	defer app.Wait()
	defer close(stop)
	c.until("it is noticed", func() bool {
		said, err := c.store(node, nil, "migrate", "{env.GATEHOUSE_DSN}", "Caddyfile.back", "--address", "localhost:1", "--overwrite")
		return err != nil && strings.Contains(said, "has changed while it was copied")
	})
	c.refuses(node, "is being filled", "check", "--config", "Caddyfile.back", "--address", "localhost:1")
}

// TestADamagedRecord: what cannot be read is found, moved into a file when that is asked for, and everything is in order afterwards.
func TestADamagedRecord(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	node := c.nodes[0]
	c.login()
	conn, err := pgx.Connect(t.Context(), c.dsn)
	must(t, err)
	defer conn.Close(t.Context())
	var id string
	must(t, conn.QueryRow(t.Context(), `UPDATE gatehouse.items SET value = '\x017b' WHERE key = (
		SELECT key FROM gatehouse.items WHERE key >= 'session/' AND key < 'session0' LIMIT 1) RETURNING convert_from(key, 'UTF8')`).Scan(&id))

	var is checked
	if said, err := c.store(node, &is, "check"); err == nil || is.Found != 1 || is.Findings[0].What != "record_unreadable" || "session/"+is.Findings[0].ID != id {
		t.Fatalf("%v: %+v\n%s", err, is, said)
	}
	is = checked{}
	if said, err := c.store(node, &is, "check", "--repair"); err == nil || is.Mended != 0 {
		t.Errorf("%v: %+v\n%s", err, is, said)
	}
	c.refuses(node, "a running server uses the store", "check", "--discard", "lost.json")
	must(t, node.Stop())
	is = checked{}
	c.stores(node, &is, "check", "--discard", "lost.json")
	lost, err := os.ReadFile(filepath.Join(node.Dir, "lost.json"))
	must(t, err)
	if is.Mended != 1 || !bytes.Contains(lost, []byte(id)) {
		t.Errorf("%+v, kept %q", is, lost)
	}
	is = checked{}
	if c.stores(node, &is, "check"); is.Found != 0 {
		t.Errorf("afterwards: %+v", is)
	}
	must(t, node.Restart(t.Context()))
	c.login()
}
