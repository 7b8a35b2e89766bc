// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// How long a device waits before it asks again, where the service has not decided and does not say, and at most.
const usualWait, maxWait = time.Minute, 7 * 24 * time.Hour

// maxChain is the most certificates in an answer.
const maxChain = 6

// Question is what the service is asked.
type Question struct {
	// CSR is the request in PEM. It was checked, and is signed by the key that it is for. Its subject is a wish.
	CSR string `json:"csr"`
	// URI is the one alternative name of the certificate, and Subject its subject (RFC 4514), which is mostly empty.
	URI     string `json:"uri"`
	Subject string `json:"subject"`
	// KeyUsage and ExtKeyUsage are what the certificate is for.
	KeyUsage    []string `json:"key_usage"`
	ExtKeyUsage []string `json:"ext_key_usage"`
	// Serial is a number to take, in hex, and NotBefore and NotAfter a validity.
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Renews is the certificate that this one follows, in PEM; nothing for the first.
	Renews string `json:"renews,omitempty"`
}

// Config describes the service.
type Config struct {
	// Service is how it is reached. Required.
	Service *callout.Client
	// AnyNames takes a certificate whatever it calls the device. Otherwise it has the name and the subject that were asked for.
	AnyNames bool
	Now      func() time.Time
}

// Authority is a [provisioning.Authority]. It keeps nothing between calls and is safe for concurrent use.
type Authority struct{ c Config }

var (
	_ provisioning.Authority = (*Authority)(nil)
	_ provisioning.Sovereign = (*Authority)(nil)
)

// New returns an authority, or an error that says what is missing.
func New(c Config) (*Authority, error) {
	if c.Service == nil || c.Now == nil {
		return nil, errors.New("asking a service for certificates: the service and a clock are required")
	}
	return &Authority{c: c}, nil
}

// Sovereign reports whether what certificates call devices is the service's to say.
func (a *Authority) Sovereign() bool { return a.c.AnyNames }

// Issue asks for a certificate. Where the service has not decided yet (202) the error is a [provisioning.Refusal] that says when to ask
// again.
func (a *Authority) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	answer, err := a.c.Service.Post(ctx, question(&order))
	if status, ok := errors.AsType[*callout.StatusError](err); ok && status.Status == http.StatusAccepted {
		wait := provider.RetryAfter(http.Header{"Retry-After": {status.RetryAfter}}, a.c.Now())
		if wait == 0 {
			wait = usualWait
		}
		return nil, provisioning.Pending(min(wait, maxWait))
	}
	if err != nil {
		return nil, err
	}
	chain, err := read(answer)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the service: %w", err)
	}
	return chain, nil
}

func question(order *provisioning.Order) Question {
	t := order.Template
	q := Question{
		CSR:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: order.CSR.Raw})),
		Subject: t.Subject.String(), KeyUsage: []string{"digitalSignature"}, ExtKeyUsage: []string{"clientAuth"},
		Serial: hex.EncodeToString(t.SerialNumber.Bytes()), NotBefore: t.NotBefore, NotAfter: t.NotAfter,
	}
	for _, uri := range t.URIs {
		q.URI = uri.String()
	}
	if order.Renews != nil {
		q.Renews = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: order.Renews.Raw}))
	}
	return q
}

// read reads an answer: {"chain": PEM}, the certificate first, each signed by the next.
func read(text []byte) (chain []*x509.Certificate, err error) {
	var answer struct {
		Chain string `json:"chain"`
	}
	if err := jose.UnmarshalObject(text, &answer); err != nil {
		return nil, err
	}
	for rest := []byte(answer.Chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if strings.TrimSpace(string(rest)) != "" {
				return nil, errors.New("something stands beside the certificates")
			}
			break
		}
		if block.Type != "CERTIFICATE" || len(chain) == maxChain {
			return nil, errors.New("it holds something else than a few certificates")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is none")
	}
	return chain, nil
}
