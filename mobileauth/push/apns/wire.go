// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// wire is the transport to one environment. It returns accepted answers; any other is an error of the type answer.
type wire struct {
	service *provider.Client
	bearer  *bearer // nil with a certificate
	now     func() time.Time
}

var _ http.RoundTripper = (*wire)(nil)

// RoundTrip sends a notification, and once more where the answer is about the connection or the age of the token.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	token := ""
	if w.bearer != nil {
		var err error
		if token, err = w.bearer.get(); err != nil {
			return nil, err
		}
	}
	response, err := w.send(r, token)
	var a *answer
	if !errors.As(err, &a) {
		return response, err
	}
	token, again := w.mend(a, token)
	if !again || r.GetBody == nil {
		return nil, err
	}
	body, bodyErr := r.GetBody()
	if bodyErr != nil {
		return nil, err
	}
	repeated := r.Clone(r.Context())
	repeated.Body = body
	return w.send(repeated, token)
}

// mend does what an answer asks for besides giving up, and tells whether to send again and with which token.
func (w *wire) mend(a *answer, token string) (string, bool) {
	switch a.reason {
	case expiredToken:
		if w.bearer != nil {
			return w.bearer.expired(token)
		}
	case tooManyUpdates:
		w.service.Renew() // that connection stays unusable
		if w.bearer != nil {
			w.bearer.tooMany(token)
		}
	case idleTimeout:
		w.service.Renew()
		return token, true
	case shutdown:
		w.service.Renew()
	}
	return token, false
}

func (w *wire) send(r *http.Request, token string) (*http.Response, error) {
	r = r.Clone(r.Context()) // a RoundTripper does not change what it is given
	if token != "" {
		r.Header.Set("Authorization", "bearer "+token)
	}
	response, err := w.service.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		response.Body = http.NoBody // empty at Apple's; whatever else is there is nothing to read
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	a := parseAnswer(response.StatusCode, body)
	a.after = provider.RetryAfter(response.Header, w.now())
	return nil, a
}

// parseAnswer reads the body of an answer. What is not Apple's JSON has no reason and no moment.
func parseAnswer(status int, body []byte) *answer {
	var said struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp"` // milliseconds
	}
	a := &answer{status: status}
	if err := json.Unmarshal(body, &said); err != nil {
		return a
	}
	a.reason = push.Word(said.Reason)
	if said.Timestamp > 0 && status == http.StatusGone {
		a.dead = time.UnixMilli(said.Timestamp)
	}
	return a
}
