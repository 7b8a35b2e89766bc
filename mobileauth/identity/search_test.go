// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func searchable(names ...string) func(*identity.Config) {
	return func(c *identity.Config) { c.Searchable = names }
}

func sealed(t testing.TB, id string) func(*identity.Config) {
	t.Helper()
	keys := []seal.Key{{ID: id, Secret: []byte("0123456789abcdef0123456789ABCDE" + id)}}
	if id != "a" {
		keys = append(keys, seal.Key{ID: "a", Secret: []byte("0123456789abcdef0123456789ABCDEa")})
	}
	sealer, err := seal.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *identity.Config) { c.Sealer = sealer }
}

func (h *house) addWith(login string, attributes map[string]string) identity.User {
	h.t.Helper()
	return h.addUser(identity.NewUser{Profile: identity.Profile{Logins: []string{login}, Attributes: attributes}})
}

// search returns the ids of those found.
func (h *house) search(name, value string) []string {
	h.t.Helper()
	page, err := h.ByAttribute(h.t.Context(), name, value, "", 0)
	if err != nil {
		h.t.Fatal(err)
	}
	var ids []string
	for _, u := range page {
		ids = append(ids, u.ID)
	}
	return ids
}

func (h *house) reindexed() *house {
	h.t.Helper()
	if err := h.Reindex(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	return h
}

func TestSearchByAttribute(t *testing.T) {
	t.Parallel()
	h := newHouse(t, searchable("phone", "crm"), sealed(t, "k")).reindexed()
	alice := h.addWith("alice", map[string]string{"phone": "0612345678", "crm": "7", "note": "0612345678"})
	bob := h.addWith("bob", map[string]string{"crm": "0612345678"})
	for _, tc := range []struct {
		name, attribute, value string
		want                   []string
	}{
		{"exact", "phone", "0612345678", []string{alice.ID}},
		{"the same value of another attribute", "crm", "0612345678", []string{bob.ID}},
		{"a prefix", "phone", "06123", nil},
		{"another case of nothing", "phone", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			page, err := h.ByAttribute(t.Context(), tc.attribute, tc.value, "", 0)
			var got []string
			for _, u := range page {
				got = append(got, u.ID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
	_, err := h.ByAttribute(t.Context(), "note", "0612345678", "", 0)
	if fieldOf(err) != `attributes["note"]` || !errors.Is(err, identity.ErrInvalid) {
		t.Errorf("an attribute that is not indexed: %v", err)
	}
	for _, item := range h.items("user#attribute") {
		if strings.Contains(item.Key, "0612345678") || strings.Contains(item.Key, "phone") {
			t.Errorf("the index tells an attribute: %s", item.Key)
		}
	}
}

func TestSearchFollowsChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t, searchable("phone")).reindexed()
	u := h.addWith("alice", map[string]string{"phone": "1"})
	u, err := h.Update(t.Context(), u.ID, u.Version, identity.Profile{Logins: u.Logins, Attributes: map[string]string{"phone": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	if h.search("phone", "1") != nil || len(h.search("phone", "2")) != 1 {
		t.Error("the index did not follow the update")
	}
	linked, err := h.Link(t.Context(), "crm-1", map[string]string{"phone": "3"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Link(t.Context(), "crm-1", map[string]string{"phone": "4"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{linked.ID}, h.search("phone", "4")); diff != "" || h.search("phone", "3") != nil {
		t.Error("the index did not follow the link")
	}
	if _, err := h.Delete(t.Context(), u.ID, u.Version); err != nil || h.search("phone", "2") != nil {
		t.Errorf("a deleted user is found: %v", err)
	}
}

func TestSearchIsPaged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, searchable("city")).reindexed()
	for i := range 7 {
		h.addWith(fmt.Sprint("u", i), map[string]string{"city": "Utrecht"})
	}
	seen, after := map[string]bool{}, ""
	for {
		page, err := h.ByAttribute(t.Context(), "city", "Utrecht", after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page {
			if seen[u.ID] || u.ID <= after {
				t.Fatalf("%s after %s", u.ID, after)
			}
			seen[u.ID], after = true, u.ID
		}
		if len(page) < 3 {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("%d found", len(seen))
	}
}

// TestReindex: another list or another key makes search wait until every user is indexed by it.
func TestReindex(t *testing.T) {
	t.Parallel()
	h := newHouse(t, searchable("phone"), sealed(t, "a"))
	if _, err := h.ByAttribute(t.Context(), "phone", "1", "", 0); !errors.Is(err, identity.ErrIndexing) {
		t.Fatalf("before the first run: %v", err)
	}
	h.reindexed()
	var users []identity.User
	for i := range 20 {
		users = append(users, h.addWith(fmt.Sprint("u", i), map[string]string{"phone": "1", "crm": fmt.Sprint(i)}))
	}
	for _, change := range [][]func(*identity.Config){
		{searchable("crm"), sealed(t, "a")},
		{searchable("crm", "phone"), sealed(t, "b")},
	} {
		next := &house{t: t, clock: h.clock, db: h.db, hasher: h.hasher}
		config := identity.Config{DB: h.db, Hasher: h.hasher, Now: h.clock.Now}
		for _, fn := range change {
			fn(&config)
		}
		var err error
		if next.Store, err = identity.New(config); err != nil {
			t.Fatal(err)
		}
		if _, err := next.ByAttribute(t.Context(), "crm", "7", "", 0); !errors.Is(err, identity.ErrIndexing) {
			t.Fatalf("before it ran: %v", err)
		}
		mark := errors.New("cable pulled")
		h.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 3, Err: mark})
		if err := next.Reindex(t.Context()); !errors.Is(err, mark) {
			t.Fatalf("a store that fails: %v", err)
		}
		h.db.Clear()
		if _, err := next.ByAttribute(t.Context(), "crm", "7", "", 0); !errors.Is(err, identity.ErrIndexing) {
			t.Fatalf("after half a run: %v", err)
		}
		next.reindexed()
		if diff := cmp.Diff([]string{users[7].ID}, next.search("crm", "7")); diff != "" {
			t.Error(diff)
		}
		if got := next.get(users[7].ID); got.Version != users[7].Version {
			t.Errorf("indexing made version %d of %d", got.Version, users[7].Version)
		}
		h.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: errors.New("written though nothing has changed")})
		next.reindexed()
		h.db.Clear()
	}
}

func TestSearchableIsBounded(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"a", "a"}, {""}, {"a\nb"}, {"1", "2", "3", "4", "5", "6", "7", "8", "9"}} {
		h := newHouse(t)
		if _, err := identity.New(identity.Config{DB: h.db, Hasher: h.hasher, Now: h.clock.Now, Searchable: names}); err == nil {
			t.Errorf("%q was accepted", names)
		}
	}
}

// TestSearchByPrefix walks the pages of what begins alike, against a list that is searched from end to end.
func TestSearchByPrefix(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t, sealed(t, "k"))
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("abé/#~")), 1, 4, -1)
		taken := map[string]bool{}
		var users []identity.User
		for range rapid.IntRange(0, 12).Draw(rt, "users") {
			p := identity.Profile{}
			for _, name := range rapid.SliceOfN(letters, 1, 3).Draw(rt, "logins") {
				if !taken[name] {
					p.Logins = append(p.Logins, name)
				}
				taken[name] = true
			}
			if ref := letters.Draw(rt, "ref"); !taken["ref "+ref] {
				p.ExternalRef = ref
				taken["ref "+ref] = true
			}
			if len(p.Logins) > 0 {
				users = append(users, h.addUser(identity.NewUser{Profile: p}))
			}
		}
		for search, names := range map[string]func(u identity.User) []string{
			"login": func(u identity.User) []string { return u.Logins },
			"ref":   func(u identity.User) []string { return strings.Fields(u.ExternalRef) },
		} {
			prefix, limit := letters.Draw(rt, "prefix"), rapid.IntRange(1, 4).Draw(rt, "limit")
			first := map[string]string{} // the first name that begins so, and whose it is
			for _, u := range users {
				var fits []string
				for _, name := range names(u) {
					if strings.HasPrefix(name, prefix) {
						fits = append(fits, name)
					}
				}
				if len(fits) > 0 {
					first[slices.Min(fits)] = u.ID
				}
			}
			var want, got []string
			for _, name := range slices.Sorted(maps.Keys(first)) {
				want = append(want, first[name])
			}
			for after, more := "", true; more; {
				find := h.ByLoginPrefix
				if search == "ref" {
					find = h.ByExternalRefPrefix
				}
				page, err := find(t.Context(), prefix, after, limit)
				if err != nil || len(page.Users) > limit || page.Next != "" && len(page.Users) < limit {
					rt.Fatalf("a page of %d: %v", len(page.Users), err)
				}
				for _, u := range page.Users {
					got = append(got, u.ID)
					if begins := u.Beginning(prefix); search == "login" && first[begins] != u.ID {
						rt.Fatalf("%s is found by %q", u.ID, begins)
					}
				}
				after, more = page.Next, page.Next != ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("%s %q: %s", search, prefix, diff)
			}
		}
	})
}

