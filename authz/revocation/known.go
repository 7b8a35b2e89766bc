// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"maps"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
)

// kinds are the kinds of revocation by their slot in an index.
var kinds = [...]authz.Kind{authz.KindToken, authz.KindGrant, authz.KindSession, authz.KindSubject, authz.KindClient}

// Slots of an index.
const (
	token = iota
	grant
	session
	subject
	client
)

// index holds revocations by kind and target. A published index never changes.
type index [len(kinds)]map[string]authz.Revocation

// maxRecent is how many entries stand beside the base before they are merged into it: publishing a revocation copies the
// recent ones and not all there are.
const maxRecent = 1024

// known is everything a view knows. Of a target in both parts the recent one counts: it is the later.
type known struct {
	base, recent *index
}

func (k *known) find(slot int, target string) (authz.Revocation, bool) {
	if target == "" {
		return authz.Revocation{}, false
	}
	if m := k.recent[slot]; len(m) > 0 {
		if r, ok := m[target]; ok {
			return r, true
		}
	}
	if m := k.base[slot]; len(m) > 0 {
		r, ok := m[target]
		return r, ok
	}
	return authz.Revocation{}, false
}

// named reports whether the very thing is revoked.
func (k *known) named(slot int, target string) bool {
	_, ok := k.find(slot, target)
	return ok
}

// cutOff compares whole seconds, as tokens keep them: one issued in the very second of the revocation is dead.
func (k *known) cutOff(slot int, target string, issued time.Time) bool {
	r, ok := k.find(slot, target)
	return ok && issued.Unix() <= r.At.Unix()
}

// with returns what is known after more revocations. Of two cut-offs of one target the later counts.
func (k *known) with(more []authz.Revocation) *known {
	next := &known{base: k.base, recent: k.recent.clone()}
	for _, r := range more {
		slot := slotOf(r.Kind)
		if slot < 0 {
			continue
		}
		if have, ok := k.find(slot, r.Target); ok && !have.At.Before(r.At) {
			continue
		}
		if have, ok := next.recent[slot][r.Target]; ok && !have.At.Before(r.At) {
			continue
		}
		next.recent.put(slot, r)
	}
	if next.recent.size() > maxRecent {
		return next.settle(time.Time{})
	}
	return next
}

// settle merges the recent entries into the base, without those that have expired at now.
func (k *known) settle(now time.Time) *known {
	base := new(index)
	for _, part := range []*index{k.base, k.recent} {
		for slot, m := range part {
			for _, r := range m {
				if now.Before(r.ExpiresAt) {
					base.put(slot, r)
				}
			}
		}
	}
	return &known{base: base, recent: new(index)}
}

// expired reports whether any entry has expired at now.
func (k *known) expired(now time.Time) bool {
	for _, part := range []*index{k.base, k.recent} {
		for _, m := range part {
			for _, r := range m {
				if !now.Before(r.ExpiresAt) {
					return true
				}
			}
		}
	}
	return false
}

func (i *index) clone() *index {
	next := new(index)
	for slot, m := range i {
		next[slot] = maps.Clone(m)
	}
	return next
}

func (i *index) put(slot int, r authz.Revocation) {
	if i[slot] == nil {
		i[slot] = map[string]authz.Revocation{}
	}
	i[slot][r.Target] = r
}

func (i *index) size() int {
	n := 0
	for _, m := range i {
		n += len(m)
	}
	return n
}

func slotOf(kind authz.Kind) int {
	for slot, k := range kinds {
		if k == kind {
			return slot
		}
	}
	return -1
}
