// SPDX-License-Identifier: Apache-2.0

package site

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

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

// DefaultHeaders are the fields sent when none are configured, by the claim they carry.
func DefaultHeaders() map[string]string {
	return map[string]string{
		"Gatehouse-Subject":  "sub",
		"Gatehouse-Name":     "name",
		"Gatehouse-Client":   "client_id",
		"Gatehouse-Scope":    "scope",
		"Gatehouse-Acr":      "acr",
		"Gatehouse-Amr":      "amr",
		"Gatehouse-Session":  "sid",
		"Gatehouse-Token-Id": "jti",
	}
}

// NewHeaders returns the fields to set, by the claim they carry.
func NewHeaders(claims map[string]string) *Headers {
	h := &Headers{folded: map[string]bool{}}
	for name, claim := range claims {
		name = http.CanonicalHeaderKey(name)
		h.fields = append(h.fields, field{name, claim})
		h.folded[Fold(name)] = true
	}
	return h
}

// Strip removes from a request's header, or trailer, every field that could be taken for one of ours: in any case, and with
// any other character where there is a "-", since an upstream that makes variables of fields (RFC 3875 4.1.18) may not tell
// them apart. Everything that begins as ours does is removed too.
func (h *Headers) Strip(header http.Header) {
	var space [64]byte
	for name := range header {
		folded := fold(space[:0], name)
		if h.folded[string(folded)] || bytes.HasPrefix(folded, family) {
			delete(header, name)
		}
	}
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
	case "exp":
		text = strconv.FormatInt(p.ExpiresAt.Unix(), 10)
	default:
		text = p.Text(claim)
	}
	return printable(text)
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

// Fold returns the one form of every spelling of a header name that some upstream takes for the same.
func Fold(name string) string { return string(fold(nil, name)) }

// fold appends to into the one form of every spelling of a header name that some upstream takes for the same.
func fold(into []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		default:
			c = '-'
		}
		into = append(into, c)
	}
	return into
}
