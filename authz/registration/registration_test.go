// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const month = 30 * 24 * time.Hour

// world is a store of instances and what it is made of.
type world struct {
	*testing.T
	*registration.Store
	clock   *storagetest.Clock
	db      *storagetest.FaultyDB
	revoked []authz.Revocation
	keys    []byte // that instances register
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// everywhere runs a test over every engine.
func everywhere(t *testing.T, run func(w *world)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T, now func() time.Time) (storage.DB, error){
		"memory": func(_ *testing.T, now func() time.Time) (storage.DB, error) {
			return memstore.Open(memstore.Config{Now: now})
		},
		"badger": func(t *testing.T, now func() time.Time) (storage.DB, error) {
			return badgerstore.Open(t.Context(), badgerstore.Config{Dir: t.TempDir(), Now: now, Logger: slog.New(slog.DiscardHandler)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := storagetest.NewClock()
			db, err := open(t, clock.Now)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			run(newWorld(t, clock, db))
		})
	}
}

func newWorld(t *testing.T, clock *storagetest.Clock, db storage.DB) *world {
	t.Helper()
	w := &world{T: t, clock: clock, db: storagetest.Faulty(db)}
	key, err := jose.GenerateKey(jose.ES256)
	w.ok(err)
	w.keys, err = jose.MarshalSet([]jose.PublicKey{key.Public()})
	w.ok(err)
	c := w.config()
	w.Store, err = registration.NewStore(c)
	w.ok(err)
	return w
}

func (w *world) config() registration.Config {
	w.Helper()
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("thirty-two bytes of a test's key")})
	w.ok(err)
	grants, err := authz.NewStore(w.db, sealer, w.clock.Now)
	w.ok(err)
	trail, err := audit.New(audit.Config{DB: w.db, Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	w.ok(err)
	reader := &metadata.Reader{Issuer: "https://auth.example.com", Now: w.clock.Now}
	for _, id := range []string{"bank", "meter"} {
		reader.Applications = append(reader.Applications, &metadata.Application{ID: id, Terms: authz.Client{
			Name: "The app", Grants: []authz.GrantType{authz.GrantClientCredentials}, Scopes: oauth.Scopes{"read"}, Audience: []string{"a"}, AccessTTL: time.Minute,
		}})
	}
	return registration.Config{
		DB: w.db, Grants: grants, Reader: reader, Trail: trail, Unused: month,
		Revoke: func(r ...authz.Revocation) { w.revoked = append(w.revoked, r...) },
	}
}

func (w *world) says(change ...func(*metadata.Metadata)) metadata.Metadata {
	m := metadata.Metadata{SoftwareID: "bank", Scope: "read", GrantTypes: []string{"client_credentials"}, JWKS: w.keys}
	for _, f := range change {
		f(&m)
	}
	return m
}

// register registers an instance that anyone may.
func (w *world) register(change ...func(*metadata.Metadata)) (registration.Instance, string) {
	w.Helper()
	i, token, err := w.Register(w.Context(), w.says(change...), registration.Admission{ClientIP: "192.0.2.1"})
	w.ok(err)
	return i, token
}

func (w *world) issue(uses int) (registration.InitialToken, string) {
	w.Helper()
	t, value, err := w.Issue(w.Context(), registration.Order{Application: "bank", Note: "for the shop", Uses: uses, TTL: time.Hour})
	w.ok(err)
	return t, value
}

// wantErr checks what an error is.
func (w *world) wantErr(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: the error is %v, want %v", what, err, want)
	}
}

// events are the stored events, in words.
func (w *world) events() (all []string) {
	w.Helper()
	events, err := w.Trail.List(w.Context(), time.Time{}, 0)
	w.ok(err)
	for _, e := range events {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Name, e.Outcome, e.By, e.Reason)))
	}
	return all
}

