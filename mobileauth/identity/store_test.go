// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	second := identity.Limit{Free: 5, Base: time.Second, Max: time.Minute, Window: time.Hour}
	for _, tc := range []struct {
		name   string
		change func(*identity.Config)
	}{
		{"no database", func(c *identity.Config) { c.DB = nil }},
		{"no hasher", func(c *identity.Config) { c.Hasher = nil }},
		{"no clock", func(c *identity.Config) { c.Now = nil }},
		{"negative lock", func(c *identity.Config) { c.LockAfter = -1 }},
		{"negative length", func(c *identity.Config) { c.MinPassword = -1 }},
		{"no free attempt", func(c *identity.Config) { c.Throttle.PerClient = identity.Limit{Base: 1, Max: 1, Window: 1} }},
		{"no pause", func(c *identity.Config) { c.Throttle.PerLogin = identity.Limit{Free: 9, Max: 1, Window: 1} }},
		{"most below base", func(c *identity.Config) {
			c.Throttle.PerClient = identity.Limit{Free: 1, Base: time.Minute, Max: time.Second, Window: time.Hour}
		}},
		{"forgotten before the pause is over", func(c *identity.Config) {
			c.Throttle.PerClient = identity.Limit{Free: 1, Base: time.Second, Max: time.Hour, Window: time.Minute}
		}},
		{"fewer free over all addresses", func(c *identity.Config) {
			c.Throttle.PerLogin, c.Throttle.PerLogin.Free = second, 4
		}},
		{"longer pause over all addresses", func(c *identity.Config) {
			c.Throttle.PerClient, c.Throttle.PerLogin = second, second
			c.Throttle.PerLogin.Max *= 2
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clock := storagetest.NewClock()
			config := identity.Config{DB: storagetest.Faulty(nil), Hasher: newHasher(t, identity.HasherConfig{}), Now: clock.Now}
			if _, err := identity.New(config); err != nil {
				t.Fatalf("the configuration that the case spoils is refused: %v", err)
			}
			tc.change(&config)
			if s, err := identity.New(config); err == nil || s != nil {
				t.Errorf("New = %v, %v; want an error", s, err)
			}
		})
	}
}

func TestAddAndRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	now := h.clock.Now()
	u := h.addUser(identity.NewUser{
		Profile: identity.Profile{
			ExternalRef: "CRM/0042",
			Logins:      []string{"Alice", "ALICE", "alice@Example.com "},
			Attributes:  map[string]string{"phone": "+31612345678", "note": "two\nlines"},
		},
		Password: password,
	})
	want := identity.User{
		ID: u.ID,
		Profile: identity.Profile{
			ExternalRef: "CRM/0042",
			Logins:      []string{"alice", "alice@example.com"},
			Attributes:  map[string]string{"phone": "+31612345678", "note": "two\nlines"},
		},
		Status: identity.Active, PasswordSetAt: now, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if diff := cmp.Diff(want, u); diff != "" {
		t.Errorf("Add (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(u.ID, "usr_") || !u.HasPassword() {
		t.Errorf("user %+v", u)
	}
	for _, tc := range []struct {
		name string
		read func() (identity.User, error)
	}{
		{"by id", func() (identity.User, error) { return h.Get(t.Context(), u.ID) }},
		{"by login", func() (identity.User, error) { return h.ByLogin(t.Context(), "alice") }},
		{"by login in another spelling", func() (identity.User, error) { return h.ByLogin(t.Context(), " ＡLICE") }},
		{"by second login", func() (identity.User, error) { return h.ByLogin(t.Context(), "alice@example.com") }},
		{"by external reference", func() (identity.User, error) { return h.ByExternalRef(t.Context(), "CRM/0042") }},
	} {
		if got, err := tc.read(); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v\n%s", tc.name, err, cmp.Diff(want, got))
		}
	}
	for _, tc := range []struct {
		name string
		read func() (identity.User, error)
	}{
		{"by another id", func() (identity.User, error) { return h.Get(t.Context(), "usr_x") }},
		{"by another login", func() (identity.User, error) { return h.ByLogin(t.Context(), "bob") }},
		{"by an impossible login", func() (identity.User, error) { return h.ByLogin(t.Context(), "\x00") }},
		{"by another reference", func() (identity.User, error) { return h.ByExternalRef(t.Context(), "crm/0042") }},
		{"by no reference", func() (identity.User, error) { return h.ByExternalRef(t.Context(), "") }},
		{"by an impossible reference", func() (identity.User, error) {
			return h.ByExternalRef(t.Context(), strings.Repeat("x", 600))
		}},
	} {
		if got, err := tc.read(); !errors.Is(err, storage.ErrNotFound) || cmp.Diff(identity.User{}, got) != "" {
			t.Errorf("%s: %+v, %v; want ErrNotFound", tc.name, got, err)
		}
	}
}

