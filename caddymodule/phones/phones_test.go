// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/callback"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// told is one callback as it arrived.
type told struct {
	header http.Header
	body   []byte
}

// receiver is a back end that is called back.
func receiver(t *testing.T) (url string, calls <-chan told) {
	t.Helper()
	arrived := make(chan told, 8)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		arrived <- told{r.Header, body}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/done", arrived
}

// TestApprovalIsCalledBack: what a phone approves is told to the back end that asked, under a key that the issuer publishes,
// and once more when the approval is used.
func TestApprovalIsCalledBack(t *testing.T) {
	t.Parallel()
	url, calls := receiver(t)
	h := newHouse(t, read(t, "mobile {\n callback "+url+" {\n bearer t0ken\n allow 127.0.0.0/8 ::1\n }\n number_match 4\n}"))
	user, phone := h.enrol()
	ask := func(callback string) (int, map[string]any) {
		return h.call("POST", "/operations/authorisation", `{"user_id":"`+user+`","context":{"title":"Pay"},"callback_url":"`+callback+`"}`)
	}
	if status, refused := ask(url + "/"); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
		t.Errorf("another address is taken: %d %v", status, refused)
	}
	status, asked := ask(url)
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, asked)
	}
	id, number := fmt.Sprint(asked["id"]), fmt.Sprint(asked["number"])
	if len(number) != 4 {
		t.Errorf("the number is %q", number)
	}
	question, err := phone.Fetch(t.Context(), id)
	must(t, err)
	must(t, phone.Approve(t.Context(), question, device.Approval{Number: number, Proof: device.Proof{PIN: pin}}))
	h.arrives(<-calls, id, "approved")
	if status, used := h.call("POST", "/operations/"+id+"/redeem", ""); status != http.StatusOK || used["state"] != "redeemed" {
		t.Errorf("%d %v", status, used)
	}
	h.arrives(<-calls, id, "redeemed")
}

// arrives checks a callback as a receiver does that knows the issuer's published keys.
func (h *house) arrives(c told, id, state string) {
	t := h.t
	t.Helper()
	var notice struct{ Operation, Kind, State string }
	must(t, json.Unmarshal(c.body, &notice))
	if notice.Operation != id || notice.Kind != "authorisation" || notice.State != state {
		t.Errorf("it is told %s", c.body)
	}
	if got := c.header.Get("Authorization"); got != "Bearer t0ken" {
		t.Errorf("it shows %q", got)
	}
	signature := c.header.Get(callback.SignatureField)
	if strings.Count(signature, "..") != 1 {
		t.Fatalf("the signature is %q", signature)
	}
	token, err := jose.Parse(strings.Replace(signature, "..", "."+base64.RawURLEncoding.EncodeToString(c.body)+".", 1))
	must(t, err)
	keys, err := jose.ParseSet(h.phones.JWKS())
	must(t, err)
	i := slices.IndexFunc(keys, func(k jose.PublicKey) bool { return k.KID == token.Header.KID })
	if i < 0 {
		t.Fatalf("the issuer does not publish %s", token.Header.KID)
	}
	if err := token.Verify(keys[i]); err != nil || !jose.EqualTyp(token.Header.Typ, callback.Typ) {
		t.Errorf("the signature is that of somebody else: %v", err)
	}
}

func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	var set struct {
		Keys []struct{ Use, Alg, Kty, Crv, D string }
	}
	must(t, json.Unmarshal(h.phones.JWKS(), &set))
	uses := map[string]string{}
	for _, key := range set.Keys {
		uses[key.Use] = key.Alg
		if key.D != "" {
			t.Error("a private key is published")
		}
	}
	if uses["sig"] != "ES256" || uses["enc"] != "ECDH-ES" || len(uses) != 2 {
		t.Errorf("there are keys for %v", uses)
	}
	roots, err := h.phones.Roots()
	must(t, err)
	keys, err := jose.ParseSet(roots)
	if err != nil || len(keys) != 1 {
		t.Errorf("there are %d roots: %v", len(keys), err)
	}
}

// TestStoreDown: nobody is told that something is wrong with what they sent, and once the store is back the phone is as it was.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	user, phone := h.enrol()
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate} {
		h.db.Inject(storagetest.Fault{Op: op, Err: fmt.Errorf("the disk is away: %w", storage.ErrFull)})
	}
	if _, err := phone.Pending(t.Context(), 0); !errors.Is(err, device.ErrUnavailable) {
		t.Errorf("the phone hears %v", err)
	}
	status, answer := h.call("GET", "/users/"+user, "")
	if status != http.StatusServiceUnavailable || strings.Contains(fmt.Sprint(answer), "disk") {
		t.Errorf("the back end hears %d %v", status, answer)
	}
	h.db.Clear()
	if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) != 0 {
		t.Errorf("with the store back: %v, %v", open, err)
	}
	if status, answer := h.call("GET", "/users/"+user, ""); status != http.StatusOK {
		t.Errorf("with the store back: %d %v", status, answer)
	}
}

