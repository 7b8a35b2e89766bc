// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"context"
	"crypto/ecdh"
)

// Seal encrypts with what the vectors have fixed.
func Seal(salt []byte, private *ecdh.PrivateKey, to *ecdh.PublicKey, auth, payload []byte, size int) ([]byte, error) {
	return material{salt, private}.seal(to, auth, payload, size)
}

// Encode and Derive are the two halves of RFC 8188.
var (
	Encode = encode
	Derive = derive
)

// Reason reads a service's word for a failure.
var Reason = reason

// Domain is the domain that a host is in.
var Domain = domain

// Hold takes all places of the share of a host, and returns what gives them back.
func (s *Sender) Hold(ctx context.Context, host string) (release func(), held int) {
	var all []func()
	for range s.shares.most {
		leave, err := s.shares.enter(ctx, host)
		if err != nil {
			break
		}
		all = append(all, leave)
	}
	return func() {
		for _, leave := range all {
			leave()
		}
	}, len(all)
}

// Domains is to how many domains something is under way.
func (s *Sender) Domains() int {
	s.shares.mu.Lock()
	defer s.shares.mu.Unlock()
	return len(s.shares.by)
}
