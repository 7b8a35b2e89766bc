// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// safe is where the test's certificates are, by user.
type safe struct {
	mu   sync.Mutex
	all  map[string][]account.Certificate
	fail error
	did  []string
}

func newSafe() *safe {
	at := time.Date(2026, time.March, 14, 9, 30, 0, 0, time.UTC)
	return &safe{all: map[string][]account.Certificate{
		faces.Alice: {
			{
				ID: "ins_alice", Entity: "application", App: "bank", Model: "Alice’s <pad>", System: "iPadOS 26.1", Status: "valid",
				Grade: "hardware", Issued: at, Expires: at.AddDate(0, 3, 0),
			},
			{ID: "ins_gone", Entity: "group", Group: "retail", App: "shop", System: "Android", Status: "revoked", Revoked: at},
		},
		faces.Bob: {{ID: "ins_bob", Entity: "device", App: "bank", Model: "iPhone 17", Status: "valid"}},
	}}
}

func (s *safe) Of(_ context.Context, user string) ([]account.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all[user]), s.fail
}

func (s *safe) Remove(ctx context.Context, user, device string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := audit.ActorOf(ctx)
	s.did = append(s.did, fmt.Sprintf("%s remove %s by %s from %s in %s", user, device, a.By, a.ClientIP, a.RequestID))
	i := slices.IndexFunc(s.all[user], func(c account.Certificate) bool { return c.ID == device })
	switch {
	case s.fail != nil:
		return s.fail
	case i < 0:
		return account.ErrGone
	}
	s.all[user][i].Status = "revoked"
	return nil
}

func (s *safe) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *safe) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.did)
}

// status is what has become of a user's first certificate.
func (s *safe) status(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[user][0].Status
}

const certificateOf = "/account/certificate?id=ins_"

func newCertificateWorld(t *testing.T) (*faces.World, *safe, *faces.Browser) {
	t.Helper()
	s := newSafe()
	w := faces.New(t, faces.Options{Seed: 3, Certificates: s})
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	return w, s, b
}

func TestCertificatesStandBesideSessions(t *testing.T) {
	t.Parallel()
	_, s, b := newCertificateWorld(t)
	page := b.Get("/account")
	wantAccount(t, page, "Apps on your devices", "Alice’s &lt;pad&gt;", "iPadOS 26.1", "Valid", "Key in a security chip", "For the app",
		"14 March 2026", "14 June 2026", "For all apps of the group", "retail", "Removed", "certificate?id=ins_alice")
	if strings.Contains(page.Body, "iPhone 17") || strings.Contains(page.Body, "ins_gone") {
		t.Error("the page shows what is Bob's, or offers to remove what was removed")
	}
	if len(s.done()) != 0 {
		t.Errorf("looking did something: %q", s.done())
	}
	s.mu.Lock()
	s.all[faces.Alice] = nil
	s.mu.Unlock()
	wantAccount(t, b.Get("/account"), "Apps on your devices", "You have not signed in with an app that has a certificate.")
}

// The words are those of the person's language.
func TestCertificatesInDutch(t *testing.T) {
	t.Parallel()
	_, _, b := newCertificateWorld(t)
	b.Header.Set("Accept-Language", "nl")
	wantSays(t, b.Get("/account"), "Apps op je apparaten", "Geldig", "14 maart 2026")
	wantSays(t, b.Get(certificateOf+"alice"), "Dit certificaat verwijderen?", "Behouden")
}

// Without certificates the page is what it was, and there is no other.
func TestWithoutCertificates(t *testing.T) {
	t.Parallel()
	b := newWorld(t).Browser(t)
	b.SignIn(faces.AliceLogin)
	page := b.Get("/account")
	wantAccount(t, page)
	if strings.Contains(page.Body, "certificate") {
		t.Error("the page speaks of certificates")
	}
	_, form := page.Form()
	form.Set("remove_certificate", "ins_alice")
	for _, got := range []*faces.Page{b.Get(certificateOf + "alice"), b.Post("/account/certificate", form)} {
		if got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", got.At, got.Status)
		}
	}
}