// TestTimesSurviveTheStore: what is returned is what will be read, to the millisecond every engine keeps, in UTC.
func TestTimesSurviveTheStore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) {
		now := c.Now
		c.Now = func() time.Time { return now().In(time.FixedZone("", 3600)).Add(123456789) }
	})
	u := h.add("alice")
	if u, err := h.Lock(t.Context(), u.ID, ""); err != nil || cmp.Diff(u, h.get(u.ID)) != "" {
		t.Errorf("%v, returned and stored differ:\n%s", err, cmp.Diff(u, h.get(u.ID)))
	}
	if want := h.clock.Now().Add(123 * time.Millisecond); u.CreatedAt != want {
		t.Errorf("created at %v, want %v", u.CreatedAt, want)
	}
}

func attributes(n int, value string) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[fmt.Sprintf("key%02d", i)] = value
	}
	return m
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	one := func(key, value string) identity.NewUser {
		return identity.NewUser{Profile: identity.Profile{Logins: []string{"a"}, Attributes: map[string]string{key: value}}}
	}
	with := func(change func(*identity.NewUser)) identity.NewUser {
		n := identity.NewUser{Profile: logins("a")}
		change(&n)
		return n
	}
	many := strings.Split(strings.Repeat("x,", identity.MaxLogins)+"x", ",")
	long := strings.Repeat("k", identity.MaxAttributeKey+1)
	for _, tc := range []struct {
		name  string
		user  identity.NewUser
		field string
		kind  error
	}{
		{"no login", identity.NewUser{}, "logins", identity.ErrInvalid},
		{"too many logins", identity.NewUser{Profile: logins(many...)}, "logins", identity.ErrInvalid},
		{"empty login", identity.NewUser{Profile: logins("a", " ")}, "logins[1]", identity.ErrInvalid},
		{"invisible login", identity.NewUser{Profile: logins("a\u200b")}, "logins[0]", identity.ErrInvalid},
		{"long reference", with(func(n *identity.NewUser) { n.ExternalRef = strings.Repeat("r", 257) }), "external_ref", identity.ErrInvalid},
		{"reference of two lines", with(func(n *identity.NewUser) { n.ExternalRef = "a\nb" }), "external_ref", identity.ErrInvalid},
		{"reference not UTF-8", with(func(n *identity.NewUser) { n.ExternalRef = "\xff" }), "external_ref", identity.ErrInvalid},
		{"empty key", one("", "v"), `attributes[""]`, identity.ErrInvalid},
		{"long key", one(long, "v"), `attributes["` + long[1:] + `…"]`, identity.ErrInvalid},
		{"key of two lines", one("a\nb", "v"), `attributes["a\nb"]`, identity.ErrInvalid},
		{"long value", one("k", strings.Repeat("v", 1025)), `attributes["k"]`, identity.ErrInvalid},
		{"NUL in value", one("k", "a\x00b"), `attributes["k"]`, identity.ErrInvalid},
		{"escape in value", one("k", "\x1b[31m"), `attributes["k"]`, identity.ErrInvalid},
		{"value not UTF-8", one("k", "\xff"), `attributes["k"]`, identity.ErrInvalid},
		{"too many attributes", with(func(n *identity.NewUser) { n.Attributes = attributes(65, "") }), "attributes", identity.ErrInvalid},
		{"too large together", with(func(n *identity.NewUser) {
			n.Attributes = attributes(17, strings.Repeat("v", 1000))
		}), "attributes", identity.ErrInvalid},
		{"too large once escaped", with(func(n *identity.NewUser) {
			n.Attributes = attributes(16, strings.Repeat("<", 1000))
		}), "attributes", identity.ErrInvalid},
		{"unknown status", with(func(n *identity.NewUser) { n.Status = "asleep" }), "status", identity.ErrInvalid},
		{"long status reason", with(func(n *identity.NewUser) {
			n.StatusReason = strings.Repeat("r", 257)
		}), "status_reason", identity.ErrInvalid},
		{"short password", with(func(n *identity.NewUser) { n.Password = "1234567" }), "password", identity.ErrInvalid},
		{"short in characters", with(func(n *identity.NewUser) { n.Password = "éééé" }), "password", identity.ErrInvalid},
		{"short once composed", with(func(n *identity.NewUser) { n.Password = "e\u0301e\u0301e\u0301e\u0301" }), "password", identity.ErrInvalid},
		{"long password", with(func(n *identity.NewUser) { n.Password = strings.Repeat("p", 1025) }), "password", identity.ErrInvalid},
		{"password not UTF-8", with(func(n *identity.NewUser) { n.Password = "12345678\xff" }), "password", identity.ErrInvalid},
		{"password and hash", with(func(n *identity.NewUser) {
			n.Password, n.PasswordHash = password, argonPassword
		}), "password_hash", identity.ErrInvalid},
		{"unknown hash", with(func(n *identity.NewUser) { n.PasswordHash = "{SSHA}abc" }), "password_hash", identity.ErrHash},
		{"login taken", identity.NewUser{Profile: logins("a", "TAKEN")}, "logins[1]", storage.ErrExists},
		{"reference taken", with(func(n *identity.NewUser) { n.ExternalRef = "ref" }), "external_ref", storage.ErrExists},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.addUser(identity.NewUser{Profile: identity.Profile{Logins: []string{"taken"}, ExternalRef: "ref"}})
			before := h.items("")
			u, err := h.Add(t.Context(), tc.user)
			if !errors.Is(err, tc.kind) || fieldOf(err) != tc.field || u.ID != "" {
				t.Errorf("Add = %+v, %v (field %q); want %v in %q", u, err, fieldOf(err), tc.kind, tc.field)
			}
			if p := tc.user.Password; p != "" && strings.Contains(err.Error(), p) {
				t.Errorf("the error repeats the password: %v", err)
			}
			if diff := cmp.Diff(before, h.items("")); diff != "" {
				t.Errorf("the store changed:\n%s", diff)
			}
		})
	}
}

