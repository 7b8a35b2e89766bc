// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/storage"
)

const voice = envelope.FactorCustom + "voice"

func TestVerdicts(t *testing.T) {
	const possession, knows, is = envelope.MethodPossession, envelope.FactorPIN, envelope.FactorBiometric
	none := func(accept ...string) handset.Proof { return handset.Proof{Statement: statement(), Accept: accept} }
	both := proof(knows, secret(1), knows)
	both.Factors[is] = both.Factors[knows]
	unsigned := proof(knows, secret(1), knows)
	unsigned.Statement = envelope.Statement{}
	unsigned.Factors[knows] = unsigned.Statement.MAC(envelope.Secret(secret(1)))
	fine := func(method string) handset.Verdict { return handset.Verdict{OK: true, Method: method, Remaining: 5} }
	refused := func(reason string) handset.Verdict { return handset.Verdict{Reason: reason, Remaining: 5} }
	wrong := handset.Verdict{Reason: handset.FactorWrong, Remaining: 4}
	tests := []struct {
		name  string
		proof handset.Proof
		want  handset.Verdict
	}{
		{"possession", none(possession), fine(possession)},
		{"possession among others", none(is, possession), fine(possession)},
		{"nothing where a PIN is asked", none(knows), refused(handset.FactorMissing)},
		{"nothing where nothing is accepted", none(), refused(handset.FactorMissing)},
		{"PIN", proof(knows, secret(1), knows), fine(knows)},
		{"PIN where biometric is asked", proof(knows, secret(1), is), fine(knows)},
		{"PIN where a custom factor is asked", proof(knows, secret(1), voice), fine(knows)},
		{"PIN where possession would do", proof(knows, secret(1), possession), fine(knows)},
		{"biometric", proof(is, secret(2), is), fine(is)},
		{"biometric where a PIN is asked", proof(is, secret(2), knows), refused(handset.FactorNotAccepted)},
		{"custom where another is asked", proof(voice, secret(3), "custom:nose"), refused(handset.FactorNotAccepted)},
		{"custom", proof(voice, secret(3), voice), fine(voice)},
		{"PIN where nothing is accepted", proof(knows, secret(1)), refused(handset.FactorNotAccepted)},
		{"a factor that it does not have", proof("custom:nose", secret(1), "custom:nose"), refused(handset.FactorUnknown)},
		{"several", both, refused(handset.FactorMany)},
		{"wrong PIN", proof(knows, secret(2), knows), wrong},
		{"wrong PIN where possession would do", proof(knows, secret(2), possession), wrong},
		{"wrong biometric", proof(is, secret(1), is), wrong},
		{"over nothing signed", unsigned, wrong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			over(t, func(t *testing.T, h *house) {
				d := h.add("usr_1", func(d *handset.Device) {
					d.SetFactor(handset.Factor{Kind: is, Secret: secret(2)})
					d.SetFactor(handset.Factor{Kind: voice, Secret: secret(3)})
				})
				got, err := h.answer(d.ID, tt.proof)
				must(t, err)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if got := h.get(d.ID); got.Failures != 5-tt.want.Remaining || got.Version != d.Version {
					t.Errorf("%d failures are counted, version %d", got.Failures, got.Version)
				}
			})
		})
	}
}

// TestWrongFactorsDisconnect: they are counted over everything that happens in between, the user is warned before the last
// one, and nothing is left afterwards.
func TestWrongFactorsDisconnect(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) { d.SetFactor(handset.Factor{Kind: voice, Secret: secret(3)}) })
		between := []func() error{
			func() error { return nil },
			func() error { _, err := h.Rename(h.ctx(), d.ID, "n", h.get(d.ID).Version); return err },
			func() error {
				_, err := h.Lock(h.ctx(), d.ID, "")
				if err == nil {
					_, err = h.Unlock(h.ctx(), d.ID)
				}
				return err
			},
			func() error { h.clock.Advance(24 * time.Hour); return h.Seen(t.Context(), d.ID) },
			func() error {
				_, err := h.answer(d.ID, handset.Proof{Accept: []string{envelope.MethodPossession}})
				return err
			},
		}
		for i, event := range between {
			must(t, event())
			guess := pin(secret(9))
			if i%2 == 1 {
				guess = proof(voice, secret(9), voice)
			}
			got, err := h.answer(d.ID, guess)
			must(t, err)
			want := handset.Verdict{Reason: handset.FactorWrong, Remaining: 4 - i, Disconnected: i == 4}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("guess %d: %s", i, diff)
			}
			warned := strings.Contains(strings.Join(h.values("notice/"+d.ID), ","), handset.LastTry)
			if warned != (i >= 3) {
				t.Errorf("guess %d: the user is warned: %v", i, warned)
			}
		}
		got := h.get(d.ID)
		if got.Status != handset.Deactivated || got.StatusReason != handset.FactorLimit || len(got.Factors) != 0 {
			t.Errorf("the device is %s for %q with %d factors", got.Status, got.StatusReason, len(got.Factors))
		}
		if n := len(h.values("revoked/" + d.ID)); n != 2 { // one of them for the lock
			t.Errorf("%d revocations", n)
		}
		if _, err := h.answer(d.ID, pin(secret(1))); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("the right PIN afterwards: %v", err)
		}
	})
}

