// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
)

var _ storage.Sealer = (*seal.Sealer)(nil)

func key(id string, fill byte) seal.Key {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = fill + byte(i)
	}
	return seal.Key{ID: id, Secret: secret}
}

func mustNew(tb testing.TB, keys ...seal.Key) *seal.Sealer {
	tb.Helper()
	s, err := seal.New(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func mustSeal(tb testing.TB, s *seal.Sealer, label, plain string) []byte {
	tb.Helper()
	sealed, err := s.Seal(label, []byte(plain))
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

func TestSealedValuesOpenAgain(t *testing.T) {
	t.Parallel()
	s := mustNew(t, key("a", 1))
	rapid.Check(t, func(t *rapid.T) {
		label, plain := rapid.String().Draw(t, "label"), rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		before := bytes.Clone(plain)
		sealed, err := s.Seal(label, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Open(label, sealed)
		if err != nil || !bytes.Equal(got, before) || !bytes.Equal(plain, before) {
			t.Fatalf("Open = %x, %v, want %x", got, err, before)
		}
	})
}

func TestSealedValuesHideAndDiffer(t *testing.T) {
	t.Parallel()
	s := mustNew(t, key("a", 1))
	one, two := mustSeal(t, s, "l", "a rather long secret"), mustSeal(t, s, "l", "a rather long secret")
	if bytes.Equal(one, two) {
		t.Error("one value was sealed to the same bytes twice")
	}
	if bytes.Contains(one, []byte("rather")) {
		t.Error("the sealed value shows the plain one")
	}
}

// The form is what other releases read: version, length and identifier of the key, nonce, ciphertext and tag.
func TestSealedForm(t *testing.T) {
	t.Parallel()
	sealed := mustSeal(t, mustNew(t, key("key-1", 1)), "l", "plain")
	if !bytes.HasPrefix(sealed, []byte("\x01\x05key-1")) {
		t.Errorf("sealed value begins with %q", sealed[:7])
	}
	if got, want := len(sealed), 2+len("key-1")+12+len("plain")+16; got != want {
		t.Errorf("sealed value has %d bytes, want %d", got, want)
	}
}

// A value that an earlier release sealed must open for ever.
func TestOpensAValueOfTheFirstRelease(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString("01056b65792d31f16f7aa3181e5bf891e9a297b1ad26b38bed415ac9d140" +
		"0e3c99d0646117117de89160364a2e7c9b6dbe")
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustNew(t, key("key-1", 1)).Open("signing_key/x", sealed)
	if err != nil || string(got) != "the plain text" {
		t.Errorf("Open = %q, %v", got, err)
	}
}

func TestKeysAreIntroducedAndRetired(t *testing.T) {
	t.Parallel()
	before := mustNew(t, key("old", 1))
	both := mustNew(t, key("new", 2), key("old", 1))
	after := mustNew(t, key("new", 2))
	old := mustSeal(t, before, "l", "x")
	if _, err := both.Open("l", old); err != nil {
		t.Errorf("opening with the old key in second place: %v", err)
	}
	fresh := mustSeal(t, both, "l", "x")
	if _, err := after.Open("l", fresh); err != nil {
		t.Errorf("the first key did not seal: %v", err)
	}
	_, err := after.Open("l", old)
	if !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), `"old"`) {
		t.Errorf("opening without the old key = %v, want ErrUnknownKey that names it", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := mustNew(t, key("key-1", 1))
	sealed := mustSeal(t, s, "label", "plain")
	other := mustSeal(t, mustNew(t, key("key-1", 9)), "label", "plain")
	// Label and head are told apart: the last byte of one must not count as the first of the other.
	shifted := mustSeal(t, mustNew(t, key("key-1l", 1)), "abel", "plain")
	tests := []struct {
		name   string
		label  string
		sealed []byte
		want   error
	}{
		{"another label", "labe1", sealed, seal.ErrDamaged},
		{"empty label", "", sealed, seal.ErrDamaged},
		{"another secret under the same name", "label", other, seal.ErrDamaged},
		{"nothing", "label", nil, seal.ErrDamaged},
		{"version alone", "label", sealed[:1], seal.ErrDamaged},
		{"cut within the identifier", "label", sealed[:4], seal.ErrDamaged},
		{"cut within the nonce", "label", sealed[:12], seal.ErrDamaged},
		{"cut within the tag", "label", sealed[:len(sealed)-1], seal.ErrDamaged},
		{"one byte more", "label", append(bytes.Clone(sealed), 0), seal.ErrDamaged},
		{"version 0", "label", append([]byte{0}, sealed[1:]...), seal.ErrDamaged},
		{"version 2", "label", append([]byte{2}, sealed[1:]...), seal.ErrDamaged},
		{"not sealed at all", "label", []byte(`{"kid":"x"}`), seal.ErrDamaged},
		{"identifier that runs into the label", "label", shifted, seal.ErrUnknownKey},
		{"no identifier", "label", append([]byte{1, 0}, sealed[7:]...), seal.ErrUnknownKey},
		{"no identifier and nothing else", "label", []byte{1, 0}, seal.ErrUnknownKey},
		{"identifier and nothing else", "label", sealed[:7], seal.ErrDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plain, err := s.Open(tt.label, tt.sealed)
			if !errors.Is(err, tt.want) || plain != nil {
				t.Errorf("Open = %q, %v, want %v", plain, err, tt.want)
			}
		})
	}
}

func TestEveryBitIsAuthenticated(t *testing.T) {
	t.Parallel()
	s := mustNew(t, key("k", 1))
	sealed := mustSeal(t, s, "l", "plain")
	for i := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[i/8] ^= 1 << (i % 8)
		if plain, err := s.Open("l", damaged); err == nil {
			t.Errorf("opened with bit %d turned: %q", i, plain)
		}
	}
}

func TestIdentifiersMayBeLongAndPrintable(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"!", "~", strings.Repeat("i", 64)} {
		s := mustNew(t, key(id, 1))
		if plain, err := s.Open("l", mustSeal(t, s, "l", "x")); err != nil || string(plain) != "x" {
			t.Errorf("key %q: Open = %q, %v", id, plain, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		keys []seal.Key
	}{
		{"no keys", nil},
		{"zero key", []seal.Key{{}}},
		{"no identifier", []seal.Key{key("", 1)}},
		{"identifier with a space", []seal.Key{key("a b", 1)}},
		{"identifier with a line break", []seal.Key{key("a\n", 1)}},
		{"identifier too long", []seal.Key{key(strings.Repeat("i", 65), 1)}},
		{"16 bytes", []seal.Key{{ID: "a", Secret: key("a", 1).Secret[:16]}}},
		{"33 bytes", []seal.Key{{ID: "a", Secret: append(key("a", 1).Secret, 0)}}},
		{"all zero", []seal.Key{{ID: "a", Secret: make([]byte, 32)}}},
		{"two of one name", []seal.Key{key("a", 1), key("a", 2)}},
		{"second is malformed", []seal.Key{key("a", 1), {ID: "b"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if s, err := seal.New(tt.keys...); !errors.Is(err, seal.ErrKey) || s != nil {
				t.Errorf("New = %v, %v, want ErrKey", s, err)
			}
		})
	}
}

func TestKeysDoNotPrintTheirSecret(t *testing.T) {
	t.Parallel()
	k := seal.Key{ID: "named", Secret: []byte("0123456789abcdef0123456789ABCDEF")}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k)
	fmt.Fprintf(&log, "%v %+v %#v %s", k, k, k, k)
	for _, secret := range []string{"0123456789abcdef", "48, 49", "48 49", "MDEyMzQ1", "0x30"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q was printed:\n%s", secret, &log)
		}
	}
	if !strings.Contains(log.String(), "named") {
		t.Error("the identifier was not printed")
	}
}

// What is derived is what RFC 5869 says, for the first key and the label alone.
func TestRFC5869Derive(t *testing.T) {
	t.Parallel()
	mac := func(key, text []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(text)
		return h.Sum(nil)
	}
	first := key("a", 1)
	want := mac(mac([]byte("gatehouse derived secrets"), first.Secret), append([]byte("label"), 1))
	for name, s := range map[string]*seal.Sealer{
		"alone": mustNew(t, first), "before another": mustNew(t, first, key("b", 2)), "by another name": mustNew(t, key("c", 1)),
	} {
		for range 2 {
			if got, err := s.Derive("label"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: derived %x, %v, want %x", name, got, err, want)
			}
		}
	}
	seen := map[string]string{string(want): "label", string(first.Secret): "the key"}
	for label, s := range map[string]*seal.Sealer{
		"": mustNew(t, first), "label2": mustNew(t, first), "label of another key": mustNew(t, key("b", 2), first),
	} {
		got, err := s.Derive(strings.TrimSuffix(label, " of another key"))
		if other, twice := seen[string(got)]; err != nil || len(got) != 32 || twice {
			t.Errorf("%q: derived %x, %v, as for %q", label, got, err, other)
		}
		seen[string(got)] = label
	}
}

func FuzzOpen(f *testing.F) {
	s := mustNew(f, key("k", 1))
	f.Add("l", mustSeal(f, s, "l", "plain"))
	f.Add("l", []byte{1, 255})
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, label string, sealed []byte) {
		plain, err := s.Open(label, sealed)
		if err != nil && (plain != nil || !errors.Is(err, seal.ErrDamaged) && !errors.Is(err, seal.ErrUnknownKey)) {
			t.Errorf("Open = %q, %v", plain, err)
		}
	})
}

func BenchmarkSealAndOpen(b *testing.B) {
	s := mustNew(b, key("k", 1))
	plain := bytes.Repeat([]byte("x"), 512)
	b.ReportAllocs()
	for b.Loop() {
		sealed, err := s.Seal("signing_key/x", plain)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Open("signing_key/x", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
