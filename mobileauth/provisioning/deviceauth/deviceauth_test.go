// SPDX-License-Identifier: Apache-2.0

package deviceauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
)

const issuer = "https://auth.example.com"

var application = provisioning.Entity{Kind: provisioning.KindApplication}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// judge is a store of certificates that says what it is told, and keeps what it was asked.
type judge struct {
	asked []provisioning.Message
	err   error
}

var said = provisioning.Claims{
	Installation: "mine", App: provisioning.App{ID: "bank", Platform: "ios", Version: "2.1"}, Device: provisioning.Device{Model: "iPhone18,1", OS: "iOS"},
}

func (j *judge) Issue(_ context.Context, m provisioning.Message) (provisioning.Certificate, error) {
	j.asked = append(j.asked, m)
	return provisioning.Certificate{Chain: [][]byte{[]byte("leaf"), []byte("issuer")}}, j.err
}

func (j *judge) Present(_ context.Context, m provisioning.Message) (provisioning.Presence, error) {
	j.asked = append(j.asked, m)
	return provisioning.Presence{
		Certificate: provisioning.Certificate{Installation: "ins_1", Serial: "4e"}, Claims: said,
		Attributes: map[string]string{"contract": "C-1", "entity": "device", "certificate": "1", "model": "x", "os_version": "1"}, // of which one is a hook's to say
	}, j.err
}

func (j *judge) Unproven(_ context.Context, m provisioning.Message) (provisioning.Claims, error) {
	j.asked = append(j.asked, m)
	return said, j.err
}

func guest(t testing.TB, j *judge, mode deviceauth.Mode) *deviceauth.Guest {
	t.Helper()
	g, err := deviceauth.New(deviceauth.Config{
		Certificates: j, Audience: issuer, Mode: mode, Entity: application,
	})
	must(t, err)
	return g
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	good := deviceauth.Config{
		Certificates: new(judge), Audience: issuer, Mode: deviceauth.Auto, Entity: application,
	}
	if _, err := deviceauth.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*deviceauth.Config){
		"judge": func(c *deviceauth.Config) { c.Certificates = nil }, "audience": func(c *deviceauth.Config) { c.Audience = "" },
		"mode": func(c *deviceauth.Config) { c.Mode = "" }, "entity": func(c *deviceauth.Config) { c.Entity.Kind = "person" },
	} {
		c := good
		change(&c)
		if _, err := deviceauth.New(c); err == nil {
			t.Errorf("without a %s it was built", name)
		}
	}
}

// ask begins, and returns the challenge and the input of the next round.
func ask(t testing.TB, g *deviceauth.Guest) (*realm.Challenge, realm.Input) {
	t.Helper()
	in := realm.Input{
		Realm: "device", Native: true, ClientIP: "192.0.2.1", Subject: "usr_1", Client: realm.Client{ID: "phone"},
	}
	_, asked, err := g.Collect(t.Context(), in)
	must(t, err)
	if asked == nil {
		t.Fatal("nothing is asked")
	}
	in.State = asked.State
	return asked, in
}

// TestChallenge: each has a nonce of its own, and says whom an answer is for.
func TestChallenge(t *testing.T) {
	t.Parallel()
	g := guest(t, new(judge), deviceauth.Auto)
	first, _ := ask(t, g)
	second, _ := ask(t, g)
	if first.Data["nonce"] == second.Data["nonce"] || len(first.Data["nonce"]) < 22 {
		t.Errorf("the nonces are %q and %q", first.Data["nonce"], second.Data["nonce"])
	}
	delete(first.Data, "nonce")
	want := map[string]string{"audience": issuer, "realm": "device", "mode": "auto", "entity": "application"}
	if diff := cmp.Diff(want, first.Data); diff != "" {
		t.Error(diff)
	}
	if first.Further || len(first.Fields) != 2 {
		t.Errorf("the challenge is %+v", first)
	}
}

