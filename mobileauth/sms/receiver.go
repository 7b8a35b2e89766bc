// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"strings"
)

// MaxReport bounds what a gateway may say at once, in bytes.
const MaxReport = 64 << 10

// Receiver is what the handlers of [Reporter] have in common: where they are, and how they answer.
type Receiver struct {
	// Secret is the last segment of the path: letters, digits, "-" and "_", at least [MinSecret] of them.
	Secret string
	// Read returns the reports of one call, none where it has no news, and false where the call is not authentic. It is given the body,
	// which has at most [MaxReport] bytes.
	Read func(r *http.Request, body []byte) (reports []Report, authentic bool)
	// Told is told each report.
	Told Told
}

// Handler returns the handler, or an error where a part is missing or the secret is none.
//
// A call is answered with 204 when all of its reports were told, whether or not anybody knew the messages; with 503 when whoever is
// told could not take one, so that the gateway comes again; and with 404 in every other case, so that a stranger does not find out
// what there is.
func (x Receiver) Handler() (http.Handler, error) {
	if x.Read == nil || x.Told == nil {
		return nil, errors.New("building a receiver of reports: a reader and somebody to tell are required")
	}
	if len(x.Secret) < MinSecret || strings.ContainsFunc(x.Secret, func(r rune) bool { return !alphanumeric(r) && r != '-' && r != '_' }) {
		return nil, errors.New("the secret in the path of reports is too short, or has characters other than letters, digits, - and _")
	}
	want := sha256.Sum256([]byte(x.Secret))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		x.serve(w, r)
	}), nil
}

func (x Receiver) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxReport))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	reports, authentic := x.Read(r, body)
	if !authentic {
		http.NotFound(w, r)
		return
	}
	for _, report := range reports {
		if err := x.Told(r.Context(), report); err != nil && !errors.Is(err, ErrUnknown) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