// TestLockedUser: what is open to a user ends with them.
func TestLockedUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	if err := (*phones.Phones)(nil).Load(t.Context()); err != nil {
		t.Errorf("without a mobile side: %v", err)
	}
	user, phone := h.enrol()
	_, asked := h.call("POST", "/operations/authentication", `{"user_id":"`+user+`","context":{"title":"Log in"}}`)
	id := fmt.Sprint(asked["id"])
	if status, answer := h.call("POST", "/users/"+user+"/lock", `{"reason":"fraud"}`); status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	if _, err := phone.Fetch(t.Context(), id); err == nil {
		t.Error("the phone of a locked user is shown a question")
	}
	if status, body := h.send("POST", envelope.PathPending, envelope.ContentType, "nonsense"); status != http.StatusBadRequest {
		t.Errorf("nonsense is answered with %d %s", status, body)
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	if phones.Wanted(nil, nil) || !phones.Wanted(new(phones.Config), nil) || !phones.Wanted(nil, bank(t)) {
		t.Error("a mobile side is built where none is asked for, or the other way round")
	}
	without := bank(t)
	without[0].Enrollment = nil
	if phones.Wanted(nil, without) {
		t.Error("an application that registers no phones has one built")
	}
	if err := phones.Check(nil, without, nil); err != nil {
		t.Errorf("without phones any algorithm does: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	es256 := []string{string(jose.ES256)}
	for _, tt := range []struct {
		name, mobile string
		algorithms   []string
		want         string
	}{
		{"nothing", "mobile", es256, ""},
		{"everything", `mobile {
			callback https://portal.example.com/done {
				basic_auth portal {env.NOT_READ_YET}
				allow 10.0.0.0/8 192.0.2.7
			}
			callback https://portal.example.com/other {
				bearer {env.NOT_READ_YET}
			}
			answer_window 5m
			redeem_window 30s
			number_match 6 6
			attempts 3 10
			open 8
			pushes 5 10
			searchable tier
		}`, es256, ""},
		{"another algorithm", "mobile", []string{"RS256"}, "add it to algorithms"},
		{"a window that is too long", "mobile {\n answer_window 11m\n}", es256, "answer_window: want 1s to 10m"},
		{"a window that is no time", "mobile {\n redeem_window 1ms\n}", es256, "redeem_window: want 1s to 10m"},
		{"one digit", "mobile {\n number_match 1\n}", es256, "number_match"},
		{"too many digits", "mobile {\n number_match 4 9\n}", es256, "number_match"},
		{"one digit at the least", "mobile {\n number_match 4 1\n}", es256, "number_match"},
		{"too many attempts", "mobile {\n attempts 11\n}", es256, "attempts"},
		{"too many of a user", "mobile {\n attempts 3 11\n}", es256, "attempts"},
		{"too many open", "mobile {\n open 9\n}", es256, "open: want 2 to 8"},
		{"no place for the user", "mobile {\n open 1\n}", es256, "open: want 2 to 8"},
		{"a share", "mobile {\n open 2 1\n}", es256, ""},
		{"too many pushes", "mobile {\n pushes 61 10\n}", es256, "pushes"},
		{"plain http", "mobile {\n callback http://portal.example.com/\n}", es256, "is not https"},
		{"plain http on this machine, not allowed", "mobile {\n callback http://127.0.0.1/\n}", es256, "is not https"},
		{"twice", "mobile {\n callback https://a.example.com/\n callback https://a.example.com/\n}", es256, "twice"},
		{"two credentials", "mobile {\n callback https://a.example.com/ {\n bearer a\n basic_auth b c\n }\n}", es256, "one call has one Authorization"},
		{"no network", "mobile {\n callback https://a.example.com/ {\n allow everywhere\n }\n}", es256, `allow "everywhere" is neither an address nor a network`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := phones.Check(read(t, tt.mobile), nil, tt.algorithms)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ mobile, want string }{
		{"mobile {\n colour red\n}", "colour"},
		{"mobile {\n open 1\n open 2\n}", "open"},
		{"mobile {\n open many\n}", "many"},
		{"mobile {\n attempts 1 2 3\n}", "attempts"},
		{"mobile {\n callback\n}", "callback"},
		{"mobile {\n callback https://a.example.com/ {\n basic_auth user\n }\n}", "basic_auth needs a user and a password"},
		{"mobile {\n searchable\n}", "searchable"},
	} {
		if _, err := parse(tt.mobile); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.mobile, err)
		}
	}
}

// TestSecretThatIsMissing: a callback whose secret cannot be read is not called without it.
func TestSecretThatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	parts := h.parts
	missing := errors.New("there is no such variable")
	parts.Secret = func(string, string) (string, error) { return "", missing }
	for _, credentials := range []string{"bearer {env.TOKEN}", "basic_auth portal {env.TOKEN}"} {
		c := read(t, "mobile {\n callback https://a.example.com/ {\n "+credentials+"\n }\n}")
		if _, err := phones.New(c, nil, parts); !errors.Is(err, missing) {
			t.Errorf("%s: %v", credentials, err)
		}
	}
}
