// SPDX-License-Identifier: Apache-2.0

package tour

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/caddymodule/simulator"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

// demoPIN is the person's. It never leaves this program, which is the phone.
const demoPIN = "258046"

// The payment, and the one that somebody would rather have.
const (
	payment = `{"amount": 500, "currency": "EUR", "creditor": "Bob"}`
	forged  = `{"amount": 5000, "currency": "EUR", "creditor": "Bob"}`
)

// invite has the back end begin a registration, the phone answer it and the back end confirm it.
func (t *tour) invite() error {
	var found struct {
		Users []struct {
			ID string `json:"id"`
		} `json:"users"`
	}
	if err := t.backEndCall(http.MethodGet, "/users?login="+url.QueryEscape(t.login), nil, &found); err != nil {
		return err
	}
	if len(found.Users) != 1 {
		return fmt.Errorf("there is no user %s: is this the server of Caddyfile.example?", t.login)
	}
	t.userID = found.Users[0].ID
	var begun struct{ ID, QR string }
	asked := map[string]any{"user_id": t.userID, "application": t.application, "proofed": true}
	if err := t.backEndCall(http.MethodPost, "/operations/registration", asked, &begun); err != nil {
		return err
	}
	invitation, err := envelope.ParseInvitation(begun.QR)
	if err != nil {
		return err
	}
	t.say("  The person scans the QR code; the phone makes its keys and is given a PIN.")
	if err := t.enrol(invitation); err != nil {
		return err
	}
	digits := t.phone.State().Digits
	if t.phone.State().Status != "pending" {
		return nil
	}
	t.say("  The phone shows %s. The person reads it to the back end.", digits)
	return t.backEndCall(http.MethodPost, "/operations/"+begun.ID+"/confirm", map[string]any{"digits": digits}, nil)
}

func (t *tour) enrol(invitation envelope.Invitation) (err error) {
	keys := new(device.SoftStore)
	t.phone, err = device.Enrol(t.ctx, device.Config{
		Client: t.as("phone"), Keystore: keys, Vault: keys, Now: time.Now,
		Save: func(context.Context, device.State) error { return nil }, // it lives as long as the tour
	}, device.Enrolment{
		Invitation: invitation, Application: t.application, Version: "1.0", Platform: "android", Name: "Demo phone",
		Model: "gatehouse demo", Handset: rand.Text(), PIN: demoPIN,
	})
	return err
}

// party is a program that speaks to the API for back ends.
type party struct{ name, client, secret string }

func (t *tour) backEndCall(method, path string, body, result any) error {
	backEnd := party{"back end", t.backEnd, cmp.Or(os.Getenv("DEMO_PORTAL_SECRET"), demoSecret)}
	return t.call(backEnd, method, path, body, result)
}

// call calls the API for back ends.
func (t *tour) call(by party, method, path string, body, result any) error {
	sent, err := encoded(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(t.ctx, method, t.issuer+"/api/v1"+path, sent)
	if err != nil {
		return err
	}
	r.SetBasicAuth(url.QueryEscape(by.client), url.QueryEscape(by.secret))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := t.as(by.name).Do(r)
	if err != nil {
		return unreached(err)
	}
	return decoded(response, result)
}

func encoded(body any) (io.Reader, error) {
	if body == nil {
		return http.NoBody, nil
	}
	data, err := json.Marshal(body)
	return bytes.NewReader(data), err
}

func decoded(response *http.Response, result any) error {
	data, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("the server answered %s", response.Status)
	case result == nil:
		return nil
	}
	return json.Unmarshal(data, result)
}

// unreached says what to do about a server that is not there.
func unreached(err error) error {
	if refused := new(url.Error); errors.As(err, &refused) && !refused.Timeout() {
		return fmt.Errorf("%w\n\nIs the server of Caddyfile.example running? Start it in another terminal: ./xcaddy.sh run", err)
	}
	return err
}

