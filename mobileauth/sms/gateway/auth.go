// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// Auth says how a provider is told who is calling. At most one of its kinds is set; the HMAC may stand beside another.
type Auth struct {
	// User and Password are for the Basic scheme (RFC 7617).
	User     string
	Password sms.Secret
	// Bearer is a token (RFC 6750).
	Bearer sms.Secret
	// Field and Value are a header field such as X-Api-Key.
	Field string
	Value sms.Secret
	// HMAC signs the body; nil signs nothing.
	HMAC *HMAC
}

// HMAC says how a body is signed, ours or the provider's: by a code over the body or, with a field for the time, over the seconds since
// 1970, a dot and the body.
type HMAC struct {
	Secret sms.Secret
	// Field carries the code, behind Prefix ("sha256=").
	Field, Prefix string
	// Hash is "sha256" or "sha512". Default: sha256.
	Hash string
	// Encoding is "hex" or "base64". Default: hex.
	Encoding string
	// TimeField carries the time; empty where none is sent.
	TimeField string
}

func (a *Auth) check(format Format) error {
	set := 0
	for _, given := range []bool{a.User != "" || a.Password != "", a.Bearer != "", a.Field != "" || a.Value != ""} {
		if given {
			set++
		}
	}
	switch {
	case set > 1:
		return errors.New("there are several ways in which the provider is told who is calling")
	case (a.User == "") != (a.Password == "") || strings.Contains(a.User, ":") || !sendable(a.User+string(a.Password)):
		return errors.New("a user and a password are required, and hold nothing that cannot be sent")
	case !sendable(string(a.Bearer)) || strings.Contains(string(a.Bearer), " "):
		return errors.New("the token holds something that cannot be sent")
	case (a.Field == "") != (a.Value == "") || a.Field != "" && !free(a.Field) || !sendable(string(a.Value)):
		return errors.New("the header field that tells who is calling, or its value, cannot be sent")
	case a.HMAC != nil && format == None:
		return errors.New("there is no body to sign")
	case a.HMAC != nil:
		return a.HMAC.check()
	}
	return nil
}

func free(field string) bool {
	return validName(field) && !slices.Contains(own, http.CanonicalHeaderKey(field))
}

func sendable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (h *HMAC) check() error {
	switch {
	case h.Secret == "":
		return errors.New("an HMAC needs a secret")
	case !free(h.Field) || h.TimeField != "" && (!free(h.TimeField) || strings.EqualFold(h.Field, h.TimeField)) || !sendable(h.Prefix):
		return errors.New("a header field of the HMAC cannot be set")
	case !slices.Contains([]string{"", "sha256", "sha512"}, h.Hash):
		return errors.New("the hash of the HMAC is not sha256 or sha512")
	case !slices.Contains([]string{"", "hex", "base64"}, h.Encoding):
		return errors.New("the encoding of the HMAC is not hex or base64")
	}
	return nil
}

// set writes the credentials into a request.
func (a *Auth) set(r *http.Request, body []byte, now time.Time) {
	switch {
	case a.User != "":
		r.SetBasicAuth(a.User, string(a.Password))
	case a.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+string(a.Bearer))
	case a.Field != "":
		r.Header.Set(a.Field, string(a.Value))
	}
	if h := a.HMAC; h != nil {
		var at string
		if h.TimeField != "" {
			at = strconv.FormatInt(now.Unix(), 10)
			r.Header.Set(h.TimeField, at)
		}
		r.Header.Set(h.Field, h.sign(at, body))
	}
}

// sign returns the value of the field.
func (h *HMAC) sign(at string, body []byte) string {
	var make func() hash.Hash = sha256.New
	if h.Hash == "sha512" {
		make = sha512.New
	}
	mac := hmac.New(make, []byte(h.Secret))
	if h.TimeField != "" {
		mac.Write([]byte(at + "."))
	}
	mac.Write(body)
	sum := mac.Sum(nil)
	if h.Encoding == "base64" {
		return h.Prefix + base64.StdEncoding.EncodeToString(sum)
	}
	return h.Prefix + hex.EncodeToString(sum)
}

// fresh is how old or early a signed time may be.
const fresh = 5 * time.Minute

// verify reports whether the fields of a request sign its body, now.
func (h *HMAC) verify(header http.Header, body []byte, now time.Time) bool {
	var at string
	if h.TimeField != "" {
		at = header.Get(h.TimeField)
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil || len(header.Values(h.TimeField)) != 1 || now.Sub(time.Unix(seconds, 0)).Abs() > fresh {
			return false
		}
	}
	return len(header.Values(h.Field)) == 1 && hmac.Equal([]byte(header.Get(h.Field)), []byte(h.sign(at, body)))
}
