// SPDX-License-Identifier: Apache-2.0

package formauth_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
)

var (
	username = realm.Field{Name: "username", Label: "field.username", Type: "text", Autocomplete: "username", Required: true}
	password = realm.Field{Name: "password", Label: "field.password", Type: "password", Autocomplete: "current-password", Required: true}
)

func newForm(t testing.TB, c formauth.Config) *formauth.Authenticator {
	t.Helper()
	form, err := formauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

// with returns a field with a value.
func with(f realm.Field, value string) realm.Field {
	f.Value = value
	return f
}

func TestCollectAsksUntilEverythingIsThere(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", formauth.MaxAnswer+1)
	for _, tt := range []struct {
		name string
		in   realm.Input
		want realm.Challenge
	}{
		{"first round", realm.Input{}, realm.Challenge{Fields: []realm.Field{username, password}}},
		{"with a hint", realm.Input{Hint: "alice"}, realm.Challenge{Fields: []realm.Field{with(username, "alice"), password}}},
		{"with a hint that is too long", realm.Input{Hint: strings.Repeat("a", 257)},
			realm.Challenge{Fields: []realm.Field{username, password}}},
		{"with a hint that is no text", realm.Input{Hint: "a\x00b"}, realm.Challenge{Fields: []realm.Field{username, password}}},
		{"a known user", realm.Input{Subject: "usr_a", Hint: "alice"}, realm.Challenge{Fields: []realm.Field{password}}},
		{"an empty form", realm.Input{Fields: map[string]string{}},
			realm.Challenge{Fields: []realm.Field{username, password}, Message: "login.missing"}},
		{"an empty form with a hint", realm.Input{Hint: "alice", Fields: map[string]string{"username": ""}},
			realm.Challenge{Fields: []realm.Field{username, password}, Message: "login.missing"}},
		{"no password", realm.Input{Fields: map[string]string{"username": "alice"}},
			realm.Challenge{Fields: []realm.Field{with(username, "alice"), password}, Message: "login.missing"}},
		{"no user name", realm.Input{Fields: map[string]string{"password": "secret"}},
			realm.Challenge{Fields: []realm.Field{username, password}, Message: "login.missing"}},
		{"a user name that is too long", realm.Input{Fields: map[string]string{"username": long, "password": "secret"}},
			realm.Challenge{Fields: []realm.Field{username, password}, Message: "login.missing"}},
		{"a password that is no text", realm.Input{Fields: map[string]string{"username": "alice", "password": "a\xffb"}},
			realm.Challenge{Fields: []realm.Field{with(username, "alice"), password}, Message: "login.missing"}},
		{"a known user", realm.Input{Subject: "usr_a", Hint: "alice"}, realm.Challenge{Fields: []realm.Field{password}}},
		{"a known user, for a module that needs the login name", realm.Input{Subject: "usr_a", Hint: "alice", NeedsLogin: true},
			realm.Challenge{Fields: []realm.Field{with(username, "alice"), password}}},
		{"a password with a line end", realm.Input{Fields: map[string]string{"username": "alice", "password": "a\r\nb"}},
			realm.Challenge{Fields: []realm.Field{with(username, "alice"), password}, Message: "login.missing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			credentials, challenge, err := newForm(t, formauth.Config{}).Collect(t.Context(), tt.in)
			if err != nil || challenge == nil {
				t.Fatalf("Collect = %v, %v, want a challenge", challenge, err)
			}
			if diff := cmp.Diff(tt.want, *challenge); diff != "" {
				t.Errorf("unexpected challenge (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(realm.Credentials{}, credentials); diff != "" {
				t.Errorf("credentials beside a challenge: %s", diff)
			}
		})
	}
}

func TestCollectHandsOverTheAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   realm.Input
		want realm.Credentials
	}{
		{"user name and password", realm.Input{ClientIP: "192.0.2.7", Fields: map[string]string{"username": "alice", "password": " sécret "}},
			realm.Credentials{ClientIP: "192.0.2.7", Values: map[string]string{"username": "alice", "password": " sécret "}}},
		{"nothing that was not asked", realm.Input{Fields: map[string]string{"username": "alice", "password": "s", "admin": "1", "step": "x"}},
			realm.Credentials{Values: map[string]string{"username": "alice", "password": "s"}}},
		{"a known user cannot become another", realm.Input{Subject: "usr_a", Fields: map[string]string{"username": "bob", "password": "s"}},
			realm.Credentials{Subject: "usr_a", Values: map[string]string{"password": "s"}}},
		{"a module that needs the login name is told it", realm.Input{Subject: "usr_a", NeedsLogin: true,
			Fields: map[string]string{"username": "bob", "password": "s"}},
			realm.Credentials{Subject: "usr_a", Values: map[string]string{"username": "bob", "password": "s"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			credentials, challenge, err := newForm(t, formauth.Config{}).Collect(t.Context(), tt.in)
			if err != nil || challenge != nil {
				t.Fatalf("Collect = %v, %v, want credentials", challenge, err)
			}
			if diff := cmp.Diff(tt.want, credentials); diff != "" {
				t.Errorf("unexpected credentials (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwnFields(t *testing.T) {
	t.Parallel()
	pin := realm.Field{Name: "pin", Label: "PIN", Type: "password", InputMode: "numeric", Required: true}
	note := realm.Field{Name: "note", Label: "Note"}
	form := newForm(t, formauth.Config{Fields: []realm.Field{pin, note}})

	_, challenge, err := form.Collect(t.Context(), realm.Input{Subject: "usr_a", Hint: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&realm.Challenge{Fields: []realm.Field{pin, note}}, challenge); diff != "" {
		t.Errorf("unexpected challenge (-want +got):\n%s", diff)
	}
	credentials, challenge, err := form.Collect(t.Context(), realm.Input{Fields: map[string]string{"pin": "1234"}})
	if err != nil || challenge != nil {
		t.Fatalf("Collect = %v, %v: an optional field was required", challenge, err)
	}
	if diff := cmp.Diff(map[string]string{"pin": "1234", "note": ""}, credentials.Values); diff != "" {
		t.Errorf("unexpected answers (-want +got):\n%s", diff)
	}
}

// The texts and the page of a form come with every challenge; what is missing is said instead of the message.
func TestOwnTextsAndPage(t *testing.T) {
	t.Parallel()
	pin := realm.Field{Name: "pin", Label: "PIN", Type: "password", InputMode: "numeric", Autocomplete: "one-time-code", Required: true}
	form := newForm(t, formauth.Config{
		Fields: []realm.Field{pin}, Template: "pin.html", Message: "Have your card at hand.", Refused: "That PIN is not right.",
	})
	for _, tt := range []struct {
		name, message string
		answers       map[string]string
	}{
		{"at first", "Have your card at hand.", nil},
		{"with nothing", "login.missing", map[string]string{}},
	} {
		_, challenge, err := form.Collect(t.Context(), realm.Input{Fields: tt.answers})
		if err != nil {
			t.Fatal(err)
		}
		want := &realm.Challenge{
			Fields: []realm.Field{pin}, Template: "pin.html", Message: tt.message, Refused: "That PIN is not right.",
		}
		if diff := cmp.Diff(want, challenge); diff != "" {
			t.Errorf("%s: unexpected challenge (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A form is shared by all requests: one caller's answers must not show up in another's form.
func TestRoundsAreApart(t *testing.T) {
	t.Parallel()
	form := newForm(t, formauth.Config{})
	if _, _, err := form.Collect(t.Context(), realm.Input{Hint: "alice", Fields: map[string]string{"username": "alice"}}); err != nil {
		t.Fatal(err)
	}
	_, challenge, err := form.Collect(t.Context(), realm.Input{})
	if err != nil || challenge.Fields[0].Value != "" {
		t.Errorf("the next caller is shown %q (%v)", challenge.Fields[0].Value, err)
	}
}

func TestNewRefusesFormsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	field := func(name string) realm.Field { return realm.Field{Name: name, Label: "x"} }
	with := func(change func(*realm.Field)) formauth.Config {
		f := field("a")
		change(&f)
		return formauth.Config{Fields: []realm.Field{f}}
	}
	for _, tt := range []struct {
		name   string
		config formauth.Config
		says   string
	}{
		{"no name", formauth.Config{Fields: []realm.Field{field("")}}, "has no name"},
		{"name with a space", formauth.Config{Fields: []realm.Field{field("a b")}}, "has no name"},
		{"no label", formauth.Config{Fields: []realm.Field{{Name: "a"}}}, "has no label"},
		{"unknown type", formauth.Config{Fields: []realm.Field{{Name: "a", Label: "x", Type: "file"}}}, `"file"`},
		{"hidden", with(func(f *realm.Field) { f.Type = "hidden" }), `"hidden"`},
		{"a long name", with(func(f *realm.Field) { f.Name = strings.Repeat("a", 65) }), "more than 64"},
		{"a long label", with(func(f *realm.Field) { f.Label = strings.Repeat("a", 257) }), "at most 256"},
		{"a label of two lines", with(func(f *realm.Field) { f.Label = "a\nb" }), "label"},
		{"a long value", with(func(f *realm.Field) { f.Value = strings.Repeat("a", formauth.MaxAnswer+1) }), "value"},
		{"a value that is no text", with(func(f *realm.Field) { f.Value = "\xff" }), "value"},
		{"an unknown input mode", with(func(f *realm.Field) { f.InputMode = "digits" }), `"digits"`},
		{"an autocomplete of other characters", with(func(f *realm.Field) { f.Autocomplete = "off;x" }), `"off;x"`},
		{"a long autocomplete", with(func(f *realm.Field) { f.Autocomplete = strings.Repeat("a", 65) }), "autocomplete"},
		{"a long message", formauth.Config{Message: strings.Repeat("a", formauth.MaxText+1)}, "message"},
		{"a refusal that is no text", formauth.Config{Refused: "a\x00"}, "message"},
		{"twice", formauth.Config{Fields: []realm.Field{field("a"), field("a")}}, "twice"},
		{"user's field is missing", formauth.Config{Fields: []realm.Field{field("a")}, User: "b"}, `"b"`},
		{"too many", formauth.Config{Fields: make([]realm.Field, formauth.MaxFields+1)}, "at most"},
		{"a page's own: req", formauth.Config{Fields: []realm.Field{field("req")}}, "pages use"},
		{"a page's own: step", formauth.Config{Fields: []realm.Field{field("step")}}, "pages use"},
		{"a page's own: stop", formauth.Config{Fields: []realm.Field{field("stop")}}, "pages use"},
		{"a page's own: decision", formauth.Config{Fields: []realm.Field{field("decision")}}, "pages use"},
		{"a page's own: cancel", formauth.Config{Fields: []realm.Field{field("cancel")}}, "pages use"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := formauth.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New = %v, want an error about %s", err, tt.says)
			}
		})
	}
}

// Whatever is sent: either every required field has an acceptable answer and it is handed over as it was sent, or the form
// comes back and no password in it.
func FuzzCollect(f *testing.F) {
	f.Add("alice", "secret", "", "")
	f.Add("", "", "hint", "usr_a")
	f.Add("a\x00", "b\xff", strings.Repeat("h", 300), "")
	f.Fuzz(func(t *testing.T, user, secret, hint, subject string) {
		in := realm.Input{Hint: hint, Subject: subject, Fields: map[string]string{"username": user, "password": secret}}
		credentials, challenge, err := newForm(t, formauth.Config{}).Collect(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if challenge == nil {
			if credentials.Values["password"] != secret || secret == "" || subject == "" && credentials.Values["username"] != user {
				t.Errorf("handed over %q", credentials.Values)
			}
			return
		}
		for _, field := range challenge.Fields {
			if field.Type == "password" && field.Value != "" {
				t.Error("a password came back in the form")
			}
			if strings.ContainsAny(field.Value, "\x00\r\n") || len(field.Value) > formauth.MaxAnswer {
				t.Errorf("the form shows %q", field.Value)
			}
		}
	})
}
