// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
)

// What a [Finding] says happened.
const (
	EventAltered  = "event_altered"  // it is not what was sealed
	EventRemoved  = "event_removed"  // it is gone before its time
	EventInserted = "event_inserted" // it is in no seal, and not waiting for one
	SealAltered   = "seal_altered"   // its hash is not that of its content
	SealRemoved   = "seal_removed"   // it is gone before its time
	SealExchanged = "seal_exchanged" // it does not follow the one before it
	HeadAltered   = "head_altered"   // the head is not the last seal
	HeadRemoved   = "head_removed"   // there are seals and no head
	KeyRemoved    = "key_removed"    // there are seals and no key to check them with
	TakenBack     = "taken_back"     // a head that was noted is not in the chain
)

// MaxFindings is how many findings a report names; all are counted.
const MaxFindings = 100

// Finding is one thing that is not as it was written.
type Finding struct {
	What string `json:"what"`
	// Event is the id of the event it is about, if it is about one.
	Event string `json:"event,omitempty"`
	// Seal is the number of the seal it was found by.
	Seal uint64 `json:"seal,omitempty"`
}

// Report is what [Trail.Verify] has found.
type Report struct {
	// Head is the last seal. Noted elsewhere it proves the next time that nothing up to here was taken back.
	Head Head `json:"head"`
	// First is the number of the oldest seal that is kept.
	First uint64 `json:"first,omitempty"`
	Seals int    `json:"seals"`
	// Events counts those that are as they were sealed; Expired those that were sealed and kept their time; Unsealed those that came
	// within the last moments and wait for a seal.
	Events   int `json:"events"`
	Expired  int `json:"expired"`
	Unsealed int `json:"unsealed"`
	// Found counts the findings, of which Findings names the first.
	Found    int       `json:"found"`
	Findings []Finding `json:"findings"`
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return r.Found == 0 }

// Pages of what is read in one transaction.
const (
	sealPage  = 16
	eventPage = 512
	// A seal holds events in their order, but for those that committed late; that far behind they are looked for.
	lateMilli = 60 * 60 * 1000
	// maxSuspects is how many events are looked for in every seal before they are called inserted.
	maxSuspects = 10_000
)

// Verify reads the whole trail and reports what is not as it was written, as far as the chain tells (see the package). Heads that
// were noted earlier are looked for in it. It may run beside everything else, and holds neither the trail nor a transaction for
// long. An error means that it did not come to an end.
func (t *Trail) Verify(ctx context.Context, noted ...Head) (Report, error) {
	v := verifier{trail: t, ctx: ctx, noted: map[uint64]string{}, pending: map[string]struct{}{}}
	v.report.Findings = []Finding{}
	for _, h := range noted {
		if h.Sequence > 0 { // else it was noted before the first seal
			v.noted[h.Sequence] = h.Hash
		}
	}
	if err := v.run(); err != nil {
		return Report{}, fmt.Errorf("verifying the audit trail: %w", err)
	}
	return v.report, nil
}

// verifier goes through events and seals side by side.
type verifier struct {
	trail  *Trail
	ctx    context.Context
	key    []byte
	report Report
	noted  map[uint64]string

	page     []storage.Item // of seals, that were read and not looked at
	last     link           // the seal looked at last
	sealsEnd bool

	// pending are events that are in a seal and have not come by yet.
	pending  map[string]struct{}
	reached  int64 // the latest event among those of the seals looked at, in Unix milliseconds
	suspects map[string]struct{}
}

// link is what the next seal refers to.
type link struct {
	sequence uint64
	hash     string
}

func (v *verifier) find(what, event string, seal uint64) {
	if v.report.Found++; len(v.report.Findings) < MaxFindings {
		v.report.Findings = append(v.report.Findings, Finding{What: what, Event: event, Seal: seal})
	}
}

func (v *verifier) view(fn func(tx storage.Tx) error) error { return v.trail.db.View(v.ctx, fn) }

