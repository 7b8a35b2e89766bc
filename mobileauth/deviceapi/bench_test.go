// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// handle has the handler answer a message without a network in between.
func (s *server) handle(path, body string) int {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", envelope.ContentType)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code
}

// BenchmarkFetch is the server's part of one whole fetch: opening, looking, sealing.
func BenchmarkFetch(b *testing.B) {
	s := newServer(b)
	p := s.enrol(alice)
	o := s.ask(alice)
	_, err := p.Fetch(b.Context(), o.ID)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s.clock.Advance(time.Second) // for the next message to be admitted
		raw := p.sealed(p.request(envelope.PathFetch), envelope.FetchRequest{Operation: o.ID})
		b.StartTimer()
		if status := s.handle(envelope.PathFetch, raw); status != http.StatusOK {
			b.Fatalf("%d, %s", status, s.lines.reason())
		}
	}
}

// keeper is a transport that keeps what a phone would send for one path, instead of sending it.
type keeper struct {
	http.RoundTripper
	path string
	body string
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, k.path) {
		return k.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	k.body = string(body)
	refused := httptest.NewRecorder()
	refused.WriteHeader(http.StatusNotFound)
	return refused.Result(), nil
}

// BenchmarkAnswer is the server's part of one whole answer: opening, judging the statement and the PIN, writing, sealing.
func BenchmarkAnswer(b *testing.B) {
	s := newServer(b)
	p := s.enrol(alice)
	kept := &keeper{RoundTripper: s.client.Transport, path: envelope.PathAnswer}
	s.client.Transport = kept
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s.clock.Advance(2 * time.Second) // for the next messages to be admitted
		o := s.ask(alice)
		q, err := p.Fetch(b.Context(), o.ID)
		must(b, err)
		_ = p.Approve(b.Context(), q, device.Approval{Proof: device.Proof{PIN: pin}}) // it is kept
		b.StartTimer()
		if status := s.handle(envelope.PathAnswer, kept.body); status != http.StatusOK {
			b.Fatalf("%d, %s", status, s.lines.reason())
		}
		b.StopTimer()
		if got := s.state(o.ID); got != operation.Approved {
			b.Fatalf("the operation is %s", got)
		}
		b.StartTimer()
	}
}

// BenchmarkPending is the server's part of a phone's asking what is pending, without waiting.
func BenchmarkPending(b *testing.B) {
	s := newServer(b)
	p := s.enrol(alice)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s.clock.Advance(time.Minute) // so that it does not send too much
		raw := p.sealed(p.request(envelope.PathPending), envelope.PendingRequest{})
		b.StartTimer()
		if status := s.handle(envelope.PathPending, raw); status != http.StatusOK {
			b.Fatalf("%d, %s", status, s.lines.reason())
		}
	}
}
