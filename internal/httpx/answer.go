// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// retryAfter is at least how long a caller should wait when the server is not ready.
const retryAfter = 2 * time.Second

// Allow reports whether the method is one of those given. If it is not, the answer 405 has been written with the Allow
// header that goes with it (RFC 9110 15.5.6).
func Allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	NoStore(w)
	w.Header().Set("Allow", strings.Join(methods, ", "))
	WriteJSON(w, http.StatusMethodNotAllowed, wireError{Error: oauth.InvalidRequest, Description: "the method is not allowed here"})
	return false
}

// NoStore forbids every cache to keep the response (RFC 6749 5.1).
func NoStore(w http.ResponseWriter) {
	h := w.Header()
	h["Cache-Control"] = []string{"no-store"}
	h["Pragma"] = []string{"no-cache"}
}

// WriteJSON answers with v as JSON. A value that cannot be encoded is a 500 without a body.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	WriteBody(w, status, body)
}

// WriteBody answers with JSON that is encoded already.
func WriteBody(w http.ResponseWriter, status int, body []byte) {
	WriteAs(w, status, "application/json", body)
}

// WriteAs is [WriteBody] for another type of JSON, such as that of problems (RFC 9457).
func WriteAs(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // nobody is left to tell
}

// Seconds returns a duration in whole seconds, rounded up, as header fields have it.
func Seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// wireError is an error response (RFC 6749 5.2). The request id is added to our own faults, so that whoever meets one can
// ask about it.
type wireError struct {
	Error       oauth.Code `json:"error"`
	Description string     `json:"error_description,omitempty"`
	RequestID   string     `json:"request_id,omitempty"`
}

// WriteError answers with an OAuth error in JSON and logs it once, with its private cause. An error that is no
// *[oauth.Error] is sent as server_error without any of its text. 405 carries Allow, and 429 and 503 carry Retry-After,
// unless the caller has set them. A nonce for the next DPoP proof goes along.
func WriteError(w http.ResponseWriter, r *http.Request, err error, logger *slog.Logger) {
	e := oauth.AsError(err)
	status := e.HTTPStatus()
	LogError(r, e, logger)
	body := wireError{Error: e.Code, Description: e.Description}
	if status >= http.StatusInternalServerError {
		body.RequestID = CallerOf(r.Context()).RequestID
	}
	NoStore(w)
	h := w.Header()
	Announce(h, e)
	if status == http.StatusMethodNotAllowed {
		setDefault(h, "Allow", http.MethodPost)
	}
	WriteJSON(w, status, body)
}

// LogError writes the log line of a refused request: what was refused, why, and for whom.
func LogError(r *http.Request, e *oauth.Error, logger *slog.Logger) {
	if logger == nil || !logger.Enabled(r.Context(), e.LogLevel()) {
		return
	}
	caller := CallerOf(r.Context())
	logger.LogAttrs(r.Context(), e.LogLevel(), "request refused",
		slog.String("path", r.URL.Path), slog.Int("status", e.HTTPStatus()), slog.String("error", string(e.Code)),
		slog.String("cause", e.Error()), slog.String("client_ip", caller.ClientIP), slog.String("request_id", caller.RequestID))
}

func setDefault(h http.Header, name, value string) {
	if h.Get(name) == "" {
		h.Set(name, value)
	}
}
