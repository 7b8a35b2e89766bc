// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Sizes of RFC 8188 and RFC 8291, in bytes.
const (
	saltSize   = 16
	authSize   = 16
	pointSize  = 65
	tagSize    = 16
	headerSize = saltSize + 4 + 1 + pointSize
	maxSealed  = 4096 // what every push service has to take (RFC 8030, section 7.2)
)

// maxEndpoint bounds what a push service says where its messages go, in bytes.
const maxEndpoint = 8 << 10

var b64 = base64.RawURLEncoding

// subscription is what a browser keeps of one: where messages go, and the keys that open them, which the push service does not have.
type subscription struct {
	Endpoint string `json:"endpoint"`
	Private  []byte `json:"private"`
	Auth     []byte `json:"auth"`
	// Key is the VAPID key that it was made with, which the issuer is told: it may have another one by and by.
	Key string `json:"key,omitempty"`
}

// subscribe draws keys and asks a push service where messages to them go.
func subscribe(ctx context.Context, client *http.Client, at string) (*subscription, error) {
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	s := &subscription{Private: private.Bytes(), Auth: make([]byte, authSize)}
	_, _ = rand.Read(s.Auth) // it never fails
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, nil)
	if err != nil {
		return nil, errors.New("subscribing: the address of the push service is none")
	}
	s.Key = r.URL.Query().Get("key")
	response, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("subscribing: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxEndpoint))
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(answer, &struct {
		Endpoint *string `json:"endpoint"`
	}{&s.Endpoint}) != nil {
		return nil, fmt.Errorf("subscribing: the push service answers %d, and no endpoint", response.StatusCode)
	}
	if u, err := url.Parse(s.Endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("subscribing: the push service names an endpoint that is not https")
	}
	return s, nil
}

// address is what the issuer is told: what PushSubscription.toJSON of browsers makes, and the key that it was made with.
func (s *subscription) address() (string, error) {
	private, err := ecdh.P256().NewPrivateKey(s.Private)
	if err != nil {
		return "", fmt.Errorf("reading the keys of a subscription: %w", err)
	}
	told := map[string]any{
		"endpoint": s.Endpoint, "keys": map[string]string{"p256dh": b64.EncodeToString(private.PublicKey().Bytes()), "auth": b64.EncodeToString(s.Auth)},
	}
	if s.Key != "" {
		told["key"] = s.Key
	}
	text, err := json.Marshal(told)
	return string(text), err
}

var errSealed = fmt.Errorf("%w: it was not encrypted for this phone", errNotice)

// open decrypts a message to the subscription (RFC 8291, section 3.4), of one record (RFC 8188). What is wrong with one that it cannot
// open is not said.
func (s *subscription) open(body []byte) ([]byte, error) {
	if len(body) < headerSize+tagSize+1 || len(body) > maxSealed || body[saltSize+4] != pointSize {
		return nil, errSealed
	}
	salt, point, sealed := body[:saltSize], body[saltSize+5:headerSize], body[headerSize:]
	if size := binary.BigEndian.Uint32(body[saltSize:]); size < tagSize+2 || uint32(len(sealed)) > size {
		return nil, errSealed
	}
	aead, nonce, err := s.derive(salt, point)
	if err != nil {
		return nil, errSealed
	}
	plain, err := aead.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, errSealed
	}
	// The only record ends with a 2 and zeros (RFC 8188, section 2).
	content := bytes.TrimRight(plain, "\x00")
	if len(content) == 0 || content[len(content)-1] != 0x02 {
		return nil, errSealed
	}
	return content[:len(content)-1], nil
}

// derive returns cipher and nonce for a message of a sender (RFC 8291, section 3.4; RFC 8188, sections 2.2 and 2.3).
func (s *subscription) derive(salt, point []byte) (cipher.AEAD, []byte, error) {
	private, err := ecdh.P256().NewPrivateKey(s.Private)
	if err != nil {
		return nil, nil, err
	}
	sender, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, nil, err
	}
	shared, err := private.ECDH(sender)
	if err != nil {
		return nil, nil, err
	}
	ikm, err := hkdf.Key(sha256.New, shared, s.Auth, "WebPush: info\x00"+string(private.PublicKey().Bytes())+string(point), sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, nonce, err
}
