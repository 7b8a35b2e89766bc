// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	passwords "github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

const (
	bankSecret = "bank-secret-0123456789-0123456789"
	cibaGrant  = "urn:openid:params:grant-type:ciba"
	notified   = "8d67dc78-7faa-4d41-aabd-67707b374255"
)

// backchannels is the configuration of a client that asks people on their phones.
const backchannels = enrolling + `
		realm phone {
			authenticator mobile push_pin
			max_age 5m
		}
		user_identity password phone
		scope transfers phone
		mobile {
			type push_pin {
				method push_pin
				message en "Sign in"
			}
		}
		client bank {
			name "Example Bank"
			secret ` + bankSecret + `
			scopes openid transfers payments:write
			grants refresh_token
			first_party
			backchannel poll
		}`

// acknowledged is what the backchannel authentication endpoint and the token endpoint say.
type acknowledged struct {
	ID        string `json:"auth_req_id"`
	ExpiresIn int    `json:"expires_in"`
	Interval  int    `json:"interval"`
	Number    string `json:"number"`
	Access    string `json:"access_token"`
	IDToken   string `json:"id_token"`
	Refresh   string `json:"refresh_token"`
	Error     string `json:"error"`
}

func (h *house) asBank(t *testing.T, path string, status int, pairs ...string) (a acknowledged) {
	t.Helper()
	got := send(t, http.MethodPost, h.issuer+path, basic("bank", bankSecret), form(pairs...))
	if err := json.Unmarshal([]byte(got.Body), &a); err != nil || got.Status != status {
		t.Fatalf("%s: %d %s", path, got.Status, got.Body)
	}
	return a
}

