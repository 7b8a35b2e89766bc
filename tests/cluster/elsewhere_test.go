// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

const (
	portalSecret = "portal-secret-0123456789-0123456789"
	phonePIN     = "493817"
	version      = "2.0" // of an app that is never switched off
)

// withPhones is the Caddyfile with what phones and the apps on them need.
var withPhones = strings.NewReplacer("default_scope accounts:read", `scope payments:write password
		scope by-phone password phone
		scope by-device device
		scope by-version version password
		default_scope accounts:read
		realm phone {
			authenticator mobile push_pin
			max_age 8h
		}
		realm device {
			authenticator device
			max_age 8h
		}
		realm version {
			authenticator application bank
			max_age 8h
		}
		application pocket {
			android com.example.pocket
			enrollment {
				quarantine off
			}
		}
		application bank {
			ios com.example.bank
			version 1.* active
			version 2.* active
		}
		provisioning {
			mode auto
			entity application
		}
		mobile {
			type push_pin {
				method push_pin
				message en "Sign in"
			}
		}
		client portal {
			secret `+portalSecret+`
			grants client_credentials
			scopes gatehouse:users gatehouse:operations gatehouse:operations:all gatehouse:devices
		}`,
	"scopes openid offline_access accounts:read", "scopes openid offline_access accounts:read payments:write by-phone by-device by-version",
	"NODE {", `NODE {
	@held path /held*
	protect @held {
		scope payments:write
		confirm push_pin {
			message "Do {path}?"
			wait 30s
		}
	}
	@pay path /pay
	protect @pay {
		scope payments:write
		confirm push_pin {
			message "Pay?"
		}
	}
	@device path /device
	protect @device by-device
	handle /held* {
		respond "done"
	}
	handle /pay {
		respond "paid"
	}
	handle /device {
		respond "known"
	}`,
).Replace(caddyfile)

// startPhones starts nodes that know phones.
func startPhones(t *testing.T, nodes int) *cluster {
	t.Helper()
	c := startWith(t, 0, "")
	for range nodes {
		c.join(c.nodeOf(withPhones))
	}
	return c
}

