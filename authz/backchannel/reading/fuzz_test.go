// SPDX-License-Identifier: Apache-2.0

package reading_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

const issuer = "https://auth.example.com"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// guest stands for the guests of a realm.
type guest struct {
	realm.Authenticator
	realm.LoginModule
}

// hints knows no ID token.
type hints struct{}

func (hints) Read(context.Context, string) (authz.Hint, error) {
	return authz.Hint{}, errors.New("no ID token")
}

// once remembers what was used.
type once struct {
	mu   sync.Mutex
	used map[string]bool
}

func (o *once) SpendAssertion(_ context.Context, client, jti string, _ time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh := !o.used[client+" "+jti]
	o.used[client+" "+jti] = true
	return fresh, nil
}

func newReader(t testing.TB, of *terms.Terms) *reading.Reader {
	t.Helper()
	engine, err := realm.New(realm.Config{
		Realms:   []*realm.Realm{{Name: "phone", Authenticator: guest{}, LoginModule: guest{}, MaxAge: time.Minute}},
		Scopes:   map[string][]string{"transfers": {"phone"}},
		Identity: []string{"phone"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &reading.Reader{
		Issuer: issuer, Engine: engine, Realms: []string{"phone"}, Terms: map[string]*terms.Terms{"bank": of}, Hints: hints{},
		Once: &once{used: map[string]bool{}}, Now: func() time.Time { return noon },
	}
}

// key is the clients'.
var key = sync.OnceValues(func() (jose.PrivateKey, error) { return jose.GenerateKey(jose.ES256) })

func bank(t testing.TB) (*authz.Client, jose.PrivateKey) {
	t.Helper()
	k, err := key()
	if err != nil {
		t.Fatal(err)
	}
	return &authz.Client{
		ID: "bank", Auth: authz.AuthPrivateKeyJWT, Keys: []jose.PublicKey{k.Public()}, Grants: []authz.GrantType{authz.GrantCIBA},
		Scopes: oauth.Scopes{"openid", "transfers"},
	}, k
}

// judge says what a request that was read has to be, whatever it was read from.
func judge(t *testing.T, client *authz.Client, wanted reading.Wanted, err error) {
	t.Helper()
	if err != nil {
		var e *oauth.Error
		if !errors.As(err, &e) || e.HTTPStatus() >= 500 {
			t.Fatalf("a request that is not good is %v", err)
		}
		return
	}
	switch {
	case !wanted.Scopes.Has("openid") || !wanted.Scopes.Within(client.Scopes):
		t.Fatalf("the scopes are %q", wanted.Scopes)
	case wanted.Realm != "phone":
		t.Fatalf("the realm is %q", wanted.Realm)
	case wanted.Hint.Value == "" || len(wanted.Hint.Value) > 256 || strings.ContainsFunc(wanted.Hint.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.Fatalf("the hint is %q", wanted.Hint.Value)
	case utf8.RuneCountInString(wanted.Message) > reading.MaxMessage:
		t.Fatalf("the message has %d characters", utf8.RuneCountInString(wanted.Message))
	case len(wanted.NotificationToken) < 22 || len(wanted.NotificationToken) > 1024 || strings.ContainsAny(wanted.NotificationToken, " \r\n,;\""):
		t.Fatalf("the token is %q", wanted.NotificationToken)
	case wanted.UserCode == "" || len(wanted.UserCode) > 128:
		t.Fatalf("the code has %d bytes", len(wanted.UserCode))
	case wanted.TTL < 0 || wanted.TTL%time.Second != 0 || len(wanted.ACRValues) > 1:
		t.Fatalf("it wants %v and %q", wanted.TTL, wanted.ACRValues)
	}
	if again, err := shown.Text("m", wanted.Message, shown.Content{Most: reading.MaxMessage}); err != nil || again != wanted.Message {
		t.Fatalf("what is shown is not what was read: %q, %v", wanted.Message, err)
	}
}

const (
	plain  = "scope=openid+transfers&login_hint=alice&binding_message=W4SCT&user_code=1234&requested_expiry=60&client_notification_token="
	notify = "8d67dc78-7faa-4d41-aabd-67707b374255"
	good   = `{"iss":"bank","aud":"https://auth.example.com","exp":1795349400,"nbf":1795348800,"iat":1795348800,"jti":"1",` +
		`"scope":"openid","login_hint":"alice","user_code":"1","client_notification_token":"` + notify + `","requested_expiry":60}`
)

// FuzzRead: whatever a form says, it is refused with an error of the protocol or means something that can be used as it is.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		plain + notify, plain + "short", plain + notify + "&acr_values=phone", plain + notify + "&acr_values=gold+phone",
		plain + notify + "&id_token_hint=x", "scope=openid&login_hint_token=a.b.c&user_code=1&client_notification_token=" + notify,
		plain + notify + "&authorization_details=[]", plain + notify + "&resource=x", plain + notify + "&request=a.b.c", "scope=%00", "a=b&a=c", "",
		strings.Replace(plain, "W4SCT", "%E2%80%AEx", 1) + notify, strings.Replace(plain, "=60", "=1e9", 1) + notify,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		params, err := oauth.ParseParams(form)
		if err != nil {
			return
		}
		of := &terms.Terms{Mode: terms.Ping, Endpoint: "https://client.example.com/cb", UserCode: true}
		client, _ := bank(t)
		wanted, err := newReader(t, of).Read(t.Context(), client, of, params)
		judge(t, client, wanted, err)
	})
}

// FuzzObject: the same of what stands in a request object that the client has signed, which counts once at most.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		good, strings.Replace(good, `"bank"`, `"shop"`, 1), strings.Replace(good, "1795349400", "1e300", 1), strings.Replace(good, `"1",`, `"",`, 1),
		strings.Replace(good, ":60", `:"60"`, 1), strings.Replace(good, ":60", `:-0`, 1), strings.Replace(good, `"alice"`, `"al\u0000ice"`, 1),
		strings.Replace(good, `"https://auth.example.com"`, `["https://auth.example.com"]`, 1), "{}", strings.Replace(good, "{", `{"request":"x",`, 1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		of := &terms.Terms{Mode: terms.Ping, Endpoint: "https://client.example.com/cb", UserCode: true, Signed: jose.ES256}
		client, k := bank(t)
		raw, err := jose.Sign(k, "JWT", []byte(payload))
		if err != nil {
			return
		}
		reader := newReader(t, of)
		wanted, err := reader.Read(t.Context(), client, of, oauth.Params{"request": raw})
		judge(t, client, wanted, err)
		if err != nil {
			return
		}
		var claims struct {
			Issuer string `json:"iss"`
			ID     string `json:"jti"`
		}
		if err := json.Unmarshal([]byte(payload), &claims); err != nil || claims.Issuer != client.ID || claims.ID == "" {
			t.Fatalf("it is taken for a request of the client: %s", payload)
		}
		if _, err := reader.Read(t.Context(), client, of, oauth.Params{"request": raw}); err == nil {
			t.Fatal("it counts twice")
		}
	})
}

// The first seeds are good: what the properties say is said of something.
func TestSeeds(t *testing.T) {
	t.Parallel()
	client, k := bank(t)
	of := &terms.Terms{Mode: terms.Ping, Endpoint: "https://client.example.com/cb", UserCode: true}
	params, err := oauth.ParseParams(plain + notify)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jose.Sign(k, "JWT", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []oauth.Params{params, {"request": raw}} {
		wanted, err := newReader(t, of).Read(t.Context(), client, of, p)
		if err != nil || wanted.Hint.Value != "alice" || wanted.TTL != time.Minute {
			t.Errorf("%v: %+v", err, wanted)
		}
	}
}
