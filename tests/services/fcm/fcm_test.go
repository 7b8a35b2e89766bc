// SPDX-License-Identifier: Apache-2.0

package fcm_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

const (
	project = "bank-12345"
	app     = "com.example.bank"
	phone   = "dXNlcg:APA91bExampleOfARegistrationToken"
	sending = "https://www.googleapis.com/auth/firebase.messaging"
)

// world is the service, asked with curl, by an account whose assertions are signed by openssl.
type world struct {
	*fcm.Service
	ca, key string
	account map[string]string
	later   atomic.Int64 // how far the service's clock is ahead
}

func start(t *testing.T) *world {
	t.Helper()
	return startWith(t, false)
}

func startWith(t *testing.T, open bool) *world {
	t.Helper()
	for _, tool := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{ca: filepath.Join(t.TempDir(), "ca.pem"), key: filepath.Join(t.TempDir(), "key.pem")}
	if w.Service, err = fcm.Start(fcm.Config{
		Authority: authority, Now: func() time.Time { return time.Now().Add(time.Duration(w.later.Load())) }, Project: project, Open: open,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	file, err := w.Account()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &w.account); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{w.ca: authority.PEM(), w.key: []byte(w.account["private_key"])} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.Register(phone, app)
	return w
}

func (w *world) curl(t *testing.T, args ...string) (int, string) {
	t.Helper()
	args = append([]string{"-sS", "--max-time", "20", "--cacert", w.ca, "-w", "\n%{http_code}"}, args...)
	out, err := exec.CommandContext(t.Context(), "curl", args...).Output()
	if err != nil {
		t.Fatalf("curl: %v: %s", err, out)
	}
	lines := strings.Split(string(out), "\n")
	status, _ := strconv.Atoi(lines[len(lines)-1])
	return status, strings.Join(lines[:len(lines)-1], "\n")
}

// assertion is signed by openssl.
func (w *world) assertion(t *testing.T, header, claims string) string {
	t.Helper()
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(header)) + "." + part([]byte(claims))
	command := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-sign", w.key)
	command.Stdin = strings.NewReader(signed)
	signature, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + part(signature)
}