func (v *verifier) run() error {
	if ok, err := v.open(); err != nil || !ok {
		return err
	}
	if err := v.events(); err != nil {
		return err
	}
	for !v.sealsEnd {
		if err := v.nextSeal(); err != nil {
			return err
		}
	}
	if err := v.clear(); err != nil {
		return err
	}
	for sequence := range v.noted {
		v.find(TakenBack, "", sequence)
	}
	return nil
}

// open reads the key. Without one nothing can be said of seals, if there are any.
func (v *verifier) open() (ok bool, err error) {
	err = v.view(func(tx storage.Tx) error {
		v.key, err = v.trail.chainKey(tx)
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		v.key = nil
		for range tx.Scan(sealPrefix, "", 1) {
			v.find(KeyRemoved, "", 0)
		}
		return nil
	})
	return v.report.Found == 0, err
}

// events goes through the events in their order and through the seals as far as they may be in them.
func (v *verifier) events() error {
	prefix := v.trail.events.Name + "/"
	for after := ""; ; {
		var ids []string
		marked := map[string]bool{}
		if err := v.view(func(tx storage.Tx) error {
			ids = ids[:0]
			for item, err := range tx.Scan(prefix, after, eventPage) {
				if err != nil {
					return err
				}
				after = item.Key
				id := strings.TrimPrefix(item.Key, prefix)
				ids = append(ids, id)
				if _, err := tx.Get(markPrefix + id); err == nil {
					marked[id] = true
				} else if !errors.Is(err, storage.ErrNotFound) {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		for _, id := range ids {
			if err := v.event(id, marked[id]); err != nil {
				return err
			}
		}
		if len(ids) < eventPage {
			return nil
		}
	}
}

// event looks for an event among those that are sealed.
func (v *verifier) event(id string, marked bool) error {
	if marked {
		v.report.Unsealed++
		return nil
	}
	for _, sealed := v.pending[id]; !sealed && !v.sealsEnd && v.reached <= milliOf(id)+lateMilli; _, sealed = v.pending[id] {
		if err := v.nextSeal(); err != nil {
			return err
		}
	}
	if _, sealed := v.pending[id]; sealed {
		delete(v.pending, id)
		return nil
	}
	if len(v.suspects) >= maxSuspects {
		v.find(EventInserted, id, 0)
		return nil
	}
	if v.suspects == nil {
		v.suspects = map[string]struct{}{}
	}
	v.suspects[id] = struct{}{}
	return nil
}

// milliOf returns the time in an event's id; zero for one that is none of ours.
func milliOf(id string) int64 {
	digits, _, _ := strings.Cut(id, ".")
	milli, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return milli
}

// nextSeal looks at one more seal, or compares the head when there is none.
func (v *verifier) nextSeal() error {
	return v.view(func(tx storage.Tx) error {
		if len(v.page) == 0 {
			after := ""
			if v.last.sequence > 0 {
				after = sealKey(v.last.sequence)
			}
			for item, err := range tx.Scan(sealPrefix, after, sealPage) {
				if err != nil {
					return err
				}
				v.page = append(v.page, item)
			}
		}
		if len(v.page) == 0 {
			v.sealsEnd = true
			return v.head(tx)
		}
		item := v.page[0]
		v.page = v.page[1:]
		return v.seal(tx, item)
	})
}

// seal checks a seal, that it follows the one before it, and the events it holds.
func (v *verifier) seal(tx storage.Tx, item storage.Item) error {
	sequence, err := strconv.ParseUint(strings.TrimPrefix(item.Key, sealPrefix), 10, 64)
	var stored sealed
	var body seal
	if err != nil || decode(item.Value, &stored) != nil || !written(stored, item.Value) || !equal(stored.Hash, sealHash(v.key, sequence, stored.Body)) ||
		decode(append([]byte{1}, stored.Body...), &body) != nil || body.Sequence != sequence {
		v.find(SealAltered, "", sequence)
		v.last = link{max(sequence, v.last.sequence+1), stored.Hash}
		return nil
	}
	v.report.Seals++
	v.follow(&body)
	v.last = link{sequence, stored.Hash}
	if want, ok := v.noted[sequence]; ok && equal(want, stored.Hash) {
		delete(v.noted, sequence)
	}
	for _, p := range body.Events {
		if err := v.proof(tx, sequence, p); err != nil {
			return err
		}
	}
	return nil
}

func written(s sealed, as []byte) bool {
	value, err := s.value()
	return err == nil && bytes.Equal(value, as)
}

// follow checks a seal against the one before it. Seals expire in their order, so only the first that is there may lack it.
func (v *verifier) follow(s *seal) {
	now := v.trail.now().UnixMilli()
	switch {
	case v.last.sequence == 0:
		v.report.First = s.Sequence
		if s.Sequence > 1 && now < s.PreviousUntil {
			v.find(SealRemoved, "", s.Sequence-1)
		}
		for sequence := range v.noted {
			if sequence < s.Sequence && now >= s.PreviousUntil {
				delete(v.noted, sequence) // it has had its time, as have its events
			}
		}
	case s.Sequence != v.last.sequence+1:
		v.find(SealRemoved, "", v.last.sequence+1)
	case !equal(s.Previous, v.last.hash):
		v.find(SealExchanged, "", s.Sequence)
	}
}

// proof checks an event against what its seal says.
func (v *verifier) proof(tx storage.Tx, sequence uint64, p proof) error {
	v.reached = max(v.reached, milliOf(p.ID))
	item, err := tx.Get(v.trail.events.Name + "/" + p.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		if p.Hash != "" && v.trail.now().UnixMilli() >= p.Until {
			v.report.Expired++
		} else {
			v.find(EventRemoved, p.ID, sequence)
		}
		return nil
	case err != nil:
		return err
	case !equal(p.Hash, eventHash(v.key, p.ID, item.Value)) || item.ExpiresAt.UnixMilli() != p.Until:
		v.find(EventAltered, p.ID, sequence)
	default:
		v.report.Events++
	}
	v.pending[p.ID] = struct{}{}
	return nil
}

// head compares the head with the last seal, in the transaction that found no other.
func (v *verifier) head(tx storage.Tx) error {
	head, err := readHead(tx)
	v.report.Head = head.public()
	switch {
	case errors.Is(err, errDamaged):
		v.find(HeadAltered, "", v.last.sequence)
	case err != nil:
		return err
	case head.Sequence == 0 && v.last.sequence > 0:
		v.find(HeadRemoved, "", v.last.sequence)
	case v.last.sequence == 0 && head.Sequence > 0:
		if v.trail.now().UnixMilli() < head.Until {
			v.find(SealRemoved, "", head.Sequence)
		}
		v.forget(head)
	case head.Sequence > v.last.sequence:
		v.find(SealRemoved, "", head.Sequence)
	case head.Sequence < v.last.sequence || !equal(head.Hash, v.last.hash):
		v.find(HeadAltered, "", v.last.sequence)
	}
	return nil
}

// forget drops noted heads of a chain whose seals have all expired; the last is still the head.
func (v *verifier) forget(head storedHead) {
	for sequence, hash := range v.noted {
		if sequence < head.Sequence || sequence == head.Sequence && equal(hash, head.Hash) {
			delete(v.noted, sequence)
		}
	}
}

// clear looks through all seals for the events that were not found where they should have been.
func (v *verifier) clear() error {
	for after := ""; len(v.suspects) > 0; {
		n := 0
		if err := v.view(func(tx storage.Tx) error {
			n = 0
			for item, err := range tx.Scan(sealPrefix, after, sealPage) {
				if err != nil {
					return err
				}
				n, after = n+1, item.Key
				var stored sealed
				var body seal
				if decode(item.Value, &stored) == nil && decode(append([]byte{1}, stored.Body...), &body) == nil {
					for _, p := range body.Events {
						delete(v.suspects, p.ID)
					}
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	for id := range v.suspects {
		v.find(EventInserted, id, 0)
	}
	return nil
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