func TestARightFactorClearsTheCount(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		for range 3 {
			for range 4 {
				v, err := h.answer(d.ID, pin(secret(9)))
				must(t, err)
				if v.OK || v.Disconnected {
					t.Fatalf("a wrong PIN: %+v", v)
				}
			}
			v, err := h.answer(d.ID, pin(secret(1)))
			must(t, err)
			if !v.OK || h.get(d.ID).Failures != 0 {
				t.Fatalf("the right PIN: %+v", v)
			}
		}
	})
}

// TestGuessesAtOnce: guesses sent in parallel are counted one by one, and the right PIN among them does not come too late.
func TestGuessesAtOnce(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		verdicts := make([]handset.Verdict, 20)
		errs := mobiletest.Together(20, func(i int) (err error) {
			verdicts[i], err = h.answer(d.ID, pin(secret(byte(100+i))))
			return err
		})
		tested, disconnected := 0, 0
		for i, v := range verdicts {
			switch {
			case errs[i] == nil:
				tested++
			case !errors.Is(errs[i], handset.ErrUnusable):
				t.Error(errs[i])
			}
			if v.Disconnected {
				disconnected++
			}
		}
		if tested != 5 || disconnected != 1 || h.get(d.ID).Status != handset.Deactivated {
			t.Errorf("%d guesses were tested, %d disconnected, the device is %s", tested, disconnected, h.get(d.ID).Status)
		}
	})
}

// TestAStaleDeviceDoesNotHideFailures: the count is read where it is written.
func TestAStaleDeviceDoesNotHideFailures(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		for i := range 5 {
			err := h.update(func(tx storage.Tx) error {
				stale := d
				disconnected, err := h.Fail(tx, &stale, operator)
				if stale.Failures != i+1 || disconnected != (i == 4) {
					t.Errorf("failure %d counts %d, disconnected: %v", i, stale.Failures, disconnected)
				}
				return err
			})
			must(t, err)
		}
	})
}

func TestTheLimitIsConfigured(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0, func(c *handset.Config) { c.MaxFailures = 1 })
	d := h.add("usr_1")
	v, err := h.answer(d.ID, pin(secret(9)))
	must(t, err)
	if !v.Disconnected {
		t.Errorf("the first wrong PIN: %+v", v)
	}
}

// TestADeviceMayHaveAStricterLimit, never a looser one.
func TestADeviceMayHaveAStricterLimit(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		for limit, want := range map[int]int{2: 2, 5: 5, 9: 5} {
			d := h.add("usr_1", func(d *handset.Device) { d.MaxFailures = limit })
			for i := range want {
				v, err := h.answer(d.ID, pin(secret(9)))
				must(t, err)
				if v.Remaining != want-1-i || v.Disconnected != (i == want-1) {
					t.Errorf("limit %d, wrong PIN %d: %+v", limit, i+1, v)
				}
			}
		}
	})
}

