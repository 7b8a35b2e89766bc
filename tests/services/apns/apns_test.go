// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

const (
	topic   = "com.example.bank"
	device  = "feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface"
	alert   = `{"aps":{"alert":{"loc-key":"k"}},"op":"op_1"}`
	message = "6f1c2a90-7f0e-4b1d-9a55-0123456789ab"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type world struct {
	*apns.Service
	authority *loopback.Authority
	key       *apns.Key
	ca        string
}

func start(t *testing.T, change func(*apns.Config)) *world {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	key, err := apns.NewKey("TEAM567890", "KEY4567890")
	if err != nil {
		t.Fatal(err)
	}
	c := apns.Config{Authority: authority, Now: func() time.Time { return now }, Keys: []*apns.Key{key}, Topics: []string{topic, "com.example.other"}}
	if change != nil {
		change(&c)
	}
	s, err := apns.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Register(device, topic)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return &world{s, authority, key, ca}
}

func (w *world) token(t *testing.T, at time.Time) string {
	t.Helper()
	token, err := w.key.Token(at)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// curl sends a request with a client that shares nothing with the service, and returns status, version of HTTP and body.
func (w *world) curl(t *testing.T, args ...string) (status int, version, body string) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	args = append([]string{"-sS", "--http2", "--max-time", "20", "--cacert", w.ca, "-w", "\n%{http_code} %{http_version}"}, args...)
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	lines := strings.Split(string(out), "\n")
	code, version, _ := strings.Cut(lines[len(lines)-1], " ")
	status, _ = strconv.Atoi(code)
	if err != nil && status != 0 {
		t.Fatalf("curl: %v: %s", err, out)
	}
	return status, version, strings.Join(lines[:len(lines)-1], "\n")
}

// fields are the arguments of curl for a good notification, with some of them replaced; an empty value leaves one out.
func (w *world) fields(t *testing.T, replaced map[string]string) []string {
	t.Helper()
	all := map[string]string{
		"authorization": "bearer " + w.token(t, now), "apns-topic": topic, "apns-push-type": "alert", "apns-priority": "10",
		"apns-expiration": strconv.FormatInt(now.Add(time.Minute).Unix(), 10), "apns-id": message, "apns-collapse-id": "op_1",
	}
	for name, value := range replaced {
		all[name] = value
	}
	var args []string
	for name, value := range all {
		if value != "" {
			args = append(args, "-H", name+": "+value)
		}
	}
	return args
}

func TestAGoodNotificationArrives(t *testing.T) {
	t.Parallel()
	for _, sandbox := range []bool{false, true} {
		w := start(t, func(c *apns.Config) { c.Sandbox = sandbox })
		args := append(w.fields(t, nil), "-D", "-", "-d", alert, w.URL+"/3/device/"+device)
		status, version, out := w.curl(t, args...)
		if status != http.StatusOK || version != "2" || !strings.Contains(out, "apns-id: "+message) ||
			strings.Contains(out, "apns-unique-id") != sandbox {
			t.Errorf("answer = %d HTTP/%s %q", status, version, out)
		}
		status, _, body := w.curl(t, w.URL+"/inbox/"+device)
		var n loopback.Notice
		if err := json.Unmarshal([]byte(body), &n); err != nil || status != http.StatusOK {
			t.Fatalf("inbox = %d %q: %v", status, body, err)
		}
		if n.Service != "apns" || n.Address != device || n.Operation != "op_1" || !n.At.Equal(now) || string(n.Payload) != alert ||
			n.Headers["apns-topic"] != topic || n.Headers["authorization"] != "" {
			t.Errorf("the phone was told %+v", n)
		}
		if got := w.Stats(); got.Accepted != 1 || got.Requests != 1 || got.Connections != 2 {
			t.Errorf("stats = %+v", got)
		}
	}
}

func TestOnlyHTTP2IsSpoken(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	args := append(w.fields(t, nil), "--http1.1", "-d", alert, w.URL+"/3/device/"+device)
	if status, _, _ := w.curl(t, args...); status != 0 {
		t.Errorf("HTTP/1.1 was answered with %d", status)
	}
	if n := w.Stats().Requests; n != 0 {
		t.Errorf("%d requests were read", n)
	}
}

func TestWhatIsWrongHasItsReason(t *testing.T) {
	t.Parallel()
	dead := time.Date(2026, 11, 20, 1, 2, 3, 456e6, time.UTC)
	w := start(t, nil)
	w.Kill(strings.Repeat("de", 32), dead)
	w.Throttle(strings.Repeat("ab", 32), topic)
	other, err := apns.NewKey(w.key.TeamID, w.key.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := other.Token(now)
	if err != nil {
		t.Fatal(err)
	}
	path := "/3/device/"
	bearer := func(at time.Time) map[string]string {
		return map[string]string{"authorization": "bearer " + w.token(t, at)}
	}
	for _, tt := range []struct {
		name   string
		fields map[string]string
		args   []string
		path   string
		status int
		reason string
	}{
		{"unknown device", nil, nil, path + strings.Repeat("00", 32), 400, "BadDeviceToken"},
		{"malformed device", nil, nil, path + "zz", 400, "BadDeviceToken"},
		{"no device", nil, nil, path, 400, "MissingDeviceToken"},
		{"dead device", nil, nil, path + strings.Repeat("de", 32), 410, "Unregistered"},
		{"throttled device", nil, nil, path + strings.Repeat("ab", 32), 429, "TooManyRequests"},
		{"other app", map[string]string{"apns-topic": "com.example.other"}, nil, path + device, 400, "DeviceTokenNotForTopic"},
		{"other team's app", map[string]string{"apns-topic": "com.elsewhere"}, nil, path + device, 400, "TopicDisallowed"},
		{"no topic", map[string]string{"apns-topic": ""}, nil, path + device, 400, "MissingTopic"},
		{"no token", map[string]string{"authorization": ""}, nil, path + device, 403, "MissingProviderToken"},
		{"empty token", map[string]string{"authorization": "bearer x.y"}, nil, path + device, 403, "InvalidProviderToken"},
		{"forged token", map[string]string{"authorization": "bearer " + forged}, nil, path + device, 403, "InvalidProviderToken"},
		{"old token", bearer(now.Add(-61 * time.Minute)), nil, path + device, 403, "ExpiredProviderToken"},
		{"token of tomorrow", bearer(now.Add(24 * time.Hour)), nil, path + device, 403, "InvalidProviderToken"},
		{"token of 59 minutes", bearer(now.Add(-59 * time.Minute)), nil, path + device, 200, ""},
		{"upper case id", map[string]string{"apns-id": strings.ToUpper(message)}, nil, path + device, 400, "BadMessageId"},
		{"long collapse id", map[string]string{"apns-collapse-id": strings.Repeat("c", 65)}, nil, path + device, 400, "BadCollapseId"},
		{"expiration in words", map[string]string{"apns-expiration": "soon"}, nil, path + device, 400, "BadExpirationDate"},
		{"priority 7", map[string]string{"apns-priority": "7"}, nil, path + device, 400, "BadPriority"},
		{"background at 10", map[string]string{"apns-push-type": "background"}, nil, path + device, 400, "BadPriority"},
		{"unknown type", map[string]string{"apns-push-type": "shout"}, nil, path + device, 400, "InvalidPushType"},
		{"alert as background", map[string]string{"apns-push-type": "background", "apns-priority": "5"}, nil, path + device, 400, "InvalidPushType"},
		{"nothing shown", nil, []string{"-d", `{"aps":{}}`}, path + device, 400, "InvalidPushType"},
		{"no payload", nil, []string{"-d", ""}, path + device, 400, "PayloadEmpty"},
		{"no JSON", nil, []string{"-d", "hello"}, path + device, 400, "PayloadEmpty"},
		{"4097 bytes", nil, []string{"-d", alert + strings.Repeat(" ", 4097-len(alert))}, path + device, 413, "PayloadTooLarge"},
		{"4096 bytes", nil, []string{"-d", alert + strings.Repeat(" ", 4096-len(alert))}, path + device, 200, ""},
		{"twice a field", nil, []string{"-H", "apns-topic: x", "-d", alert}, path + device, 400, "DuplicateHeaders"},
		{"another path", nil, nil, "/4/device/" + device, 404, "BadPath"},
		{"another method", nil, []string{"-X", "PUT", "-d", alert}, path + device, 405, "MethodNotAllowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append(w.fields(t, tt.fields), w.URL+tt.path)
			if tt.args == nil {
				tt.args = []string{"-d", alert}
			}
			status, _, body := w.curl(t, append(args, tt.args...)...)
			var got struct {
				Reason    string
				Timestamp int64
			}
			if status != 200 {
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Fatalf("body = %q: %v", body, err)
				}
			}
			if status != tt.status || got.Reason != tt.reason || (got.Timestamp == dead.UnixMilli()) != (status == 410) {
				t.Errorf("answer = %d %+v, want %d %s", status, got, tt.status, tt.reason)
			}
		})
	}
}

