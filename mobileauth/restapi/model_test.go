// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// modelUser is what a user should be.
type modelUser struct {
	version    int
	status     string
	login, ref string
	attributes map[string]string
	deleted    bool
	released   bool
}

// model is what the API should know, kept beside it in the simplest way.
type model struct {
	w     *world
	users map[string]*modelUser
	seen  map[string]int // the version that a writer has read last
}

// holder returns who has a login name or reference, deleted or not.
func (m *model) holder(login, ref string) string {
	for id, u := range m.users {
		if !u.released && (login != "" && u.login == login || ref != "" && u.ref == ref) {
			return id
		}
	}
	return ""
}

func (m *model) pick(t *rapid.T) (string, *modelUser) {
	if len(m.users) == 0 {
		t.Skip("there is nobody yet")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.users))).Draw(t, "user")
	return id, m.users[id]
}

var (
	someLogin = rapid.SampledFrom([]string{"ann", "bob", "eve"})
	someRef   = rapid.SampledFrom([]string{"", "r1", "r2"})
)

func (m *model) add(t *rapid.T) {
	login, ref := someLogin.Draw(t, "login"), someRef.Draw(t, "ref")
	a := m.w.do("POST", "/users", fmt.Sprintf(`{"logins":[%q],"external_ref":%q}`, strings.ToUpper(login), ref))
	if m.holder(login, ref) != "" {
		m.want(t, a, 409)
		return
	}
	m.want(t, a, 201)
	m.users[a.get("id")] = &modelUser{version: 1, status: "active", login: login, ref: ref, attributes: map[string]string{}}
}

func (m *model) read(t *rapid.T) {
	id, u := m.pick(t)
	a := m.w.do("GET", "/users/"+id, "")
	if u.deleted {
		m.want(t, a, 410)
		return
	}
	m.want(t, a, 200)
	m.seen[id] = u.version
	if a.get("status") != u.status || a.get("logins") != "["+u.login+"]" || a.get("external_ref") != u.ref ||
		a.get("attributes") != fmt.Sprint(u.attributes) || a.Get("ETag") != fmt.Sprintf("%q", fmt.Sprint(u.version)) {
		t.Fatalf("%s %s, want %+v", a.Get("ETag"), a.body, u)
	}
}

// patch changes a user by what the writer has read, which may be old.
func (m *model) patch(t *rapid.T) {
	id, u := m.pick(t)
	name, value := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), rapid.SampledFrom([]string{"null", `"1"`, `"2"`}).Draw(t, "value")
	a := m.w.do("PATCH", "/users/"+id, fmt.Sprintf(`{"attributes":{%q:%s}}`, name, value), "If-Match", fmt.Sprintf("%q", fmt.Sprint(m.seen[id])))
	switch {
	case u.deleted:
		m.want(t, a, 410)
	case m.seen[id] != u.version:
		m.want(t, a, 412)
	default:
		m.want(t, a, 200)
		u.version++
		if delete(u.attributes, name); value != "null" {
			u.attributes[name] = strings.Trim(value, `"`)
		}
	}
}

// command locks, unlocks or deactivates.
func (m *model) command(t *rapid.T) {
	id, u := m.pick(t)
	command := rapid.SampledFrom([]string{"lock", "unlock", "deactivate"}).Draw(t, "command")
	a := m.w.do("POST", "/users/"+id+"/"+command, "")
	switch {
	case u.deleted:
		m.want(t, a, 410)
	case u.status == "deactivated" && command != "deactivate":
		m.want(t, a, 409)
	default:
		m.want(t, a, 200)
		u.version++
		u.status = map[string]string{"lock": "locked", "unlock": "active", "deactivate": "deactivated"}[command]
	}
}

func (m *model) remove(t *rapid.T) {
	id, u := m.pick(t)
	a := m.w.do("DELETE", "/users/"+id, "", "If-Match", fmt.Sprintf("%q", fmt.Sprint(m.seen[id])))
	switch {
	case u.deleted:
		m.want(t, a, 204)
	case m.seen[id] != u.version:
		m.want(t, a, 412)
	default:
		m.want(t, a, 204)
		u.deleted = true
	}
}

func (m *model) release(t *rapid.T) {
	id, u := m.pick(t)
	a := m.w.do("POST", "/users/"+id+"/release-names", "")
	if !u.deleted {
		m.want(t, a, 409)
		return
	}
	m.want(t, a, 200)
	u.released = true
}

// find asks for a login name: whoever has it is found, and a tombstone is not.
func (m *model) find(t *rapid.T) {
	login := someLogin.Draw(t, "login")
	var list struct {
		Users []struct {
			ID string `json:"id"`
		} `json:"users"`
	}
	m.w.do("GET", "/users?login="+login, "").json(&list)
	want := m.holder(login, "")
	if want != "" && m.users[want].deleted {
		want = ""
	}
	if len(list.Users) == 0 && want == "" {
		return
	}
	if len(list.Users) != 1 || list.Users[0].ID != want {
		t.Fatalf("%+v found by %s, want %q", list.Users, login, want)
	}
}

func (*model) want(t *rapid.T, a *answer, status int) {
	if a.code != status {
		t.Fatalf("%d, want %d: %s", a.code, status, a.body)
	}
}

// TestUsersBehaveLikeTheModel under any order of calls, by writers who may not have read what others wrote.
func TestUsersBehaveLikeTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(t), users: map[string]*modelUser{}, seen: map[string]int{}}
		rt.Repeat(map[string]func(*rapid.T){
			"add": m.add, "read": m.read, "patch": m.patch, "command": m.command, "remove": m.remove, "release": m.release, "find": m.find,
		})
	})
}
