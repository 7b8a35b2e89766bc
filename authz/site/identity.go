// SPDX-License-Identifier: Apache-2.0

package site

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Headers says which header fields tell the upstream who is asking.
type Headers struct {
	fields []field
	folded map[string]bool
}

type field struct{ name, claim string }

// AssertionHeader carries the signed assertion to an upstream that asked for one.
const AssertionHeader = "Gatehouse-Assertion"

// family begins, in folded form, every header that is ours: whatever a client sends in it is removed.
var family = []byte("gatehouse-")

// DefaultHeaders are the fields sent when none are configured, by the claim they carry. Each costs every request its price in
// the proxy, so they are those that an upstream decides by.
func DefaultHeaders() map[string]string {
	return map[string]string{
		"Gatehouse-Subject": "sub",
		"Gatehouse-Name":    "name",
		"Gatehouse-Client":  "client_id",
		"Gatehouse-Scope":   "scope",
		"Gatehouse-Acr":     "acr",
		"Gatehouse-Amr":     "amr",
		"Gatehouse-Session": "sid",
	}
}

// NewHeaders returns the fields to set, by the claim they carry.
func NewHeaders(claims map[string]string) *Headers {
	h := &Headers{folded: map[string]bool{}}
	for name, claim := range claims {
		name = http.CanonicalHeaderKey(name)
		h.fields = append(h.fields, field{name, claim})
		h.folded[httpx.Fold(name)] = true
	}
	return h
}

// Strip removes from a request's header, or trailer, every field that could be taken for one of ours: in any case, and with
// any other character where there is a "-", since an upstream that makes variables of fields (RFC 3875 4.1.18) may not tell
// them apart. Everything that begins as ours does is removed too.
//
// Nor may Connection name one: the proxy behind the gate would remove it after it was set (RFC 9110 7.6.1), and the upstream
// would take a request that has an identity for one that has none.
func (h *Headers) Strip(header http.Header) {
	for name := range header {
		if h.ours(name) {
			delete(header, name)
		}
	}
	if lines := header["Connection"]; len(lines) > 0 {
		h.stripOptions(header, lines)
	}
}

// ours reports whether the name of a field could be taken for one of ours.
func (h *Headers) ours(name string) bool {
	var space [64]byte
	folded := httpx.AppendFolded(space[:0], name)
	return h.folded[string(folded)] || bytes.HasPrefix(folded, family)
}

func (h *Headers) stripOptions(header http.Header, lines []string) {
	var kept []string
	for _, line := range lines {
		var options []string
		for option := range strings.SplitSeq(line, ",") {
			if option = strings.TrimSpace(option); option != "" && !h.ours(option) {
				options = append(options, option)
			}
		}
		if len(options) > 0 {
			kept = append(kept, strings.Join(options, ", "))
		}
	}
	if len(kept) == 0 {
		delete(header, "Connection")
		return
	}
	header["Connection"] = kept
}

// Clean strips a request: its header now, and its trailer once the body has been read, since HTTP/1 fills that only then, with
// what was announced and with what was not.
func (h *Headers) Clean(r *http.Request) {
	h.Strip(r.Header)
	if r.Trailer == nil {
		return
	}
	h.Strip(r.Trailer)
	r.Body = &cleanBody{ReadCloser: r.Body, clean: func() { h.Strip(r.Trailer) }}
}

// cleanBody cleans up when its end has been read, before anybody behind can look at what came there.
type cleanBody struct {
	io.ReadCloser

	clean func()
}

// Read reads on.
func (b *cleanBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil {
		b.clean()
	}
	return n, err
}

// Set tells the upstream who is asking. A claim the token does not have leaves its field absent.
func (h *Headers) Set(header http.Header, p *validation.Principal) {
	values := make([]string, len(h.fields))
	for i, f := range h.fields {
		if values[i] = ClaimText(p, f.claim); values[i] != "" {
			header[f.name] = values[i : i+1 : i+1]
		}
	}
}

// ClaimText returns a claim as the text that headers, placeholders and log fields carry; "" when it is absent. Control
// characters never pass.
func ClaimText(p *validation.Principal, claim string) string {
	var text string
	switch claim {
	case "iss":
		text = p.Issuer
	case "sub":
		text = p.Subject
	case "client_id":
		text = p.ClientID
	case "sid":
		text = p.SessionID
	case "name":
		text = p.Name
	case "jti":
		text = p.TokenID
	case "acr":
		text = p.ACR
	case "amr":
		text = strings.Join(p.AMR, " ")
	case "scope":
		text = p.Scopes.String()
	case "aud":
		text = strings.Join(p.Audience, " ")
	case "auth_time":
		if !p.AuthTime.IsZero() {
			text = strconv.FormatInt(p.AuthTime.Unix(), 10)
		}
	case "application", "application_platform", "application_version":
		text = applicationText(p.Application, claim)
	case "exp":
		text = strconv.FormatInt(p.ExpiresAt.Unix(), 10)
	default:
		text = p.Text(claim)
	}
	return printable(text)
}

// applicationText returns a part of the application claim.
func applicationText(app *validation.Application, claim string) string {
	switch {
	case app == nil:
		return ""
	case claim == "application_platform":
		return app.Platform
	case claim == "application_version":
		return app.Version
	}
	return app.ID
}

// printable drops control characters, which could break a header; the common text without any is returned as it is.
func printable(text string) string {
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	if strings.IndexFunc(text, control) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return -1
		}
		return r
	}, text)
}
