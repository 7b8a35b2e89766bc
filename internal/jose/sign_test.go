// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

func TestSignedTokensAreReadAndVerified(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			token := mustParse(t, mustSign(t, k, "at+jwt", `{"sub":"usr_1"}`))
			if err := token.Verify(k.Public()); err != nil {
				t.Fatal(err)
			}
			want := jose.Header{Alg: alg, KID: k.KID, Typ: "at+jwt"}
			if diff := cmp.Diff(want, token.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if got := string(token.Payload); got != `{"sub":"usr_1"}` {
				t.Errorf("payload = %s", got)
			}
		})
	}
}

// Every key, offered for every other algorithm and with every part altered, must refuse [RFC 8725 section 3.1].
func TestVerifyRefusesWhatItsKeyDidNotSign(t *testing.T) {
	t.Parallel()
	for _, signed := range algorithms {
		for _, checked := range algorithms {
			if signed == checked {
				continue
			}
			t.Run(fmt.Sprintf("%s token with %s key", signed, checked), func(t *testing.T) {
				t.Parallel()
				token := mustParse(t, mustSign(t, testKey(t, signed), "", `{}`))
				k := testKey(t, checked).Public()
				k.KID = ""
				if err := token.Verify(k); !errors.Is(err, jose.ErrSignature) {
					t.Errorf("Verify = %v, want ErrSignature", err)
				}
			})
		}
	}
}

func TestVerifyRefusesAnotherKeyOfTheSameAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k := testKey(t, alg)
			token := mustParse(t, mustSign(t, k, "", `{}`))
			other, err := jose.GenerateKey(alg)
			if err != nil {
				t.Fatal(err)
			}
			other.KID = k.KID
			if err := token.Verify(other.Public()); !errors.Is(err, jose.ErrSignature) {
				t.Errorf("Verify = %v, want ErrSignature", err)
			}
		})
	}
}

func TestVerifyRefusesAnotherKID(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	token := mustParse(t, mustSign(t, k, "", `{}`))
	other := k.Public()
	other.KID = "another"
	if err := token.Verify(other); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("Verify = %v, want ErrSignature", err)
	}
	other.KID = "" // a key without a name is found by other means
	if err := token.Verify(other); err != nil {
		t.Errorf("Verify with an unnamed key = %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	es := testKey(t, jose.ES256)
	with := func(change func(*jose.PrivateKey)) jose.PrivateKey {
		k := es
		change(&k)
		return k
	}
	tests := []struct {
		name   string
		key    jose.PrivateKey
		typ    string
		claims string
		want   error
	}{
		{"no key", jose.PrivateKey{}, "", `{}`, jose.ErrKey},
		{"algorithm of another type", with(func(k *jose.PrivateKey) { k.Alg = jose.RS256 }), "", `{}`, jose.ErrKey},
		{"alg none", with(func(k *jose.PrivateKey) { k.Alg = "none" }), "", `{}`, jose.ErrKey},
		{"alg HS256", with(func(k *jose.PrivateKey) { k.Alg = "HS256" }), "", `{}`, jose.ErrKey},
		{"kid with a quote", with(func(k *jose.PrivateKey) { k.KID = `x","jku":"y` }), "", `{}`, jose.ErrKey},
		{"kid too long", with(func(k *jose.PrivateKey) { k.KID = strings.Repeat("k", jose.MaxKID+1) }), "", `{}`, jose.ErrKey},
		{"typ with a quote", es, `x","crit":["y`, `{}`, jose.ErrKey},
		{"claims are a list", es, "", `[]`, jose.ErrMalformed},
		{"claims are empty", es, "", ``, jose.ErrMalformed},
		{"claims with a duplicate", es, "", `{"sub":"a","sub":"b"}`, jose.ErrMalformed},
		{"claims too large", es, "", `{"a":"` + strings.Repeat("a", jose.MaxToken) + `"}`, jose.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if raw, err := jose.Sign(tt.key, tt.typ, []byte(tt.claims)); !errors.Is(err, tt.want) || raw != "" {
				t.Errorf("Sign = %q, %v, want %v", raw, err, tt.want)
			}
		})
	}
}

// device is a crypto.Signer that keeps its secret, as a security module does, and may be broken.
type device struct{ key jose.PrivateKey }

func (d device) Public() crypto.PublicKey { return d.key.Signer.Public() }

func (d device) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.key.Signer.Sign(r, digest, opts)
}