// A browser has no key: it is told so, and no answer from a page leads on.
func TestPagesAskForNoDevice(t *testing.T) {
	t.Parallel()
	j := new(judge)
	_, asked, err := guest(t, j, deviceauth.Auto).Collect(t.Context(), realm.Input{Realm: "device", Fields: map[string]string{"answer": "x"}})
	must(t, err)
	if asked == nil || !asked.Stuck || asked.Message != "login.application" || len(j.asked) != 0 {
		t.Errorf("a page is asked %+v, and %v was judged", asked, j.asked)
	}
}

// TestAnswer: what is judged is the answer with the nonce of this challenge; the proof names a device and an app, and nobody.
func TestAnswer(t *testing.T) {
	t.Parallel()
	for _, spent := range []bool{false, true} {
		j := new(judge)
		g := guest(t, j, deviceauth.Auto)
		asked, in := ask(t, g)
		in.Fields, in.Spent = map[string]string{"answer": "signed"}, spent
		credentials, more, err := g.Collect(t.Context(), in)
		must(t, err)
		if more != nil {
			t.Fatalf("more is asked: %+v", more)
		}
		credentials.Realm = "device"
		result, err := g.Verify(t.Context(), credentials)
		must(t, err)
		want := []provisioning.Message{{
			Question: provisioning.Question{Audience: issuer, Realm: "device", Nonce: asked.Data["nonce"]}, Spent: spent, Entity: application,
			Answer: "signed", Caller: provisioning.Caller{ClientID: "phone", ClientIP: "192.0.2.1", UserID: "usr_1"},
		}}
		if diff := cmp.Diff(want, j.asked); diff != "" {
			t.Error(diff)
		}
		proven := realm.Result{Status: realm.Accepted, Identity: realm.Identity{
			Device: "ins_1", AMR: []string{"swk"}, Application: &realm.Application{ID: "bank", Platform: "ios", Version: "2.1"},
			Attributes: map[string]string{"entity": "application", "certificate": "4e", "model": "iPhone18,1", "os": "iOS", "contract": "C-1"},
		}}
		if diff := cmp.Diff(proven, result); diff != "" {
			t.Error(diff)
		}
	}
}

// TestRequest: a certificate request is handed in with the nonce of this challenge, and what comes of it is in the next one, which has
// another nonce.
func TestRequest(t *testing.T) {
	t.Parallel()
	j := new(judge)
	g := guest(t, j, deviceauth.Auto)
	asked, in := ask(t, g)
	in.Fields = map[string]string{"answer": "signed", "csr": base64.RawURLEncoding.EncodeToString([]byte("request"))}
	_, next, err := g.Collect(t.Context(), in)
	must(t, err)
	if next == nil || !next.Further || next.Data["nonce"] == asked.Data["nonce"] || strings.Count(next.Data["certificate"], "BEGIN CERTIFICATE") != 2 {
		t.Errorf("the next challenge is %+v", next)
	}
	if m := j.asked[0]; string(m.CSR) != "request" || m.Question.Nonce != asked.Data["nonce"] || m.Answer != "signed" || m.Caller.UserID != "usr_1" {
		t.Errorf("handed in was %+v", m)
	}
	in.Fields["csr"] = "no base64url"
	_, _, err = g.Collect(t.Context(), in)
	must(t, err)
	if m := j.asked[1]; len(m.CSR) != 0 {
		t.Errorf("handed in was %q", m.CSR)
	}
}