func TestReplay(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		one, two := h.add("usr_1"), h.add("usr_1")
		send := func(d handset.Device, jti string, iat time.Time) error {
			return h.update(func(tx storage.Tx) error { return h.Replay(tx, d.ID, jti, iat) })
		}
		now := h.clock.Now()
		tests := []struct {
			name string
			d    handset.Device
			jti  string
			iat  time.Time
			want error
		}{
			{"the first time", one, "a", now, nil},
			{"again", one, "a", now, handset.ErrReplay},
			{"again with another clock", one, "a", now.Add(30 * time.Second), handset.ErrReplay},
			{"from another device", two, "a", now, nil},
			{"another id", one, "b", now, nil},
			{"at the edge of the window", one, "c", now.Add(-time.Minute), nil},
			{"again at the edge", one, "c", now.Add(-time.Minute), handset.ErrReplay},
			{"at the other edge", one, "d", now.Add(time.Minute), nil},
			{"before the window", one, "e", now.Add(-time.Minute - time.Millisecond), handset.ErrReplay},
			{"after the window", one, "f", now.Add(time.Minute + time.Millisecond), handset.ErrReplay},
			{"without an id", one, "", now, handset.ErrReplay},
			{"with a long id", one, strings.Repeat("x", handset.MaxJTI+1), now, handset.ErrReplay},
		}
		for _, tt := range tests {
			if err := send(tt.d, tt.jti, tt.iat); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		// As long as a clock is accepted, the id is remembered.
		for range 121 {
			h.clock.Advance(time.Second)
			if err := send(one, "d", now.Add(time.Minute)); !errors.Is(err, handset.ErrReplay) {
				t.Fatalf("accepted again after %s: %v", h.clock.Now().Sub(now), err)
			}
		}
	})
}

func TestAMessageSentOftenAtOnceIsAcceptedOnce(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		m := handset.Message{DeviceID: d.ID, KID: d.SignKeyID, JTI: envelope.NewID(), IssuedAt: h.clock.Now()}
		accepted := 0
		for _, err := range mobiletest.Together(16, func(int) error { _, err := h.Admit(t.Context(), m); return err }) {
			if err == nil {
				accepted++
			} else if !errors.Is(err, handset.ErrReplay) {
				t.Error(err)
			}
		}
		if accepted != 1 {
			t.Errorf("it is accepted %d times", accepted)
		}
	})
}

func TestWhoIsHeard(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		for _, status := range statuses {
			d := h.reach(status)
			_, err := h.Admit(t.Context(), h.message(d))
			if status.Out() != errors.Is(err, handset.ErrUnusable) || !status.Out() && err != nil {
				t.Errorf("%s: %v", status, err)
			}
		}
		d := h.reach(handset.Active)
		m := h.message(d)
		m.KID = d.EncKeyID
		if _, err := h.Admit(t.Context(), m); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("with another key: %v", err)
		}
		m.KID = ""
		if _, err := h.Admit(t.Context(), m); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("without a key: %v", err)
		}
		m = h.message(d)
		m.DeviceID = handset.NewID()
		if _, err := h.Admit(t.Context(), m); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("from nobody: %v", err)
		}
	})
}

// message is a new one of a device.
func (h *house) message(d handset.Device) handset.Message {
	return handset.Message{DeviceID: d.ID, KID: d.SignKeyID, JTI: envelope.NewID(), IssuedAt: h.clock.Now()}
}

// TestLastSeenIsCoarse: a phone that asks all the time is not written all the time, and no change of a record is made of it.
func TestLastSeenIsCoarse(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		first := h.clock.Now().Truncate(time.Millisecond)
		for range 5 {
			must(t, h.Seen(t.Context(), d.ID))
			h.clock.Advance(11 * time.Second)
		}
		if got := h.get(d.ID); !got.LastSeenAt.Equal(first) || got.Version != d.Version {
			t.Errorf("seen at %s, version %d", got.LastSeenAt, got.Version)
		}
		h.clock.Advance(time.Minute)
		_, err := h.Admit(t.Context(), h.message(d))
		must(t, err)
		if got := h.get(d.ID); !got.LastSeenAt.After(first) {
			t.Errorf("seen at %s", got.LastSeenAt)
		}
		must(t, h.Seen(t.Context(), handset.NewID()))
	})
}