func TestAnOpenServiceKnowsEveryDevice(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *apns.Config) { c.Open = true })
	w.Kill(strings.Repeat("de", 32), now)
	for token, want := range map[string]int{strings.Repeat("ab", 32): 200, device: 200, "zz": 400, strings.Repeat("de", 32): 410} {
		if status, _, body := w.curl(t, append(w.fields(t, nil), "-d", alert, w.URL+"/3/device/"+token)...); status != want {
			t.Errorf("%s: %d %s, want %d", token, status, body, want)
		}
	}
}

func TestARevokedKeySignsNothing(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.Revoke(w.key.KeyID)
	status, _, body := w.curl(t, append(w.fields(t, nil), "-d", alert, w.URL+"/3/device/"+device)...)
	if status != http.StatusForbidden || !strings.Contains(body, "InvalidProviderToken") {
		t.Errorf("answer = %d %q", status, body)
	}
}

func TestScriptedAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.Script.Add(
		apns.Step{Status: 503, Body: "<html>", ContentType: "text/html", Header: map[string]string{"Retry-After": "7"}},
		apns.Step{Status: 410, Reason: "ExpiredToken", Timestamp: now},
		apns.Step{Status: 200},
	)
	for _, want := range []string{"<html>", `{"reason":"ExpiredToken","timestamp":` + strconv.FormatInt(now.UnixMilli(), 10) + "}", ""} {
		_, _, body := w.curl(t, "-X", "POST", w.URL+"/anything")
		if body != want {
			t.Errorf("body = %q, want %q", body, want)
		}
	}
	for _, step := range []apns.Step{{Reset: true}, {Status: 500, Reason: "InternalServerError", Cut: true}} {
		w.Script.Add(step)
		if err := curlFails(t.Context(), w, "-X", "POST", w.URL+"/anything"); err == nil {
			t.Errorf("%+v was answered", step)
		}
	}
}

func curlFails(ctx context.Context, w *world, args ...string) error {
	return exec.CommandContext(ctx, "curl", append([]string{"-sS", "--http2", "--max-time", "20", "--cacert", w.ca}, args...)...).Run()
}
