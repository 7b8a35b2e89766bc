// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of RSA keys, in bits, and of their exponents (SP 800-57 part 1, SP 800-56B 6.2).
const (
	minRSA, maxRSA     = 2048, 4096
	minExponent        = 65537
	maxExponent        = 1<<31 - 1
	smallestPrimeLimit = 1000 // no factor of a good modulus is below
)

// Why a key is not taken.
var (
	ErrKind = errors.New("the key is of another kind than P-256, P-384 and RSA")
	ErrWeak = errors.New("the key is weak")
)

// Check refuses a key that is of another kind with [ErrKind], and one that somebody can compute with [ErrWeak].
func Check(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return ErrKind
		}
		if _, err := key.ECDH(); err != nil { // off the curve
			return fmt.Errorf("%w: %w", ErrWeak, err)
		}
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		if bits < minRSA || bits > maxRSA || key.E < minExponent || key.E > maxExponent || key.E%2 == 0 ||
			divisible(key.N) || infineon(key.N) {
			return ErrWeak
		}
	default:
		return ErrKind
	}
	return nil
}

// divisible reports whether a modulus has a small factor.
func divisible(n *big.Int) bool {
	for p := int64(2); p < smallestPrimeLimit; p++ {
		if big.NewInt(p).ProbablyPrime(0) && residue(n, p) == 0 {
			return true
		}
	}
	return false
}

// fingerprinted are the primes by which a key of the broken generator is known.
var fingerprinted = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139,
	149, 151, 157, 163, 167,
}

// infineon reports whether a modulus is of the generator whose primes are k*M + (65537^a mod M) for a known M, and can therefore be
// factored (CVE-2017-15361, "ROCA"): modulo every small prime it is then a power of 65537. Of other moduli that is true for one in 2^27
// at most.
func infineon(n *big.Int) bool {
	for _, p := range fingerprinted {
		want, power, found := residue(n, p), int64(1), false
		for range p {
			found = found || power == want
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}

func residue(n *big.Int, p int64) int64 { return new(big.Int).Mod(n, big.NewInt(p)).Int64() }