func TestDevicesSign(t *testing.T) {
	t.Parallel()
	for _, alg := range algorithms {
		k := testKey(t, alg)
		raw := mustSign(t, jose.PrivateKey{KID: k.KID, Alg: alg, Signer: device{k}}, "", `{}`)
		if err := read(raw, k.Public()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// broken is a device that answers with something else.
type broken struct {
	device
	sig []byte
	err error
}

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.sig, b.err }

func TestBrokenDevicesAreNoticed(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	gone := errors.New("the device is gone")
	long := append([]byte{0x02, 33, 1}, make([]byte, 32)...)
	tests := []struct {
		name string
		sig  []byte
		err  error
		want error
	}{
		{"error", nil, gone, gone},
		{"nothing", nil, nil, jose.ErrKey},
		{"raw instead of DER", make([]byte, 64), nil, jose.ErrKey},
		{"negative number", []byte{0x30, 6, 2, 1, 0x80, 2, 1, 1}, nil, jose.ErrKey},
		{"one number", []byte{0x30, 3, 2, 1, 1}, nil, jose.ErrKey},
		{"three numbers", []byte{0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1}, nil, jose.ErrKey},
		{"bytes behind", []byte{0x30, 6, 2, 1, 1, 2, 1, 1, 0}, nil, jose.ErrKey},
		{"number of 33 bytes", append(append([]byte{0x30, byte(len(long) + 3)}, long...), 2, 1, 1), nil, jose.ErrKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := broken{device{k}, tt.sig, tt.err}
			if raw, err := jose.Sign(jose.PrivateKey{Alg: jose.ES256, Signer: b}, "", []byte(`{}`)); !errors.Is(err, tt.want) {
				t.Errorf("Sign = %q, %v, want %v", raw, err, tt.want)
			}
		})
	}
}

// RFC 9068, OpenID Connect and the rest give each kind of token its own typ. Only the diagonal may pass.
func TestTypsAreNotConfused(t *testing.T) {
	t.Parallel()
	kinds := []string{
		"JWT", "at+jwt", "dpop+jwt", "client-authentication+jwt", "oauth-authz-req+jwt", "token-introspection+jwt", "logout+jwt",
		"oauth-client-attestation+jwt", "oauth-client-attestation-pop+jwt",
	}
	k := testKey(t, jose.ES256)
	for _, offered := range kinds {
		for _, spelling := range []string{offered, "application/" + offered, strings.ToUpper(offered)} {
			header := mustParse(t, mustSign(t, k, spelling, `{}`)).Header
			for _, wanted := range kinds {
				if got := jose.EqualTyp(header.Typ, wanted); got != (offered == wanted) {
					t.Errorf("a %s token offered where %s is wanted: %t", spelling, wanted, got)
				}
			}
		}
	}
}

// The largest token that Sign makes is one that Parse reads.
func TestSignAndParseAgreeOnTheLimit(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	longest := 0
	for size := 11_800; size < 12_300; size++ {
		raw, err := jose.Sign(k, "at+jwt", []byte(`{"a":"`+strings.Repeat("a", size)+`"}`))
		if err != nil {
			break
		}
		longest = len(raw)
		if _, err := jose.Parse(raw); err != nil {
			t.Fatalf("Parse of a token of %d bytes: %v", len(raw), err)
		}
	}
	if longest < jose.MaxToken-2 {
		t.Errorf("the longest token has %d bytes, want about %d", longest, jose.MaxToken)
	}
}

// ES256 signatures are r and s of 32 bytes each, also where a number is shorter.
func TestES256SignaturesHaveOneLength(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	signer, err := jose.NewSigner(k, "")
	if err != nil {
		t.Fatal(err)
	}
	short := 0
	for range 2_000 {
		raw, err := signer.Sign([]byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		token := mustParse(t, raw)
		if len(token.Signature) != 64 {
			t.Fatalf("signature of %d bytes", len(token.Signature))
		}
		// A first byte of 0 is a number that is shorter, one of 0x80 is the first that needs a zero in DER.
		if r, s := token.Signature[0], token.Signature[32]; r != 0 && s != 0 && r != 0x80 && s != 0x80 {
			continue
		}
		short++
		if err := token.Verify(k.Public()); err != nil {
			t.Fatalf("signature %x: %v", token.Signature, err)
		}
	}
	if short == 0 {
		t.Error("no short number in 2,000 signatures: the padding was not tried")
	}
}

func TestEqualTyp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typ, want string
		equal           bool
	}{
		{"RFC 9068 2.1 short", "at+jwt", "at+jwt", true},
		{"RFC 9068 2.1 long", "application/at+jwt", "at+jwt", true},
		{"RFC 9110 8.3.1 case", "AT+JWT", "at+jwt", true},
		{"RFC 9110 8.3.1 case of the prefix", "Application/At+Jwt", "at+jwt", true},
		{"wanted with prefix", "at+jwt", "application/at+jwt", true},
		{"absent", "", "at+jwt", false},
		{"absent and nothing wanted", "", "", false},
		{"JWT", "JWT", "at+jwt", false},
		{"logout", "logout+jwt", "at+jwt", false},
		{"RFC 7515 4.1.9 a second slash", "application/at+jwt/x", "at+jwt/x", false},
		{"another tree", "text/at+jwt", "at+jwt", false},
		{"prefix alone", "application/", "at+jwt", false},
		{"prefix alone and nothing wanted", "application/", "", false},
		{"two slashes", "application//x", "/x", false},
		{"trailing space", "at+jwt ", "at+jwt", false},
		{"Kelvin sign", "to\u212Aen", "token", true}, // never reaches EqualTyp: Parse takes ASCII only
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := jose.EqualTyp(tt.typ, tt.want); got != tt.equal {
				t.Errorf("EqualTyp(%q, %q) = %t", tt.typ, tt.want, got)
			}
		})
	}
}

// Tokens and private keys do not reach a log by accident.
func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	token := mustParse(t, mustSign(t, k, "", `{"marked":"2718281828"}`))
	private, err := jose.MarshalPrivate(k)
	if err != nil {
		t.Fatal(err)
	}
	var members struct {
		D string `json:"d"`
	}
	if err := json.Unmarshal(private, &members); err != nil || members.D == "" {
		t.Fatalf("private key without d: %v", err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "key", k)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&log, format+format, token, k)
	}
	for _, secret := range []string{"2718281828", b64.EncodeToString(token.Payload), members.D} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q was printed:\n%s", secret, &log)
		}
	}
	if _, err := json.Marshal(k); !errors.Is(err, jose.ErrKey) {
		t.Errorf("encoding a private key as JSON = %v, want ErrKey", err)
	}
}
