// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
)

func b64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const uaPublic = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"

// RFC 8291, section 5 and appendix A, byte for byte.
func TestRFC8291(t *testing.T) {
	t.Parallel()
	private, err := ecdh.P256().NewPrivateKey(b64(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	if got := private.PublicKey().Bytes(); !bytes.Equal(got, b64(t, "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8")) {
		t.Fatalf("as_public is %x", got)
	}
	public, err := ecdh.P256().NewPublicKey(b64(t, uaPublic))
	if err != nil {
		t.Fatal(err)
	}
	if shared, err := private.ECDH(public); err != nil || !bytes.Equal(shared, b64(t, "kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs")) {
		t.Fatalf("ecdh is %x, %v", shared, err)
	}
	got, err := webpush.Seal(b64(t, "DGv6ra1nlYgDCS1FRnbzlw"), private, public, b64(t, "BTBZMqHH6r4Tts7J_aSIgg"), []byte("When I grow up, I want to be a watermelon"), 0)
	want := b64(t, "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"+
		"yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	if err != nil || !bytes.Equal(got, want) || len(got) != 144 {
		t.Errorf("Seal = %s, %v", base64.RawURLEncoding.EncodeToString(got), err)
	}
	key, nonce, err := webpush.Derive(b64(t, "S4lYMb_L0FxCeq0WhDx813KgSYqU26kOyzWUdsXYyrg"), b64(t, "DGv6ra1nlYgDCS1FRnbzlw"))
	if err != nil || !bytes.Equal(key, b64(t, "oIhVW04MRdy2XN9CiKLxTg")) || !bytes.Equal(nonce, b64(t, "4h_95klXJ5E_qnoN")) {
		t.Errorf("Derive = %x, %x, %v", key, nonce, err)
	}
}

// RFC 8188, section 3.1.
func TestRFC8188(t *testing.T) {
	t.Parallel()
	ikm, salt := b64(t, "yqdlZ-tYemfogSmv7Ws5PQ"), b64(t, "I1BsxtFttlv3u_Oo94xnmw")
	key, nonce, err := webpush.Derive(ikm, salt)
	if err != nil || !bytes.Equal(key, b64(t, "_wniytB-ofscZDh4tbSjHw")) || !bytes.Equal(nonce, b64(t, "Bcs8gkIRKLI8GeI8")) {
		t.Errorf("Derive = %x, %x, %v", key, nonce, err)
	}
	got, err := webpush.Encode(ikm, salt, nil, []byte("I am the walrus\x02"))
	if err != nil || !bytes.Equal(got, b64(t, "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")) {
		t.Errorf("Encode = %s, %v", base64.RawURLEncoding.EncodeToString(got), err)
	}
}

// The largest payload makes the largest body that every service takes.
func TestSealAtItsLimit(t *testing.T) {
	t.Parallel()
	private, err := ecdh.P256().NewPrivateKey(b64(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ length, size, want int }{
		{webpush.MaxPayload, 0, 4096}, {0, webpush.MaxPayload, 4096}, {10, 256, 86 + 257 + 16}, {300, 256, 86 + 301 + 16},
		{webpush.MaxPayload + 1, 0, 0}, {0, webpush.MaxPayload + 1, 0},
	} {
		got, err := webpush.Seal(make([]byte, 16), private, private.PublicKey(), make([]byte, 16), make([]byte, tt.length), tt.size)
		if (err == nil) != (tt.want > 0) || len(got) != tt.want {
			t.Errorf("%d bytes padded to %d: %d, %v, want %d", tt.length, tt.size, len(got), err, tt.want)
		}
	}
	if webpush.MaxPayload != 3993 {
		t.Errorf("MaxPayload = %d", webpush.MaxPayload)
	}
}

// Whatever a host answers that a device has named: what is kept of it is a word.
func FuzzReason(f *testing.F) {
	for _, body := range []string{`{"reason":"BadJwtToken"}`, `{"errno":109}`, `{"reason":"a b"}`, `{"errno":-1}`, `<h1>`, `{"reason":{}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if got := webpush.Reason(body); got != push.Word(got) || len(got) > push.MaxReason {
			t.Errorf("%q: %q", body, got)
		}
	})
}
