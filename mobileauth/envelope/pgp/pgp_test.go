// SPDX-License-Identifier: Apache-2.0

package pgp_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var versions = []pgp.Version{pgp.V4, pgp.V6}

func newKey(tb testing.TB, v pgp.Version) pgp.PrivateKey {
	tb.Helper()
	k, err := pgp.Generate(v, noon)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustSeal(tb testing.TB, text string, from pgp.PrivateKey, to pgp.PublicKey) []byte {
	tb.Helper()
	m, err := pgp.Seal([]byte(text), from, to, noon)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	for _, a := range versions {
		for _, b := range versions {
			one, two, three := newKey(t, a), newKey(t, b), newKey(t, b)
			m := mustSeal(t, "hello", one, two.Public())
			if got, err := pgp.Open(m, two, one.Public(), noon); err != nil || string(got) != "hello" {
				t.Errorf("from version %d to %d: %q, %v", a, b, got, err)
			}
			if bytes.Contains(m, []byte("hello")) {
				t.Error("the text is in clear")
			}
			for name, open := range map[string]func() ([]byte, error){
				"another recipient": func() ([]byte, error) { return pgp.Open(m, three, one.Public(), noon) },
				"another sender":    func() ([]byte, error) { return pgp.Open(m, two, three.Public(), noon) },
				"its recipient":     func() ([]byte, error) { return pgp.Open(m, two, two.Public(), noon) },
				"nobody":            func() ([]byte, error) { return pgp.Open(m, two, pgp.PublicKey{}, noon) },
				"no recipient":      func() ([]byte, error) { return pgp.Open(m, pgp.PrivateKey{}, one.Public(), noon) },
			} {
				if text, err := open(); text != nil || !errors.Is(err, pgp.ErrMessage) {
					t.Errorf("%s: %q, %v", name, text, err)
				}
			}
		}
	}
}

// Clocks are judged by the envelope: a key that was made tomorrow by a wrong clock works today.
func TestClocksOfKeys(t *testing.T) {
	t.Parallel()
	phone, err := pgp.Generate(pgp.V6, noon.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	server := newKey(t, pgp.V6)
	for _, now := range []time.Time{noon, noon.Add(-time.Hour), noon.Add(10 * 365 * 24 * time.Hour)} {
		m, err := pgp.Seal([]byte("x"), phone, server.Public(), now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pgp.Open(m, server, phone.Public(), now.Add(-time.Minute)); err != nil {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

func entity(tb testing.TB, k interface{ Marshal() ([]byte, error) }) *openpgp.Entity {
	tb.Helper()
	raw, err := k.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(raw)))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// library is a sender that does whatever the library lets it.
type library struct {
	to, hidden, from []*openpgp.Entity
	config           packet.Config
}

func (l library) message(tb testing.TB, text string) []byte {
	tb.Helper()
	var buf bytes.Buffer
	l.config.Time = func() time.Time { return noon }
	w, err := openpgp.Encrypt(&buf, l.to, l.hidden, l.from, nil, &l.config)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func TestMessagesRefused(t *testing.T) {
	t.Parallel()
	phoneKey, serverKey, strangerKey := newKey(t, pgp.V6), newKey(t, pgp.V6), newKey(t, pgp.V6)
	phone, server, stranger := entity(t, phoneKey), entity(t, serverKey.Public()), entity(t, strangerKey)
	one := func(e *openpgp.Entity) []*openpgp.Entity { return []*openpgp.Entity{e} }
	good := library{to: one(server), from: one(phone)}
	if got, err := pgp.Open(good.message(t, "hi"), serverKey, phoneKey.Public(), noon); err != nil || string(got) != "hi" {
		t.Fatalf("the good one: %q, %v", got, err)
	}
	whole := good.message(t, strings.Repeat("hello ", 100))
	var signed, armored, password bytes.Buffer
	sign(t, &signed, phone)
	w, err := armor.Encode(&armored, "PGP MESSAGE", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(whole); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	plain, err := openpgp.SymmetricallyEncrypt(&password, []byte("password"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Write([]byte("hi")); err != nil || plain.Close() != nil {
		t.Fatal(err)
	}
	zip := packet.Config{DefaultCompressionAlgo: packet.CompressionZLIB}
	for name, message := range map[string][]byte{
		"not signed":           library{to: one(server)}.message(t, "hi"),
		"signed by a stranger": library{to: one(server), from: one(stranger)}.message(t, "hi"),
		"signed by two":        library{to: one(server), from: []*openpgp.Entity{phone, stranger}}.message(t, "hi"),
		"for two":              library{to: []*openpgp.Entity{server, stranger}, from: one(phone)}.message(t, "hi"),
		"for another":          library{to: one(stranger), from: one(phone)}.message(t, "hi"),
		"for two, one hidden":  library{to: one(server), hidden: one(stranger), from: one(phone)}.message(t, "hi"),
		"a bomb":               library{to: one(server), from: one(phone), config: zip}.message(t, strings.Repeat("a", 4<<20)),
		"a large one":          library{to: one(server), from: one(phone)}.message(t, strings.Repeat("a", 64<<10)),
		"only signed":          signed.Bytes(),
		"under a password":     password.Bytes(),
		"armored":              armored.Bytes(),
		"nothing":              nil,
		"noise":                bytes.Repeat([]byte{0xd2, 0xff}, 500),
		"twice":                append(bytes.Clone(whole), whole...),
	} {
		if text, err := pgp.Open(message, serverKey, phoneKey.Public(), noon); text != nil || !errors.Is(err, pgp.ErrMessage) {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
	for n := range whole {
		altered := bytes.Clone(whole)
		altered[n] ^= 1
		if text, err := pgp.Open(altered, serverKey, phoneKey.Public(), noon); err == nil && string(text) != strings.Repeat("hello ", 100) {
			t.Errorf("byte %d altered: %q", n, text)
		}
		if text, err := pgp.Open(whole[:n], serverKey, phoneKey.Public(), noon); err == nil {
			t.Errorf("%d bytes of %d: %q", n, len(whole), text)
		}
	}
}

func sign(tb testing.TB, buf *bytes.Buffer, by *openpgp.Entity) {
	tb.Helper()
	w, err := openpgp.Sign(buf, []*openpgp.Entity{by}, nil, &packet.Config{Time: func() time.Time { return noon }})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write([]byte("hi")); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

// A message that the server made for the phone is no message of the phone's, and one for another server is none for this.
func TestMessagesGoOneWay(t *testing.T) {
	t.Parallel()
	phone, server, other := newKey(t, pgp.V6), newKey(t, pgp.V6), newKey(t, pgp.V6)
	if _, err := pgp.Open(mustSeal(t, "hi", server, server.Public()), server, phone.Public(), noon); !errors.Is(err, pgp.ErrMessage) {
		t.Errorf("its own: %v", err)
	}
	if _, err := pgp.Open(mustSeal(t, "hi", phone, other.Public()), server, phone.Public(), noon); !errors.Is(err, pgp.ErrMessage) {
		t.Errorf("another's: %v", err)
	}
}

func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		k := newKey(t, v)
		raw, err := k.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := pgp.ParsePrivate(raw)
		if err != nil || !bytes.Equal(back.Public().Fingerprint(), k.Public().Fingerprint()) || back.Public().Version() != v {
			t.Fatalf("version %d came back as %v, %v", v, back, err)
		}
		peer := newKey(t, v)
		if got, err := pgp.Open(mustSeal(t, "hi", peer, k.Public()), back, peer.Public(), noon); err != nil || string(got) != "hi" {
			t.Errorf("version %d opens %q, %v", v, got, err)
		}
		if n := len(k.Public().Fingerprint()); n != map[pgp.Version]int{pgp.V4: 20, pgp.V6: 32}[v] {
			t.Errorf("the fingerprint of version %d has %d bytes", v, n)
		}
		for _, text := range []string{fmt.Sprintf("%v %+v %#v", k, k, k), slog.AnyValue(k).Resolve().String()} {
			if len(text) > 400 || !strings.Contains(text, "private OpenPGP key") {
				t.Errorf("it prints as %q", text)
			}
		}
		if data, err := json.Marshal(k); err == nil {
			t.Errorf("it encodes as %s", data)
		}
	}
	if _, err := pgp.Generate(5, noon); !errors.Is(err, pgp.ErrKey) {
		t.Errorf("version 5: %v", err)
	}
	if _, err := (pgp.PrivateKey{}).Marshal(); !errors.Is(err, pgp.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := (pgp.PublicKey{}).Marshal(); !errors.Is(err, pgp.ErrKey) || (pgp.PublicKey{}).Version() != 0 || (pgp.PublicKey{}).Fingerprint() != nil {
		t.Errorf("no key: %v", err)
	}
}

func TestKeysRefused(t *testing.T) {
	t.Parallel()
	good := newKey(t, pgp.V6)
	public := marshal(t, good.Public())
	other := func(c packet.Config) []byte {
		c.Time, c.DefaultHash = func() time.Time { return noon }, crypto.SHA512
		e, err := openpgp.NewEntity("a", "", "", &c)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := e.Serialize(&buf); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	revoked := entity(t, good)
	if err := revoked.Revoke(packet.KeyCompromised, "", &packet.Config{Time: func() time.Time { return noon }}); err != nil {
		t.Fatal(err)
	}
	var gone bytes.Buffer
	if err := revoked.Serialize(&gone); err != nil {
		t.Fatal(err)
	}
	altered := bytes.Clone(public)
	altered[20] ^= 1
	for name, data := range map[string][]byte{
		"nothing": nil, "noise": []byte("hello"), "armor": []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"), "two": append(bytes.Clone(public), public...),
		"cut": public[:len(public)-10], "altered": altered, "too large": append(bytes.Clone(public), make([]byte, 9<<10)...),
		"RSA":         other(packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048}),
		"P-256":       other(packet.Config{Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP256}),
		"Ed448":       other(packet.Config{Algorithm: packet.PubKeyAlgoEd448, V6Keys: true}),
		"with secret": marshal(t, good), "revoked": gone.Bytes(),
	} {
		if k, err := pgp.ParsePublic(data); !errors.Is(err, pgp.ErrKey) || k.Version() != 0 {
			t.Errorf("%s: %v, %v", name, k, err)
		}
		if _, _, err := pgp.Pair(data, noon); !errors.Is(err, pgp.ErrKey) {
			t.Errorf("a pair for %s: %v", name, err)
		}
	}
	locked := entity(t, good)
	if err := locked.EncryptPrivateKeys([]byte("password"), nil); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := locked.SerializePrivateWithoutSigning(&buf, nil); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"public": public, "with a password": buf.Bytes(), "nothing": nil} {
		if _, err := pgp.ParsePrivate(data); !errors.Is(err, pgp.ErrKey) {
			t.Errorf("%s as private: %v", name, err)
		}
	}
}

func marshal(tb testing.TB, k interface{ Marshal() ([]byte, error) }) []byte {
	tb.Helper()
	raw, err := k.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// A registration: the phone makes a key, the server makes one for it, and both speak.
func TestChannel(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		phone := newKey(t, v)
		private, public, err := pgp.Pair(marshal(t, phone.Public()), noon)
		if err != nil {
			t.Fatal(err)
		}
		server, err := pgp.NewChannel(private, marshal(t, phone.Public()))
		if err != nil {
			t.Fatal(err)
		}
		device, err := pgp.NewChannel(marshal(t, phone), public)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := pgp.ParsePublic(public); err != nil || theirs.Version() != v {
			t.Errorf("for version %d the server has %d, %v", v, theirs.Version(), err)
		}
		for _, way := range []struct{ from, to *pgp.Channel }{{device, server}, {server, device}} {
			body, err := way.from.Wrap(map[string]int{"wait": 30}, noon)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := way.to.Unwrap(encode(t, body), noon); err != nil || string(got) != `{"wait":30}` {
				t.Errorf("%s, %v", got, err)
			}
			if empty, err := way.from.Wrap(nil, noon); err != nil {
				t.Error(err)
			} else if got, err := way.to.Unwrap(encode(t, empty), noon); err != nil || string(got) != `{}` {
				t.Errorf("%s, %v", got, err)
			}
			if _, err := way.from.Unwrap(encode(t, body), noon); !errors.Is(err, pgp.ErrMessage) {
				t.Errorf("its own body: %v", err)
			}
			list, err := way.from.Wrap([]int{1}, noon)
			if err != nil {
				t.Fatal(err)
			}
			for name, bad := range map[string]json.RawMessage{"a list": encode(t, list), "clear": json.RawMessage(`{"wait":30}`), "nothing": nil, "noise": json.RawMessage(`{"pgp":"AAAA"}`)} {
				if text, err := way.to.Unwrap(bad, noon); text != nil || !errors.Is(err, pgp.ErrMessage) {
					t.Errorf("%s: %s, %v", name, text, err)
				}
			}
		}
		if _, err := pgp.NewChannel(private, private); !errors.Is(err, pgp.ErrKey) {
			t.Errorf("a private key for a public one: %v", err)
		}
		if _, err := pgp.NewChannel(public, public); !errors.Is(err, pgp.ErrKey) {
			t.Errorf("a public key for a private one: %v", err)
		}
	}
}

func encode(tb testing.TB, v any) json.RawMessage {
	tb.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func FuzzOpen(f *testing.F) {
	phone, server := newKey(f, pgp.V6), newKey(f, pgp.V6)
	stranger := newKey(f, pgp.V6)
	f.Add(mustSeal(f, "hi", stranger, server.Public()))
	f.Add(mustSeal(f, "hi", newKey(f, pgp.V4), server.Public()))
	f.Add([]byte{0xc1})
	f.Fuzz(func(t *testing.T, message []byte) {
		if text, err := pgp.Open(message, server, phone.Public(), noon); text != nil || !errors.Is(err, pgp.ErrMessage) {
			t.Errorf("Open = %q, %v", text, err)
		}
	})
}

func FuzzParsePublic(f *testing.F) {
	for _, v := range versions {
		f.Add(marshal(f, newKey(f, v).Public()))
	}
	f.Add([]byte{0x99, 0, 1, 6})
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := pgp.ParsePublic(data)
		if err != nil {
			if !errors.Is(err, pgp.ErrKey) {
				t.Errorf("ParsePublic = %v", err)
			}
			return
		}
		if back, err := pgp.ParsePublic(marshal(t, k)); err != nil || !bytes.Equal(back.Fingerprint(), k.Fingerprint()) {
			t.Errorf("it came back as another key, %v", err)
		}
	})
}

func BenchmarkWrapAndUnwrap(b *testing.B) {
	phone := newKey(b, pgp.V6)
	private, public, err := pgp.Pair(marshal(b, phone.Public()), noon)
	if err != nil {
		b.Fatal(err)
	}
	device, err := pgp.NewChannel(marshal(b, phone), public)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		server, err := pgp.NewChannel(private, marshal(b, phone.Public()))
		if err != nil {
			b.Fatal(err)
		}
		body, err := device.Wrap(nil, noon)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := server.Unwrap(encode(b, body), noon); err != nil {
			b.Fatal(err)
		}
	}
}