// answerQuestion answers the question that waits on the phone.
func answerQuestion(t *testing.T, phone *device.Device, number string) {
	t.Helper()
	open, err := waits(t.Context(), phone)
	if err != nil {
		t.Fatal(err)
	}
	question, err := phone.Fetch(t.Context(), open.Operation)
	if err != nil {
		t.Fatal(err)
	}
	if err := phone.Approve(t.Context(), question, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
}

// TestBackchannel: a back end asks a person, who approves on the phone, and the token passes the gate of the API.
func TestBackchannel(t *testing.T) {
	t.Parallel()
	h := start(t, backchannels, "")
	user, phone := h.enrol(t, "4720")
	metadata := send(t, http.MethodGet, h.issuer+"/.well-known/openid-configuration").Body
	for _, want := range []string{`"backchannel_authentication_endpoint":"` + h.issuer + `/bc-authorize"`, cibaGrant} {
		if !strings.Contains(metadata, want) {
			t.Errorf("the metadata lacks %s", want)
		}
	}
	if a := h.asBank(t, "/bc-authorize", http.StatusBadRequest, "scope", "openid payments:write", "login_hint", "4720"); a.Error != "unmet_authentication_requirements" {
		t.Errorf("what a phone cannot prove is %q", a.Error)
	}
	asked := h.asBank(t, "/bc-authorize", http.StatusOK, "scope", "openid transfers", "login_hint", "4720", "binding_message", "W4SCT")
	poll := []string{"grant_type", cibaGrant, "auth_req_id", asked.ID}
	if a := h.asBank(t, "/token", http.StatusBadRequest, poll...); a.Error != "authorization_pending" || asked.Number == "" {
		t.Errorf("at first it hears %+v", a)
	}
	if a := h.asBank(t, "/token", http.StatusBadRequest, poll...); a.Error != "slow_down" {
		t.Errorf("at once again it hears %+v", a)
	}
	answerQuestion(t, phone, asked.Number)
	got := h.untilApproved(t, poll)
	var claims struct {
		Sub, ACR, Device string
		AMR              []string
	}
	if err := json.Unmarshal([]byte(payloadOf(t, got.IDToken)), &claims); err != nil || claims.Sub != user || claims.ACR != "phone" || claims.Device != phone.State().Device ||
		len(claims.AMR) != 3 {
		t.Errorf("the ID token says %+v, %v", claims, err)
	}
	if a := h.asBank(t, "/token", http.StatusBadRequest, poll...); a.Error != "invalid_grant" {
		t.Errorf("a second time it hears %+v", a)
	}
	h.asBank(t, "/token", http.StatusOK, "grant_type", "refresh_token", "refresh_token", got.Refresh)
}

// untilApproved polls as often as it may until it has tokens. The outbox settles the request meanwhile, and then no interval counts.
func (h *house) untilApproved(t *testing.T, poll []string) (a acknowledged) {
	t.Helper()
	for {
		got := send(t, http.MethodPost, h.issuer+"/token", basic("bank", bankSecret), form(poll...))
		if err := json.Unmarshal([]byte(got.Body), &a); err != nil {
			t.Fatal(err)
		}
		if got.Status == http.StatusOK {
			return a
		}
		if a.Error != "slow_down" && a.Error != "authorization_pending" {
			t.Fatalf("it hears %s", got.Body)
		}
		select {
		case <-t.Context().Done():
			t.Fatal("nothing came of it")
		case <-time.After(time.Second):
		}
	}
}

// TestBackchannelTells: the same with a client that is told, over a reload, and one that is sent its tokens; the phone says no to one.
func TestBackchannelTells(t *testing.T) {
	t.Parallel()
	told := make(chan acknowledged, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var a acknowledged
		if err != nil || json.Unmarshal(body, &a) != nil || r.Header.Get("Authorization") != "Bearer "+notified || r.Header.Get("Gatehouse-Signature") == "" {
			t.Errorf("it is told %s with %v", body, r.Header)
		}
		w.WriteHeader(http.StatusNoContent)
		told <- a
	}))
	t.Cleanup(receiver.Close)
	hears := func(id string) acknowledged {
		t.Helper()
		select {
		case a := <-told:
			if a.ID != id {
				t.Fatalf("it is told of %q, want %q", a.ID, id)
			}
			return a
		case <-t.Context().Done():
			t.Fatal("it is told nothing")
		}
		return acknowledged{}
	}
	of := func(mode string) string {
		return strings.Replace(backchannels, "backchannel poll", "backchannel "+mode+" {\n notify "+receiver.URL+"\n allow 127.0.0.1\n}", 1)
	}
	h := start(t, of("ping"), "")
	_, phone := h.enrol(t, "4721")
	ask := func() acknowledged {
		t.Helper()
		return h.asBank(t, "/bc-authorize", http.StatusOK, "scope", "openid transfers", "login_hint", "4721", "client_notification_token", notified)
	}
	asked := ask()
	poll := []string{"grant_type", cibaGrant, "auth_req_id", asked.ID}
	h.reload(t, strings.Replace(h.current(), "Example Bank", "Example Bank and Sons", 1))
	answerQuestion(t, phone, asked.Number)
	if a := hears(asked.ID); a.Access != "" || a.Error != "" {
		t.Errorf("it is told %+v", a)
	}
	if a := h.asBank(t, "/token", http.StatusOK, poll...); a.Access == "" || a.IDToken == "" {
		t.Errorf("it fetches %+v", a)
	}

	h.reload(t, strings.Replace(h.current(), "backchannel ping", "backchannel push", 1))
	asked = ask()
	answerQuestion(t, phone, asked.Number)
	pushed := hears(asked.ID)
	if pushed.Access == "" || pushed.Refresh == "" || !strings.Contains(payloadOf(t, pushed.IDToken), `"urn:openid:params:jwt:claim:rt_hash"`) {
		t.Errorf("it is sent %+v", pushed)
	}
	h.asBank(t, "/token", http.StatusOK, "grant_type", "refresh_token", "refresh_token", pushed.Refresh)
	if a := h.asBank(t, "/token", http.StatusBadRequest, "grant_type", cibaGrant, "auth_req_id", asked.ID); a.Error != "unauthorized_client" {
		t.Errorf("fetching what was sent is %q", a.Error)
	}

	asked = ask()
	open, err := waits(t.Context(), phone)
	if err != nil {
		t.Fatal(err)
	}
	question, err := phone.Fetch(t.Context(), open.Operation)
	if err != nil {
		t.Fatal(err)
	}
	if err := phone.Deny(t.Context(), question, envelope.Denied); err != nil {
		t.Fatal(err)
	}
	if a := hears(asked.ID); a.Error != "access_denied" || a.Access != "" {
		t.Errorf("of a refusal it is told %+v", a)
	}
}

