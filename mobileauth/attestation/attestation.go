// SPDX-License-Identifier: Apache-2.0

package attestation

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Grade says where the key of a phone is known to be.
type Grade string

// The grades, the worst first.
const (
	// Unknown says that nothing was shown.
	Unknown Grade = "unknown"
	// Software says that app and phone are known, and that the key is not known to be out of reach.
	Software Grade = "software"
	// TEE says that the trusted part of the main processor vouches.
	TEE Grade = "tee"
	// Hardware says that a chip of its own holds the key.
	Hardware Grade = "hardware"
)

// Grades returns all of them, the worst first.
func Grades() []Grade { return []Grade{Unknown, Software, TEE, Hardware} }

// Valid reports whether g is one of [Grades].
func (g Grade) Valid() bool { return slices.Contains(Grades(), g) }

// AtLeast reports whether g is as good as least. What is no grade is worse than all of them, and nothing is as good as what is no
// grade.
func (g Grade) AtLeast(least Grade) bool {
	return least.Valid() && slices.Index(Grades(), g) >= slices.Index(Grades(), least)
}

// ErrRejected is wrapped by every error about evidence that is wrong.
var ErrRejected = errors.New("the evidence is wrong")

// Rejection is evidence that is wrong. It is an [ErrRejected].
type Rejection struct {
	// Reason is one word for the audit trail, of those that the package of the evidence names.
	Reason string
	err    error
}

// Reject says that evidence is wrong, and why.
func Reject(reason, format string, args ...any) error {
	return &Rejection{Reason: reason, err: fmt.Errorf(format, args...)}
}

// Error says what was wrong.
func (r *Rejection) Error() string { return r.Reason + ": " + r.err.Error() }

// Unwrap makes it an [ErrRejected].
func (r *Rejection) Unwrap() []error { return []error{ErrRejected, r.err} }

// ReasonOf returns the reason of a rejection; empty for any other error.
func ReasonOf(err error) string {
	if r := new(Rejection); errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// MaxRoots bounds how many certificates [Certificates] reads.
const MaxRoots = 32

// Certificates reads certificates in PEM, of which there has to be one at least. Whatever else stands in the text is an error: a
// file of roots that is cut off, or has a key in it, is not what somebody meant to configure.
func Certificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		begins := bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----"))
		if block, rest = pem.Decode(rest); block == nil || !begins || block.Type != "CERTIFICATE" || len(block.Headers) > 0 {
			return nil, errors.New("reading certificates: there is something else than certificates in PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading certificates: %w", err)
		}
		if all = append(all, c); len(all) > MaxRoots {
			return nil, fmt.Errorf("reading certificates: there are more than %d", MaxRoots)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("reading certificates: there is none")
	}
	return all, nil
}