// TestRefusals: every one is the same outside, whatever was wrong, and none is a fault; nobody is blamed for time.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		refusal   provisioning.Refusal
		status    realm.Status
		blameless bool
	}{
		{provisioning.Refusal{Reason: provisioning.ReasonSignature}, realm.Refused, false},
		{provisioning.Refusal{Reason: provisioning.ReasonKeyReused, Text: "Call us"}, realm.Refused, false},
		{provisioning.Refusal{Reason: provisioning.ReasonExpired}, realm.Refused, true},
		{provisioning.Refusal{Reason: provisioning.ReasonDistrusted}, realm.Refused, true},
		{provisioning.Refusal{Reason: provisioning.ReasonRevoked}, realm.Refused, true},
		{provisioning.Refusal{Reason: provisioning.ReasonVersion}, realm.Refused, true},
		{provisioning.Refusal{Reason: provisioning.ReasonReplaced}, realm.Refused, true},
	} {
		j := &judge{err: &tt.refusal}
		g := guest(t, j, deviceauth.Auto)
		_, in := ask(t, g)
		in.Fields = map[string]string{"answer": "signed"}
		credentials, _, err := g.Collect(t.Context(), in)
		must(t, err)
		result, err := g.Verify(t.Context(), credentials)
		must(t, err)
		if result.Status != tt.status || result.Reason != string(tt.refusal.Reason) || result.Blameless != tt.blameless ||
			result.Identity.Device != "" || (result.Notice != nil) != (tt.refusal.Text != "") {
			t.Errorf("%s: the result is %+v", tt.refusal.Reason, result)
		}
		in.Fields["csr"] = "AAAA"
		credentials, asked, err := g.Collect(t.Context(), in)
		must(t, err)
		if asked != nil || credentials.Refusal == nil || credentials.Refusal.Reason != string(tt.refusal.Reason) {
			t.Errorf("%s: the request is answered %+v, %+v", tt.refusal.Reason, credentials, asked)
		}
	}
	for reason, blameless := range map[provisioning.Reason]bool{
		provisioning.ReasonManyAsked: false, provisioning.ReasonManyDevices: true, provisioning.ReasonPending: true, provisioning.ReasonBudget: true,
	} {
		j := &judge{err: &provisioning.Refusal{Reason: reason, RetryAfter: time.Minute}}
		g := guest(t, j, deviceauth.Auto)
		_, in := ask(t, g)
		in.Fields = map[string]string{"answer": "signed", "csr": "AAAA"}
		credentials, _, err := g.Collect(t.Context(), in)
		must(t, err)
		if refusal := credentials.Refusal; refusal == nil || refusal.RetryAfter != time.Minute || refusal.Blameless != blameless {
			t.Errorf("who asks too often is told %+v", refusal)
		}
	}
}

// Faults are errors: the realm is then not judged, and nobody gets in.
func TestFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("the store is broken")
	for _, mode := range []deviceauth.Mode{deviceauth.Auto, deviceauth.None} {
		g := guest(t, &judge{err: broken}, mode)
		_, in := ask(t, g)
		in.Fields = map[string]string{"answer": "signed"}
		credentials, _, err := g.Collect(t.Context(), in)
		must(t, err)
		if result, err := g.Verify(t.Context(), credentials); !errors.Is(err, broken) || result.Status == realm.Accepted {
			t.Errorf("%s: %+v, %v", mode, result, err)
		}
	}
	j := &judge{err: broken}
	g := guest(t, j, deviceauth.Auto)
	_, in := ask(t, g)
	in.Fields = map[string]string{"answer": "signed", "csr": "AAAA"}
	if _, asked, err := g.Collect(t.Context(), in); !errors.Is(err, broken) || asked != nil {
		t.Errorf("a request is answered %+v, %v", asked, err)
	}
	for _, csr := range []string{"", "AAAA"} {
		in.Fields["csr"], in.State = csr, []byte("{")
		if _, _, err := guest(t, new(judge), deviceauth.Auto).Collect(t.Context(), in); err == nil {
			t.Error("a state that cannot be read is taken")
		}
	}
}

// TestModeNone asks for no signature, takes no request, and names the device so that nobody takes it for one that was proven.
func TestModeNone(t *testing.T) {
	t.Parallel()
	j := new(judge)
	g := guest(t, j, deviceauth.None)
	asked, in := ask(t, g)
	if asked.Data["mode"] != "none" {
		t.Errorf("the mode is %q", asked.Data["mode"])
	}
	in.Fields = map[string]string{"answer": "{}", "csr": "AAAA"}
	credentials, _, err := g.Collect(t.Context(), in)
	must(t, err)
	result, err := g.Verify(t.Context(), credentials)
	must(t, err)
	if result.Status != realm.Accepted || !strings.HasPrefix(result.Identity.Device, "unproven_") || strings.Contains(result.Identity.Device, "mine") ||
		len(result.Identity.AMR) != 0 || result.Identity.Attributes["certificate"] != "" {
		t.Errorf("the result is %+v", result)
	}
}