// TestBackchannelOutcomes: what the person says, and what is done to the phone or the question meanwhile, reaches the client by the
// names of the specification; what was approved on a phone that is locked before the tokens were fetched comes to nothing.
func TestBackchannelOutcomes(t *testing.T) {
	t.Parallel()
	h := start(t, strings.Replace(backchannels, "gatehouse:operations", "gatehouse:operations gatehouse:operations:all gatehouse:devices", 1), "")
	for ref, answer := range map[string]func(*device.Device, device.Question, string) error{
		"denied": func(phone *device.Device, q device.Question, _ string) error {
			return phone.Deny(t.Context(), q, envelope.Denied)
		},
		"not me": func(phone *device.Device, q device.Question, _ string) error {
			return phone.Deny(t.Context(), q, envelope.NotMe)
		},
		"cancelled": func(_ *device.Device, q device.Question, _ string) error {
			h.asPortal(t, "POST", "operations/"+q.Operation+"/cancel", "", http.StatusOK)
			return nil
		},
		"lost": func(phone *device.Device, q device.Question, _ string) error {
			h.asPortal(t, "POST", "devices/"+phone.State().Device+"/lost", `{"reason":"test"}`, http.StatusOK)
			return nil
		},
		"locked": func(phone *device.Device, q device.Question, number string) error {
			h.asPortal(t, "POST", "devices/"+phone.State().Device+"/lock", `{"reason":"test"}`, http.StatusOK)
			if phone.Approve(t.Context(), q, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}) == nil {
				t.Error("a phone that is locked approves")
			}
			return nil
		},
		"locked after the approval": func(phone *device.Device, q device.Question, number string) error {
			if err := phone.Approve(t.Context(), q, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
				return err
			}
			h.asPortal(t, "POST", "devices/"+phone.State().Device+"/lock", `{"reason":"test"}`, http.StatusOK)
			return nil
		},
	} {
		user, phone := h.enrol(t, ref)
		asked := h.asBank(t, "/bc-authorize", http.StatusOK, "scope", "openid transfers", "login_hint", user)
		open, err := waits(t.Context(), phone)
		if err != nil {
			t.Fatal(err)
		}
		question, err := phone.Fetch(t.Context(), open.Operation)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer(phone, question, asked.Number); err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		want := "access_denied"
		if ref == "locked" || ref == "lost" {
			want = "authorization_pending" // another phone of theirs may answer
		}
		if a := h.asBank(t, "/token", http.StatusBadRequest, "grant_type", cibaGrant, "auth_req_id", asked.ID); a.Error != want {
			t.Errorf("%s: it hears %q", ref, a.Error)
		}
	}
}

// TestBackchannelUnknown: nobody can be told from somebody who has no phone, or does not answer.
func TestBackchannelUnknown(t *testing.T) {
	t.Parallel()
	h := start(t, backchannels, "")
	h.enrol(t, "4722")
	h.asPortal(t, "POST", "users", `{"external_ref":"4723"}`, http.StatusCreated)
	for _, hint := range []string{"4722", "4723", "4724", "nobody@example.com", strings.Repeat("x", 256)} {
		asked := h.asBank(t, "/bc-authorize", http.StatusOK, "scope", "openid transfers", "login_hint", hint, "requested_expiry", "77")
		if len(asked.Number) != 2 || asked.Interval != 5 || asked.ExpiresIn != 77 || len(asked.ID) < 60 {
			t.Errorf("%q: %+v", hint, asked)
		}
		if a := h.asBank(t, "/token", http.StatusBadRequest, "grant_type", cibaGrant, "auth_req_id", asked.ID); a.Error != "authorization_pending" {
			t.Errorf("%q: polling it hears %q", hint, a.Error)
		}
	}
}

