// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/hooks"
)

// vendor is an operator's service: an activation code is good once for each key, and contracts can be ended.
type vendor struct {
	*hooks.Service

	mu    sync.Mutex
	codes map[string]string // to the key that has used it
	ended bool
	down  bool
	asked map[string]int
}

func newVendor(t *testing.T, codes ...string) *vendor {
	t.Helper()
	v := &vendor{codes: map[string]string{}, asked: map[string]int{}}
	for _, code := range codes {
		v.codes[code] = ""
	}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	client, err := callout.New(callout.Config{URL: server.URL + "/devices"})
	must(t, err)
	t.Cleanup(client.Close)
	v.Service, err = hooks.New(client)
	must(t, err)
	return v
}

// ServeHTTP decides.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var q struct {
		Hook        string            `json:"hook"`
		Key         string            `json:"key"`
		Custom      map[string]string `json:"custom"`
		Certificate struct {
			Attributes map[string]string `json:"attributes"`
		} `json:"certificate"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || v.down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	v.asked[q.Hook]++
	var a any = map[string]any{"accept": true}
	by, known := v.codes[q.Custom["code"]]
	switch {
	case q.Hook == "validate_certificate" && (v.ended || q.Certificate.Attributes["contract"] != "C-1" && q.Certificate.Attributes["former_device"] == ""):
		a = map[string]any{"accept": false, "message": "Your contract has ended."}
	case q.Hook == "validate_certificate":
	case !known || by != "" && by != q.Key:
		a = map[string]any{"accept": false, "message": "This code is not good."}
	default:
		v.codes[q.Custom["code"]] = q.Key
		a = map[string]any{"accept": true, "subject": map[string]string{"common_name": "Tablet 7"}, "attributes": map[string]string{"contract": "C-1"}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // a client that went away is not told
}

func (v *vendor) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

// refusedWith wants a call that goes nowhere, with words for the person.
func (g *gadget) refusedWith(text string) {
	g.t.Helper()
	status, err := g.pay()
	if told, ok := errors.AsType[*installed.RefusalError](err); !ok || told.Text != text {
		g.t.Errorf("the call gets %d, %v, want %q", status, err, text)
	}
}

// TestModeCustom: the operator's service decides by an activation code whether a device gets its certificate, once, and by the contract
// whether it may go on, at each session. Who was refused tries again with the app that he has, and when the service is down nobody gets in.
func TestModeCustom(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.Custom, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	all.vendor = func() *vendor { return newVendor(t, "1234") }
	each(t, func(t *testing.T, w *world) {
		v, code := all.of(w).vendor, "9999"
		asks := func(context.Context) (map[string]string, error) { return map[string]string{"code": code}, nil }
		g := w.installAsking(t, "2.0", installed.Folder(t.TempDir()), asks)
		g.refusedWith("This code is not good.")
		key := g.identity().Key
		code = "1234"
		v.set(func() { v.down = true })
		g.wantToWait()
		v.set(func() { v.down = false })
		all.of(w).down(errors.New("the authority is down"))
		g.wantToWait() // the code is used, by this key
		all.of(w).down(nil)
		g.wantPaid()
		leaf, err := x509.ParseCertificate(g.identity().Chain[0])
		must(t, err)
		if leaf.Subject.String() != "CN=Tablet 7" || !key.Public().(*ecdsa.PublicKey).Equal(leaf.PublicKey) {
			t.Errorf("the certificate is for %q and another key, or for another device", leaf.Subject)
		}
		w.installAsking(t, "2.0", installed.Folder(t.TempDir()), asks).refusedWith("This code is not good.")

		code = ""
		session := func(after time.Duration) {
			t.Helper()
			w.clock.Advance(after)
			must(t, g.gate.Logout(t.Context()))
		}
		session(time.Hour)
		v.set(func() { v.ended = true })
		g.refusedWith("Your contract has ended.")
		v.set(func() { v.ended, v.down = false, true })
		g.wantToWait()
		v.set(func() { v.down = false })
		g.wantPaid()
		serial := g.serial()
		session(70 * 24 * time.Hour)
		g.wantPaid() // renewed without a code, and still of that contract
		if g.serial() == serial {
			t.Error("it was not renewed")
		}
		if n := w.paid.Load(); n != 3 {
			t.Errorf("three calls reached the application %d times", n)
		}
		v.set(func() {
			if v.asked["validate_csr"] != 4 {
				t.Errorf("it was asked about %d requests", v.asked["validate_csr"])
			}
		})
	}, all.model)
}

// wantToWait wants a call that goes nowhere because somebody cannot judge.
func (g *gadget) wantToWait() {
	g.t.Helper()
	status, err := g.pay()
	if _, wait := errors.AsType[*client.WaitError](err); !wait {
		g.t.Errorf("the call gets %d, %v", status, err)
	}
}