// logIn has the app get a token, for which the person types their password.
func (t *tour) logIn() error {
	password := client.HandlerFunc(func(_ context.Context, c client.Challenge) (map[string]string, error) {
		if c.Failure != nil {
			return nil, errors.New(c.Failure.Message)
		}
		answers := map[string]string{}
		for _, f := range c.Fields {
			answers[f.Name] = t.login
			if f.Type == "password" {
				answers[f.Name] = cmp.Or(os.Getenv("DEMO_ALICE_PASSWORD"), demoPassword)
			}
		}
		return answers, nil
	})
	gate, err := client.New(client.Config{
		Issuer: t.issuer, ClientID: t.client, Scopes: []string{"payments:write"}, Now: time.Now, HTTP: t.as("app"),
		Handlers: map[string]client.Handler{"password": password},
	})
	if err != nil {
		return err
	}
	tokens, err := gate.Authorize(t.ctx, client.Request{})
	if err != nil {
		return err
	}
	t.app = &http.Client{Timeout: patience, Transport: bearer{tokens.Access, t.as("app").Transport}}
	return nil
}

// bearer adds a token to requests.
type bearer struct {
	token string
	base  http.RoundTripper
}

// RoundTrip sends a request with the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.base.RoundTrip(r)
}

// transfer asks the API for a payment, with an approval if there is one.
func (t *tour) transfer(body, operation string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.api+"/transfers", bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if operation != "" {
		r.Header.Set("Gatehouse-Operation", operation)
	}
	response, err := t.app.Do(r)
	if err != nil {
		return 0, nil, unreached(err)
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (t *tour) pay() error {
	status, answer, err := t.transfer(payment, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &t.question); err != nil || status != http.StatusUnauthorized || t.question.Operation == "" {
		return fmt.Errorf("the gate should have asked for the phone; it answered %d", status)
	}
	t.say("  The app shows the number %s, and waits.", t.question.Number)
	return nil
}

// approve has the person read what the phone shows, type the number and the PIN.
func (t *tour) approve() error {
	open, err := t.phone.Pending(t.ctx, 30*time.Second)
	if err != nil {
		return err
	}
	if len(open) == 0 {
		return errors.New("nothing is asked of the phone")
	}
	q, err := t.phone.Fetch(t.ctx, t.question.Operation)
	if err != nil {
		return err
	}
	if err := simulator.WriteQuestion(t.out, q); err != nil {
		return err
	}
	t.say("  The person types %s and the PIN.", t.question.Number)
	return t.phone.Approve(t.ctx, q, device.Approval{Proof: device.Proof{PIN: demoPIN}, Number: t.question.Number})
}

func (t *tour) change() error {
	status, _, err := t.transfer(forged, t.question.Operation)
	if err == nil && status < http.StatusBadRequest {
		err = fmt.Errorf("a payment that nobody approved passed with %d", status)
	}
	return err
}

func (t *tour) repeat() error {
	status, _, err := t.transfer(payment, t.question.Operation)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the payment was approved, and the gate answered %d", status)
	}
	if err != nil {
		return err
	}
	t.say("  And once more, as a thief would who has copied it:")
	status, _, err = t.transfer(payment, t.question.Operation)
	if err == nil && status < http.StatusBadRequest {
		err = fmt.Errorf("an approval was good twice: %d", status)
	}
	return err
}

// prove fetches the receipt and verifies it by the server's root keys alone.
func (t *tour) prove() error {
	auditor := party{"auditor", t.auditor, cmp.Or(os.Getenv("DEMO_AUDITOR_SECRET"), demoAuditorSecret)}
	var operation struct{ Receipt string }
	if err := t.call(auditor, http.MethodGet, "/operations/"+t.question.Operation, nil, &operation); err != nil {
		return err
	}
	roots, err := t.roots(t.cmd)
	if err != nil {
		return err
	}
	verified, err := receipt.Verify([]byte(operation.Receipt), roots)
	if err != nil {
		return err
	}
	for _, line := range verified.Lines() {
		t.say("  shown     %s", line)
	}
	t.say("  approved  %s by %s, %s (%s)", verified.Answered.Local().Format(time.DateTime), t.login, verified.Method, verified.Assurance)
	t.say("  asked by  %s", verified.ClientID)
	t.say("  verified  without the server, by the root key %s", verified.Root)
	return nil
}
