// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// answer is what the API says.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// at returns a member, as text; nothing where there is none.
func (a answer) at(path string) string {
	var value any = a.body
	for name := range strings.SplitSeq(path, ".") {
		members, ok := value.(map[string]any)
		if !ok {
			return ""
		}
		value = members[name]
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// request sends one as a client does.
func (s *server) request(t *testing.T, client, method, path, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	must(t, err)
	if client != "" {
		r.SetBasicAuth(client, portalSecret)
	}
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return s.send(t, r)
}

func (s *server) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := s.client.Do(r)
	must(t, err)
	defer func() { _ = response.Body.Close() }() // it has been read
	text, err := io.ReadAll(response.Body)
	must(t, err)
	a := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	_ = json.Unmarshal(text, &a.body) // pages and pictures are no JSON
	return a
}

// api calls the API as the portal.
func (s *server) api(t *testing.T, method, path, body string) answer {
	t.Helper()
	return s.request(t, "portal", method, "/api/v1"+path, body)
}

// ask starts an authentication with these members.
func (s *server) ask(t *testing.T, members string) answer {
	t.Helper()
	return s.api(t, "POST", "/operations/authentication", "{"+members+"}")
}

// asked starts one that has to begin.
func (s *server) asked(t *testing.T, members string) answer {
	t.Helper()
	got := s.ask(t, members)
	if got.status != http.StatusCreated {
		t.Fatalf("it does not begin: %d %s", got.status, got.text)
	}
	return got
}

// operation returns one, once it has ended.
func (s *server) operation(t *testing.T, id string) answer {
	t.Helper()
	return s.api(t, "GET", "/operations/"+id+"?wait=20s", "")
}

// begins fails the test unless an operation began in this way.
func (a answer) begins(t *testing.T, want map[string]string) answer {
	t.Helper()
	if a.status != http.StatusCreated {
		t.Fatalf("it does not begin: %d %s", a.status, a.text)
	}
	return a.says(t, want)
}

// says fails the test unless members are these.
func (a answer) says(t *testing.T, want map[string]string) answer {
	t.Helper()
	for path, text := range want {
		if got := a.at(path); got != text {
			t.Errorf("%s is %q, want %q, in %d %s", path, got, text, a.status, a.text)
		}
	}
	return a
}

// refuses fails the test unless the answer is a problem document of this kind, about these members.
func (a answer) refuses(t *testing.T, status int, code string, members ...string) answer {
	t.Helper()
	if a.status != status || a.at("code") != code || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("want %d %s, got %d %s", status, code, a.status, a.text)
	}
	for _, member := range members {
		if !strings.Contains(a.at("invalid_params"), member) {
			t.Errorf("it does not name %s: %s", member, a.text)
		}
	}
	return a
}

var numbers atomic.Int64

// number draws one of somebody's.
func number() string { return fmt.Sprintf("+316%08d", 10000000+numbers.Add(10007)) }

// user adds somebody, with or without a number.
func (s *server) user(t *testing.T, number string) string {
	t.Helper()
	body := `{"external_ref":"` + rand.Text() + `"}`
	if number != "" {
		body = strings.TrimSuffix(body, "}") + `,"attributes":{"phone_number":"` + number + `"}}`
	}
	got := s.api(t, "POST", "/users", body)
	if got.status != http.StatusCreated {
		t.Fatalf("%d %s", got.status, got.text)
	}
	return got.at("id")
}

const (
	pin      = "493817"
	wrongPIN = "493818"
)

// phone registers a phone with the bank's app, which proves itself by PIN and further factors, and is notified by Apple.
func (s *server) phone(t *testing.T, user string, factors ...string) *device.Device {
	t.Helper()
	p := s.register(t, user, "bank", pin, factors...)
	must(t, p.SetPush(t.Context(), &envelope.PushAddress{Service: "apple", Address: tokenOf(p)}))
	return p
}

// tokenOf is the device token of a phone.
func tokenOf(p *device.Device) string { return fmt.Sprintf("%064x", p.State().Device)[:64] }

func (s *server) register(t *testing.T, user, app, pin string, factors ...string) *device.Device {
	t.Helper()
	begun := s.api(t, "POST", "/operations/registration", `{"user_id":"`+user+`","application":"`+app+`"}`)
	invitation, err := envelope.ParseInvitation(begun.at("qr"))
	if err != nil {
		t.Fatalf("%v in %d %s", err, begun.status, begun.text)
	}
	keys := new(device.SoftStore)
	p, err := device.Enrol(t.Context(), device.Config{
		Client: s.client, Keystore: keys, Vault: keys, Now: time.Now, KDF: device.KDF{Time: 1, Memory: 8, Threads: 1},
		Save: func(context.Context, device.State) error { return nil },
	}, device.Enrolment{
		Invitation: invitation, Application: app, Version: "1.0", Platform: "ios", Name: "Phone", PIN: pin, Factors: factors,
	})
	must(t, err)
	s.api(t, "POST", "/operations/"+invitation.Operation+"/confirm", `{"digits":"`+p.State().Digits+`"}`).says(t, map[string]string{"confirmed": "true"})
	return p
}

// approve answers an operation with what the phone has.
func approve(t *testing.T, p *device.Device, o answer, proof device.Proof) error {
	t.Helper()
	q, err := p.Fetch(t.Context(), o.at("id"))
	must(t, err)
	return p.Approve(t.Context(), q, device.Approval{Number: o.at("number"), Proof: proof})
}

func deny(t *testing.T, p *device.Device, o answer, reason string) {
	t.Helper()
	q, err := p.Fetch(t.Context(), o.at("id"))
	must(t, err)
	must(t, p.Deny(t.Context(), q, reason))
}

// pushed returns the next notification to a phone.
func (s *server) pushed(t *testing.T, p *device.Device) loopback.Notice {
	t.Helper()
	n, ok := s.apple.Inbox.Take(t.Context(), tokenOf(p))
	if !ok {
		t.Fatal("no notification arrives")
	}
	return n
}

// texted returns the next message to a number.
func (s *server) texted(t *testing.T, number string) string {
	t.Helper()
	n, ok := s.twilio.Inbox.Take(t.Context(), number)
	if !ok {
		t.Fatal("no message arrives")
	}
	var message struct{ Body string }
	must(t, json.Unmarshal(n.Payload, &message))
	return message.Body
}

var digits = regexp.MustCompile(`[0-9]{6}`)

// code returns the code that a number gets.
func (s *server) code(t *testing.T, number string) string {
	t.Helper()
	found := digits.FindString(s.texted(t, number))
	if found == "" {
		t.Fatal("there is no code in the message")
	}
	return found
}

// other is another code.
func other(code string) string {
	return strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, code)
}

func (s *server) verify(t *testing.T, o answer, code string) answer {
	t.Helper()
	return s.api(t, "POST", "/operations/"+o.at("id")+"/verify", `{"code":"`+code+`"}`)
}
