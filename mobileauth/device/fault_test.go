// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// unavailable is a server whose store is down, at one endpoint.
func unavailable(path string) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, asked string) bool {
		if asked != path {
			return false
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
}

// says answers every request with a status, a type and a text.
func says(status int, kind, text string) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, _ string) bool {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
		return true
	}
}

func TestEachFaultHasItsError(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	for _, tt := range []struct {
		name   string
		refuse envelope.Code
		broken func(http.ResponseWriter, string) bool
		want   error
	}{
		{name: "gone", refuse: envelope.CodeGone, want: device.ErrGone},
		{name: "not allowed", refuse: envelope.CodeNotAllowed, want: device.ErrNotAllowed},
		{name: "retry", refuse: envelope.CodeRetry, want: device.ErrUnavailable},
		{name: "refused", refuse: envelope.CodeRefused, want: device.ErrRefused},
		{name: "store down", broken: unavailable(envelope.PathDevice), want: device.ErrUnavailable},
		{name: "too many", broken: says(429, "text/plain", ""), want: device.ErrUnavailable},
		{name: "too large", broken: says(413, "text/plain", ""), want: device.ErrAnswer},
		{name: "redirect", broken: says(302, "text/plain", ""), want: device.ErrAnswer},
		{name: "page of a hotel", broken: says(200, "text/html", "<html>"), want: device.ErrAnswer},
		{name: "garbage", broken: says(200, envelope.ContentType, "a.b.c.d.e"), want: device.ErrAnswer},
		{name: "nothing", broken: says(200, envelope.ContentType, ""), want: device.ErrAnswer},
		{name: "endless", broken: says(200, envelope.ContentType, strings.Repeat("x", envelope.MaxAnswer+1)), want: device.ErrAnswer},
		{name: "a problem of another kind", broken: says(400, "application/problem+json", `{"code":"other"}`), want: device.ErrAnswer},
		{name: "refused without a time", broken: says(400, "application/problem+json", `{"code":"message_refused"}`), want: device.ErrMessage},
		{name: "cut", broken: func(http.ResponseWriter, string) bool { panic(http.ErrAbortHandler) }, want: device.ErrNetwork},
	} {
		s.do(func() { s.refuse, s.broken = tt.refuse, tt.broken })
		if _, err := d.Refresh(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	s.do(func() { s.refuse, s.broken = "", unavailable(envelope.PathDevice) })
	var retry *device.RetryError
	if _, err := d.Refresh(t.Context()); !errors.As(err, &retry) || retry.After != 7*time.Second {
		t.Errorf("the time to wait: %v", err)
	}
	s.do(func() { s.broken = nil })
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Errorf("after all faults: %v", err)
	}
}

// An answer that was recorded is no answer to another request, and neither is one that somebody else made.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	stranger, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.do(func() {
		answer := s.requests[len(s.requests)-1].Reply(s.now, s.keys())
		old, err := envelope.SealAnswer(answer, nil, s.sign, s.device.Enc)
		if err != nil {
			t.Error(err)
		}
		s.broken = says(200, envelope.ContentType, old)
	})
	if _, err := d.Refresh(t.Context()); !errors.Is(err, device.ErrAnswer) {
		t.Errorf("an old answer: %v", err)
	}
	s.do(func() { s.broken, s.sign = nil, stranger })
	s.do(func() { // one that does not announce its key
		s.broken = nil
		s.enc = slices.Clone(s.enc)
	})
	before := d.State().Server.Digest()
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Errorf("a key that is announced by whoever read the request: %v", err)
	}
	if d.State().Server.Digest() == before {
		t.Error("the announced key is not kept")
	}
}

// The clock of a phone may be wrong: the server's time in a refusal corrects it, once.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-400 * 24 * time.Hour, -61 * time.Second, 61 * time.Second, 24 * time.Hour} {
		s, p := newServer(t), newPhone(t)
		p.now = noon.Add(off)
		d, err := device.Enrol(t.Context(), p.config, enrolment(s))
		if err != nil {
			t.Fatalf("off by %v: %v", off, err)
		}
		s.do(func() { s.status = "active" })
		served := len(s.requests)
		if err := approves(t, s, p.restart(t), pin); err != nil {
			t.Errorf("off by %v: %v", off, err)
		}
		if got := d.State().Skew; got != int64(-off/time.Second) {
			t.Errorf("off by %v the skew is %d", off, got)
		}
		if len(s.requests) != served+2 {
			t.Errorf("a clock that was corrected is corrected again")
		}
	}
}

