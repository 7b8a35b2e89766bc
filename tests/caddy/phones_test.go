// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

const portalSecret = "portal-secret-0123456789-0123456789"

// enrolling is the configuration of an application that registers phones, and of a back end that asks them.
const enrolling = `application pocket {
			android com.example.pocket
			enrollment
		}
		client portal {
			secret ` + portalSecret + `
			grants client_credentials
			scopes gatehouse:users gatehouse:operations
		}`

// asPortal calls the API for back ends and reads the answer, which has to have that status. Like every careful back end it names
// its calls: a connection that a reload closes under one has it sent again.
func (h *house) asPortal(t *testing.T, method, path, body string, status int) (answer map[string]any) {
	t.Helper()
	got := send(t, method, h.issuer+"/api/v1/"+path, basic("portal", portalSecret), func(r *http.Request) {
		if body != "" {
			setBody(r, "application/json", body)
			r.Header.Set("Idempotency-Key", rand.Text())
		}
	})
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || got.Status != status {
		t.Fatalf("%s %s: %d %s", method, path, got.Status, got.Body)
	}
	return answer
}

const phonePIN = "493817"

// enrol registers a phone of a new user.
func (h *house) enrol(t *testing.T, ref string) (user string, phone *device.Device) {
	t.Helper()
	user, _ = h.asPortal(t, "POST", "users", `{"external_ref":"`+ref+`"}`, http.StatusCreated)["id"].(string)
	return user, h.register(t, user)
}

// register gives a user a phone.
func (h *house) register(t *testing.T, user string) (phone *device.Device) {
	t.Helper()
	begun := h.asPortal(t, "POST", "operations/registration", `{"user_id":"`+user+`","application":"pocket"}`, http.StatusCreated)
	qr, _ := begun["qr"].(string)
	invitation, err := envelope.ParseInvitation(qr)
	if err != nil {
		t.Fatal(err)
	}
	keys := new(device.SoftStore)
	client := &http.Client{Transport: new(http.Transport)}
	t.Cleanup(client.CloseIdleConnections)
	phone, err = device.Enrol(t.Context(), device.Config{
		Client: client, Keystore: keys, Vault: keys, Now: time.Now, Save: func(context.Context, device.State) error { return nil },
	}, device.Enrolment{Invitation: invitation, Application: "pocket", Version: "1.0", Platform: "android", Name: "Phone", PIN: phonePIN})
	if err != nil {
		t.Fatal(err)
	}
	h.asPortal(t, "POST", "operations/"+invitation.Operation+"/confirm", `{"digits":"`+phone.State().Digits+`"}`, http.StatusOK)
	return phone
}

// waits is a phone that waits for a question, over whatever happens to the server. An error is one that no phone should see.
func waits(ctx context.Context, phone *device.Device) (envelope.Summary, error) {
	for {
		open, err := phone.Pending(ctx, 20*time.Second)
		switch {
		case len(open) > 0:
			return open[0], nil
		case err != nil && (ctx.Err() != nil || !errors.Is(err, device.ErrUnavailable) && !errors.Is(err, device.ErrNetwork)):
			return envelope.Summary{}, err
		}
	}
}