func TestAnInstanceComesAndGoes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		ctx := audit.WithActor(w.Context(), audit.Actor{By: "somebody", ClientIP: "192.0.2.1"})
		i, token, err := w.Register(ctx, w.says(), registration.Admission{ClientIP: "192.0.2.1"})
		w.ok(err)
		other, _ := w.register()
		if !strings.HasPrefix(i.ID, authz.InstancePrefix) || i.ID == other.ID || strings.Contains(fmt.Sprintf("%+v", i), token) || len(token) < 43 {
			w.Fatalf("registered are %+v and %+v", i, other)
		}
		found, err := w.Client(w.Context(), i.ID)
		w.ok(err)
		if found.ID != i.ID || !found.Registered || found.Auth != authz.AuthPrivateKeyJWT || found.Name != "The app" || len(found.Keys) != 1 {
			w.Errorf("the client is %+v", found)
		}
		read, err := w.Open(w.Context(), i.ID, token)
		w.ok(err)
		if diff := cmp.Diff(i, read); diff != "" {
			w.Errorf("the instance (-registered +read):\n%s", diff)
		}
		w.clock.Advance(time.Hour)
		m := w.says(func(m *metadata.Metadata) { m.SoftwareVersion = "2" })
		updated, next, err := w.Update(w.Context(), i.ID, token, m)
		w.ok(err)
		want := i
		want.Metadata, want.TokenHash, want.UpdatedAt = m, updated.TokenHash, w.Grants.Now()
		if diff := cmp.Diff(want, updated); diff != "" || next == token || updated.TokenHash == i.TokenHash {
			w.Errorf("updated (-want +got):\n%s", diff)
		}
		_, err = w.Open(w.Context(), i.ID, token)
		w.wantErr("the token from before", err, registration.ErrToken)
		w.wantErr("deleting with the token from before", w.Delete(w.Context(), i.ID, token), registration.ErrToken)
		w.ok(w.Delete(w.Context(), i.ID, next))
		_, err = w.Client(w.Context(), i.ID)
		w.wantErr("the client after that", err, storage.ErrNotFound)
		_, err = w.Open(w.Context(), i.ID, next)
		w.wantErr("its token after that", err, registration.ErrToken)
		w.wantErr("deleting again", w.Delete(w.Context(), i.ID, next), registration.ErrToken)
		if len(w.revoked) != 1 || w.revoked[0].Kind != authz.KindClient || w.revoked[0].Target != i.ID {
			w.Errorf("revoked is %+v", w.revoked)
		}
		if _, err := w.Client(w.Context(), other.ID); err != nil {
			w.Errorf("the other one: %v", err)
		}
		log, err := w.Grants.RevocationsSince(w.Context(), time.Time{})
		w.ok(err)
		if diff := cmp.Diff(w.revoked, log); diff != "" {
			w.Errorf("the log of revocations (-applied +log):\n%s", diff)
		}
		trail := []string{"client.register accepted somebody anyone", "client.register accepted  anyone", "client.update accepted", "client.delete accepted  itself"}
		got := w.events()
		slices.Sort(trail)
		slices.Sort(got)
		if diff := cmp.Diff(trail, got); diff != "" {
			w.Errorf("the trail (-want +got):\n%s", diff)
		}
	})
}

// RFC 7592 2.1: nobody learns by a token of his whether there is another client.
func TestTokensOpenTheirOwnInstance(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		i, token := w.register()
		other, _ := w.register()
		for _, tt := range []struct{ name, id, token string }{
			{"another instance", other.ID, token}, {"an instance that there is not", "ins_x", token}, {"nothing", "", ""}, {"no token", i.ID, ""},
			{"the hash", i.ID, i.TokenHash}, {"almost the token", i.ID, token[1:]}, {"somebody's client", "portal", token},
		} {
			_, err := w.Open(w.Context(), tt.id, tt.token)
			w.wantErr("reading "+tt.name, err, registration.ErrToken)
			_, _, err = w.Update(w.Context(), tt.id, tt.token, w.says())
			w.wantErr("updating "+tt.name, err, registration.ErrToken)
			w.wantErr("deleting "+tt.name, w.Delete(w.Context(), tt.id, tt.token), registration.ErrToken)
		}
		_, _, err := w.Update(w.Context(), i.ID, token, w.says(func(m *metadata.Metadata) { m.SoftwareID = "meter" }))
		w.wantErr("becoming another application", err, registration.ErrToken)
		if _, err := w.Open(w.Context(), i.ID, token); err != nil {
			w.Errorf("after all that: %v", err)
		}
	})
}

