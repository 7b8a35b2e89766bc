// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
)

const (
	issuer = "https://id.example.com"
	opID   = "op_1"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// world is everybody who signs.
type world struct {
	t            testing.TB
	root, signer jose.PrivateKey
	phone        envelope.Keys
	certificate  receipt.Certificate
	pinned       receipt.Roots
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, root: must[jose.PrivateKey](t)(jose.GenerateKey(jose.ES256)), signer: must[jose.PrivateKey](t)(jose.GenerateKey(jose.ES256))}
	sign := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	enc := must[*ecdh.PrivateKey](t)(ecdh.P256().GenerateKey(rand.Reader))
	w.phone = must[envelope.Keys](t)(envelope.NewKeys(sign, enc))
	w.certificate = w.certify(w.root, w.signer)
	w.pinned = receipt.Roots{w.root.KID: true}
	return w
}

func (w *world) certify(root, key jose.PrivateKey) receipt.Certificate {
	w.t.Helper()
	return must[receipt.Certificate](w.t)(receipt.Certify(root, key.Public(), receipt.Validity{
		Issuer: issuer, From: noon.Add(-time.Hour), Until: noon.Add(time.Hour),
	}))
}

// statement signs what the phone says.
func (w *world) statement(change ...func(*envelope.Statement)) string {
	w.t.Helper()
	s := envelope.Statement{
		Device: "dev_1", Audience: issuer, ID: strings.Repeat("j", 43), At: noon, Purpose: envelope.PurposeApproval, Operation: opID,
		DisplayHash: envelope.DisplayHash(display(w.t)), Decision: envelope.Approve, Number: "42", Method: "pin",
	}
	for _, fn := range change {
		fn(&s)
	}
	return must[envelope.Statement](w.t)(envelope.SignStatement(s, w.phone)).Raw()
}

func display(t testing.TB) []byte {
	return must[[]byte](t)(envelope.Display{
		Operation: opID, Kind: "signature", Application: "bank", Title: "Contract <7>", Content: "I agree.\nTo \"all\" of it & more.",
		Secure: "Seen by you\nalone", Data: "order=7",
		Fields:  []envelope.Field{{Type: "amount", Label: "Amount", Value: "12.50", Currency: "EUR"}, {Type: "note", Value: "no label"}},
		Created: noon.Add(-time.Minute).Unix(), Expires: noon.Add(time.Minute).Unix(), NumberMatch: 2, Methods: []string{"pin"},
	}.Encode())
}

func (w *world) facts() receipt.Facts {
	w.t.Helper()
	return receipt.Facts{
		Issuer: issuer, Operation: opID, Kind: "signature", UserID: "usr_1", ExternalRef: "customer 7", ClientID: "portal",
		ExternalID: "contract 7", Display: display(w.t), Method: "pin", Created: noon.Add(-time.Minute), Answered: noon,
		DeviceID: "dev_1", Application: "bank", Platform: "ios", Key: w.phone.Public().Sign, Statement: w.statement(),
		Attestation: receipt.Attestation{Format: "apple-appattest", Grade: "hardware", At: noon.Add(-time.Hour)},
	}
}

func (w *world) make(f receipt.Facts) string {
	w.t.Helper()
	return must[string](w.t)(receipt.Make(f, w.signer, w.certificate))
}

var sameKey = cmp.Comparer(func(a, b envelope.SignKey) bool { return a.ID() == b.ID() })

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := w.facts()
	got, err := receipt.Verify([]byte("\n"+w.make(want)+"\n"), w.pinned)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Facts, sameKey); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if got.Root != w.root.KID || got.SigningKey != w.signer.KID || !got.Signed.Equal(noon) || got.Assurance != receipt.TwoFactor {
		t.Errorf("verified: %+v", got)
	}
	if diff := cmp.Diff([]string{"possession", "pin"}, got.Factors); diff != "" {
		t.Error(diff)
	}
	lines := []string{"Contract <7>", "I agree.", `To "all" of it & more.`, "Amount: 12.50 EUR", "no label", "Seen by you", "alone", "order=7"}
	if diff := cmp.Diff(lines, got.Lines()); diff != "" {
		t.Error(diff)
	}
}

