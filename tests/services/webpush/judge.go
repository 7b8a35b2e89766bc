// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBody is what every push service has to take (RFC 8030, section 7.2).
const maxBody = 4096

var topicForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// accept returns the message of a request, or a refusal.
func (s *Service) accept(r *http.Request) (Message, *Subscription, error) {
	s.mu.Lock()
	sub := s.subscriptions[r.URL.Path]
	gone := sub != nil && sub.gone
	s.mu.Unlock()
	switch {
	case sub == nil:
		return Message{}, nil, &refusal{http.StatusNotFound, "NotFound"}
	case gone:
		return Message{}, nil, &refusal{http.StatusGone, "Unregistered"}
	}
	m := Message{Endpoint: sub.Endpoint, Urgency: r.Header.Get("Urgency"), Topic: r.Header.Get("Topic")}
	if err := s.authenticate(&m, sub, r.Header.Get("Authorization")); err != nil {
		return Message{}, nil, err
	}
	ttl, err := strconv.ParseUint(r.Header.Get("TTL"), 10, 31)
	switch {
	case err != nil:
		return Message{}, nil, &refusal{http.StatusBadRequest, "MissingTTL"}
	case m.Urgency != "" && !slices.Contains([]string{"very-low", "low", "normal", "high"}, m.Urgency):
		return Message{}, nil, &refusal{http.StatusBadRequest, "BadUrgency"}
	case m.Topic != "" && !topicForm.MatchString(m.Topic):
		return Message{}, nil, &refusal{http.StatusBadRequest, "BadWebPushTopic"}
	case r.Header.Get("Content-Encoding") != "aes128gcm":
		return Message{}, nil, &refusal{http.StatusUnsupportedMediaType, "BadContentEncoding"}
	}
	m.TTL = time.Duration(ttl) * time.Second
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return Message{}, nil, err
	case len(body) > maxBody:
		return Message{}, nil, &refusal{http.StatusRequestEntityTooLarge, "PayloadTooLarge"}
	}
	ok := framed(body)
	if m.Sealed = body; ok && sub.private != nil {
		m.Payload, m.Padding, ok = sub.open(body)
	}
	if !ok {
		return Message{}, nil, &refusal{http.StatusBadRequest, "BadEncryption"}
	}
	return m, sub, nil
}

// authenticate judges the VAPID field (RFC 8292).
func (s *Service) authenticate(m *Message, sub *Subscription, field string) error {
	bad := &refusal{http.StatusForbidden, "BadJwtToken"}
	rest, ok := strings.CutPrefix(field, "vapid ")
	if !ok {
		return bad
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			m.Token = value
		case "k":
			m.Key = value
		}
	}
	if sub.key != "" && sub.key != m.Key {
		return &refusal{http.StatusForbidden, "VapidPkHashMismatch"}
	}
	if !verify(m.Token, m.Key) || !s.current(m.Token) {
		return bad
	}
	return nil
}

// verify reports whether a token was signed by a key, ES256 (RFC 7515, appendix A.3).
func verify(token, key string) bool {
	parts := strings.Split(token, ".")
	point, err := b64.DecodeString(key)
	if err != nil || len(parts) != 3 {
		return false
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return false
	}
	var header struct{ Alg, Typ string }
	text, err := b64.DecodeString(parts[0])
	if err != nil || json.Unmarshal(text, &header) != nil || header.Alg != "ES256" || header.Typ != "JWT" {
		return false
	}
	signature, err := b64.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// current reports whether a token is for this service, now, by somebody who can be reached.
func (s *Service) current(token string) bool {
	var claims struct {
		Aud string  `json:"aud"`
		Exp float64 `json:"exp"`
		Sub string  `json:"sub"`
	}
	text, err := b64.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return false
	}
	left := time.Unix(int64(claims.Exp), 0).Sub(s.config.Now())
	contact, err := url.Parse(claims.Sub)
	return err == nil && claims.Aud == s.URL && left > 0 && left <= 24*time.Hour && !strings.ContainsAny(claims.Sub, " <>") &&
		(contact.Scheme == "https" && contact.Host != "" || contact.Scheme == "mailto" && strings.Contains(contact.Opaque, "@"))
}

// expand is HKDF with one block of output, put together from HMAC as RFC 5869 has it.
func expand(key, info []byte, length int) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(info)
	mac.Write([]byte{1})
	return mac.Sum(nil)[:length]
}

func extract(salt, key []byte) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write(key)
	return mac.Sum(nil)
}

// framed reports whether a body is one record behind the header of aes128gcm with the sender's point, which is all that a service
// without the keys can see (RFC 8188, section 2.1; RFC 8291, section 4).
func framed(body []byte) bool {
	if len(body) < 86+17 || body[20] != 65 || binary.BigEndian.Uint32(body[16:]) < 18 {
		return false
	}
	_, err := ecdh.P256().NewPublicKey(body[21:86])
	return err == nil && uint32(len(body)-86) <= binary.BigEndian.Uint32(body[16:])
}

// open decrypts a framed body as a browser does (RFC 8291, section 4).
func (sub *Subscription) open(body []byte) (payload []byte, padding int, ok bool) {
	salt, sender, sealed := body[:16], body[21:86], body[86:]
	public, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, 0, false
	}
	shared, err := sub.private.ECDH(public)
	if err != nil {
		return nil, 0, false
	}
	info := slices.Concat([]byte("WebPush: info\x00"), sub.private.PublicKey().Bytes(), sender)
	prk := extract(salt, expand(extract(sub.auth, shared), info, 32))
	block, err := aes.NewCipher(expand(prk, []byte("Content-Encoding: aes128gcm\x00"), 16))
	if err != nil {
		return nil, 0, false
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, 0, false
	}
	plain, err := gcm.Open(nil, expand(prk, []byte("Content-Encoding: nonce\x00"), 12), sealed, nil)
	if err != nil {
		return nil, 0, false
	}
	content := bytes.TrimRight(plain, "\x00")
	if len(content) == 0 || content[len(content)-1] != 0x02 {
		return nil, 0, false
	}
	return content[:len(content)-1], len(plain) - len(content), true
}