// A server that refuses whatever the time is not asked for ever, and its time is not believed.
func TestClockIsCorrectedOnce(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	asked := 0
	s.do(func() {
		s.broken = func(w http.ResponseWriter, _ string) bool {
			asked++
			return says(400, "application/problem+json", `{"code":"message_refused","time":`+strings.Repeat("9", 9+asked%2)+`}`)(w, "")
		}
	})
	if _, err := d.Refresh(t.Context()); !errors.Is(err, device.ErrMessage) {
		t.Errorf("Refresh = %v", err)
	}
	if asked != 2 || d.State().Skew != 0 {
		t.Errorf("asked %d times, the skew is %d", asked, d.State().Skew)
	}
}

func TestServerRotatesItsKeys(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	for range 3 {
		s.do(s.rotate)
		if _, err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := d.State().Server; got.Enc[0].ID() != s.enc[0].KID {
			t.Error("the device keeps the old key")
		}
		d = p.restart(t)
	}
	served := s.requests[len(s.requests)-1]
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := s.requests[len(s.requests)-1]; now.ServerKey == served.ServerKey || now.ServerKey != s.enc[0].KID {
		t.Errorf("the last request was for key %q", now.ServerKey)
	}
}

func TestEnrolmentGetsAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.unique = true
	i := s.invitation()
	p := newPhone(t)
	e := enrolment(s)
	d, err := device.Enrol(t.Context(), p.config, e)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.State().Server.Enc[0].ID(); got == i.Key || got != s.enc[0].KID {
		t.Errorf("the device uses %q", got)
	}
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEnrolRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		alter func(*server, *phone, *device.Enrolment)
		want  error
	}{
		{"no issuer", func(_ *server, _ *phone, e *device.Enrolment) { e.Invitation.Issuer = "" }, device.ErrInput},
		{"plain HTTP to elsewhere", func(_ *server, _ *phone, e *device.Enrolment) { e.Invitation.Issuer = "http://auth.example.com" }, device.ErrInput},
		{"no application", func(_ *server, _ *phone, e *device.Enrolment) { e.Application = "" }, device.ErrInput},
		{"a weak PIN", func(_ *server, _ *phone, e *device.Enrolment) { e.PIN = "123456" }, device.ErrInput},
		{"an unknown factor", func(_ *server, _ *phone, e *device.Enrolment) { e.Factors = []string{"face"} }, device.ErrInput},
		{"the PIN in the vault", func(_ *server, _ *phone, e *device.Enrolment) { e.Factors = []string{"pin"} }, device.ErrInput},
		{"no vault", func(_ *server, p *phone, _ *device.Enrolment) { p.config.Vault = nil }, device.ErrInput},
		{"no keystore", func(_ *server, p *phone, _ *device.Enrolment) { p.config.Keystore = nil }, device.ErrInput},
		{"mad work", func(_ *server, p *phone, _ *device.Enrolment) {
			p.config.KDF = device.KDF{Time: 1, Memory: 1 << 30, Threads: 1}
		}, device.ErrInput},
		{"a handset of two lines", func(_ *server, _ *phone, e *device.Enrolment) { e.Handset = strings.Repeat("x", 257) }, device.ErrMessage},
		{"another server", func(s *server, _ *phone, e *device.Enrolment) { e.Invitation.Key = envelope.DisplayHash(nil) }, device.ErrServerKey},
		{"another code", func(_ *server, _ *phone, e *device.Enrolment) { e.Invitation.Code = envelope.ActivationCode{} }, device.ErrMessage},
		{"another operation", func(_ *server, _ *phone, e *device.Enrolment) { e.Invitation.Operation = "op_other" }, device.ErrAnswer},
		{"not allowed", func(s *server, _ *phone, _ *device.Enrolment) { s.refuse = envelope.CodeNotAllowed }, device.ErrNotAllowed},
		{"no keys", func(s *server, _ *phone, _ *device.Enrolment) {
			s.broken = says(200, "application/json", `{"keys":[]}`)
		}, device.ErrServerKey},
		{"nothing saved", func(_ *server, p *phone, _ *device.Enrolment) { p.fail = errFull }, errFull},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p := newServer(t), newPhone(t)
			e := enrolment(s)
			tt.alter(s, p, &e)
			if d, err := device.Enrol(t.Context(), p.config, e); d != nil || !errors.Is(err, tt.want) {
				t.Errorf("Enrol = %v, %v", d, err)
			}
			if kept, err := p.store.MarshalJSON(); err != nil || len(p.saved) > 0 || strings.Contains(string(kept), `"sign"`) || strings.Contains(string(kept), "biometric") {
				t.Errorf("it left %s behind, %v", kept, err)
			}
		})
	}
}

