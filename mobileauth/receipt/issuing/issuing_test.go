// SPDX-License-Identifier: Apache-2.0

package issuing_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt/issuing"
)

const issuer = "https://id.example.com"

var (
	noon    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	errDown = errors.New("it is down")
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func draw(t testing.TB, alg jose.Algorithm) jose.PrivateKey {
	t.Helper()
	k, err := jose.GenerateKey(alg)
	must(t, err)
	return k
}

// fixture is an issuer whose keys can be changed.
type fixture struct {
	t            testing.TB
	phone        envelope.Keys
	root, signer jose.PrivateKey
	fault        error
	issuer       *issuing.Issuer
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, root: draw(t, jose.ES256), signer: draw(t, jose.ES256)}
	sign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	must(t, err)
	f.phone, err = envelope.NewKeys(sign, enc)
	must(t, err)
	f.issuer, err = issuing.New(issuing.Config{
		Issuer: issuer,
		Root:   func() (jose.PrivateKey, error) { return f.root, f.fault },
		Signer: func() (jose.PrivateKey, error) { return f.signer, nil },
		ExternalRef: func(_ context.Context, userID string) (string, error) {
			return strings.Replace(userID, "usr_", "customer ", 1), nil
		},
	})
	must(t, err)
	return f
}

// approved is an operation that the phone has approved at a moment.
func (f *fixture) approved(at time.Time) (operation.Operation, handset.Device) {
	f.t.Helper()
	d := handset.Device{ID: "dev_1", UserID: "usr_1", Application: "bank", Platform: "ios"}
	must(f.t, d.SetKeys(f.phone.Public()))
	shown, err := envelope.Display{
		Operation: "op_1", Kind: "signature", Application: "bank", Title: "Contract", Methods: []string{"pin"},
		Created: at.Add(-time.Second).Unix(), Expires: at.Add(time.Minute).Unix(),
	}.Encode()
	must(f.t, err)
	st, err := envelope.SignStatement(envelope.Statement{
		Device: "dev_1", Audience: issuer, ID: envelope.NewID(), At: at, Purpose: envelope.PurposeApproval, Operation: "op_1",
		DisplayHash: envelope.DisplayHash(shown), Decision: envelope.Approve, Method: "pin",
	}, f.phone)
	must(f.t, err)
	return operation.Operation{
		ID: "op_1", Kind: operation.Signature, State: operation.Approved, UserID: "usr_1", ClientID: "portal", ExternalID: "contract 7",
		Display: shown, DisplayHash: envelope.DisplayHash(shown), Method: "pin", Factor: true, AnsweredBy: "dev_1", Statement: st.Raw(),
		CreatedAt: at.Add(-time.Second), AnsweredAt: at,
	}, d
}

// certificate returns the part of a receipt with which the root vouches.
func (f *fixture) certificate(raw string) string {
	f.t.Helper()
	token, err := jose.Parse(raw)
	must(f.t, err)
	var c struct {
		Chain struct {
			Certificate string `json:"certificate"`
		} `json:"chain"`
	}
	must(f.t, token.Claims(&c))
	return c.Chain.Certificate
}

func (f *fixture) make(at time.Time) string {
	f.t.Helper()
	o, d := f.approved(at)
	raw, err := f.issuer.Make(f.t.Context(), o, d)
	must(f.t, err)
	got, err := receipt.Verify([]byte(raw), receipt.Roots{f.root.KID: true})
	must(f.t, err)
	if got.SigningKey != f.signer.KID || !got.Answered.Equal(at.Truncate(time.Second)) {
		f.t.Errorf("signed by %q at %s", got.SigningKey, got.Answered)
	}
	return raw
}

func TestMake(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got, err := receipt.Verify([]byte(f.make(noon)), receipt.Roots{f.root.KID: true})
	must(t, err)
	want := receipt.Facts{
		Issuer: issuer, Operation: "op_1", Kind: "signature", UserID: "usr_1", ExternalRef: "customer 1", ClientID: "portal",
		ExternalID: "contract 7", Method: "pin", DeviceID: "dev_1", Application: "bank", Platform: "ios",
		Display: got.Display, Statement: got.Statement, Key: got.Key, Created: noon.Add(-time.Second), Answered: noon,
	}
	if got.Operation != want.Operation || got.UserID != want.UserID || got.ExternalRef != want.ExternalRef || got.ClientID != want.ClientID ||
		got.ExternalID != want.ExternalID || got.Kind != want.Kind || got.DeviceID != want.DeviceID || got.Application != want.Application ||
		got.Platform != want.Platform || got.Method != want.Method || !got.Created.Equal(want.Created) || got.Issuer != want.Issuer {
		t.Errorf("got %+v, want %+v", got.Facts, want)
	}
}