// TestConfirmation: a receipt names the key that signed the statement where JWTs do (RFC 7800 3.1), by the thumbprint that the key itself
// has (RFC 7638 3.1). One that was made before receipts did so goes on to count.
func TestConfirmation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var c struct {
		Confirmation map[string]string `json:"cnf"`
		Device       struct {
			Key        json.RawMessage `json:"key"`
			Thumbprint string          `json:"jkt"`
		} `json:"device"`
	}
	token := must[jose.Token](t)(jose.Parse(w.make(w.facts())))
	if err := token.Claims(&c); err != nil {
		t.Fatal(err)
	}
	key := must[jose.PublicKey](t)(jose.ParsePublic(c.Device.Key))
	if want := (map[string]string{"jkt": jose.Thumbprint(key)}); !cmp.Equal(want, c.Confirmation) || c.Device.Thumbprint != c.Confirmation["jkt"] {
		t.Errorf("cnf is %v, want %v", c.Confirmation, want)
	}
	before := w.forge(w.signer, "gatehouse-receipt+jwt", func(c map[string]any) { delete(c, "cnf") })
	if _, err := receipt.Verify([]byte(before), w.pinned); err != nil {
		t.Errorf("one of before: %v", err)
	}
}

// TestReadable: whoever has no verifier reads the payload with any JWT library.
func TestReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.make(w.facts())
	payload := must[[]byte](t)(base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1]))
	var got map[string]any
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"v": 1.0, "iss": issuer, "jti": opID, "iat": float64(noon.Unix()), "sub": "usr_1", "external_ref": "customer 7",
		"client_id": "portal", "external_id": "contract 7", "kind": "signature", "display": string(display(t)),
		"display_hash": envelope.DisplayHash(display(t)), "method": "pin", "factors": []any{"possession", "pin"},
		"assurance": "two_factor", "created": float64(noon.Unix() - 60), "answered": float64(noon.Unix()),
		"cnf": map[string]any{"jkt": w.phone.Public().Sign.ID()},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreMapEntries(func(k string, _ any) bool {
		return k == "device" || k == "statement" || k == "chain"
	})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPossessionAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.facts()
	f.Method = "possession"
	f.Statement = w.statement(func(s *envelope.Statement) { s.Method = "possession" })
	got, err := receipt.Verify([]byte(w.make(f)), w.pinned)
	if err != nil || got.Assurance != receipt.SingleFactor || len(got.Factors) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAfterRotations: the keys that signed are gone, the root was replaced; what was pinned then is enough.
func TestAfterRotations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.make(w.facts())
	w.signer = must[jose.PrivateKey](t)(jose.GenerateKey(jose.EdDSA))
	w.certificate = w.certify(w.root, w.signer)
	second := w.make(w.facts())
	w.root = must[jose.PrivateKey](t)(jose.GenerateKey(jose.ES256))
	w.certificate = w.certify(w.root, w.signer)
	third := w.make(w.facts())
	for i, raw := range []string{old, second} {
		if _, err := receipt.Verify([]byte(raw), w.pinned); err != nil {
			t.Errorf("receipt %d: %v", i, err)
		}
	}
	if _, err := receipt.Verify([]byte(third), w.pinned); !errors.Is(err, receipt.ErrInvalid) {
		t.Errorf("a root that was not pinned: %v", err)
	}
	w.pinned[w.root.KID] = true
	if _, err := receipt.Verify([]byte(third), w.pinned); err != nil {
		t.Errorf("a root that was: %v", err)
	}
}

// TestVerifyRefuses: each thing that is said by one party and not by the other, with everything else as it should be.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(w *world, f *receipt.Facts)
		want   string
	}{
		{"another display than was signed", func(_ *world, f *receipt.Facts) {
			f.Display = bytes.Replace(f.Display, []byte("12.50"), []byte("92.50"), 1)
		}, "signed something else"},
		{"a denial", func(w *world, f *receipt.Facts) {
			f.Statement = w.statement(func(s *envelope.Statement) {
				s.Decision, s.Method, s.Number, s.Reason = envelope.Deny, "", "", envelope.Denied
			})
		}, "no approval"},
		{"a statement for another purpose", func(w *world, f *receipt.Facts) {
			f.Statement = w.statement(func(s *envelope.Statement) {
				*s = envelope.Statement{Device: s.Device, Audience: s.Audience, ID: s.ID, At: s.At, Purpose: envelope.PurposeDisconnect}
			})
		}, "something else"},
		{"another operation", func(w *world, f *receipt.Facts) {
			f.Statement = w.statement(func(s *envelope.Statement) { s.Operation = "op_2" })
		}, "another operation"},
		{"another device", func(w *world, f *receipt.Facts) {
			f.Statement = w.statement(func(s *envelope.Statement) { s.Device = "dev_2" })
		}, "another device"},
		{"another issuer's statement", func(w *world, f *receipt.Facts) {
			f.Statement = w.statement(func(s *envelope.Statement) { s.Audience = "https://other.example" })
		}, "another issuer"},
		{"a method that the device does not name", func(_ *world, f *receipt.Facts) { f.Method = "biometric" }, "method"},
		{"a key that did not sign", func(w *world, f *receipt.Facts) { f.Key = newWorld(w.t).phone.Public().Sign }, "statement"},
		{"another kind", func(_ *world, f *receipt.Facts) { f.Kind = "authorisation" }, "kind"},
		{"another time of asking", func(_ *world, f *receipt.Facts) { f.Created = f.Created.Add(time.Second) }, "times"},
		{"answered too late", func(_ *world, f *receipt.Facts) { f.Answered = f.Answered.Add(2 * time.Minute) }, "in time"},
		{"answered before it was asked", func(_ *world, f *receipt.Facts) { f.Answered = f.Answered.Add(-2 * time.Minute) }, "in time"},
		{"nobody", func(_ *world, f *receipt.Facts) { f.UserID = "" }, "nobody"},
		{"another operation's display", func(_ *world, f *receipt.Facts) { f.Operation = "op_2" }, "shown"},
		{"a display that is none", func(_ *world, f *receipt.Facts) { f.Display = []byte("Pay 10 EUR") }, "shown"},
		{"no statement", func(_ *world, f *receipt.Facts) { f.Statement = "" }, "statement"},
		{"a receipt in the place of a statement", func(w *world, f *receipt.Facts) { f.Statement = w.make(w.facts()) }, "statement"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.facts()
			test.change(w, &f)
			got, err := receipt.Verify([]byte(w.make(f)), w.pinned)
			if !errors.Is(err, receipt.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want it about %q", err, test.want)
			}
			if got.Operation != "" || got.Root != "" {
				t.Errorf("it gives away: %+v", got)
			}
		})
	}
}

