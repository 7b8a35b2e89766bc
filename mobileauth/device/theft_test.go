// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// stolen is everything that a thief of the phone's files has: the state, the keys, and copies of the state from before.
func stolen(t *testing.T) (now, before device.State, all []byte) {
	t.Helper()
	_, p, d := enrolled(t)
	before = d.State()
	if err := d.ChangePIN(t.Context(), device.Proof{PIN: pin}, newPIN); err != nil {
		t.Fatal(err)
	}
	if err := d.RollKeys(t.Context(), device.Proof{PIN: newPIN}); err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(p.store)
	if err != nil {
		t.Fatal(err)
	}
	return d.State(), before, append(bytes.Clone(p.saved), kept...)
}

// The structure: one value depends on the PIN, the sealed text, and nothing else in the files depends on that value's plaintext.
//
// This is shown by exchange. A state in which the secret is another one under the same PIN, or the same one under another PIN, is
// the same state but for salt and text; so whatever else is in the files was not made from either.
func TestNothingElseDependsOnThePIN(t *testing.T) {
	t.Parallel()
	now, _, all := stolen(t)
	secret, err := now.PIN.Open(newPIN)
	if err != nil {
		t.Fatal(err)
	}
	for name, trace := range map[string]string{
		"the PIN": newPIN, "the old PIN": pin, "the secret": text(t, secret), "its hash": secret.Hash(),
		"its MAC over nothing": text(t, envelope.Statement{}.MAC(secret)),
	} {
		if bytes.Contains(all, []byte(trace)) {
			t.Errorf("the files have %s", name)
		}
	}
	// The fields of what is sealed are those that were looked at when this was written. A new one has to be looked at too.
	var fields []string
	for f := range reflect.TypeFor[device.SealedSecret]().Fields() {
		fields = append(fields, f.Name)
	}
	if want := []string{"KDF", "Salt", "Text", "Statement"}; !slices.Equal(fields, want) {
		t.Errorf("a sealed secret has %v; does what is new say whether a PIN is right?", fields)
	}
	if len(now.PIN.Text) != envelope.SecretLen || len(now.PIN.Salt) != 16 {
		t.Errorf("%d bytes of text, %d of salt: there is room for a check", len(now.PIN.Text), len(now.PIN.Salt))
	}
	other, err := envelope.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	for _, exchanged := range []device.SealedSecret{seal(t, other, newPIN), seal(t, secret, "604913")} {
		exchanged.Statement = now.PIN.Statement
		altered := now
		altered.PIN = &exchanged
		if a, b := without(t, now), without(t, altered); a != b {
			t.Errorf("the states differ in more than salt and text:\n%s\n%s", a, b)
		}
	}
}