func TestRollingKeys(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		fresh, other := mobiletest.Keys(t).Public(), mobiletest.Keys(t).Public()
		change := func(kid string, to envelope.PublicKeys) (handset.Device, handset.Verdict, error) {
			m := h.message(d)
			m.KID = kid
			return h.ChangeKeys(h.ctx(), m, h.said(pin(secret(1))), to, nil)
		}
		old := d.SignKeyID
		got, v, err := change(old, fresh)
		must(t, err)
		if !v.OK || got.SignKeyID != fresh.Sign.ID() || got.EncKeyID != fresh.Enc.ID() || len(got.OldKeys) != 1 {
			t.Fatalf("after the change: %+v", got)
		}
		if pair, ok := got.Keys(old, h.clock.Now()); !ok || pair.Enc.ID() != d.EncKeyID {
			t.Error("the old pair is not accepted beside the new one")
		}
		// The answer was lost: the phone asks again, by the old key.
		again, v, err := change(old, fresh)
		if err != nil || !v.OK || again.Version != got.Version {
			t.Errorf("asked again: %+v, version %d, %v", v, again.Version, err)
		}
		if _, _, err := change(old, other); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("the old key asks for others: %v", err)
		}
		// The new key in use ends the old one.
		m := h.message(got)
		_, err = h.Admit(t.Context(), m)
		must(t, err)
		if _, _, err := change(old, fresh); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("the old key after the new one was used: %v", err)
		}
		now := h.get(d.ID)
		if now.OldKeys[0].SignKey != nil || now.OldKeys[0].Sign != old {
			t.Errorf("what is kept of the old keys: %+v", now.OldKeys)
		}
		if _, _, err := change(now.SignKeyID, fresh); err != nil {
			t.Errorf("the same keys again: %v", err)
		}
		back := envelope.PublicKeys{Sign: other.Sign, Enc: fresh.Enc}
		if _, _, err := change(now.SignKeyID, back); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("half of the pair stays: %v", err)
		}
		holder := h.add("usr_2", func(d *handset.Device) { must(t, d.SetKeys(other)) })
		if _, _, err := change(now.SignKeyID, other); !errors.Is(err, handset.ErrKeyTaken) {
			t.Errorf("the keys of %s: %v", holder.ID, err)
		}
	})
}

func TestOldKeysEndByThemselves(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		old := d.SignKeyID
		_, _, err := h.ChangeKeys(h.ctx(), h.message(d), h.said(pin(secret(1))), mobiletest.Keys(t).Public(), nil)
		must(t, err)
		h.clock.Advance(handset.KeyOverlap)
		m := h.message(d)
		m.KID = old
		if _, err := h.Admit(t.Context(), m); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("the old key after the overlap: %v", err)
		}
	})
}

// TestKeysAreRolledWithAFactor: who has the device and not the PIN cannot take it over, and is counted.
func TestKeysAreRolledWithAFactor(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		for i, p := range []handset.Proof{{Statement: statement()}, pin(secret(9))} {
			got, v, err := h.ChangeKeys(h.ctx(), h.message(d), h.said(p), mobiletest.Keys(t).Public(), nil)
			if err != nil || v.OK || got.SignKeyID != d.SignKeyID || h.get(d.ID).Failures != i {
				t.Errorf("proof %d: %+v, %v", i, v, err)
			}
		}
		bare := h.add("usr_1", func(d *handset.Device) { d.Factors = nil })
		if _, v, err := h.ChangeKeys(h.ctx(), h.message(bare), h.said(handset.Proof{}), mobiletest.Keys(t).Public(), nil); err != nil || !v.OK {
			t.Errorf("a device without factors: %+v, %v", v, err)
		}
	})
}

func TestChangingFactors(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		var setBy string
		set := func(p handset.Proof, kind string, s *envelope.Secret) (handset.Verdict, error) {
			p = h.said(p)
			_, v, err := h.ChangeFactor(h.ctx(), h.message(d), p, kind, s)
			if v.OK && kind == envelope.FactorPIN {
				setBy = p.Statement.ID
			}
			return v, err
		}
		next, finger := envelope.Secret(secret(2)), envelope.Secret(secret(3))
		if v, err := set(pin(secret(9)), envelope.FactorPIN, &next); err != nil || v.OK || v.Remaining != 4 {
			t.Fatalf("with a wrong PIN: %+v, %v", v, err)
		}
		if v, err := set(pin(secret(1)), envelope.FactorPIN, &next); err != nil || !v.OK {
			t.Fatalf("with the PIN: %+v, %v", v, err)
		}
		if v, err := h.answer(d.ID, pin(secret(1))); err != nil || v.OK {
			t.Errorf("the old PIN: %+v, %v", v, err)
		}
		if v, err := h.answer(d.ID, pin(secret(2))); err != nil || !v.OK {
			t.Errorf("the new PIN: %+v, %v", v, err)
		}
		if v, err := set(pin(secret(2)), envelope.FactorBiometric, &finger); err != nil || !v.OK {
			t.Errorf("adding biometric: %+v, %v", v, err)
		}
		byFinger := proof(envelope.FactorBiometric, secret(3), envelope.FactorBiometric)
		if v, err := set(byFinger, envelope.FactorPIN, &next); err != nil || v.OK || v.Reason != handset.FactorNotAccepted {
			t.Errorf("changing the PIN with a finger: %+v, %v", v, err)
		}
		if v, err := set(pin(secret(2)), envelope.FactorBiometric, nil); err != nil || !v.OK {
			t.Errorf("removing biometric: %+v, %v", v, err)
		}
		if got := h.get(d.ID); got.Factors[0].SetBy != setBy {
			t.Errorf("the PIN was set by %q", got.Factors[0].SetBy)
		}
		if got := h.get(d.ID); len(got.Factors) != 1 {
			t.Errorf("it has %d factors", len(got.Factors))
		}
		for _, bad := range []struct {
			kind   string
			secret *envelope.Secret
		}{{envelope.FactorPIN, nil}, {"voice", &next}, {envelope.MethodPossession, &next}} {
			if _, err := set(pin(secret(2)), bad.kind, bad.secret); !errors.Is(err, handset.ErrInvalid) {
				t.Errorf("%q: %v", bad.kind, err)
			}
		}
	})
}