func TestRemoveACertificateAfterAQuestion(t *testing.T) {
	t.Parallel()
	_, s, b := newCertificateWorld(t)
	page := b.Get(certificateOf + "alice")
	wantSays(t, page, "Remove this certificate?", "Alice’s &lt;pad&gt;", "Keep it")
	b.Get("/account/certificate?id=ins_alice&remove_certificate=ins_alice")
	if len(s.done()) != 0 {
		t.Fatalf("the question did something: %q", s.done())
	}
	wantAccount(t, b.Submit(page, "remove_certificate", "ins_alice"), "The certificate has been removed.")
	if diff := cmp.Diff([]string{faces.Alice + " remove ins_alice" + by}, s.done()); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
	wantAccount(t, b.Get(certificateOf+"alice"), "already ended")
}

// What is another user's is answered like what never was.
func TestCertificatesOfOthersAreSafe(t *testing.T) {
	t.Parallel()
	_, s, b := newCertificateWorld(t)
	_, form := b.Get("/account").Form()
	var shown, changed []string
	for _, id := range []string{"ins_bob", "ins_nobody", ""} {
		page := b.Get("/account/certificate?id=" + id)
		wantAccount(t, page, "already ended")
		shown = append(shown, page.Body)
		page = b.Post("/account/certificate", url.Values{"step": {form.Get("step")}, "remove_certificate": {id}})
		wantAccount(t, page, "already ended")
		changed = append(changed, page.Body)
	}
	if len(slices.Compact(append(shown, changed...))) != 1 {
		t.Error("the answers differ")
	}
	if s.status(faces.Bob) != "valid" {
		t.Error("Bob's is gone")
	}
}

// RFC 6749 10.12: another site has nothing removed.
func TestForgedRemovals(t *testing.T) {
	t.Parallel()
	w, s, b := newCertificateWorld(t)
	eve := w.Browser(t)
	eve.SignIn(faces.BobLogin)
	_, theirs := eve.Get("/account").Form()
	for _, token := range []string{"", strings.Repeat("A", 43), theirs.Get("step")} {
		wantAccount(t, b.Post("/account/certificate", url.Values{"step": {token}, "remove_certificate": {"ins_alice"}}))
	}
	wantAccount(t, b.Post("/account/certificate", url.Values{"remove_certificate": {"ins_alice"}}))
	if len(s.done()) != 0 || s.status(faces.Alice) != "valid" {
		t.Errorf("something happened: %q", s.done())
	}
}

// Neither what the page shows nor what it does is there for a browser that was left open.
func TestCertificatesAreForAFreshLogin(t *testing.T) {
	t.Parallel()
	w, s, b := newCertificateWorld(t)
	page := b.Get(certificateOf + "alice")
	w.Clock.Advance(faces.Fresh + time.Second)
	wantLogin(t, b.Get(certificateOf+"alice"))
	wantLogin(t, w.Browser(t).Get(certificateOf+"alice"))
	wantLogin(t, b.Submit(page, "remove_certificate", "ins_alice"))
	if len(s.done()) != 0 {
		t.Errorf("something happened: %q", s.done())
	}
}

func TestFailuresOfCertificates(t *testing.T) {
	t.Parallel()
	_, s, b := newCertificateWorld(t)
	question := b.Get(certificateOf + "alice")
	for _, failure := range []struct {
		err    error
		status int
		again  string
	}{
		{errors.New("broken: " + faces.Leak), http.StatusInternalServerError, ""},
		{fmt.Errorf("%w: %s", storage.ErrUnavailable, faces.Leak), http.StatusServiceUnavailable, "2"},
		{fmt.Errorf("%w: %s", context.DeadlineExceeded, faces.Leak), http.StatusServiceUnavailable, "2"},
	} {
		s.breaks(failure.err)
		for i, page := range []*faces.Page{
			b.Get("/account"), b.Get(question.At), b.Submit(question, "remove_certificate", "ins_alice"),
		} {
			if page.Status != failure.status || page.Header.Get("Retry-After") != failure.again || strings.Contains(page.Body, faces.Leak) {
				t.Errorf("%d: %v: status %d:\n%s", i, failure.err, page.Status, page.Body)
			}
		}
	}
}