func seal(t *testing.T, secret envelope.Secret, pin string) device.SealedSecret {
	t.Helper()
	s, err := device.Seal(secret, pin, cheap)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func text(t *testing.T, v interface{ MarshalText() ([]byte, error) }) string {
	t.Helper()
	raw, err := v.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// without returns a state without salt and text.
func without(t *testing.T, s device.State) string {
	t.Helper()
	sealed := *s.PIN
	sealed.Salt, sealed.Text = nil, nil
	s.PIN = &sealed
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The statistics: a thief who tries PINs sees secrets that cannot be told from one another. The right PIN's is of the same kind as
// all others: every try succeeds, no secret comes twice, their bits are even, and the right one lies in the middle of the others
// by every measure taken here.
func TestEveryPINYieldsASecret(t *testing.T) {
	t.Parallel()
	const tries = 4000
	now, before, _ := stolen(t)
	right, err := now.PIN.Open(newPIN)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[envelope.Secret]bool)
	var ones [256]int
	for i := range tries {
		secret, err := now.PIN.Open(fmt.Sprintf("%06d", i*241))
		if err != nil {
			t.Fatalf("a PIN is told to be wrong: %v", err)
		}
		if seen[secret] || secret == right {
			t.Fatal("two PINs have one secret")
		}
		seen[secret] = true
		for bit := range ones {
			ones[bit] += int(secret[bit/8] >> (bit % 8) & 1)
		}
	}
	for bit, n := range ones {
		if z := (float64(n) - tries/2) / math.Sqrt(tries/4.0); math.Abs(z) > 6 { // once in a million runs of all bits
			t.Errorf("bit %d is set in %d of %d secrets", bit, n, tries)
		}
	}
	for name, measure := range map[string]func(envelope.Secret) float64{"ones": countOnes, "pairs of equal bytes": equalBytes} {
		if z := score(measure, right, seen); math.Abs(z) > 6 {
			t.Errorf("the right secret stands out by its %s: %.1f deviations", name, z)
		}
	}
	// Two copies of the state say no more: what the old one yields has nothing to do with what the new one does.
	for secret := range seen {
		if old, err := before.PIN.Open(pin); err != nil || old == secret || old == right {
			t.Fatalf("an old copy tells the new PIN: %v", err)
		}
		break
	}
}

func countOnes(s envelope.Secret) float64 {
	n := 0
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return float64(n)
}

func equalBytes(s envelope.Secret) float64 {
	n := 0
	for i := range s {
		for j := range i {
			if s[i] == s[j] {
				n++
			}
		}
	}
	return float64(n)
}

// score is how many standard deviations one secret lies from the mean of the others.
func score(measure func(envelope.Secret) float64, one envelope.Secret, others map[envelope.Secret]bool) float64 {
	var sum, squares float64
	for s := range others {
		v := measure(s)
		sum, squares = sum+v, squares+v*v
	}
	n := float64(len(others))
	mean := sum / n
	return (measure(one) - mean) / math.Sqrt(squares/n-mean*mean)
}

// The keys in the files are no help: whatever they sign, the MAC beside it is judged by the server alone.
func TestAThiefSpendsTries(t *testing.T) {
	t.Parallel()
	s, p, _ := enrolled(t)
	d := p.restart(t) // the thief's copy
	q := mustFetch(t, d, s.ask(question("pin"), ""))
	for i := range maxTries {
		if err := d.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: fmt.Sprintf("55%04d", i*17)}}); err == nil {
			t.Fatal("a guess was right")
		}
	}
	if s.status != "deactivated" || len(s.answers) != 0 {
		t.Errorf("after %d tries the device is %s", maxTries, s.status)
	}
}

func TestSealRefusesMadWork(t *testing.T) {
	t.Parallel()
	for _, kdf := range []device.KDF{{}, {Time: 1, Memory: 1 << 31, Threads: 1}, {Time: 1 << 20, Memory: 8, Threads: 1}, {Time: 1, Memory: 8}} {
		if _, err := device.Seal(envelope.Secret{1}, pin, kdf); err == nil {
			t.Errorf("%+v was taken", kdf)
		}
		if _, err := (device.SealedSecret{KDF: kdf, Salt: make([]byte, 16), Text: make([]byte, 32)}).Open(pin); err == nil {
			t.Errorf("%+v was taken from a file", kdf)
		}
	}
}

func TestSoftStore(t *testing.T) {
	t.Parallel()
	s := new(device.SoftStore)
	if _, err := s.Create(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), "a"); err == nil {
		t.Error("a name was given twice")
	}
	if _, err := s.Load(t.Context(), "b"); err == nil {
		t.Error("keys that are not there were loaded")
	}
	if _, err := s.Get(t.Context(), "a"); err == nil {
		t.Error("a secret that is not there was given out")
	}
	for _, bad := range []string{`[]`, `{"keys":{"a":{}}}`, `{"keys":{"a":{"sign":"AA==","enc":"AA=="}}}`, `{"secrets":{"a":"AA"}}`} {
		if err := s.UnmarshalJSON([]byte(bad)); err == nil || strings.Contains(err.Error(), "AA") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := s.Load(t.Context(), "a"); err != nil {
		t.Errorf("after files that were refused: %v", err)
	}
}

func BenchmarkOpenPIN(b *testing.B) {
	sealed, err := device.Seal(envelope.Secret{1}, pin, device.DefaultKDF)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealed.Open(pin); err != nil {
			b.Fatal(err)
		}
	}
}
