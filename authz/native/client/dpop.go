// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// DPoP has tokens bound to a key (RFC 9449), so that a copy of them is worthless to whoever does not hold it. Every request then carries a
// proof of the key, made for its method and address; and what the app does at the server is bound to the key from the first message on, the
// session and the code as well.
type DPoP struct {
	// Key is on P-256 and signs nothing else. It may be one that the platform keeps and never shows. Default: one in memory, which lasts as
	// long as the client does, and with it the tokens.
	Key crypto.Signer
}

// ErrUnbound says that the server does not bind tokens to a key, or not to one on P-256. A client that is to have bound ones takes no
// others.
var ErrUnbound = errors.New("the server binds no tokens to keys of this kind")

// ofIssuer is where the authorization server's nonce is kept: it is none at a resource, not even at one with the same address (RFC 9449 9).
const ofIssuer = ""

// maxNonces bounds how many servers' nonces are kept: one that is not there costs a request more. maxNonce bounds each, in bytes.
const (
	maxNonces = 100
	maxNonce  = 1 << 10
)

// prover makes proofs of a key. It is safe for concurrent use; on nil nothing is proven.
type prover struct {
	key        crypto.Signer
	public     map[string]string
	thumbprint string
	now        func() time.Time

	mu     sync.Mutex
	nonces map[string]string // the last one of each server, by its address
}

func newProver(d *DPoP, now func() time.Time) (*prover, error) {
	if d == nil {
		return nil, nil //nolint:nilnil // nothing is to be proven
	}
	p := &prover{key: d.Key, now: now, nonces: map[string]string{}}
	if p.key == nil {
		drawn, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		p.key = drawn
	}
	var err error
	if p.public, err = publicKey(p.key); err != nil {
		return nil, err
	}
	text, err := json.Marshal(p.public) // its members alone and in order, as RFC 7638 3 has it
	sum := sha256.Sum256(text)
	p.thumbprint = b64.EncodeToString(sum[:])
	return p, err
}

// prove adds to a request the proof that whoever sends it holds the key, with the last nonce of the server, which it returns. The token is
// the one that the request carries, if any.
func (p *prover) prove(r *http.Request, server, token string) (nonce string, err error) {
	if p == nil {
		return "", nil
	}
	nonce = p.nonce(server)
	claims := map[string]any{
		"jti": rand.Text(), "htm": cmp.Or(r.Method, http.MethodGet), "htu": target(r).String(), "iat": p.now().Unix(),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = b64.EncodeToString(sum[:])
	}
	proof, err := signJWT(p.key, map[string]any{"alg": "ES256", "typ": "dpop+jwt", "jwk": p.public}, claims)
	if err != nil {
		return "", fmt.Errorf("proving the key of the tokens: %w", err)
	}
	r.Header.Set("DPoP", proof)
	return nonce, nil
}

// hear keeps the nonce of an answer, whatever answer it is: servers give another one before the last is over (RFC 9449 8.2).
func (p *prover) hear(server string, response *http.Response) {
	said := response.Header.Values("DPoP-Nonce")
	if p == nil || len(said) != 1 || said[0] == "" || len(said[0]) > maxNonce {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.nonces) >= maxNonces {
		clear(p.nonces)
	}
	p.nonces[server] = said[0]
}

// nonce is the last one that a server has said.
func (p *prover) nonce(server string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nonces[server]
}

// newer reports whether a server has said another nonce than the one that it has refused. A second proof with the same one would be refused
// as well.
func (p *prover) newer(server, refused string) bool { return p != nil && p.nonce(server) != refused }

// takes returns an error where the server does not bind tokens to this kind of key.
func (p *prover) takes(e *endpoints) error {
	if p != nil && !slices.Contains(e.Proofs, "ES256") {
		return ErrUnbound
	}
	return nil
}

// kind is the type of the tokens that are wanted, and the scheme to present them with.
func (p *prover) kind() string {
	if p == nil {
		return "Bearer"
	}
	return "DPoP"
}

// target is the address of a request as its server sees it, without query and fragment (RFC 9449 4.2).
func target(r *http.Request) *url.URL {
	return &url.URL{
		Scheme: r.URL.Scheme, Host: cmp.Or(r.Host, r.URL.Host), Path: cmp.Or(r.URL.Path, "/"), RawPath: r.URL.RawPath,
	}
}

// origin is the server that a request for a resource goes to.
func origin(r *http.Request) string { return originOf(r.URL.Scheme, cmp.Or(r.Host, r.URL.Host)) }

// originOf writes a server in one way (RFC 6454 4).
func originOf(scheme, host string) string {
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	if port := map[string]string{"http": ":80", "https": ":443"}[scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return scheme + "://" + host
}