func (w *world) claims(change map[string]any) string {
	now := time.Now().Unix()
	all := map[string]any{
		"iss": w.account["client_email"], "scope": sending, "aud": w.account["token_uri"], "iat": now, "exp": now + 3600,
	}
	for name, value := range change {
		all[name] = value
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func (w *world) header() string {
	return fmt.Sprintf(`{"alg":"RS256","typ":"JWT","kid":%q}`, w.account["private_key_id"])
}

func (w *world) exchange(t *testing.T, assertion string) (int, map[string]any) {
	t.Helper()
	status, body := w.curl(t, "--data-urlencode", "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer", "--data-urlencode",
		"assertion="+assertion, w.account["token_uri"])
	var said map[string]any
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatalf("%d %q: %v", status, body, err)
	}
	return status, said
}

func (w *world) token(t *testing.T) string {
	t.Helper()
	status, said := w.exchange(t, w.assertion(t, w.header(), w.claims(nil)))
	token, _ := said["access_token"].(string)
	if status != http.StatusOK || token == "" || said["token_type"] != "Bearer" || said["expires_in"] != float64(3599) {
		t.Fatalf("a token = %d %v", status, said)
	}
	return token
}

func (w *world) send(t *testing.T, token, path, body string) (int, string) {
	t.Helper()
	return w.curl(t, "-H", "Authorization: Bearer "+token, "-H", "Content-Type: application/json", "-d", body, w.URL+path)
}

const path = "/v1/projects/" + project + "/messages:send"

func TestAMessageArrives(t *testing.T) {
	t.Parallel()
	w := start(t)
	token := w.token(t)
	body := `{"message":{"token":"` + phone + `","data":{"op":"op_1"},"android":{"priority":"HIGH","ttl":"120s","restricted_package_name":"%s"}}}`
	status, said := w.send(t, token, path, fmt.Sprintf(body, app))
	if status != http.StatusOK || !strings.Contains(said, `"name":"projects/`+project+`/messages/`) {
		t.Fatalf("answer = %d %s", status, said)
	}
	status, said = w.curl(t, w.URL+"/inbox/"+phone)
	var n loopback.Notice
	if err := json.Unmarshal([]byte(said), &n); err != nil || status != http.StatusOK || n.Operation != "op_1" || n.Headers["ttl"] != "120s" {
		t.Errorf("inbox = %d %s: %v", status, said, err)
	}
	if status, _ = w.send(t, token, path, fmt.Sprintf(body, "com.example.other")); status != http.StatusOK || w.Accepted() != 2 {
		t.Errorf("a message for another package = %d, %d in all", status, w.Accepted())
	}
	if status, _ = w.curl(t, w.URL+"/inbox/"+phone+"?wait=0s"); status != http.StatusNoContent {
		t.Errorf("it was delivered: %d", status)
	}
}

func TestAnOpenServiceKnowsEveryAddress(t *testing.T) {
	t.Parallel()
	w := startWith(t, true)
	token := w.token(t)
	w.Unregister("gone-gone-gone-gone")
	for address, want := range map[string]int{phone: 200, "nobody-nobody-nobody": 200, "gone-gone-gone-gone": 404} {
		if status, said := w.send(t, token, path, `{"message":{"token":"`+address+`","android":{"restricted_package_name":"a.b"}}}`); status != want {
			t.Errorf("%s: %d %s, want %d", address, status, said, want)
		}
	}
	if status, _ := w.curl(t, w.URL+"/inbox/nobody-nobody-nobody"); status != http.StatusOK {
		t.Errorf("nothing arrived: %d", status)
	}
}

func TestAssertionsAreJudged(t *testing.T) {
	t.Parallel()
	w := start(t)
	now := time.Now().Unix()
	for _, tt := range []struct{ name, header, claims, want string }{
		{"another algorithm", strings.Replace(w.header(), "RS256", "HS256", 1), w.claims(nil), "invalid_grant"},
		{"another key", `{"alg":"RS256","typ":"JWT","kid":"x"}`, w.claims(nil), "invalid_grant"},
		{"another account", w.header(), w.claims(map[string]any{"iss": "x@y.z"}), "invalid_grant"},
		{"another audience", w.header(), w.claims(map[string]any{"aud": "https://elsewhere.example"}), "invalid_grant"},
		{"good for more than an hour", w.header(), w.claims(map[string]any{"exp": now + 3700}), "invalid_grant"},
		{"over", w.header(), w.claims(map[string]any{"iat": now - 3600, "exp": now - 10}), "invalid_grant"},
		{"of tomorrow", w.header(), w.claims(map[string]any{"iat": now + 86400, "exp": now + 90000}), "invalid_grant"},
		{"another scope", w.header(), w.claims(map[string]any{"scope": "email"}), "invalid_scope"},
	} {
		if status, said := w.exchange(t, w.assertion(t, tt.header, tt.claims)); status != http.StatusBadRequest || said["error"] != tt.want {
			t.Errorf("%s: %d %v, want %s", tt.name, status, said, tt.want)
		}
	}
	good := w.assertion(t, w.header(), w.claims(nil))
	for _, bad := range []string{"", "a.b", "a.b.c", good[:len(good)-8] + "AAAAAAAA"} {
		if status, said := w.exchange(t, bad); status != http.StatusBadRequest || said["error"] != "invalid_grant" {
			t.Errorf("a broken assertion: %d %v", status, said)
		}
	}
	w.Revoke()
	if status, said := w.exchange(t, good); status != http.StatusBadRequest || said["error"] != "invalid_grant" {
		t.Errorf("a revoked key: %d %v", status, said)
	}
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	w := start(t)
	token := w.token(t)
	const message = `{"message":{"token":"` + phone + `"}}`
	for _, step := range []struct {
		token string
		later time.Duration
		want  int
	}{{token, 0, 200}, {token + "x", 0, 401}, {"", 0, 401}, {token, 3598 * time.Second, 200}, {token, 3600 * time.Second, 401}} {
		w.later.Store(int64(step.later))
		if status, said := w.send(t, step.token, path, message); status != step.want {
			t.Errorf("after %v: %d %s, want %d", step.later, status, said, step.want)
		}
	}
	w.later.Store(0)
	w.Withdraw()
	if status, _ := w.send(t, token, path, message); status != http.StatusUnauthorized {
		t.Errorf("a token that was withdrawn: %d", status)
	}
}

func TestMessagesAreJudged(t *testing.T) {
	t.Parallel()
	w := start(t)
	token := w.token(t)
	w.Unregister("gone-gone-gone-gone")
	w.Disown("other-other-other")
	message := func(rest string) string { return `{"message":{"token":"` + phone + `"` + rest + `}}` }
	for _, tt := range []struct {
		name, path, body string
		status           int
		word, code       string
		field            string
	}{
		{"no JSON", path, "hello", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message"},
		{"unknown field", path, message(`,"sound":"x"`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message"},
		{"no token", path, `{"message":{}}`, 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token"},
		{"data that is a number", path, message(`,"data":{"op":1}`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message"},
		{"reserved data", path, message(`,"data":{"google.x":"1"}`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.data"},
		{"too much data", path, message(`,"data":{"op":"` + strings.Repeat("x", 4095) + `"}`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.data"},
		{"ttl without unit", path, message(`,"android":{"ttl":"120"}`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.android.ttl"},
		{"ttl beyond four weeks", path, message(`,"android":{"ttl":"2419201s"}`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.android.ttl"},
		{"ttl of four weeks", path, message(`,"android":{"ttl":"2419200s"}`), 200, "", "", ""},
		{"priority", path, message(`,"android":{"priority":"high"}`), 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.android.priority"},
		{"unknown address", path, `{"message":{"token":"nobody"}}`, 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", ""},
		{"address that is gone", path, `{"message":{"token":"gone-gone-gone-gone"}}`, 404, "NOT_FOUND", "UNREGISTERED", ""},
		{"address of another project", path, `{"message":{"token":"other-other-other"}}`, 403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", ""},
		{"another project", "/v1/projects/elsewhere/messages:send", message(""), 404, "NOT_FOUND", "", ""},
		{"another verb", "/v1/projects/" + project + "/messages:read", message(""), 404, "NOT_FOUND", "", ""},
	} {
		status, body := w.send(t, token, tt.path, tt.body)
		var said struct {
			Error struct {
				Code    int
				Status  string
				Details []struct {
					ErrorCode       string
					FieldViolations []struct{ Field string }
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Fatalf("%s: %q: %v", tt.name, body, err)
		}
		code, field := "", ""
		for _, d := range said.Error.Details {
			code += d.ErrorCode
			for _, v := range d.FieldViolations {
				field += v.Field
			}
		}
		if status != tt.status || said.Error.Status != tt.word || code != tt.code || field != tt.field || status != 200 && said.Error.Code != status {
			t.Errorf("%s: %d %s, want %d %s %s %s", tt.name, status, body, tt.status, tt.word, tt.code, tt.field)
		}
	}
}
