// SPDX-License-Identifier: Apache-2.0

package headerauth_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/headerauth"
)

// messageMissing is what people read who do not come through the proxy.
const messageMissing = "login.header"

func newHeader(t testing.TB, also ...string) *headerauth.Authenticator {
	t.Helper()
	a, err := headerauth.New(headerauth.Config{Name: "x-remote-user", Also: also, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newModule(t testing.TB, m realm.Mapping) *headerauth.Module {
	t.Helper()
	module, err := headerauth.NewModule(m)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func headers(pairs ...string) map[string][]string {
	all := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = append(all[pairs[i]], pairs[i+1])
	}
	return all
}

func TestCollectReadsTheField(t *testing.T) {
	t.Parallel()
	in := realm.Input{
		Proxied: true, ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a",
		Headers: headers("X-Remote-User", " räksmörgås ", "X-Remote-Mail", "r@example.com", "X-Remote-Team", "a", "X-Remote-Team", "b",
			"X-Remote-Name", "a\xffb", "X-Other", "other"),
	}
	credentials, challenge, err := newHeader(t, "X-Remote-Mail", "x-remote-team", "X-Remote-Name", "X-Remote-Phone").Collect(t.Context(), in)
	if err != nil || challenge != nil {
		t.Fatalf("Collect = %v, %v, want credentials", challenge, err)
	}
	want := realm.Credentials{
		Values: map[string]string{"username": "räksmörgås"}, ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a",
		Identity: &realm.Identity{
			ExternalID: "räksmörgås",
			Attributes: map[string]string{"X-Remote-User": "räksmörgås", "X-Remote-Mail": "r@example.com"},
		},
	}
	if diff := cmp.Diff(want, credentials); diff != "" {
		t.Errorf("unexpected credentials (-want +got):\n%s", diff)
	}
}

// TestTrap1NobodyIsWhoHeSaysHeIs: what a client sends by itself, and what no field can hold, is as if it were not there.
func TestTrap1NobodyIsWhoHeSaysHeIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   realm.Input
	}{
		{"no field", realm.Input{Proxied: true}},
		{"not from a trusted proxy", realm.Input{Headers: headers("X-Remote-User", "alice")}},
		{"a field of another name", realm.Input{Proxied: true, Headers: headers("X-Remote_user", "alice", "X-Remote-User2", "alice")}},
		{"an answer instead of a field", realm.Input{Proxied: true, Fields: map[string]string{"X-Remote-User": "alice", "username": "alice"}}},
		{"two fields", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "mallory", "X-Remote-User", "alice")}},
		{"the same one twice", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "alice", "X-Remote-User", "alice")}},
		{"an empty field", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "")}},
		{"spaces", realm.Input{Proxied: true, Headers: headers("X-Remote-User", " \t ")}},
		{"a field that is too long", realm.Input{Proxied: true, Headers: headers("X-Remote-User", strings.Repeat("a", headerauth.MaxValue+1))}},
		{"a control character", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "alice\x00")}},
		{"a tab inside", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "alice\tadmin")}},
		{"a line end", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "alice\r\nX-Admin: 1")}},
		{"no UTF-8", realm.Input{Proxied: true, Headers: headers("X-Remote-User", "alic\xe9")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			credentials, challenge, err := newHeader(t).Collect(t.Context(), tt.in)
			if err != nil || challenge == nil {
				t.Fatalf("Collect = %v, %v, want a challenge", challenge, err)
			}
			if diff := cmp.Diff(&realm.Challenge{Message: messageMissing}, challenge); diff != "" {
				t.Errorf("unexpected challenge (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(realm.Credentials{}, credentials); diff != "" {
				t.Errorf("credentials beside a challenge: %s", diff)
			}
		})
	}
}

