// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/signing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func onCurve(t testing.TB, curve elliptic.Curve) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return &key.PublicKey
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	with := func(e int) *rsa.PublicKey { return &rsa.PublicKey{N: good.N, E: e} }
	for _, tt := range []struct {
		name string
		key  crypto.PublicKey
		want error
	}{
		{"P-256", onCurve(t, elliptic.P256()), nil},
		{"P-384", onCurve(t, elliptic.P384()), nil},
		{"RSA", &good.PublicKey, nil},
		{"RSA with another prime exponent", with(65539), nil},
		{"nothing", nil, signing.ErrKind},
		{"P-521", onCurve(t, elliptic.P521()), signing.ErrKind},
		{"P-224", onCurve(t, elliptic.P224()), signing.ErrKind},
		{"Ed25519", ed, signing.ErrKind},
		{"RSA with an even exponent", with(65538), signing.ErrWeak},
		{"RSA with 3", with(3), signing.ErrWeak},
		{"RSA with 1024 bits", &rsa.PublicKey{N: odd(1024), E: 65537}, signing.ErrWeak},
		{"RSA with 2047 bits", &rsa.PublicKey{N: odd(2047), E: 65537}, signing.ErrWeak},
		{"RSA with 4097 bits", &rsa.PublicKey{N: odd(4097), E: 65537}, signing.ErrWeak},
		{"RSA with a small factor", &rsa.PublicKey{N: multiple(997), E: 65537}, signing.ErrWeak},
		{"RSA of the broken generator", &rsa.PublicKey{N: roca(t), E: 65537}, signing.ErrWeak},
		{"off the curve", offCurve(t), signing.ErrWeak},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := signing.Check(tt.key); !errors.Is(err, tt.want) {
				t.Errorf("the answer is %v, want %v", err, tt.want)
			}
		})
	}
}

// offCurve is no key at all: the point is beside the curve.
func offCurve(t testing.TB) *ecdsa.PublicKey {
	t.Helper()
	key := onCurve(t, elliptic.P256())
	//lint:ignore SA1019 nothing else makes a point that is not on the curve
	return &ecdsa.PublicKey{Curve: key.Curve, X: key.X, Y: new(big.Int).Add(key.Y, big.NewInt(1))}
}

// odd is an odd number of exactly that many bits.
func odd(bits int) *big.Int {
	data := make([]byte, (bits+7)/8)
	_, _ = rand.Read(data) // it cannot fail
	n := new(big.Int).SetBytes(data)
	n.SetBit(n.Rsh(n, uint(8*len(data)-bits)), bits-1, 1)
	return n.SetBit(n, 0, 1)
}

// multiple is a number of 2048 bits with a factor.
func multiple(factor int64) *big.Int {
	for {
		if n := new(big.Int).Mul(odd(2039), big.NewInt(factor)); n.BitLen() == 2048 {
			return n
		}
	}
}

// roca is a number of 2048 bits that is a power of 65537 modulo the primes of the broken generator, and has no small factor.
func roca(t testing.TB) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for p := int64(3); p <= 167; p++ {
		if big.NewInt(p).ProbablyPrime(1) {
			m.Mul(m, big.NewInt(p))
		}
	}
	k, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 1000))
	must(t, err)
	k.Add(k, new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 2047), m)).Add(k, big.NewInt(1))
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), m)
	for n.Add(n, k.Mul(k, m)); !clean(n); {
		n.Add(n, m)
	}
	if n.BitLen() != 2048 {
		t.Fatalf("the number has %d bits", n.BitLen())
	}
	return n
}

// clean reports whether a number has no factor below a thousand.
func clean(n *big.Int) bool {
	for p := int64(2); p < 1000; p++ {
		if new(big.Int).Mod(n, big.NewInt(p)).Sign() == 0 {
			return false
		}
	}
	return true
}

// TestGoodKeysAreFit: good keys are not taken for weak ones.
func TestGoodKeysAreFit(t *testing.T) {
	t.Parallel()
	for range 3 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		must(t, err)
		if err := signing.Check(&key.PublicKey); err != nil {
			t.Error(err)
		}
	}
}
