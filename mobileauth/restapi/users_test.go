// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const alice = `{"logins":["Alice"],"external_ref":"crm-1","attributes":{"phone":"0612345678","tier":"gold"},"password":"correct horse"}`

func TestUserLivesAndDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	added := w.addUser(alice)
	id, etag := added.get("id"), added.Get("ETag")
	if added.Get("Location") != "/api/v1/users/"+id || etag != `"1"` || strings.Contains(added.body, "horse") {
		t.Fatalf("%v %s", added.Header, added.body)
	}
	got := w.do("GET", "/users/"+id, "").is(200)
	if got.body != added.body || got.Get("ETag") != etag || got.get("logins") != "[alice]" {
		t.Errorf("%s", got.body)
	}
	w.do("GET", "/users/"+id, "", "If-None-Match", etag).is(304)
	w.do("HEAD", "/users/"+id, "").is(200)

	patched := w.do("PATCH", "/users/"+id, `{"attributes":{"tier":null,"city":"Utrecht"}}`, "If-Match", etag).is(200)
	if patched.get("attributes") != "map[city:Utrecht phone:0612345678]" || patched.Get("ETag") != `"2"` || patched.get("external_ref") != "crm-1" {
		t.Errorf("%s", patched.body)
	}
	patched = w.do("PATCH", "/users/"+id, `{"external_ref":null,"logins":["al","alice"]}`, "If-Match", `"2"`).is(200)
	if patched.get("external_ref") != "" || patched.get("logins") != "[al alice]" {
		t.Errorf("%s", patched.body)
	}

	if locked := w.do("POST", "/users/"+id+"/lock", `{"reason":"fraud"}`).is(200); locked.get("status") != "locked" || locked.get("status_reason") != "fraud" {
		t.Errorf("%s", locked.body)
	}
	w.do("POST", "/users/"+id+"/lock", "", "Content-Type", "application/json").is(200)
	w.do("POST", "/users/"+id+"/lock", "{", "Content-Type", "application/json").is(400).refused("invalid_body")
	if unlocked := w.do("POST", "/users/"+id+"/unlock", "").is(200); unlocked.get("status") != "active" {
		t.Errorf("%s", unlocked.body)
	}
	w.do("POST", "/users/"+id+"/password", `{"password":"another horse"}`).is(200)
	d := w.addDevice(id)
	gone := w.do("POST", "/users/"+id+"/deactivate", `{"reason":"left"}`).is(200)
	if gone.get("status") != "deactivated" || w.device(d.ID).Status != handset.Deactivated {
		t.Errorf("%s", gone.body)
	}
	w.do("POST", "/users/"+id+"/unlock", "").is(409).refused("invalid_state")
	w.do("DELETE", "/users/"+id, "", "If-Match", gone.Get("ETag")).is(204)
	w.do("DELETE", "/users/"+id, "", "If-Match", gone.Get("ETag")).is(204) // to repeat it is no failure
	w.do("GET", "/users/"+id, "").is(410).refused("gone")
	w.do("PATCH", "/users/"+id, `{}`, "If-Match", `"9"`).is(410).refused("gone")
	w.do("POST", "/users/"+id+"/lock", "").is(410).refused("gone")
	if w.told.applied < 5 {
		t.Errorf("the gates were told %d times", w.told.applied)
	}
}

func (w *world) device(id string) handset.Device {
	w.t.Helper()
	d, err := w.devices.Get(w.t.Context(), id)
	must(w.t, err)
	return d
}

func TestNamesOfADeletedUserAreReleasedByACallOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	added := w.addUser(`{"logins":["alice"],"external_ref":"crm-1"}`)
	id := added.get("id")
	w.do("POST", "/users/"+id+"/release-names", "").is(409).refused("invalid_state")
	w.do("DELETE", "/users/"+id, "", "If-Match", added.Get("ETag")).is(204)
	if names := w.do("POST", "/users", `{"logins":["ALICE"]}`).is(409).refused("already_exists"); fmt.Sprint(names) != "[logins[0]]" {
		t.Errorf("%v", names)
	}
	if tomb := w.do("POST", "/users/"+id+"/release-names", "").is(200); tomb.get("deleted_at") == "" || tomb.get("logins") != "[]" {
		t.Errorf("%s", tomb.body)
	}
	w.addUser(`{"logins":["alice"],"external_ref":"crm-1"}`)
}

func TestBadUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addUser(alice)
	for _, test := range []struct {
		name, body string
		status     int
		code       string
		params     string
	}{
		{"nothing", ``, 415, "unsupported_media_type", "[]"},
		{"no object", `[]`, 400, "invalid_body", "[]"},
		{"unknown member", `{"login":"a"}`, 400, "invalid_body", "[login]"},
		{"another case", `{"Logins":["a"]}`, 400, "invalid_body", "[Logins]"},
		{"a member twice", `{"logins":["a"],"logins":["b"]}`, 400, "invalid_body", "[]"},
		{"types", `{"logins":"a","attributes":{"x":1}}`, 400, "invalid_body", `[attributes["x"] logins]`},
		{"null", `{"logins":null}`, 400, "invalid_body", "[logins]"},
		{"no name", `{}`, 422, "invalid_value", "[logins]"},
		{"an invisible name", `{"logins":["a","b` + "\u200b" + `"]}`, 422, "invalid_value", "[logins[1]]"},
		{"taken", `{"logins":["b","ALICE"]}`, 409, "already_exists", "[logins[1]]"},
		{"reference taken", `{"logins":["b"],"external_ref":"crm-1"}`, 409, "already_exists", "[external_ref]"},
		{"short password", `{"logins":["b"],"password":"1234567"}`, 422, "invalid_value", "[password]"},
		{"two passwords", `{"logins":["b"],"password":"12345678","password_hash":"$2"}`, 422, "invalid_value", "[password_hash]"},
		{"a hash of another kind", `{"logins":["b"],"password_hash":"{SSHA}x"}`, 422, "invalid_value", "[password_hash]"},
		{"status", `{"logins":["b"],"status":"dead"}`, 422, "invalid_value", "[status]"},
		{"large attribute", `{"logins":["b"],"attributes":{"x":"` + strings.Repeat("y", 1025) + `"}}`, 422, "invalid_value", `[attributes["x"]]`},
		{"control character", `{"logins":["b"],"attributes":{"x":"\u0000"}}`, 422, "invalid_value", `[attributes["x"]]`},
		{"a mebibyte", `{"logins":["` + strings.Repeat("x", 1<<20) + `"]}`, 413, "body_too_large", "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := w.on(t).do("POST", "/users", test.body).is(test.status)
			if got := fmt.Sprint(a.refused(test.code)); got != test.params {
				t.Errorf("%s: %s", got, a.body)
			}
		})
	}
}

func TestTwoWritersDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	added := w.addUser(alice)
	path, etag := "/users/"+added.get("id"), added.Get("ETag")
	w.do("PATCH", path, `{}`).is(428).refused("version_required")
	w.do("DELETE", path, "").is(428).refused("version_required")
	w.do("PATCH", path, `{}`, "If-Match", "*").is(400).refused("invalid_parameter")
	w.do("PATCH", path, `{}`, "If-Match", `"7"`).is(412).refused("version_mismatch")
	w.do("PATCH", path, `{}`, "If-Match", "W/"+etag).is(412).refused("version_mismatch")
	var statuses sync.Map
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			a := w.do("PATCH", path, fmt.Sprintf(`{"attributes":{"writer":"%d"}}`, i), "If-Match", etag)
			n, _ := statuses.LoadOrStore(a.code, 0)
			statuses.Swap(a.code, n.(int)+1)
		})
	}
	group.Wait()
	if won := w.do("GET", path, "").is(200); won.Get("ETag") != `"2"` {
		t.Errorf("eight writers made version %s", won.Get("ETag"))
	}
	w.do("DELETE", path, "", "If-Match", etag).is(412).refused("version_mismatch")
	w.do("PATCH", "/users/usr_nobody", `{}`, "If-Match", etag).is(404).refused("not_found")
}

func TestUsersAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.addUser(alice).get("id")
	other := w.addUser(`{"logins":["bob"],"attributes":{"phone":"1"}}`)
	w.do("DELETE", "/users/"+other.get("id"), "", "If-Match", other.Get("ETag")).is(204)
	count := func(query string) int {
		t.Helper()
		var list struct {
			Users []struct {
				ID string `json:"id"`
			} `json:"users"`
		}
		w.do("GET", "/users"+query, "").is(200).json(&list)
		for _, u := range list.Users {
			if u.ID != id && u.ID != other.get("id") {
				t.Errorf("%s found %s", query, u.ID)
			}
		}
		return len(list.Users)
	}
	for query, want := range map[string]int{
		"": 1, "?include_deleted=true": 2, "?include_deleted=false": 1, "?login=ALICE": 1, "?login=bob": 0, "?external_ref=crm-1": 1,
		"?external_ref=crm": 0, "?attribute=phone:0612345678": 1, "?attribute=phone:": 0, "?attribute=phone:1": 0,
	} {
		if got := count(query); got != want {
			t.Errorf("%q found %d, want %d", query, got, want)
		}
	}
	for query, param := range map[string]string{
		"?attribute=tier:gold": "[attribute]", "?attribute=phone": "[attribute]", "?include_deleted=1": "[include_deleted]",
		"?limit=0": "[limit]", "?limit=501": "[limit]", "?limit=x": "[limit]", "?name=x": "[name]", "?login=a&external_ref=b": "[]",
		"?login=a&login=b": "[]", "?%zz": "[]", "?login=%00": "[]",
	} {
		if got := fmt.Sprint(w.do("GET", "/users"+query, "").is(400).refused("invalid_parameter")); got != param {
			t.Errorf("%q: %s", query, got)
		}
	}
	w.do("GET", "/users?cursor=x", "").is(400).refused("invalid_cursor")
}

func TestUsersArePaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 7 {
		w.addUser(fmt.Sprintf(`{"logins":["u%d"]}`, i))
	}
	seen, query := map[string]bool{}, "?limit=3"
	for pages := 0; query != ""; pages++ {
		if pages > 3 {
			t.Fatal("the list has no end")
		}
		var list struct {
			Users []struct {
				ID string `json:"id"`
			} `json:"users"`
			Next string `json:"next"`
		}
		w.do("GET", "/users"+query, "").is(200).json(&list)
		for _, u := range list.Users {
			seen[u.ID] = true
		}
		query = ""
		if list.Next != "" {
			query = "?limit=3&cursor=" + list.Next
			w.do("GET", "/devices?cursor="+list.Next, "").is(400).refused("invalid_cursor")
			w.do("GET", "/users?include_deleted=true&cursor="+list.Next, "").is(400).refused("invalid_cursor")
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d users", len(seen))
	}
}

func TestAddingAUserOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.do("POST", "/users", alice, "Idempotency-Key", "k-1").is(201)
	again := w.do("POST", "/users", alice, "Idempotency-Key", `"k-1"`).is(200)
	if again.get("id") != first.get("id") || again.Get("Idempotent-Replayed") != "true" || again.Get("Location") != first.Get("Location") {
		t.Errorf("%v %s", again.Header, again.body)
	}
	w.do("POST", "/users", strings.Replace(alice, "gold", "tin", 1), "Idempotency-Key", "k-1").is(422).refused("idempotency_key_reused")
	w.do("POST", "/users", alice, "Idempotency-Key", "k-2").is(409).refused("already_exists")
	// Another client's key is another key.
	w.do("POST", "/users", alice, "Idempotency-Key", "k-1", "Authorization", "Test other gatehouse:users").is(409).refused("already_exists")
	for _, bad := range []string{`""`, strings.Repeat("k", 256), "a b", "é"} {
		w.do("POST", "/users", alice, "Idempotency-Key", bad).is(400).refused("invalid_parameter")
	}
	w.do("DELETE", "/users/"+first.get("id"), "", "If-Match", `"1"`).is(204)
	w.do("POST", "/users", alice, "Idempotency-Key", "k-1").is(410).refused("gone")
	w.clock.Advance(24 * time.Hour)
	w.do("POST", "/users", alice, "Idempotency-Key", "k-1").is(409).refused("already_exists")
}

func TestAddingAUserOnceAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group sync.WaitGroup
	ids := make(chan string, 10)
	for range 10 {
		group.Go(func() {
			a := w.do("POST", "/users", alice, "Idempotency-Key", "k")
			if a.code != 200 && a.code != 201 {
				t.Errorf("status %d: %s", a.code, a.body)
				return
			}
			ids <- a.get("id")
		})
	}
	group.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("users %s and %s", first, id)
		}
	}
}

// TestAReplyThatWasLost: the answer to a commit is lost, and the request is repeated.
func TestAReplyThatWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
	lost := w.do("POST", "/users", alice, "Idempotency-Key", "k").is(503)
	lost.refused("temporarily_unavailable")
	w.db.Clear()
	if a := w.do("POST", "/users", alice, "Idempotency-Key", "k").is(200); a.get("logins") != "[alice]" {
		t.Errorf("%s", a.body)
	}
}