// TestPossessionMakesItselfWorthNoMore: a device without factors does not get one by possession.
func TestPossessionMakesItselfWorthNoMore(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) { d.Factors = nil })
		s := envelope.Secret(secret(2))
		_, _, err := h.ChangeFactor(h.ctx(), h.message(d), h.said(handset.Proof{Statement: statement()}), envelope.FactorPIN, &s)
		if !errors.Is(err, handset.ErrTransition) || len(h.get(d.ID).Factors) != 0 {
			t.Errorf("adding a PIN: %v", err)
		}
		withFinger := h.add("usr_1", func(d *handset.Device) { d.Factors[0].Kind = envelope.FactorBiometric })
		p := proof(envelope.FactorBiometric, secret(1), envelope.FactorBiometric)
		if _, v, err := h.ChangeFactor(h.ctx(), h.message(withFinger), h.said(p), envelope.FactorPIN, &s); err != nil || !v.OK {
			t.Errorf("adding a PIN with a finger: %+v, %v", v, err)
		}
	})
}

// TestAStatementIsUsedOnce: whoever has the device's key may put an old statement into a new message, and gains nothing by it: it
// is neither done nor tested again, whatever was said to it, as long as its clock would be taken.
func TestAStatementIsUsedOnce(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d, other := h.add("usr_1"), h.add("usr_1")
		finger, next := envelope.Secret(secret(3)), mobiletest.Keys(t).Public()
		uses := []struct {
			name  string
			proof handset.Proof
			use   func(m handset.Message, p handset.Proof) (handset.Verdict, error)
		}{
			{"a factor", pin(secret(1)), func(m handset.Message, p handset.Proof) (handset.Verdict, error) {
				_, v, err := h.ChangeFactor(h.ctx(), m, p, envelope.FactorBiometric, &finger)
				return v, err
			}},
			{"a wrong PIN", pin(secret(9)), func(m handset.Message, p handset.Proof) (handset.Verdict, error) {
				_, v, err := h.ChangeFactor(h.ctx(), m, p, envelope.FactorBiometric, nil)
				return v, err
			}},
			{"any wish", pin(secret(1)), func(m handset.Message, p handset.Proof) (v handset.Verdict, err error) {
				return v, h.update(func(tx storage.Tx) error {
					_, v, err = h.Wish(tx, m, &p, operator)
					return err
				})
			}},
			{"keys", pin(secret(1)), func(m handset.Message, p handset.Proof) (handset.Verdict, error) {
				_, v, err := h.ChangeKeys(h.ctx(), m, p, next, nil)
				return v, err
			}},
		}
		for _, u := range uses {
			p := h.said(u.proof)
			if _, err := u.use(h.message(h.get(d.ID)), p); err != nil {
				t.Fatalf("%s: %v", u.name, err)
			}
			before := h.get(d.ID)
			for range 2 {
				if _, err := u.use(h.message(before), p); !errors.Is(err, handset.ErrReplay) {
					t.Errorf("%s again: %v", u.name, err)
				}
				h.clock.Advance(30 * time.Second)
			}
			if after := h.get(d.ID); after.Version != before.Version || after.Failures != before.Failures {
				t.Errorf("%s again changes version %d, %d failures into %d, %d", u.name, before.Version, before.Failures, after.Version, after.Failures)
			}
			h.clock.Advance(time.Second)
			if _, err := u.use(h.message(h.get(d.ID)), p); !errors.Is(err, handset.ErrReplay) {
				t.Errorf("%s, when its clock is over: %v", u.name, err)
			}
		}
		// Another device, and a message, may have the same id.
		p := h.said(pin(secret(1)))
		m := h.message(h.get(d.ID))
		m.JTI = p.Statement.ID
		for _, m := range []handset.Message{m, h.message(other)} {
			if _, err := uses[0].use(m, p); err != nil {
				t.Errorf("the same id elsewhere: %v", err)
			}
		}
	})
}

