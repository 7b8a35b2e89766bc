// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// Key signs provider tokens of a team, as one from Apple's developer pages does.
type Key struct {
	TeamID, KeyID string
	private       *ecdsa.PrivateKey
}

// NewKey draws a key. Both names have ten characters at Apple's.
func NewKey(teamID, keyID string) (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("drawing a provider key: %w", err)
	}
	return &Key{TeamID: teamID, KeyID: keyID, private: private}, nil
}

// P8 returns the key as the file that Apple hands out.
func (k *Key) P8() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("writing a provider key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Token returns a provider token, for clients that cannot make one.
func (k *Key) Token(at time.Time) (string, error) {
	part := base64.RawURLEncoding.EncodeToString
	signed := part(fmt.Appendf(nil, `{"alg":"ES256","kid":%q}`, k.KeyID)) + "." +
		part(fmt.Appendf(nil, `{"iss":%q,"iat":%d}`, k.TeamID, at.Unix()))
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing a provider token: %w", err)
	}
	return signed + "." + part(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)), nil
}

// errToken is a provider token that is none of a key's.
var errToken = errors.New("not a provider token of this key")

// provider is what a valid token says.
type provider struct {
	keyID, team string
	issued      time.Time
}

// parseToken reads a token and verifies it with the key that it names.
func parseToken(raw string, keys []*Key) (provider, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return provider{}, errToken
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss string
		Iat int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || decode(parts[0], &header) != nil || decode(parts[1], &claims) != nil {
		return provider{}, errToken
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	for _, k := range keys {
		if k.KeyID == header.Kid && k.TeamID == claims.Iss && header.Alg == "ES256" && ecdsa.Verify(&k.private.PublicKey, digest[:], r, s) {
			return provider{header.Kid, claims.Iss, time.Unix(claims.Iat, 0)}, nil
		}
	}
	return provider{}, errToken
}

func decode(part string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// What Apple's certificates for push hold: the topic as the subject's user id, and which environments they are good for.
var (
	userID      = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	development = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 1}
	production  = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 2}
)

// Certificate issues a certificate that pushes to one topic in one environment until it ends.
func Certificate(authority *loopback.Authority, topic string, sandbox bool, until time.Time) (tls.Certificate, error) {
	environment := production
	if sandbox {
		environment = development
	}
	return authority.Issue(&x509.Certificate{
		Subject: pkix.Name{
			CommonName: "Apple Push Services: " + topic,
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: userID, Value: topic}},
		},
		NotBefore: until.AddDate(-1, 0, 0), NotAfter: until,
		ExtraExtensions: []pkix.Extension{{Id: environment, Value: asn1.NullBytes}},
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// certified returns what a client's certificate is good for.
func certified(cert *x509.Certificate, sandbox bool) (topic string, here bool) {
	environment := production
	if sandbox {
		environment = development
	}
	for _, extension := range cert.Extensions {
		here = here || extension.Id.Equal(environment)
	}
	for _, name := range cert.Subject.Names {
		if name.Type.Equal(userID) {
			topic, _ = name.Value.(string)
		}
	}
	return topic, here
}