func newSealer(t *testing.T) storage.Sealer {
	t.Helper()
	key, err := seal.ParseKey(strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// TestLargestUser: what the limits allow fits the store, sealed, and can be changed in one transaction.
func TestLargestUser(t *testing.T) {
	t.Parallel()
	sealer := newSealer(t)
	h := newHouse(t, func(c *identity.Config) { c.Sealer = sealer })
	profile := func(c string) identity.Profile {
		p := identity.Profile{ExternalRef: strings.Repeat(c, 256), Attributes: attributes(40, strings.Repeat("\t", 400))}
		for i := range identity.MaxLogins {
			p.Logins = append(p.Logins, fmt.Sprint(i)+strings.Repeat(c, identity.MaxLogin-1))
		}
		return p
	}
	u := h.addUser(identity.NewUser{Profile: profile("a"), Password: strings.Repeat("p", 1024)})
	moved, err := h.Update(t.Context(), u.ID, 1, profile("b"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(moved, h.get(u.ID)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if _, err := h.Lock(t.Context(), u.ID, strings.Repeat("r", identity.MaxReason)); err != nil {
		t.Error(err)
	}
	if _, err := h.Unlock(t.Context(), u.ID); err != nil {
		t.Error(err)
	}
	h.accepted(moved.Logins[7], strings.Repeat("p", 1024), home)
}

// TestRecordsAreSealed: a copy of the store holds neither hashes nor attributes in the clear.
func TestRecordsAreSealed(t *testing.T) {
	t.Parallel()
	sealer := newSealer(t)
	for _, tc := range []struct {
		name   string
		sealer storage.Sealer
		want   bool
	}{{"sealed", sealer, false}, {"open", nil, true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(c *identity.Config) { c.Sealer = tc.sealer })
			h.addUser(identity.NewUser{
				Profile: identity.Profile{Logins: []string{"alice"}, Attributes: map[string]string{"phone": "0612345678"}}, Password: password,
			})
			h.accepted("alice", password, home)
			for _, secret := range []string{"$argon2id$", "0612345678"} {
				if got := h.holds(secret); got != tc.want {
					t.Errorf("%q in the store: %v", secret, got)
				}
			}
			if h.holds(password) {
				t.Error("the password is in the store")
			}
		})
	}
}

// TestUserHoldsNoSecret: a user can be encoded and printed wherever.
func TestUserHoldsNoSecret(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice")
	out := h.accepted("alice", password, home)
	data, err := json.Marshal([]any{u, out, h.get(u.ID)})
	if err != nil {
		t.Fatal(err)
	}
	text := string(data) + fmt.Sprintf("%+v %#v", u, out)
	for _, secret := range []string{"argon2", password, "redential"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows in %s", secret, text)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := make(map[string]bool)
	for i := range 25 {
		want[h.addUser(identity.NewUser{Profile: logins(fmt.Sprint("user", i))}).ID] = true
	}
	got, after, pages := make(map[string]bool), "", 0
	for {
		page, err := h.List(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, u := range page {
			if u.ID <= after {
				t.Errorf("%s follows %s", u.ID, after)
			}
			got[u.ID], after = true, u.ID
		}
		if len(page) < 10 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	for _, tc := range []struct {
		name        string
		limit, want int
	}{{"default", 0, 25}, {"negative", -1, 25}, {"beyond the most", 1 << 30, 25}, {"one", 1, 1}} {
		if page, err := h.List(t.Context(), "", tc.limit); err != nil || len(page) != tc.want {
			t.Errorf("%s: %d users, %v", tc.name, len(page), err)
		}
	}
	if page, err := newHouse(t).List(t.Context(), "", 0); err != nil || page == nil || len(page) != 0 {
		t.Errorf("of an empty store: %v, %v", page, err)
	}
}

// TestListIsCapped keeps a page within what a caller may be made to hold.
func TestListIsCapped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range identity.MaxPage + 1 {
		h.addUser(identity.NewUser{Profile: logins(fmt.Sprint("user", i))})
	}
	for _, tc := range []struct{ limit, want int }{{0, identity.DefaultPage}, {identity.MaxPage + 1, identity.MaxPage}} {
		if page, err := h.List(t.Context(), "", tc.limit); err != nil || len(page) != tc.want {
			t.Errorf("List(%d): %d users, %v; want %d", tc.limit, len(page), err, tc.want)
		}
	}
}

func TestOneWinnerForOneLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var won, lost atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			name := []string{"alice", "Alice", "ＡLICE", "aLiCe"}[i%4]
			_, err := h.Add(t.Context(), identity.NewUser{Profile: logins(fmt.Sprint("own", i), name)})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, storage.ErrExists) && fieldOf(err) == "logins[1]":
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 39 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	if page, err := h.List(t.Context(), "", 0); err != nil || len(page) != 1 {
		t.Errorf("%d users are stored, %v", len(page), err)
	}
}

// TestReadsReportFaults: a store that cannot be read is no empty store.
func TestReadsReportFaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice")
	mark := errors.New("disk on fire")
	h.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: mark})
	if _, err := h.Get(t.Context(), u.ID); !errors.Is(err, mark) {
		t.Errorf("Get: %v", err)
	}
	if _, err := h.ByLogin(t.Context(), "alice"); !errors.Is(err, mark) {
		t.Errorf("ByLogin: %v", err)
	}
	if page, err := h.List(t.Context(), "", 0); !errors.Is(err, mark) || page != nil {
		t.Errorf("List: %v, %v", page, err)
	}
}