// An operator who has forgotten to name the proxy, and one whose field is forged, find out; who was named stays out of the log.
func TestFieldsFromElsewhereAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a, err := headerauth.New(headerauth.Config{Name: "X-Remote-User", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []realm.Input{{}, {Proxied: true, Headers: headers("X-Remote-User", "alice")}} {
		if _, _, err := a.Collect(t.Context(), in); err != nil || log.Len() > 0 {
			t.Fatalf("it says %q (%v) of nothing", log.String(), err)
		}
	}
	if _, _, err := a.Collect(t.Context(), realm.Input{ClientIP: "192.0.2.7", Headers: headers("X-Remote-User", "alice")}); err != nil {
		t.Fatal(err)
	}
	if said := log.String(); !strings.Contains(said, "X-Remote-User") || !strings.Contains(said, "192.0.2.7") || strings.Contains(said, "alice") {
		t.Errorf("the log says %q", said)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	read := func(pairs ...string) *realm.Identity {
		identity := &realm.Identity{ExternalID: pairs[1], Attributes: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			identity.Attributes[pairs[i]] = pairs[i+1]
		}
		return identity
	}
	refused := func(reason string) realm.Result { return realm.Result{Status: realm.Refused, Reason: reason} }
	accepted := func(i realm.Identity) realm.Result { return realm.Result{Status: realm.Accepted, Identity: i} }
	full := realm.Mapping{
		Name: "x-remote-name", Attributes: map[string]string{"email": "x-remote-mail", "login": "X-Remote-User"}, AMR: []string{"wia"},
	}
	for _, tt := range []struct {
		name    string
		mapping realm.Mapping
		given   *realm.Identity
		want    realm.Result
	}{
		{"the authenticator's own field", realm.Mapping{}, read("X-Remote-User", "alice"), accepted(realm.Identity{ExternalID: "alice"})},
		{"everything", full, read("X-Remote-User", "alice", "X-Remote-Name", "Alice", "X-Remote-Mail", "a@example.com"),
			accepted(realm.Identity{
				ExternalID: "alice", Name: "Alice", AMR: []string{"wia"},
				Attributes: map[string]string{"email": "a@example.com", "login": "alice"},
			})},
		{"another field is the id", realm.Mapping{ID: "x-remote-id"}, read("X-Remote-User", "alice", "X-Remote-Id", "4711"),
			accepted(realm.Identity{ExternalID: "4711"})},
		{"the field of the id is absent", realm.Mapping{ID: "x-remote-id"}, read("X-Remote-User", "alice"), refused("unusable_id")},
		{"an id that is too long to keep", realm.Mapping{}, read("X-Remote-User", strings.Repeat("a", realm.MaxExternalID+1)), refused("unusable_id")},
		{"an authenticator that knows nobody", realm.Mapping{}, nil, refused("no_header")},
		{"an authenticator that knows no id", realm.Mapping{}, &realm.Identity{Subject: "usr_a"}, refused("no_header")},
		{"an id without fields", full, &realm.Identity{ExternalID: "alice"}, accepted(realm.Identity{ExternalID: "alice", AMR: []string{"wia"}})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := newModule(t, tt.mapping).Verify(t.Context(), realm.Credentials{
				Identity: tt.given, Values: map[string]string{"username": "mallory", "X-Remote-User": "mallory", "X-Remote-Id": "1"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected result (-want +got):\n%s", diff)
			}
		})
	}
}

// links makes a subject of every id, as the identity store does.
type links struct{}

func (links) Link(_ context.Context, users string, who realm.Identity) (string, error) {
	return fmt.Sprintf("usr_%s_%s", users, who.ExternalID), nil
}

func newEngine(t testing.TB, identity []string, a realm.Authenticator, m realm.LoginModule) *realm.Engine {
	t.Helper()
	form, err := formauth.New(formauth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "entrance", Authenticator: a, LoginModule: m, MaxAge: time.Hour},
			{Name: "password", Authenticator: form, LoginModule: m, MaxAge: time.Hour},
		},
		Identity: identity, Linker: links{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// TestTrap4AFormIsNoHeader: the login module behind a form would let everybody in as anybody, so it lets nobody in.
func TestTrap4AFormIsNoHeader(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, []string{"password"}, newHeader(t), newModule(t, realm.Mapping{}))
	attempt, err := engine.Try(t.Context(), "password", realm.Input{
		Proxied: true, Headers: headers("X-Remote-User", "alice"),
		Fields: map[string]string{"username": "alice", "password": "anything", "X-Remote-User": "alice"},
	})
	if err != nil || attempt.Result.Status != realm.Refused {
		t.Errorf("Try = %+v, %v, want a refusal", attempt, err)
	}
}

// TestTrap11TheContextIsNotTheNextUsers: where a session is Alice's, a header that names Bob proves nothing for it.
func TestTrap11TheContextIsNotTheNextUsers(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, []string{"password"}, newHeader(t), newModule(t, realm.Mapping{}))
	for who, want := range map[string]realm.Status{"alice": realm.Accepted, "bob": realm.Refused} {
		attempt, err := engine.Try(t.Context(), "entrance", realm.Input{
			Proxied: true, Headers: headers("X-Remote-User", who), Subject: "usr_entrance_alice",
		})
		if err != nil || attempt.Result.Status != want {
			t.Errorf("%s: Try = %+v, %v, want %s", who, attempt, err, want)
		}
	}
}

func TestNewRefusesWhatIsNoField(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	for _, tt := range []struct {
		name   string
		config headerauth.Config
		says   string
	}{
		{"no logger", headerauth.Config{Name: "X-User"}, "logger"},
		{"no name", headerauth.Config{Logger: logger}, `""`},
		{"a name with a space", headerauth.Config{Logger: logger, Name: "X User"}, `"X User"`},
		{"a name with a colon", headerauth.Config{Logger: logger, Name: "X-User:"}, `"X-User:"`},
		{"a name that is not ASCII", headerauth.Config{Logger: logger, Name: "X-Usér"}, "no name"},
		{"a long name", headerauth.Config{Logger: logger, Name: strings.Repeat("X", 129)}, "no name"},
		{"what every client sends", headerauth.Config{Logger: logger, Name: "user-agent"}, `"User-Agent"`},
		{"credentials of another kind", headerauth.Config{Logger: logger, Name: "authorization"}, `"Authorization"`},
		{"cookies", headerauth.Config{Logger: logger, Name: "X-User", Also: []string{"cookie"}}, `"Cookie"`},
		{"another name that is none", headerauth.Config{Logger: logger, Name: "X-User", Also: []string{""}}, `""`},
		{"one field twice", headerauth.Config{Logger: logger, Name: "X-User", Also: []string{"x-user"}}, "twice"},
		{"another field twice", headerauth.Config{Logger: logger, Name: "X-User", Also: []string{"X-A", "x-a"}}, "twice"},
		{"too many", headerauth.Config{Logger: logger, Name: "X-User", Also: strings.Split(strings.Repeat("a", 16), "")}, "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := headerauth.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New = %v, want an error about %s", err, tt.says)
			}
		})
	}
}