// TestCertificates: one serves a day, and no longer; another key, root or time has its own.
func TestCertificates(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.certificate(f.make(noon))
	if f.certificate(f.make(noon.Add(24*time.Hour-time.Second))) != first {
		t.Error("it is not used for a day")
	}
	if f.certificate(f.make(noon.Add(-4*time.Minute))) != first {
		t.Error("an answer that came a little before has another")
	}
	next := f.certificate(f.make(noon.Add(24 * time.Hour)))
	if next == first {
		t.Error("it is used for longer than a day")
	}
	if earlier := f.certificate(f.make(noon)); earlier == next || earlier == first {
		t.Error("a clock that went back is not covered")
	}
	f.signer = draw(t, jose.EdDSA)
	rotated := f.certificate(f.make(noon))
	f.root = draw(t, jose.ES256)
	if replaced := f.certificate(f.make(noon)); rotated == first || replaced == rotated {
		t.Error("another key has the same certificate")
	}
}

// TestOldKeys: a statement that was signed under the keys before, while they are accepted, has a receipt with those.
func TestOldKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o, d := f.approved(noon)
	current := newFixture(t).phone.Public()
	old := handset.OldKeys{
		Sign: d.SignKeyID, Enc: d.EncKeyID, SignKey: d.SignKey, EncKey: d.EncKey, Since: noon, Until: noon.Add(time.Hour),
	}
	must(t, d.SetKeys(current))
	if _, err := f.issuer.Make(t.Context(), o, d); !errors.Is(err, issuing.ErrKey) {
		t.Errorf("a key that is none of the device's: %v", err)
	}
	d.OldKeys = []handset.OldKeys{old}
	raw, err := f.issuer.Make(t.Context(), o, d)
	must(t, err)
	got, err := receipt.Verify([]byte(raw), receipt.Roots{f.root.KID: true})
	if err != nil || got.Key.ID() != old.Sign {
		t.Errorf("key %q: %v", got.Key.ID(), err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o, d := f.approved(noon)
	broken := o
	broken.Statement = "x"
	if raw, err := f.issuer.Make(t.Context(), broken, d); err == nil || raw != "" {
		t.Errorf("a statement that is none: %v", err)
	}
	named := d
	named.SignKey = newFixture(t).signKey()
	if raw, err := f.issuer.Make(t.Context(), o, named); !errors.Is(err, issuing.ErrKey) || raw != "" {
		t.Errorf("a key under another's name: %v", err)
	}
	named.SignKey = []byte("{}")
	if raw, err := f.issuer.Make(t.Context(), o, named); err == nil || raw != "" {
		t.Errorf("a key that is none: %v", err)
	}
	f.fault = errDown
	if raw, err := f.issuer.Make(t.Context(), o, d); !errors.Is(err, errDown) || raw != "" {
		t.Errorf("no root: %v", err)
	}
	for name, change := range map[string]func(*issuing.Config){
		"signer": func(c *issuing.Config) {
			c.Signer = func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errDown }
		},
		"reference": func(c *issuing.Config) {
			c.ExternalRef = func(context.Context, string) (string, error) { return "", errDown }
		},
	} {
		c := issuing.Config{
			Issuer: issuer, Root: func() (jose.PrivateKey, error) { return f.root, nil },
			Signer: func() (jose.PrivateKey, error) { return f.signer, nil },
		}
		change(&c)
		i, err := issuing.New(c)
		must(t, err)
		if raw, err := i.Make(t.Context(), o, d); !errors.Is(err, errDown) || raw != "" {
			t.Errorf("no %s: %v", name, err)
		}
	}
	for name, c := range map[string]issuing.Config{
		"issuer": {Root: f.issuerRoot, Signer: f.issuerRoot}, "root": {Issuer: issuer, Signer: f.issuerRoot},
		"signer": {Issuer: issuer, Root: f.issuerRoot},
	} {
		if _, err := issuing.New(c); err == nil {
			t.Errorf("built without its %s", name)
		}
	}
}

func (f *fixture) signKey() []byte {
	_, d := f.approved(noon)
	return d.SignKey
}

func (f *fixture) issuerRoot() (jose.PrivateKey, error) { return f.root, nil }

func TestParallel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var group sync.WaitGroup
	for i := range 32 {
		o, d := f.approved(noon.Add(time.Duration(i) * time.Hour))
		group.Go(func() {
			raw, err := f.issuer.Make(t.Context(), o, d)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := receipt.Verify([]byte(raw), receipt.Roots{f.root.KID: true}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func BenchmarkMake(b *testing.B) {
	f := newFixture(b)
	o, d := f.approved(noon)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.issuer.Make(b.Context(), o, d); err != nil {
			b.Fatal(err)
		}
	}
}