// ask sends one node a request for the cluster.
func (c *cluster) ask(node int, method, path, body string, change ...func(*http.Request)) *answer {
	r, err := http.NewRequestWithContext(c.Context(), method, c.issuer+path, strings.NewReader(body))
	if err != nil {
		c.Error(err)
		return &answer{}
	}
	for _, fn := range change {
		fn(r)
	}
	return answerTo(c.through(node), r)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func bearer(token string) func(*http.Request) { return header("Authorization", "Bearer "+token) }

// portal has a back end ask one node, and reads the answer into a value.
func (c *cluster) portal(node int, method, path, body string, into any) {
	c.Helper()
	got := c.ask(node, method, "/api/v1/"+path, body, header("Content-Type", "application/json"), header("Idempotency-Key", rand.Text()),
		func(r *http.Request) { r.SetBasicAuth("portal", portalSecret) })
	if err := json.Unmarshal([]byte(got.Body), into); err != nil || got.Status >= http.StatusBadRequest {
		c.Fatalf("%s %s: %d %s, %v", method, path, got.Status, got.Body, err)
	}
}

// tokens redeems what an app was granted, at one node.
func (c *cluster) tokens(node int, granted *faces.Reply) *answer {
	c.Helper()
	got := c.ask(node, http.MethodPost, "/token", redeeming(granted.Granted()).Encode(), header("Content-Type", "application/x-www-form-urlencoded"))
	if got.Access == "" {
		c.Fatalf("no tokens: %d %s", got.Status, got.Body)
	}
	return got
}

// alice logs alice in at one node with her password.
func (c *cluster) alice(node int, scope string) *answer {
	c.Helper()
	a := c.appAt(c.through(node))
	a.Ask("scope", "openid offline_access "+scope).Asks("password")
	return c.tokens(node, a.Answer(faces.ByPassword("alice", password)))
}

// subject returns whom a token is for.
func (c *cluster) subject(token string) string {
	c.Helper()
	var claims struct {
		Sub string `json:"sub"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(c, err)
	must(c, json.Unmarshal(payload, &claims))
	return claims.Sub
}

// phone registers a phone of a user, which speaks to one node.
func (c *cluster) phone(node int, user string) *device.Device {
	c.Helper()
	var begun struct{ QR string }
	c.portal(0, http.MethodPost, "operations/registration", `{"user_id":"`+user+`","application":"pocket"}`, &begun)
	invitation, err := envelope.ParseInvitation(begun.QR)
	must(c, err)
	c.keys = new(device.SoftStore)
	phone, err := device.Enrol(c.Context(), c.phoneAt(node), device.Enrolment{
		Invitation: invitation, Application: "pocket", Version: version, Platform: "android", Name: "Phone", PIN: phonePIN,
	})
	must(c, err)
	c.portal(0, http.MethodPost, "operations/"+invitation.Operation+"/confirm", `{"digits":"`+phone.State().Digits+`"}`, &struct{}{})
	return phone
}

// phoneAt is how the phone that was registered last speaks to one node.
func (c *cluster) phoneAt(node int) device.Config {
	return device.Config{
		Client: c.through(node), Keystore: c.keys, Vault: c.keys, Now: time.Now, Save: func(context.Context, device.State) error { return nil },
	}
}

// approve has a phone wait for a question and approve it.
func (c *cluster) approve(phone *device.Device, number string) {
	c.Helper()
	for {
		open, err := phone.Pending(c.Context(), 20*time.Second)
		must(c, err)
		if len(open) == 0 {
			continue
		}
		question, err := phone.Fetch(c.Context(), open[0].Operation)
		must(c, err)
		must(c, phone.Approve(c.Context(), question, device.Approval{Number: number, Proof: device.Proof{PIN: phonePIN}}))
		return
	}
}

// TestAnApprovalElsewhere: what a person approves at one node releases the request that another holds, and lets the approved request pass
// once, whichever node it is sent to. How soon is printed.
func TestAnApprovalElsewhere(t *testing.T) {
	t.Parallel()
	c := startPhones(t, 2)
	token := c.alice(0, "payments:write").Access
	var phones []*device.Device
	user := c.subject(token)
	for node := range c.nodes {
		phones = append(phones, c.phone(node, user))
	}
	for _, way := range [][2]int{{0, 1}, {1, 0}} {
		c.held(way[0], phones[way[1]], token)
		c.paid(way[0], way[1], phones[way[1]], token)
	}
}

// held has one node hold a request that is approved at another.
func (c *cluster) held(node int, phone *device.Device, token string) {
	c.Helper()
	hints := make(chan http.Header, 1)
	ctx := httptrace.WithClientTrace(c.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			hints <- http.Header(header)
			return nil
		},
	})
	done := make(chan *answer, 1)
	go func() {
		done <- c.ask(node, http.MethodPut, "/held/this", "", bearer(token), func(r *http.Request) { *r = *r.WithContext(ctx) })
	}()
	hint := <-hints
	c.approve(phone, hint.Get("Gatehouse-Number"))
	approved := time.Now()
	if got := <-done; got.Status != http.StatusOK || got.Body != "done" {
		c.Errorf("node %d, which holds it, answers: %d %s", node, got.Status, got.Body)
	}
	c.Logf("node %d releases what it holds %s after the approval elsewhere", node, time.Since(approved).Round(time.Millisecond))
}

// paid has a request that was begun at one node, and is approved at another, sent to both at once.
func (c *cluster) paid(begun, other int, phone *device.Device, token string) {
	c.Helper()
	pay := func(node int, change ...func(*http.Request)) *answer {
		return c.ask(node, http.MethodPost, "/pay", "500", append(change, bearer(token))...)
	}
	var told struct{ Operation, Number, State string }
	must(c, json.Unmarshal([]byte(pay(begun).Body), &told))
	status := "/_gatehouse/confirm/" + told.Operation
	waited := make(chan *answer, 1)
	go func() { waited <- c.ask(begun, http.MethodGet, status, "", bearer(token), header("Prefer", "wait=30")) }()
	c.approve(phone, told.Number)
	if got := <-waited; !strings.Contains(got.Body, `"approved"`) {
		c.Errorf("node %d says that it stands so: %d %s", begun, got.Status, got.Body)
	}
	answers := make([]*answer, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = pay([]int{begun, other}[i%2], header("Gatehouse-Operation", told.Operation)) })
	}
	group.Wait()
	passed := 0
	for _, got := range answers {
		switch {
		case got.Status == http.StatusOK && got.Body == "paid":
			passed++
		case got.Status != http.StatusForbidden:
			c.Errorf("the approved request gets %d %s", got.Status, got.Body)
		}
	}
	if passed != 1 {
		c.Errorf("it passes %d times", passed)
	}
}

// TestKnownElsewhere: what counts no more at one node does not count at another.
func TestKnownElsewhere(t *testing.T) {
	t.Parallel()
	c := startPhones(t, 2)
	for name, test := range map[string]func(c *cluster){
		"a revoked certificate": (*cluster).revokedCertificate, "a lost phone": (*cluster).lostPhone,
		"a version that is switched off": (*cluster).disabledVersion, "a proof that was used": (*cluster).usedProof,
	} {
		t.Run(name, func(t *testing.T) {
			here := *c
			here.T = t
			test(&here)
		})
	}
}

// refusedSoon waits until the second node refuses a token which the first has made worthless, and prints how long that was.
func (c *cluster) refusedSoon(path, token string) {
	c.Helper()
	began := time.Now()
	c.until("the other node refuses the token", func() bool {
		return c.ask(1, http.MethodGet, path, "", bearer(token)).Status == http.StatusUnauthorized
	})
	c.Logf("the other node refuses the token after %s", time.Since(began).Round(time.Millisecond))
}

// refreshes asks the second node for new tokens.
func (c *cluster) refreshes(has *answer) *answer {
	return c.ask(1, http.MethodPost, "/token", refreshing(has.Refresh).Encode(), header("Content-Type", "application/x-www-form-urlencoded"))
}

// onDevice calls a node as an app on a device, and returns the status and its token.
func (c *cluster) onDevice(node int, folder installed.Folder) (status int, token string, err error) {
	c.Helper()
	handler, err := installed.New(installed.Config{
		App: installed.App{ID: "bank", Platform: "ios", Version: version}, Storage: folder, Now: time.Now,
	})
	must(c, err)
	way := c.through(node)
	gate, err := client.New(client.Config{
		Issuer: c.issuer, ClientID: "mobile", Scopes: []string{"openid", "by-device"}, HTTP: way, Now: time.Now,
		Handlers: map[string]client.Handler{
			"device": handler,
			"password": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
				return faces.ByPassword("alice", password)["password"], nil
			}),
		},
	})
	must(c, err)
	r, err := http.NewRequestWithContext(c.Context(), http.MethodGet, c.issuer+"/device", nil)
	must(c, err)
	response, err := gate.Transport(way.Transport).RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	_, _ = io.Copy(io.Discard, response.Body) // the status is enough
	return response.StatusCode, gate.Tokens().Access, response.Body.Close()
}

func (c *cluster) revokedCertificate() {
	folder, other := installed.Folder(c.TempDir()), installed.Folder(c.TempDir())
	tokens := map[installed.Folder]string{}
	for _, folder := range []installed.Folder{folder, other} {
		for node := range c.nodes { // which takes the certificate that the first has issued
			status, token, err := c.onDevice(node, folder)
			if err != nil || status != http.StatusOK {
				c.Fatalf("before, node %d answers the device: %d, %v", node, status, err)
			}
			tokens[folder] = token
		}
	}
	identity, err := folder.Load(c.Context(), "application at "+c.issuer)
	must(c, err)
	leaf, err := x509.ParseCertificate(identity.Chain[0])
	must(c, err)
	_, id, _ := strings.Cut(leaf.URIs[0].String(), "urn:gatehouse:application:bank:")
	c.portal(0, http.MethodPost, "installations/"+id+"/revoke", "", &struct{}{})
	c.refusedSoon("/device", tokens[folder])
	if status, _, err := c.onDevice(1, folder); !errors.Is(err, installed.ErrRefused) {
		c.Errorf("the other node answers the revoked device: %d, %v", status, err)
	}
	if status, _, err := c.onDevice(1, other); err != nil || status != http.StatusOK {
		c.Errorf("the other node answers another device: %d, %v", status, err)
	}
	if got := c.ask(1, http.MethodGet, "/device", "", bearer(tokens[other])); got.Status != http.StatusOK {
		c.Errorf("the token of another device gets %d %s", got.Status, got.Body)
	}
	authority := sha256.Sum256(identity.Chain[1])
	got := c.ask(1, http.MethodGet, "/provisioning/"+base64.RawURLEncoding.EncodeToString(authority[:])+".crl", "")
	list, err := x509.ParseRevocationList([]byte(got.Body))
	if err != nil {
		c.Fatalf("the other node's list: %d %s, %v", got.Status, got.Body, err)
	}
	listed := false
	for _, entry := range list.RevokedCertificateEntries {
		listed = listed || entry.SerialNumber.Cmp(leaf.SerialNumber) == 0
	}
	if !listed {
		c.Error("the other node's list has not the certificate")
	}
}

// byPhone logs alice in at one node with her password and her phone.
func (c *cluster) byPhone(node int, phone *device.Device) *answer {
	c.Helper()
	a := c.appAt(c.through(node))
	a.Ask("scope", "openid offline_access accounts:read by-phone").Asks("password")
	asked := a.Answer(faces.ByPassword("alice", password)).Asks("phone")
	c.approve(phone, asked.Challenges["phone"].Data["number"])
	return c.tokens(node, a.Answer(nil, "answers", ""))
}

func (c *cluster) lostPhone() {
	phone := c.phone(1, c.subject(c.alice(0, "accounts:read").Access))
	has := c.byPhone(1, phone)
	if got := c.ask(1, http.MethodGet, "/api", "", bearer(has.Access)); got.Status != http.StatusOK {
		c.Fatalf("before, the token gets %d %s", got.Status, got.Body)
	}
	c.portal(0, http.MethodPost, "devices/"+phone.State().Device+"/lost", `{"reason":"left in a taxi"}`, &struct{}{})
	c.refusedSoon("/api", has.Access)
	if _, err := phone.Pending(c.Context(), 0); !errors.Is(err, device.ErrMessage) {
		c.Errorf("the other node answers the phone: %v", err)
	}
	if got := c.refreshes(has); got.Error != "invalid_grant" {
		c.Errorf("the other node refreshes: %d %s", got.Status, got.Body)
	}
}

// byVersion logs alice in at one node with a version of an app.
func (c *cluster) byVersion(node int, version string) *faces.Reply {
	c.Helper()
	a := c.appAt(c.through(node))
	a.Ask("scope", "openid offline_access accounts:read by-version").Asks("password")
	a.Answer(faces.ByPassword("alice", password)).Asks("version")
	return a.Answer(faces.Answers{"version": {"platform": "ios", "version": version}})
}

func (c *cluster) disabledVersion() {
	old, later := c.tokens(1, c.byVersion(1, "1.0")), c.tokens(1, c.byVersion(1, "2.0"))
	for _, has := range []*answer{old, later} {
		if got := c.ask(1, http.MethodGet, "/api", "", bearer(has.Access)); got.Status != http.StatusOK {
			c.Fatalf("before, the token gets %d %s", got.Status, got.Body)
		}
	}
	set := c.nodes[0].Command(c.Context(), "app", "set", "bank", "1.*", "disabled", "--message", "en=Please update", "--address", c.nodes[0].Socket())
	if said, err := set.CombinedOutput(); err != nil {
		c.Fatalf("%v: %s", err, said)
	}
	c.refusedSoon("/api", old.Access)
	if got := c.byVersion(1, "1.0"); got.Code != "" || !strings.Contains(got.Body, "Please update") {
		c.Errorf("the other node lets the version in: %d %s", got.Status, got.Body)
	}
	if got := c.refreshes(old); got.Access != "" || got.Status != http.StatusBadRequest {
		c.Errorf("the other node refreshes: %d %s", got.Status, got.Body)
	}
	if got := c.ask(1, http.MethodGet, "/api", "", bearer(later.Access)); got.Status != http.StatusOK {
		c.Errorf("the token of another version gets %d %s", got.Status, got.Body)
	}
	c.tokens(1, c.byVersion(1, "2.0"))
}

func (c *cluster) usedProof() {
	key, err := jose.GenerateKey(jose.ES256)
	must(c, err)
	prover, err := dpop.NewProver(key, time.Now)
	must(c, err)
	prove := func(method, path, token string) string {
		proof, err := prover.Prove(method, c.issuer+path, token, "")
		must(c, err)
		return proof
	}
	machine := url.Values{"grant_type": {"client_credentials"}, "client_id": {"machine"}, "client_secret": {machineSecret}}.Encode()
	token := func(node int, proof string) *answer {
		return c.ask(node, http.MethodPost, "/token", machine, header("Content-Type", "application/x-www-form-urlencoded"), header("DPoP", proof))
	}
	var has *answer
	var spent string
	for node := range c.nodes { // which have to have run for a second, to know that they have not seen a proof
		c.until(fmt.Sprintf("node %d takes a proof", node), func() bool {
			spent = prove(http.MethodPost, "/token", "")
			has = token(node, spent)
			return has.Access != ""
		})
	}
	if got := token(0, spent); got.Error != "invalid_dpop_proof" {
		c.Errorf("the proof is used again at the other node's token endpoint: %d %s", got.Status, got.Body)
	}
	call := func(node int, proof string) *answer {
		return c.ask(node, http.MethodGet, "/api", "", header("Authorization", "DPoP "+has.Access), header("DPoP", proof))
	}
	for node := range c.nodes {
		c.until(fmt.Sprintf("the gate of node %d takes a proof", node), func() bool {
			spent = prove(http.MethodGet, "/api", has.Access)
			return call(node, spent).Status == http.StatusOK
		})
	}
	if got := call(0, spent); got.Status != http.StatusUnauthorized || !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_dpop_proof") {
		c.Errorf("the proof is used again at the other node's gate: %d %v", got.Status, got.Header)
	}
}