func TestNewModuleRefusesWhatIsNoField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		mapping realm.Mapping
		says    string
	}{
		{"id", realm.Mapping{ID: "X User"}, `"X User"`},
		{"the key of the authenticator's own id", realm.Mapping{ID: ":id"}, `":id"`},
		{"name", realm.Mapping{Name: "cookie"}, `"Cookie"`},
		{"attribute", realm.Mapping{Attributes: map[string]string{"email": "a b"}}, `attribute "email"`},
		{"attribute without a name", realm.Mapping{Attributes: map[string]string{"": "X-A"}}, `attribute ""`},
		{"method", realm.Mapping{AMR: []string{"a b"}}, `"a b"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := headerauth.NewModule(tt.mapping); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("NewModule = %v, want an error about %s", err, tt.says)
			}
		})
	}
}

// Whatever a field holds: what is handed over is one printable line of it, and only of a trusted proxy's.
func FuzzCollect(f *testing.F) {
	f.Add("alice", "", true)
	f.Add("alice", "bob", true)
	f.Add("al\x00ice", "", true)
	f.Add(strings.Repeat("a", 2000), "", true)
	f.Add("alice", "", false)
	f.Fuzz(func(t *testing.T, first, second string, proxied bool) {
		in := realm.Input{Proxied: proxied, Headers: map[string][]string{"X-Remote-User": {first}}}
		if second != "" {
			in.Headers["X-Remote-User"] = []string{first, second}
		}
		credentials, challenge, err := newHeader(t).Collect(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if challenge != nil {
			return
		}
		id := credentials.Identity.ExternalID
		if !proxied || second != "" || id == "" || id != strings.Trim(first, " \t") || strings.ContainsAny(id, "\x00\r\n\t") || len(id) > headerauth.MaxValue {
			t.Errorf("%q and %q (proxied: %v) are %q", first, second, proxied, id)
		}
	})
}