func TestSearchByPrefixIsFolded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	alice := h.addWith("Alice", nil)
	for _, prefix := range []string{"AL", "al", " aLi", "\uff21l"} {
		if page, err := h.ByLoginPrefix(t.Context(), prefix, "", 0); err != nil || len(page.Users) != 1 || page.Next != "" {
			t.Errorf("%q: %+v, %v", prefix, page, err)
		}
	}
	if _, err := h.Delete(t.Context(), alice.ID, alice.Version); err != nil {
		t.Fatal(err)
	}
	if page, err := h.ByLoginPrefix(t.Context(), "al", "", 0); err != nil || len(page.Users) != 0 {
		t.Errorf("a deleted user: %+v, %v", page, err)
	}
	for _, bad := range []string{"", " ", "\u202e", strings.Repeat("x", 1000), "\xff"} {
		if _, err := h.ByLoginPrefix(t.Context(), bad, "", 0); !errors.Is(err, identity.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
		if u := (identity.User{Profile: identity.Profile{Logins: []string{"x"}}}); u.Beginning(bad) != "" {
			t.Errorf("%q: %q", bad, u.Beginning(bad))
		}
	}
	for _, bad := range []string{"", strings.Repeat("x", identity.MaxExternalRef+1)} {
		if _, err := h.ByExternalRefPrefix(t.Context(), bad, "", 0); !errors.Is(err, identity.ErrInvalid) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}