// TestBackchannelIsFetchedOnce: what a person has approved for tokens a client redeems nowhere else, neither before it fetches nor after.
func TestBackchannelIsFetchedOnce(t *testing.T) {
	t.Parallel()
	h := start(t, strings.Replace(backchannels, "scopes openid transfers", "scopes gatehouse:operations openid transfers", 1), "")
	_, phone := h.enrol(t, "4726")
	asked := h.asBank(t, "/bc-authorize", http.StatusOK, "scope", "openid transfers", "login_hint", "4726")
	open, err := waits(t.Context(), phone)
	if err != nil {
		t.Fatal(err)
	}
	answerQuestion(t, phone, asked.Number)
	redeem := func() {
		t.Helper()
		got := send(t, http.MethodPost, h.issuer+"/api/v1/operations/"+open.Operation+"/redeem", basic("bank", bankSecret))
		if got.Status != http.StatusConflict || !strings.Contains(got.Body, "invalid_state") {
			t.Errorf("redeeming it elsewhere: %d %s", got.Status, got.Body)
		}
	}
	redeem()
	h.untilApproved(t, []string{"grant_type", cibaGrant, "auth_req_id", asked.ID})
	redeem()
}

// TestBackchannelLeavesRoom: clients that ask and ask take no more than their share of a phone, and hear nothing of it.
func TestBackchannelLeavesRoom(t *testing.T) {
	t.Parallel()
	h := start(t, backchannels, "")
	_, phone := h.enrol(t, "4727")
	for i, want := range []int{1, 2, 2} {
		asked := h.asBank(t, "/bc-authorize", http.StatusOK, "scope", "openid transfers", "login_hint", "4727")
		if len(asked.Number) != 2 || asked.Interval != 5 {
			t.Errorf("the %dth time it hears %+v", i+1, asked)
		}
		if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) != want {
			t.Errorf("the %dth time there wait %d, %v", i+1, len(open), err)
		}
	}
}

// TestBackchannelCode: a client that is registered for user codes asks nobody without the right one.
func TestBackchannelCode(t *testing.T) {
	t.Parallel()
	h := start(t, strings.Replace(backchannels, "backchannel poll", "backchannel poll {\n user_code\n}", 1), "")
	if !strings.Contains(send(t, http.MethodGet, h.issuer+"/.well-known/openid-configuration").Body, `"backchannel_user_code_parameter_supported":true`) {
		t.Error("the metadata says that there are no user codes")
	}
	hasher, err := passwords.NewHasher(passwords.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := hasher.Hash(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	user, _ := h.asPortal(t, "POST", "users", `{"external_ref":"4725","attributes":{"user_code_hash":"`+hash+`"}}`, http.StatusCreated)["id"].(string)
	phone := h.register(t, user)
	ask := []string{"scope", "openid transfers", "login_hint", "4725"}
	if a := h.asBank(t, "/bc-authorize", http.StatusBadRequest, ask...); a.Error != "missing_user_code" {
		t.Errorf("without a code it hears %q", a.Error)
	}
	for _, hint := range []string{"4725", "nobody"} {
		if a := h.asBank(t, "/bc-authorize", http.StatusBadRequest, "scope", "openid", "login_hint", hint, "user_code", "4712"); a.Error != "invalid_user_code" {
			t.Errorf("with a wrong code for %q it hears %q", hint, a.Error)
		}
	}
	if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) != 0 {
		t.Fatalf("the phone is asked %v, %v", open, err)
	}
	asked := h.asBank(t, "/bc-authorize", http.StatusOK, append(ask, "user_code", "4711")...)
	answerQuestion(t, phone, asked.Number)
	h.untilApproved(t, []string{"grant_type", cibaGrant, "auth_req_id", asked.ID})
}

// payloadOf is the claims of a token.
func payloadOf(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}