// TestLockingAUserEndsWhatIsOpen: at once, and before the answer.
func TestLockingAUserEndsWhatIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.addUser(alice).get("id")
	w.addDevice(id)
	op := w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","context":{"title":"Sign in"}}`).is(201).get("id")
	w.do("POST", "/users/"+id+"/lock", `{}`).is(200)
	if a := w.do("GET", "/operations/"+op, "").is(200); a.get("state") != "cancelled" || a.get("reason") != operation.ReasonUserRevoked {
		t.Errorf("%s", a.body)
	}
	w.do("POST", "/operations/authentication", `{"user_id":"`+id+`","context":{"title":"Sign in"}}`).is(409).refused("not_possible")
	w.told.fail = errDown
	w.do("POST", "/users/"+id+"/lock", `{}`).is(503).refused("temporarily_unavailable")
}

func TestEveryChangeOfAUserIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.addUser(alice).get("id")
	w.clock.Advance(time.Second)
	w.do("POST", "/users/"+id+"/lock", `{"reason":"fraud"}`).is(200)
	page, err := w.trail.Query(t.Context(), audit.Query{Subject: id})
	must(t, err)
	if len(page.Events) != 2 {
		t.Fatalf("%+v", page.Events)
	}
	e := page.Events[1]
	if e.Name != "user.lock" || e.By != "client:portal" || e.ClientID != "portal" || e.ClientIP != "192.0.2.1" || e.RequestID != "rq_test" || e.Reason != "fraud" {
		t.Errorf("%+v", e)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, method := range []struct{ method, path, body string }{
		{"GET", "/users", ""}, {"GET", "/users/usr_x", ""}, {"POST", "/users", alice}, {"POST", "/users/usr_x/lock", "{}"},
		{"GET", "/devices", ""}, {"GET", "/devices/dev_x", ""}, {"POST", "/devices/dev_x/lock", "{}"}, {"GET", "/operations/op_x", ""},
		{"GET", "/operations?user_id=x", ""}, {"GET", "/audit", ""}, {"GET", "/audit/export", ""}, {"GET", "/users/usr_x/devices", ""},
		{"POST", "/operations/authentication", `{"user_id":"x","context":{"title":"t"}}`}, {"POST", "/operations/op_x/cancel", ""},
	} {
		t.Run(method.method+method.path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for err, status := range map[error]int{errDown: 503, storage.ErrClosed: 503, storage.ErrConflict: 503} {
				for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate} {
					w.db.Inject(storagetest.Fault{Op: op, Err: err})
				}
				a := w.do(method.method, method.path, method.body).is(status)
				if strings.Contains(a.body, "down") || status == 503 && a.Get("Retry-After") == "" {
					t.Errorf("%v %s", a.Header, a.body)
				}
				w.db.Clear()
			}
			if !strings.Contains(w.logs.String(), "the store is down") {
				t.Error("the log does not say why")
			}
		})
	}
}

func TestFindByPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"anna", "anne smith", "bob", "anón", "an"} {
		w.addUser(`{"logins":["` + name + `","` + name + `-2"],"external_ref":"crm ` + name + `"}`)
	}
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"login_prefix=AN", []string{"an", "anna", "anne smith", "anón"}},
		{"login_prefix=anne%20", []string{"anne smith"}}, // no name ends with a space
		{"login_prefix=anne%20s", []string{"anne smith"}}, {"login_prefix=an%C3%B3", []string{"anón"}},
		{"external_ref_prefix=crm%20a", []string{"an", "anna", "anne smith", "anón"}}, {"external_ref_prefix=CRM", []string{}},
	} {
		for _, limit := range []string{"1", "2", "50"} {
			got := []string{}
			for cursor, more := "", true; more; {
				var page struct {
					Users []struct{ Logins []string }
					Next  string
				}
				w.do("GET", "/users?limit="+limit+"&"+tt.query+cursor, "").is(200).json(&page)
				for _, u := range page.Users {
					got = append(got, u.Logins[0])
				}
				cursor, more = "&cursor="+page.Next, page.Next != ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s by %s: %s", tt.query, limit, diff)
			}
		}
	}
	for query, code := range map[string]string{
		"login_prefix=": "invalid_parameter", "external_ref_prefix=": "invalid_parameter", "login_prefix=a&login=b": "invalid_parameter",
		"login_prefix=a&external_ref_prefix=b": "invalid_parameter", "login_prefix=%E2%80%AE": "invalid_parameter",
		"login_prefix=a&cursor=AAAA": "invalid_cursor",
	} {
		w.do("GET", "/users?"+query, "").is(400).refused(code)
	}
}