var errFull = errors.New("no space left")

// Whoever typed the code instead of scanning it takes the server's key from the published set.
func TestEnrolByTypedCode(t *testing.T) {
	t.Parallel()
	s, p := newServer(t), newPhone(t)
	code, err := envelope.ParseActivationCode(strings.ToLower(s.code.Text()))
	if err != nil {
		t.Fatal(err)
	}
	e := enrolment(s)
	e.Invitation = envelope.Invitation{Issuer: s.url, Code: code}
	d, err := device.Enrol(t.Context(), p.config, e)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.State(); got.Operation != "op_reg" || got.Digits != s.digits {
		t.Errorf("the state is %+v", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, p, d := enrolled(t)
	good := d.State()
	for _, tt := range []struct {
		name  string
		alter func(*device.State, *device.Config)
	}{
		{"another version", func(s *device.State, _ *device.Config) { s.Version = 2 }},
		{"no device", func(s *device.State, _ *device.Config) { s.Device = "" }},
		{"no server", func(s *device.State, _ *device.Config) { s.Server = envelope.ServerKeys{} }},
		{"plain HTTP", func(s *device.State, _ *device.Config) { s.Issuer = "http://auth.example.com" }},
		{"other keys", func(s *device.State, _ *device.Config) { s.Keys = "other" }},
		{"other next keys", func(s *device.State, _ *device.Config) { s.NextKeys = "other" }},
		{"a PIN cut short", func(s *device.State, _ *device.Config) { s.PIN = &device.SealedSecret{KDF: cheap} }},
		{"no place for the state", func(_ *device.State, c *device.Config) { c.Save = nil }},
	} {
		state, config := good, p.config
		tt.alter(&state, &config)
		if d, err := device.Open(t.Context(), config, state); d != nil || !errors.Is(err, device.ErrInput) {
			t.Errorf("%s: Open = %v, %v", tt.name, d, err)
		}
	}
}

// What cannot be saved does not happen.
func TestStateThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	s, p, d := enrolled(t)
	p.fail = errFull
	if err := d.ChangePIN(t.Context(), device.Proof{PIN: pin}, newPIN); !errors.Is(err, errFull) {
		t.Errorf("ChangePIN = %v", err)
	}
	if err := d.RollKeys(t.Context(), device.Proof{PIN: pin}); !errors.Is(err, errFull) {
		t.Errorf("RollKeys = %v", err)
	}
	p.fail = nil
	if err := approves(t, s, d, pin); err != nil {
		t.Error(err)
	}
}

// A phone waits, and its person turns it off.
func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.do(func() {
		s.broken = func(http.ResponseWriter, string) bool { cancel(); panic(http.ErrAbortHandler) }
	})
	if _, err := d.Pending(ctx, time.Minute); !errors.Is(err, device.ErrNetwork) {
		t.Errorf("Pending = %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s, _, d := enrolled(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := approves(t, s, d, pin); err != nil {
				t.Error(err)
			}
		})
	}
	group.Go(func() {
		if err := d.RollKeys(t.Context(), device.Proof{}); err != nil && !errors.Is(err, device.ErrMessage) {
			t.Error(err)
		}
	})
	group.Wait()
	if _, err := d.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}