// forge signs claims that Make would not, after a change of the honest ones.
func (w *world) forge(key jose.PrivateKey, typ string, change func(map[string]any)) string {
	w.t.Helper()
	payload := must[[]byte](w.t)(base64.RawURLEncoding.DecodeString(strings.Split(w.make(w.facts()), ".")[1]))
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		w.t.Fatal(err)
	}
	change(c)
	data := must[[]byte](w.t)(json.Marshal(c))
	return must[string](w.t)(jose.Sign(key, typ, data))
}

// TestForgeries: somebody who can sign something tries to make it count for more.
func TestForgeries(t *testing.T) {
	t.Parallel()
	const typ = "gatehouse-receipt+jwt"
	same := func(map[string]any) {}
	for _, test := range []struct {
		name  string
		forge func(w *world) string
	}{
		{"signed by a key of the forger", func(w *world) string {
			return w.forge(must[jose.PrivateKey](w.t)(jose.GenerateKey(jose.ES256)), typ, same)
		}},
		{"with a chain of the forger's own", func(w *world) string {
			own := newWorld(w.t)
			return own.make(own.facts())
		}},
		{"with the honest root beside the forger's certificate", func(w *world) string {
			own := newWorld(w.t)
			return own.forge(own.signer, typ, func(c map[string]any) {
				c["chain"].(map[string]any)["root"] = must[json.RawMessage](w.t)(rawPublic(w.root))
			})
		}},
		{"signed by the root itself", func(w *world) string { return w.forge(w.root, typ, same) }},
		{"of another type", func(w *world) string { return w.forge(w.signer, "at+jwt", same) }},
		{"without a type", func(w *world) string { return w.forge(w.signer, "", same) }},
		{"of another version", func(w *world) string { return w.forge(w.signer, typ, func(c map[string]any) { c["v"] = 2 }) }},
		{"for another issuer", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["iss"] = "https://other.example" })
		}},
		{"at a time of no certificate", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["iat"] = noon.Add(time.Hour).Unix() })
		}},
		{"before the certificate", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["iat"] = noon.Add(-2 * time.Hour).Unix() })
		}},
		{"with the certificate in its place", func(w *world) string {
			var certificate string
			w.forge(w.signer, typ, func(c map[string]any) { certificate = c["chain"].(map[string]any)["certificate"].(string) })
			return certificate
		}},
		{"with a receipt in the place of the certificate", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["chain"].(map[string]any)["certificate"] = w.make(w.facts()) })
		}},
		{"without a chain", func(w *world) string { return w.forge(w.signer, typ, func(c map[string]any) { delete(c, "chain") }) }},
		{"with the hash of something else", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["display_hash"] = envelope.DisplayHash(nil) })
		}},
		{"with more assurance than was proven", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["factors"] = []string{"possession", "pin", "biometric"} })
		}},
		{"with another assurance", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["assurance"] = "qualified" })
		}},
		{"with another thumbprint", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["device"].(map[string]any)["jkt"] = w.root.KID })
		}},
		{"RFC7800/3.1 with cnf of another key", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["cnf"].(map[string]any)["jkt"] = w.root.KID })
		}},
		{"RFC7800/3.1 with cnf that names no key", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["cnf"] = map[string]any{"kid": "1"} })
		}},
		{"RFC7800/3.1 with cnf that is no object", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["cnf"] = w.phone.Public().Sign.ID() })
		}},
		{"with a claim in another case", func(w *world) string {
			return w.forge(w.signer, typ, func(c map[string]any) { c["SUB"] = "usr_2" })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := receipt.Verify([]byte(test.forge(w)), w.pinned); !errors.Is(err, receipt.ErrInvalid) {
				t.Errorf("verified: %v", err)
			}
		})
	}
}

