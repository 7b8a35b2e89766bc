// SPDX-License-Identifier: Apache-2.0

package simulator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/simulator"
)

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// published is the subscription and the message of RFC 8291, appendix A.
func published(t testing.TB) (*simulator.Subscription, []byte) {
	t.Helper()
	return &simulator.Subscription{
			Endpoint: "https://push.example/1",
			Private:  unb64(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), Auth: unb64(t, "BTBZMqHH6r4Tts7J_aSIgg"),
		}, unb64(t, "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"+
			"yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
}

// TestRFC8291 opens the published message, and nothing that differs from it by anything.
func TestRFC8291(t *testing.T) {
	t.Parallel()
	s, message := published(t)
	got, err := s.Open(message)
	if err != nil || string(got) != "When I grow up, I want to be a watermelon" {
		t.Fatalf("it reads %q, %v", got, err)
	}
	address, err := s.Address()
	if want := `{"endpoint":"https://push.example/1","keys":{"auth":"BTBZMqHH6r4Tts7J_aSIgg","p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-` +
		`JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"}}`; err != nil || address != want {
		t.Errorf("the address is %s, %v", address, err)
	}
	for i := range message {
		if i >= 16 && i < 20 {
			continue // the size of a record binds nothing: a larger one is as good
		}
		altered := bytes.Clone(message)
		altered[i] ^= 1
		if got, err := s.Open(altered); err == nil {
			t.Fatalf("with another byte %d it reads %q", i, got)
		}
	}
	for n := range message {
		if got, err := s.Open(message[:n]); err == nil {
			t.Fatalf("of %d bytes it reads %q", n, got)
		}
	}
	if _, err := s.Open(append(bytes.Clone(message), make([]byte, 4096)...)); err == nil {
		t.Error("a long one is read")
	}
	small := bytes.Clone(message)
	small[18], small[19] = 0, 18
	if _, err := s.Open(small); err == nil {
		t.Error("one of several records is read")
	}
	other := *s
	other.Auth = make([]byte, 16)
	if _, err := other.Open(message); err == nil {
		t.Error("a message for somebody else is read")
	}
}

// FuzzOpen: whatever a push service hands over, at most it is refused.
func FuzzOpen(f *testing.F) {
	s, message := published(f)
	f.Add(message)
	f.Add(message[:86])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := s.Open(body); err == nil && !bytes.Equal(body[86:], message[86:]) {
			t.Errorf("%x is read as %q", body, got)
		}
	})
}