func TestInitialTokens(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		issued, value := w.issue(2)
		if strings.Contains(fmt.Sprintf("%+v", issued), strings.SplitN(value, ".", 2)[1]) {
			w.Error("what is kept tells the token")
		}
		by := registration.Admission{Initial: value}
		for range 2 {
			i, _, err := w.Register(w.Context(), w.says(), by)
			w.ok(err)
			if i.InitialToken != issued.ID {
				w.Errorf("admitted by %q", i.InitialToken)
			}
		}
		_, _, err := w.Register(w.Context(), w.says(), by)
		w.wantErr("a third one", err, registration.ErrSpent)
		w.wantErr("to whoever asks", err, registration.ErrToken)
		_, err = w.Initial(w.Context(), value)
		w.wantErr("looking at it", err, registration.ErrSpent)
		all, err := w.InitialTokens(w.Context(), "", 0)
		w.ok(err)
		issued.Used = 2
		if diff := cmp.Diff([]registration.InitialToken{issued}, all); diff != "" {
			w.Errorf("the tokens (-want +got):\n%s", diff)
		}
		found, err := w.List(w.Context(), registration.Query{InitialToken: issued.ID})
		w.ok(err)
		if len(found) != 2 {
			w.Errorf("%d instances are listed", len(found))
		}

		_, fresh := w.issue(5)
		for name, tt := range map[string]registration.Admission{
			"no token": {Initial: "x"}, "its id alone": {Initial: strings.SplitN(fresh, ".", 2)[0]}, "another secret": {Initial: fresh + "x"},
			"another prefix": {Initial: "ats_" + fresh[4:]},
		} {
			_, err := w.Initial(w.Context(), tt.Initial)
			w.wantErr(name, err, registration.ErrToken)
			_, _, err = w.Register(w.Context(), w.says(), tt)
			w.wantErr(name, err, registration.ErrToken)
		}
		_, _, err = w.Register(w.Context(), w.says(func(m *metadata.Metadata) { m.SoftwareID = "meter" }), registration.Admission{Initial: fresh})
		w.wantErr("another application", err, registration.ErrToken)
		w.clock.Advance(time.Hour)
		_, err = w.Initial(w.Context(), fresh)
		w.wantErr("after its time", err, registration.ErrToken)
		_, _, err = w.Register(w.Context(), w.says(), registration.Admission{Initial: fresh})
		w.wantErr("after its time", err, registration.ErrToken)
	})
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		issued, value := w.issue(2)
		i, token, err := w.Register(w.Context(), w.says(), registration.Admission{Initial: value, Authority: "https://vendor"})
		w.ok(err)
		w.ok(w.Withdraw(w.Context(), issued.ID))
		_, _, err = w.Register(w.Context(), w.says(), registration.Admission{Initial: value})
		w.wantErr("registering", err, registration.ErrToken)
		w.wantErr("withdrawing again", w.Withdraw(w.Context(), issued.ID), storage.ErrNotFound)
		if _, err := w.Open(w.Context(), i.ID, token); err != nil {
			w.Errorf("whom it had admitted: %v", err)
		}
		want := []string{"client_token.issue accepted  application:bank", "client.register accepted  token and statement", "client_token.revoke accepted"}
		got := w.events()
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("the trail (-want +got):\n%s", diff)
		}
	})
}

func TestOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storagetest.NewClock(), memory(t))
	good := registration.Order{Application: "bank", Uses: 1, TTL: time.Second}
	for name, change := range map[string]func(*registration.Order){
		"no application": func(o *registration.Order) { o.Application = "" }, "an unknown application": func(o *registration.Order) { o.Application = "other" },
		"no use": func(o *registration.Order) { o.Uses = 0 }, "too many uses": func(o *registration.Order) { o.Uses = registration.MaxUses + 1 },
		"no life": func(o *registration.Order) { o.TTL = 0 }, "too long a life": func(o *registration.Order) { o.TTL = registration.MaxTokenTTL + 1 },
		"a long note": func(o *registration.Order) { o.Note = strings.Repeat("n", registration.MaxNote+1) },
	} {
		o := good
		change(&o)
		_, value, err := w.Issue(t.Context(), o)
		w.wantErr(name, err, registration.ErrOrder)
		if value != "" {
			t.Errorf("%s: there is a token", name)
		}
	}
	if _, _, err := w.Issue(t.Context(), good); err != nil {
		t.Error(err)
	}
}