// TestWishesOfThoseWhoMayNot: what a device asks about itself is asked by an active one of an active user, once.
func TestWishesOfThoseWhoMayNot(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		s := envelope.Secret(secret(2))
		wishes := map[string]func(m handset.Message) error{
			"factor": func(m handset.Message) error {
				_, _, err := h.ChangeFactor(h.ctx(), m, h.said(pin(secret(1))), envelope.FactorPIN, &s)
				return err
			},
			"keys": func(m handset.Message) error {
				_, _, err := h.ChangeKeys(h.ctx(), m, h.said(pin(secret(1))), mobiletest.Keys(t).Public(), nil)
				return err
			},
			"push": func(m handset.Message) error {
				_, err := h.ChangePush(h.ctx(), m, &handset.Push{Service: "apns", Address: m.JTI})
				return err
			},
		}
		for name, wish := range wishes {
			for _, status := range statuses {
				if status == handset.Active {
					continue
				}
				if err := wish(h.message(h.reach(status))); !errors.Is(err, handset.ErrUnusable) {
					t.Errorf("%s of a device that is %s: %v", name, status, err)
				}
			}
			d := h.reach(handset.Active)
			m := h.message(d)
			must(t, wish(m))
			m.KID = h.get(d.ID).SignKeyID
			if err := wish(m); !errors.Is(err, handset.ErrReplay) {
				t.Errorf("%s again: %v", name, err)
			}
			h.users.Lock(d.UserID)
			m.JTI = envelope.NewID()
			if err := wish(m); !errors.Is(err, handset.ErrUnusable) {
				t.Errorf("%s of a locked user: %v", name, err)
			}
			if _, err := h.Disconnect(h.ctx(), m); err != nil {
				t.Errorf("disconnecting after %s: %v", name, err)
			}
			if got := h.get(d.ID); got.Status != handset.Deactivated || got.StatusReason != handset.ByDevice {
				t.Errorf("it is %s for %q", got.Status, got.StatusReason)
			}
		}
	})
}

func TestHistoryAndAudit(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		h.clock.Advance(time.Second) // events of one moment have no order
		d, err := h.Rename(h.ctx(), d.ID, "Other", d.Version)
		must(t, err)
		h.clock.Advance(time.Second)
		phone := audit.WithActor(t.Context(), audit.Actor{ClientIP: "192.0.2.1"})
		_, err = h.ChangePush(phone, h.message(d), &handset.Push{Service: "apns", Address: "a"})
		must(t, err)
		h.clock.Advance(time.Second)
		_, err = h.Lock(h.ctx(), d.ID, "lost it")
		must(t, err)
		changes, err := h.History(t.Context(), d.ID, 0, 0)
		must(t, err)
		var got []string
		for _, c := range changes {
			got = append(got, fmt.Sprint(c.Version, " ", c.What, " ", c.Status, " ", c.Reason, " ", strings.Replace(c.By, d.ID, "ID", 1)))
		}
		want := []string{
			"1 [created] active  operator", "2 [renamed] active  operator",
			"3 [push] active  device:ID", "4 [status] locked lost it operator",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if rest, err := h.History(t.Context(), d.ID, 3, 1); err != nil || len(rest) != 1 || rest[0].Version != 4 {
			t.Errorf("a page of it: %v, %v", rest, err)
		}
		if _, err := h.History(t.Context(), "dev_", 0, 0); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		events, err := h.trail.List(t.Context(), time.Time{}, 0)
		must(t, err)
		got = nil
		for _, e := range events {
			got = append(got, fmt.Sprint(e.Name, " ", e.Subject, " ", e.ClientIP))
		}
		want = []string{"device.created usr_1 ", "device.renamed usr_1 ", "device.push usr_1 192.0.2.1", "device.status usr_1 "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
