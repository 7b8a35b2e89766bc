// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"

	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// Step names what a token allows. A token of one step is worth nothing in another.
type Step string

// The steps.
const (
	// StepLogin sends the answers to a realm's challenge; the realm's name is appended, see [Step.For].
	StepLogin Step = "login"
	// StepConsent sends a decision about scopes.
	StepConsent Step = "consent"
	// StepHandover sends a decision about the session that an app offers.
	StepHandover Step = "handover"
	// StepContinue returns from a step to the dispatcher.
	StepContinue Step = "continue"
	// StepCancel returns to the dispatcher with the wish to stop.
	StepCancel Step = "cancel"
	// StepAccount changes something on the account page.
	StepAccount Step = "account"
	// StepLogout confirms signing out.
	StepLogout Step = "logout"
)

// For narrows a step to one of several of its kind, such as the realm that is being proven.
func (s Step) For(what string) Step { return s + ":" + Step(what) }

// Names of the fields and parameters in which steps travel.
const (
	FieldRequest = "req"
	FieldStep    = "step"
	FieldCancel  = "stop"
)

// Browser is one visitor's browser. The zero value is one that sent no cookie: it owns nothing and no token of it is good.
type Browser struct{ secret string }

// Known reports whether the browser sent its cookie.
func (b Browser) Known() bool { return b.secret != "" }

// Hash is what a request is bound to; empty for an unknown browser.
func (b Browser) Hash() string {
	if b.secret == "" {
		return ""
	}
	return randid.Hash(b.secret)
}

// String keeps the secret out of texts.
func (b Browser) String() string { return "browser" }

// GoString keeps the secret out of texts.
func (b Browser) GoString() string { return "browser" }

// Token returns the token that allows a step of a request in a session. Request and session may be empty where there is
// none. Another site cannot make it, since it does not know the browser's cookie; and it dies with the session's id, so
// that a form from before a login does not act for the user after it.
func (b Browser) Token(step Step, request, session string) string {
	mac := hmac.New(sha256.New, []byte(b.secret))
	for _, part := range []string{string(step), request, session} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Allows reports whether the token is the browser's own for the step. It compares in constant time.
func (b Browser) Allows(token string, step Step, request, session string) bool {
	return b.Known() && hmac.Equal([]byte(token), []byte(b.Token(step, request, session)))
}

// Browser returns the browser that sent a request.
func (m *Manager) Browser(r *http.Request) Browser {
	value := m.jar.value(r, m.jar.browser)
	if !validSecret(value) {
		return Browser{}
	}
	return Browser{secret: value}
}

// EnsureBrowser returns the browser that sent a request and gives it a cookie when it has none.
func (m *Manager) EnsureBrowser(w http.ResponseWriter, r *http.Request) Browser {
	if b := m.Browser(r); b.Known() {
		return b
	}
	b := Browser{secret: randid.Secret()}
	m.jar.set(w, m.jar.browser, b.secret)
	return b
}

// validSecret admits what [randid.Secret] makes and nothing else.
func validSecret(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder skips line ends; the length leaves no room for any.
	return err == nil && len(raw) == sha256.Size && len(text) == base64.RawURLEncoding.EncodedLen(sha256.Size)
}