// TestPhonesOutliveTheServer: a phone that waits hears what is asked after a reload and after a restart, and its answer counts.
func TestPhonesOutliveTheServer(t *testing.T) {
	t.Parallel()
	h := start(t, enrolling, "")
	user, phone := h.enrol(t, "4711")
	for _, change := range []struct {
		name string
		make func()
	}{
		{"a reload", func() {
			h.reload(t, strings.Replace(h.current(), "enrollment", "enrollment {\n push_mode single\n }", 1))
		}},
		{"a reload that is refused", func() {
			if got := h.load(t, "text/caddyfile", strings.Replace(h.current(), "enrollment", "enrollment {\n push_mode many\n }", 1)); got.Status == http.StatusOK {
				t.Error("it is taken")
			}
		}},
		{"a restart", func() {
			if err := errors.Join(h.Kill(), h.Restart(t.Context())); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		var heard envelope.Summary
		done := make(chan error, 1)
		go func() {
			var err error
			heard, err = waits(t.Context(), phone)
			done <- err
		}()
		change.make()
		asked := h.asPortal(t, "POST", "operations/authorisation", `{"user_id":"`+user+`","context":{"title":"Pay"}}`, http.StatusCreated)
		id, _ := asked["id"].(string)
		number, _ := asked["number"].(string)
		if err := <-done; err != nil || heard.Operation != id {
			t.Fatalf("%s: the phone hears %v, %v", change.name, heard, err)
		}
		question, err := phone.Fetch(t.Context(), id)
		if err != nil {
			t.Fatalf("%s: %v", change.name, err)
		}
		if err := phone.Approve(t.Context(), question, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
			t.Fatalf("%s: %v", change.name, err)
		}
		if got := h.asPortal(t, "POST", "operations/"+id+"/redeem", "", http.StatusOK); got["state"] != "redeemed" {
			t.Errorf("%s: %v", change.name, got)
		}
	}
}

// TestOperatorDeactivatesAUser: phones go with their user, and their history and the trail say why and by whom.
func TestOperatorDeactivatesAUser(t *testing.T) {
	t.Parallel()
	h := start(t, strings.Replace(enrolling, "gatehouse:users", "gatehouse:users gatehouse:devices gatehouse:audit", 1), "")
	user, phone := h.enrol(t, "4713")
	asked := h.asPortal(t, "POST", "operations/authorisation", `{"user_id":"`+user+`","context":{"title":"Pay"}}`, http.StatusCreated)
	id, _ := asked["id"].(string)
	status := func(status string) {
		t.Helper()
		got := sendWith(t, h.admin(), http.MethodPost, "http://127.0.0.1/gatehouse/users/"+user+"/status", func(r *http.Request) {
			setBody(r, "application/json", `{"status":"`+status+`","reason":"left"}`)
		})
		if got.Status != http.StatusOK {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	device := "devices/" + phone.State().Device
	status("locked")
	if got := h.asPortal(t, "GET", device, "", http.StatusOK); got["status"] != "active" {
		t.Errorf("the phone of a user who may come back is %v", got["status"])
	}
	status("deactivated")
	if got := h.asPortal(t, "GET", device, "", http.StatusOK); got["status"] != "deactivated" || got["status_reason"] != "user_deactivated" {
		t.Errorf("the phone is %v", got)
	}
	changes, _ := h.asPortal(t, "GET", device+"/history", "", http.StatusOK)["changes"].([]any)
	if last, _ := changes[len(changes)-1].(map[string]any); last["reason"] != "user_deactivated" || last["by"] != "operator" {
		t.Errorf("its history ends with %v", last)
	}
	if got := h.asPortal(t, "GET", "operations/"+id, "", http.StatusOK); got["state"] != "cancelled" || got["reason"] != "user_revoked" {
		t.Errorf("the question is %v", got)
	}
	trail := h.asPortal(t, "GET", "audit?name=device.status&by=operator&device_id="+phone.State().Device, "", http.StatusOK)
	if events, _ := trail["events"].([]any); len(events) != 1 || !strings.Contains(fmt.Sprint(events...), "user_deactivated") {
		t.Errorf("the trail has %v", trail)
	}
	status("deactivated") // and may be said again
}

// TestBackEndsReadTheConfiguration: the apps, with the status of their versions, and the clients, without their secrets.
func TestBackEndsReadTheConfiguration(t *testing.T) {
	t.Parallel()
	h := start(t, strings.Replace(enrolling, "gatehouse:users", "gatehouse:clients:read", 1), "")
	apps := fmt.Sprint(h.asPortal(t, "GET", "applications", "", http.StatusOK))
	if app := h.asPortal(t, "GET", "applications/pocket", "", http.StatusOK); !strings.Contains(apps, "com.example.pocket") || app["default"] == "" {
		t.Errorf("the apps are %s, one is %v", apps, app)
	}
	list := h.asPortal(t, "GET", "clients", "", http.StatusOK)
	clients, _ := list["clients"].([]any)
	portal := h.asPortal(t, "GET", "clients/portal", "", http.StatusOK)
	if len(clients) == 0 || fmt.Sprint(portal["grant_types"]) != "[client_credentials]" || portal["token_endpoint_auth_method"] != "client_secret_basic" {
		t.Errorf("the clients are %v, this one is %v", clients, portal)
	}
	if text := fmt.Sprint(list, portal); strings.Contains(text, portalSecret) || strings.Contains(text, "secret_hash") {
		t.Errorf("a secret is told: %s", text)
	}
	for _, client := range clients {
		if c, _ := client.(map[string]any); strings.Contains(fmt.Sprint(c["id"]), "127.0.0.1") {
			t.Errorf("a guarded site is listed: %v", c)
		}
	}
}

// TestCallbackOutlivesACrash: what was answered before the server died is told after it, to a receiver that was away meanwhile, and
// the answer stands.
func TestCallbackOutlivesACrash(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	tried, told := make(chan struct{}, 1), make(chan string, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !up.Load() {
			select {
			case tried <- struct{}{}:
			default:
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		told <- string(body)
	}))
	t.Cleanup(receiver.Close)
	h := start(t, enrolling+`
		mobile {
			callback `+receiver.URL+`/done {
				allow 127.0.0.0/8 ::1
			}
		}`, "")
	user, phone := h.enrol(t, "4714")
	asked := h.asPortal(t, "POST", "operations/authorisation",
		`{"user_id":"`+user+`","context":{"title":"Pay"},"callback_url":"`+receiver.URL+`/done"}`, http.StatusCreated)
	id, _ := asked["id"].(string)
	number, _ := asked["number"].(string)
	question, err := phone.Fetch(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := phone.Approve(t.Context(), question, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}); err != nil {
		t.Fatal(err)
	}
	<-tried
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	up.Store(true)
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var notice struct{ Operation, State string }
	if err := json.Unmarshal([]byte(<-told), &notice); err != nil || notice.Operation != id || notice.State != "approved" {
		t.Errorf("it is told %+v, %v", notice, err)
	}
	// The next one is told of after this: had the first been told of twice, it would stand before it.
	if got := h.asPortal(t, "POST", "operations/"+id+"/redeem", "", http.StatusOK); got["state"] != "redeemed" {
		t.Errorf("the answer is %v", got)
	}
	if err := json.Unmarshal([]byte(<-told), &notice); err != nil || notice.State != "redeemed" {
		t.Errorf("then it is told %+v, %v", notice, err)
	}
}

// TestPhonesAreThereWhereTheyAreConfigured: what no configuration asks for is not served, and what it asks for can be read.
func TestPhonesAreThereWhereTheyAreConfigured(t *testing.T) {
	t.Parallel()
	h := start(t, enrolling, "")
	served := func(want bool) {
		t.Helper()
		for _, path := range []string{"/api/v1/docs", "/api/v1/openapi.json", "/mobile/v1/pending"} {
			if got := send(t, http.MethodGet, h.issuer+path); got.reached() == want {
				t.Errorf("%s: %d %v", path, got.Status, got.Header)
			}
		}
		if got := strings.Contains(send(t, http.MethodGet, h.issuer+"/jwks").Body, "ECDH-ES"); got != want {
			t.Errorf("a key to encrypt to is published: %v", got)
		}
	}
	_, phone := h.enrol(t, "4712")
	served(true)
	refused := send(t, http.MethodGet, h.issuer+"/api/v1/users")
	var problem struct{ Type, Code string }
	if err := json.Unmarshal([]byte(refused.Body), &problem); err != nil || refused.Status != http.StatusUnauthorized {
		t.Fatalf("%d %s", refused.Status, refused.Body)
	}
	page, anchor, _ := strings.Cut(problem.Type, "#")
	docs := send(t, http.MethodGet, page)
	if docs.Status != http.StatusOK || anchor != problem.Code || !strings.Contains(docs.Body, `id="`+anchor+`"`) {
		t.Errorf("%s leads to %d", problem.Type, docs.Status)
	}
	if policy := docs.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy of the page is %q", policy)
	}
	h.reload(t, strings.Replace(h.current(), enrolling, "", 1))
	served(false)
	if _, err := phone.Pending(t.Context(), 0); err == nil {
		t.Error("without a mobile side the phone is answered")
	}
	h.reload(t, h.current())
	served(true)
	if open, err := phone.Pending(t.Context(), 0); err != nil || len(open) > 0 {
		t.Errorf("the phone is not the same after that: %v, %v", open, err)
	}
}
