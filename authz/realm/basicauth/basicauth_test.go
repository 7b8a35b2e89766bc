// SPDX-License-Identifier: Apache-2.0

package basicauth_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/basicauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
)

const (
	messageRefused = "login.refused"
	messageMissing = "login.missing"
)

func newBasic(t testing.TB) *basicauth.Authenticator {
	t.Helper()
	a, err := basicauth.New()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func sent(values ...string) realm.Input {
	return realm.Input{Headers: map[string][]string{"Authorization": values}}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestCollectReadsTheField(t *testing.T) {
	t.Parallel()
	// The second is the example of RFC 7617 2.1.
	for _, tt := range []struct{ name, value, user, password string }{
		{"RFC 7617 2", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"},
		{"RFC 7617 2.1", "Basic dGVzdDoxMjPCow==", "test", "123£"},
		{"scheme in another case", "bAsIc " + encode("alice:secret"), "alice", "secret"},
		{"several spaces", "Basic   " + encode("alice:secret"), "alice", "secret"},
		{"a password with colons", "Basic " + encode("alice:a:b:"), "alice", "a:b:"},
		{"a password with spaces", "Basic " + encode("alice: s "), "alice", " s "},
		{"the longest password", "Basic " + encode("a:"+strings.Repeat("x", formauth.MaxAnswer)), "a", strings.Repeat("x", formauth.MaxAnswer)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := sent(tt.value)
			in.ClientIP, in.Locale, in.Subject = "192.0.2.7", "nl", "usr_a"
			credentials, challenge, err := newBasic(t).Collect(t.Context(), in)
			if err != nil || challenge != nil {
				t.Fatalf("Collect = %v, %v, want credentials", challenge, err)
			}
			want := realm.Credentials{
				Values:   map[string]string{"username": tt.user, "password": tt.password},
				ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a",
			}
			if diff := cmp.Diff(want, credentials); diff != "" {
				t.Errorf("unexpected credentials (-want +got):\n%s", diff)
			}
		})
	}
}

// challenged returns what a caller is asked and fails the test when he is not.
func challenged(t testing.TB, in realm.Input) *realm.Challenge {
	t.Helper()
	credentials, challenge, err := newBasic(t).Collect(t.Context(), in)
	if err != nil || challenge == nil {
		t.Fatalf("Collect = %v, %v, want a challenge", challenge, err)
	}
	if diff := cmp.Diff(realm.Credentials{}, credentials); diff != "" {
		t.Errorf("credentials beside a challenge: %s", diff)
	}
	if diff := cmp.Diff(map[string]string{"scheme": "basic", "charset": "UTF-8"}, challenge.Data); diff != "" {
		t.Errorf("an app is told (-want +got):\n%s", diff)
	}
	return challenge
}

// TestTrap10AuthorizationIsParsedStrictly: what is nearly a credential of the scheme is refused, and no login module sees it.
func TestTrap10AuthorizationIsParsedStrictly(t *testing.T) {
	t.Parallel()
	good := encode("alice:secret")
	for _, tt := range []struct {
		name, value, message string
	}{
		{"none", "", ""},
		{"JSON, as older apps send it", `{"realm":{"username":"alice","password":"secret"}}`, ""},
		{"JSON in the scheme", `Basic {"username":"alice"}`, messageRefused},
		{"the scheme alone", "Basic", messageRefused},
		{"the scheme and a space", "Basic ", messageRefused},
		{"another scheme that begins alike", "Basically " + good, ""},
		{"a tab for the space", "Basic\t" + good, ""},
		{"a space before it", " Basic " + good, ""},
		{"no base64", "Basic alice:secret", messageRefused},
		{"base64url", "Basic " + base64.URLEncoding.EncodeToString([]byte("alice:\xc3\xbf\xc3\xbf\xc3\xbe")), messageRefused},
		{"no padding", "Basic " + strings.TrimRight(encode("alice:secre"), "="), messageRefused},
		{"bits behind the end", "Basic YTpiYx==", messageRefused},
		{"something behind it", "Basic " + good + " x", messageRefused},
		{"a line end inside", "Basic " + good[:4] + "\r\n" + good[4:], messageRefused},
		{"no colon", "Basic " + encode("alice"), messageRefused},
		{"no user", "Basic " + encode(":secret"), messageRefused},
		{"no password", "Basic " + encode("alice:"), messageRefused},
		{"a control character in the user", "Basic " + encode("al\x00ice:secret"), messageRefused},
		{"a line end in the password", "Basic " + encode("alice:sec\nret"), messageRefused},
		{"Latin-1", "Basic " + encode("alice:123\xa3"), messageRefused},
		{"too long a password", "Basic " + encode("a:"+strings.Repeat("x", formauth.MaxAnswer+1)), messageRefused},
		{"too long a field", "Basic " + strings.Repeat("YWFh", basicauth.MaxHeader/4+1), messageRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := sent(tt.value)
			if tt.value == "" {
				in.Headers = nil
			}
			challenge := challenged(t, in)
			if challenge.Message != tt.message {
				t.Errorf("the message is %q, want %q", challenge.Message, tt.message)
			}
			if len(challenge.Fields) != 2 || challenge.Fields[0].Name != "username" || challenge.Fields[1].Name != "password" {
				t.Errorf("it asks for %v", challenge.Fields)
			}
		})
	}
}

// TestTrap7OneCredentialInAuthorization: which of two the caller is about cannot be told, so that none counts.
func TestTrap7OneCredentialInAuthorization(t *testing.T) {
	t.Parallel()
	good := "Basic " + encode("alice:secret")
	for _, tt := range []struct {
		name    string
		values  []string
		message string
	}{
		{"a bearer beside it", []string{good, "Bearer token"}, messageRefused},
		{"a bearer before it", []string{"Bearer token", good}, messageRefused},
		{"a bearer in the same field", []string{good + ", Bearer token"}, messageRefused},
		{"a bearer in the same field, before it", []string{"Bearer token, " + good}, ""},
		{"it twice", []string{good, good}, messageRefused},
		{"a bearer alone", []string{"Bearer token"}, ""},
		{"two bearers", []string{"Bearer a", "Bearer b"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if challenge := challenged(t, sent(tt.values...)); challenge.Message != tt.message {
				t.Errorf("the message is %q, want %q", challenge.Message, tt.message)
			}
		})
	}
}

// Who has filled in the fields means those, whatever a browser goes on sending.
func TestAnswersCountAlone(t *testing.T) {
	t.Parallel()
	in := sent("Basic " + encode("alice:secret"))
	in.Fields = map[string]string{"username": "bob", "password": "other"}
	credentials, challenge, err := newBasic(t).Collect(t.Context(), in)
	if err != nil || challenge != nil {
		t.Fatalf("Collect = %v, %v, want credentials", challenge, err)
	}
	if diff := cmp.Diff(map[string]string{"username": "bob", "password": "other"}, credentials.Values); diff != "" {
		t.Errorf("unexpected values (-want +got):\n%s", diff)
	}
	in.Fields = map[string]string{"username": "bob"}
	if challenge := challenged(t, in); challenge.Message != messageMissing {
		t.Errorf("the message is %q, want %q", challenge.Message, messageMissing)
	}
}

// Whatever a field holds: what is handed over is what a strict encoder would have written.
func FuzzCollect(f *testing.F) {
	f.Add("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
	f.Add("basic  dGVzdDoxMjPCow==")
	f.Add("Basic YTpiYx==")
	f.Add("Basic " + encode("alice:a,b") + ", Bearer x")
	f.Fuzz(func(t *testing.T, value string) {
		credentials, challenge, err := newBasic(t).Collect(t.Context(), sent(value))
		if err != nil {
			t.Fatal(err)
		}
		if challenge != nil {
			return
		}
		user, password := credentials.Values["username"], credentials.Values["password"]
		name, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(name, "basic") || strings.TrimLeft(rest, " ") != encode(user+":"+password) {
			t.Errorf("%q is read as %q and %q", value, user, password)
		}
		if user == "" || password == "" || strings.ContainsAny(user+password, "\x00\r\n\x7f") || strings.Contains(user, ":") {
			t.Errorf("%q is handed over as %q and %q", value, user, password)
		}
	})
}