func memory(t *testing.T) storage.DB {
	t.Helper()
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// An instance that is used stays, one that nobody uses goes by itself, and with it every way to it.
func TestUnusedInstancesAreForgotten(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		used, _ := w.register()
		unused, token := w.register()
		day := 24 * time.Hour
		w.ok(w.Used(w.Context(), used.ID))
		w.ok(w.Used(w.Context(), unused.ID))
		for range 40 {
			w.clock.Advance(day)
			w.ok(w.Used(w.Context(), used.ID))
		}
		if _, err := w.Client(w.Context(), used.ID); err != nil {
			w.Errorf("the one that is used: %v", err)
		}
		_, err := w.Client(w.Context(), unused.ID)
		w.wantErr("the one that is not", err, storage.ErrNotFound)
		_, err = w.Open(w.Context(), unused.ID, token)
		w.wantErr("its token", err, registration.ErrToken)
		w.wantErr("using it", w.Used(w.Context(), unused.ID), storage.ErrNotFound)
		for _, q := range []registration.Query{{}, {Application: "bank"}} {
			left, err := w.List(w.Context(), q)
			w.ok(err)
			if len(left) != 1 || left[0].ID != used.ID {
				w.Errorf("left are %+v", left)
			}
		}
	})
}

// TestNeverUsed: who registers and never authenticates is forgotten in a day, however long the unused stay.
func TestNeverUsed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		never, _ := w.register()
		used, _ := w.register()
		w.clock.Advance(registration.Trial - time.Second)
		if _, err := w.Client(w.Context(), never.ID); err != nil {
			w.Errorf("within the day: %v", err)
		}
		w.ok(w.Used(w.Context(), used.ID))
		w.clock.Advance(time.Second)
		_, err := w.Client(w.Context(), never.ID)
		w.wantErr("the one that was never used", err, storage.ErrNotFound)
		if _, err := w.Client(w.Context(), used.ID); err != nil {
			w.Errorf("the one that was: %v", err)
		}
	})
}

// Using an instance costs a write once a day.
func TestUsedWritesSeldom(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, clock, db)
	i, _ := w.register()
	w.ok(w.Used(t.Context(), i.ID))
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrClosed})
	w.clock.Advance(24*time.Hour - time.Millisecond)
	w.ok(w.Used(t.Context(), i.ID))
	w.clock.Advance(time.Millisecond)
	w.wantErr("a day later", w.Used(t.Context(), i.ID), storage.ErrClosed)
}

func TestListGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storagetest.NewClock(), memory(t))
	var ids []string
	for n := range 5 {
		i, _ := w.register(func(m *metadata.Metadata) {
			if n == 4 {
				m.SoftwareID = "meter"
			}
		})
		ids = append(ids, i.ID)
	}
	bank := slices.Sorted(slices.Values(ids[:4]))
	var got []string
	for after := ""; ; {
		page, err := w.List(t.Context(), registration.Query{Application: "bank", After: after, Limit: 3})
		w.ok(err)
		if len(page) == 0 {
			break
		}
		for _, i := range page {
			got = append(got, i.ID)
		}
		after = page[len(page)-1].ID
	}
	if diff := cmp.Diff(bank, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		i, token := w.register()
		ctx := audit.WithActor(w.Context(), audit.Actor{By: "operator"})
		w.ok(w.Remove(ctx, i.ID))
		w.wantErr("again", w.Remove(ctx, i.ID), storage.ErrNotFound)
		_, err := w.Open(w.Context(), i.ID, token)
		w.wantErr("its token", err, registration.ErrToken)
		if len(w.revoked) != 1 || !slices.Contains(w.events(), "client.delete accepted operator operator") {
			w.Errorf("revoked is %v, the trail %q", w.revoked, w.events())
		}
	})
}

// race runs two transitions at once and returns how many went well.
func race(t *testing.T, transitions ...func() error) (won int) {
	t.Helper()
	var group sync.WaitGroup
	results := make([]error, len(transitions))
	start := make(chan struct{})
	for n, transition := range transitions {
		group.Go(func() { <-start; results[n] = transition() })
	}
	close(start)
	group.Wait()
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, registration.ErrToken):
			t.Errorf("the other one gets %v", err)
		}
	}
	return won
}