// TestAlsoBelongsToTheTransaction: what refuses there keeps the user out, and what it wrote is there with the user only.
func TestAlsoBelongsToTheTransaction(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mark, asked := errors.New("not this one"), ""
	n := identity.NewUser{Profile: logins("alice"), Also: func(tx storage.Tx, userID string) error {
		asked = userID
		return errors.Join(tx.Put(storage.Item{Key: "beside/" + userID, Value: []byte("x")}), mark)
	}}
	if _, err := h.Add(t.Context(), n); !errors.Is(err, mark) || len(h.items("")) != 0 {
		t.Fatalf("%v, %v", err, h.items(""))
	}
	n.Also = func(tx storage.Tx, userID string) error {
		return tx.Put(storage.Item{Key: "beside/" + userID, Value: []byte("x")})
	}
	u, err := h.Add(t.Context(), n)
	if err != nil || asked == "" || len(h.items("beside/"+u.ID)) != 1 {
		t.Errorf("%v", err)
	}
}

func TestActive(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ask := func(id string) error {
		return h.db.View(t.Context(), func(tx storage.Tx) error { return h.Active(tx, id) })
	}
	u := h.add("alice")
	if err := ask(u.ID); err != nil {
		t.Errorf("active: %v", err)
	}
	if err := ask("usr_nobody"); !errors.Is(err, mobileauth.ErrInactive) {
		t.Errorf("nobody: %v", err)
	}
	for name, do := range map[string]func() (identity.User, error){
		"locked":      func() (identity.User, error) { return h.Lock(t.Context(), u.ID, "") },
		"deactivated": func() (identity.User, error) { return h.Deactivate(t.Context(), h.add("bob").ID, "") },
		"deleted":     func() (identity.User, error) { return h.Delete(t.Context(), h.add("carol").ID, 1) },
	} {
		got, err := do()
		if err != nil || !errors.Is(ask(got.ID), mobileauth.ErrInactive) {
			t.Errorf("%s: %v, %v", name, err, ask(got.ID))
		}
	}
	if _, err := h.Unlock(t.Context(), u.ID); err != nil || ask(u.ID) != nil {
		t.Errorf("unlocked: %v", err)
	}
}