// answering is a server that gives one answer, and the requests that it got.
func answering(t *testing.T, status int, body string) (*httptest.Server, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server, &asked
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	server, asked := answering(t, http.StatusOK, `{"endpoint":"https://push.example/1"}`)
	first, err := simulator.Subscribe(t.Context(), server.Client(), server.URL+"/endpoint?key=K")
	if err != nil || first.Endpoint != "https://push.example/1" || (*asked)[0] != "POST /endpoint?key=K" {
		t.Fatalf("%+v, %v after %v", first, err, *asked)
	}
	second, err := simulator.Subscribe(t.Context(), server.Client(), server.URL)
	if err != nil || bytes.Equal(first.Private, second.Private) || bytes.Equal(first.Auth, second.Auth) || len(second.Auth) != 16 {
		t.Errorf("two subscriptions share keys: %v", err)
	}
	var address struct {
		Keys struct{ P256dh, Auth string }
	}
	if text, err := first.Address(); err != nil || json.Unmarshal([]byte(text), &address) != nil ||
		!bytes.Equal(unb64(t, address.Keys.Auth), first.Auth) || strings.Contains(text, base64.RawURLEncoding.EncodeToString(first.Private)) {
		t.Errorf("the address is %s, %v", text, err)
	}
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"an error", "no", http.StatusForbidden}, {"no JSON", "<html>", http.StatusOK}, {"nothing", "{}", http.StatusOK},
		{"no https", `{"endpoint":"http://push.example/1"}`, http.StatusOK}, {"no host", `{"endpoint":"https:///1"}`, http.StatusOK},
	} {
		server, _ := answering(t, tt.status, tt.body)
		if got, err := simulator.Subscribe(t.Context(), server.Client(), server.URL); err == nil {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	server.Close()
	if _, err := simulator.Subscribe(t.Context(), http.DefaultClient, server.URL+"/s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("of a service that is gone it says: %v", err)
	}
}

// TestInbox: a phone asks for what is its own, and reads the operation out of it.
func TestInbox(t *testing.T) {
	t.Parallel()
	web, message := published(t)
	plain := &simulator.Reach{Service: "apple", Address: "feed/face"}
	browser := &simulator.Reach{Service: "browsers", Address: "{}", Web: web}
	const own, its = "GET /inbox/feed%2Fface", "GET /inbox/https:%2F%2Fpush.example%2F1"
	for _, tt := range []struct {
		name   string
		phone  *simulator.Reach
		status int
		body   string
		asks   string
		want   string
		err    string
	}{
		{"a notification", plain, 200, `{"service":"apns","operation":"op_1"}`, own, "op_1", ""},
		{"none for a while", plain, 204, "", own, "", ""},
		{"no inbox", plain, 404, "not found", own, "", "answers 404"},
		{"no notification", plain, 200, "<html>", own, "", "not the JSON of one"},
		{"one without an operation", plain, 200, `{"service":"apns"}`, own, "", "names no operation"},
		{"one that is sealed, and not about an operation", browser, 200, `{"payload":"` + base64.RawURLEncoding.EncodeToString(message) + `"}`, its, "", "names no operation"},
		{"one that somebody else has read", browser, 200, `{"operation":"op_1","payload":{"op":"op_1"}}`, its, "", "not encrypted for this phone"},
		{"one that is not sealed", browser, 200, `{"payload":"e30"}`, its, "", "not encrypted for this phone"},
		{"one in another alphabet", browser, 200, `{"payload":"+/+/"}`, its, "", "not encrypted for this phone"},
	} {
		server, asked := answering(t, tt.status, tt.body)
		got, err := simulator.Person(strings.NewReader(""), new(strings.Builder)).Next(tt.phone, server.URL+"/inbox/{address}")
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		if len(*asked) != 1 || (*asked)[0] != tt.asks {
			t.Errorf("%s: it asks %q", tt.name, *asked)
		}
	}
	server, _ := answering(t, 204, "")
	server.Close()
	if _, err := simulator.Person(strings.NewReader(""), new(strings.Builder)).Next(plain, server.URL+"/{address}"); err == nil ||
		!strings.Contains(err.Error(), "the inbox does not answer") || strings.Contains(err.Error(), "feed") {
		t.Errorf("of an inbox that is gone it says: %v", err)
	}
	for _, address := range []string{"", "https://127.0.0.1/inbox/", "ftp://127.0.0.1/{address}", "127.0.0.1/{address}", "https:///{address}"} {
		if _, err := simulator.Person(strings.NewReader(""), new(strings.Builder)).Next(plain, address); err == nil || !strings.Contains(err.Error(), "{address}") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := simulator.Person(strings.NewReader(""), new(strings.Builder)).Next(nil, server.URL+"/{address}"); err == nil ||
		!strings.Contains(err.Error(), `"device push"`) {
		t.Errorf("a phone without a push address: %v", err)
	}
}

// TestReachIsKept: what opens notifications outlives the run that has subscribed.
func TestReachIsKept(t *testing.T) {
	t.Parallel()
	p, path, state := kept(t)
	web, message := published(t)
	p.Push = &simulator.Reach{Service: "browsers", Address: "{}", Web: web}
	if err := p.Save(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	again, err := simulator.OpenPhone(filepath.Clean(path))
	if err != nil || again.Push == nil || again.Push.Web == nil {
		t.Fatalf("%+v, %v", again, err)
	}
	if _, err := again.Push.Web.Open(message); err != nil {
		t.Error(err)
	}
}