func rawPublic(k jose.PrivateKey) (json.RawMessage, error) {
	data, err := jose.MarshalPublic(k.Public())
	return data, err
}

// TestEveryByteCounts: a receipt in which any one character is another is no receipt.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw := w.make(w.facts())
	for i := 0; i < len(raw); i += 7 {
		changed := []byte(raw)
		changed[i] ^= 1
		if _, err := receipt.Verify(changed, w.pinned); !errors.Is(err, receipt.ErrInvalid) {
			t.Fatalf("with another character at %d: %v", i, err)
		}
	}
	for _, cut := range []int{0, 1, len(raw) / 2, len(raw) - 1} {
		if _, err := receipt.Verify([]byte(raw[:cut]), w.pinned); !errors.Is(err, receipt.ErrInvalid) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	if _, err := receipt.Verify([]byte(raw), nil); !errors.Is(err, receipt.ErrInvalid) {
		t.Errorf("without any root: %v", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*receipt.Facts, *jose.PrivateKey, *receipt.Certificate){
		"a key that is not certified": func(_ *receipt.Facts, k *jose.PrivateKey, _ *receipt.Certificate) { *k = w.root },
		"another issuer":              func(f *receipt.Facts, _ *jose.PrivateKey, _ *receipt.Certificate) { f.Issuer = "x" },
		"a time after the certificate": func(f *receipt.Facts, _ *jose.PrivateKey, _ *receipt.Certificate) {
			f.Answered = noon.Add(time.Hour)
		},
		"no certificate":           func(_ *receipt.Facts, _ *jose.PrivateKey, c *receipt.Certificate) { *c = receipt.Certificate{} },
		"more than a token can be": func(f *receipt.Facts, _ *jose.PrivateKey, _ *receipt.Certificate) { f.Display = make([]byte, 16<<10) },
	} {
		f, k, c := w.facts(), w.signer, w.certificate
		change(&f, &k, &c)
		if raw, err := receipt.Make(f, k, c); err == nil || raw != "" {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

func TestParseRoots(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := must[[]byte](t)(jose.MarshalSet([]jose.PublicKey{w.root.Public(), w.signer.Public()}))
	for _, test := range []struct {
		name, text string
		want       int
	}{
		{"one", w.root.KID, 1},
		{"lines", "# the root of 2026\r\n\n  " + w.root.KID + "  \n" + w.signer.KID + "\n", 2},
		{"a key set", " " + string(set) + "\n", 2},
		{"nothing", "", 0},
		{"comments only", "# none\n", 0},
		{"a word", "trust me", 0},
		{"a thumbprint that is cut", w.root.KID[:42], 0},
		{"another spelling of one", strings.Repeat("A", 42) + "B", 0},
		{"one good, one bad", w.root.KID + "\nx", 0},
		{"a key set without keys", `{"keys":[]}`, 0},
		{"broken JSON", `{"keys":`, 0},
		{"too large", strings.Repeat("#\n", 40<<10), 0},
	} {
		roots, err := receipt.ParseRoots([]byte(test.text))
		if len(roots) != test.want || (err == nil) != (test.want > 0) || (err != nil && !errors.Is(err, receipt.ErrInvalid)) {
			t.Errorf("%s: %v, %v", test.name, roots, err)
		}
	}
}

// FuzzVerify: whatever is read, nothing but what these keys have signed is verified.
func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	honest := w.make(w.facts())
	f.Add([]byte(honest))
	f.Add([]byte(newWorld(f).make(w.facts())))
	f.Add([]byte("a.b.c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := receipt.Verify(data, w.pinned)
		if err == nil && string(bytes.TrimSpace(data)) != honest {
			t.Errorf("verified %q as %+v", data, got)
		}
	})
}

// FuzzParseRoots: what is read is thumbprints, and reads again the same.
func FuzzParseRoots(f *testing.F) {
	f.Add([]byte("# x\n" + strings.Repeat("A", 43)))
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		roots, err := receipt.ParseRoots(data)
		if err != nil {
			return
		}
		again, err := receipt.ParseRoots([]byte(strings.ReplaceAll(roots.String(), " ", "\n")))
		if diff := cmp.Diff(roots, again); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

func BenchmarkMake(b *testing.B) {
	w := newWorld(b)
	f := w.facts()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := receipt.Make(f, w.signer, w.certificate); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	raw := []byte(w.make(w.facts()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := receipt.Verify(raw, w.pinned); err != nil {
			b.Fatal(err)
		}
	}
}