func TestRacesHaveOneWinner(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		for range 20 {
			i, token := w.register()
			remove := func() error { return w.Delete(w.Context(), i.ID, token) }
			update := func() error {
				_, _, err := w.Update(w.Context(), i.ID, token, w.says())
				return err
			}
			if won := race(w.T, update, remove); won != 1 {
				w.Errorf("an update against a deletion: %d win", won)
			}
			i, token = w.register()
			if won := race(w.T, remove, remove); won != 1 {
				w.Errorf("two deletions: %d win", won)
			}
			_, value := w.issue(1)
			register := func() error {
				_, _, err := w.Register(w.Context(), w.says(), registration.Admission{Initial: value})
				return err
			}
			if won := race(w.T, register, register, register); won != 1 {
				w.Errorf("a token for one: %d win", won)
			}
		}
	})
}

// What a store fails at is neither a wrong token nor a client that there is not, and leaves nothing behind.
func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storagetest.NewClock(), memory(t))
	i, token := w.register()
	_, value := w.issue(1)
	before := len(w.events())
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"registering", func(ctx context.Context) error {
			_, _, err := w.Register(ctx, w.says(), registration.Admission{Initial: value})
			return err
		}},
		{"updating", func(ctx context.Context) error { _, _, err := w.Update(ctx, i.ID, token, w.says()); return err }},
		{"deleting", func(ctx context.Context) error { return w.Delete(ctx, i.ID, token) }},
		{"removing", func(ctx context.Context) error { return w.Remove(ctx, i.ID) }},
		{"issuing", func(ctx context.Context) error {
			_, _, err := w.Issue(ctx, registration.Order{Application: "bank", Uses: 1, TTL: time.Hour})
			return err
		}},
		{"withdrawing", func(ctx context.Context) error { return w.Withdraw(ctx, strings.SplitN(value, ".", 2)[0]) }},
		{"using", func(ctx context.Context) error { return w.Used(ctx, i.ID) }},
		{"opening", func(ctx context.Context) error { _, err := w.Open(ctx, i.ID, token); return err }},
		{"looking at a token", func(ctx context.Context) error { _, err := w.Initial(ctx, value); return err }},
		{"listing tokens", func(ctx context.Context) error { _, err := w.InitialTokens(ctx, "", 0); return err }},
		{"listing", func(ctx context.Context) error { _, err := w.List(ctx, registration.Query{}); return err }},
		{"finding the client", func(ctx context.Context) error { _, err := w.Client(ctx, i.ID); return err }},
	} {
		for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate} {
			w.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrUnavailable})
		}
		w.wantErr(tt.name, tt.do(t.Context()), storage.ErrUnavailable)
		w.db.Clear()
	}
	if len(w.events()) != before || len(w.revoked) != 0 {
		t.Errorf("the trail is %q, revoked %v", w.events(), w.revoked)
	}
	if _, _, err := w.Register(t.Context(), w.says(), registration.Admission{Initial: value}); err != nil {
		t.Errorf("the use was spent: %v", err)
	}
}

func TestNewStoreRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storagetest.NewClock(), memory(t))
	for name, spoil := range map[string]func(*registration.Config){
		"store": func(c *registration.Config) { c.DB = nil }, "grants": func(c *registration.Config) { c.Grants = nil },
		"reader": func(c *registration.Config) { c.Reader = nil }, "trail": func(c *registration.Config) { c.Trail = nil },
		"revocations": func(c *registration.Config) { c.Revoke = nil },
		"time":        func(c *registration.Config) { c.Unused = registration.MinUnused - 1 },
	} {
		c := w.config()
		spoil(&c)
		if _, err := registration.NewStore(c); err == nil {
			t.Errorf("it works without %s", name)
		}
	}
	c := w.config()
	c.Unused = 0
	s, err := registration.NewStore(c)
	w.ok(err)
	if s.Unused != registration.DefaultUnused {
		t.Errorf("the default is %s", s.Unused)
	}
}

// An instance whose application is taken out of the configuration is no client, and is one again when that comes back.
func TestTheApplicationIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storagetest.NewClock(), memory(t))
	i, _ := w.register()
	w.Reader.Applications = w.Reader.Applications[1:]
	_, err := w.Client(t.Context(), i.ID)
	w.wantErr("the client", err, storage.ErrNotFound)
}
