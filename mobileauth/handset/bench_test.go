// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// BenchmarkAnswer is what an answer costs here: a message accepted and a PIN verified, in one transaction.
func BenchmarkAnswer(b *testing.B) {
	h := newHouse(b, 0)
	d := h.add("usr_1")
	by := audit.Actor{By: "device:" + d.ID}
	b.ReportAllocs()
	for b.Loop() {
		m, said := h.message(d), h.said(pin(secret(1)))
		err := h.update(func(tx storage.Tx) error {
			d, err := h.Accept(tx, m)
			if err != nil {
				return err
			}
			v, err := h.Verify(tx, &d, said, by)
			if err == nil && !v.OK {
				b.Errorf("the verdict is %+v", v)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeys is the price of finding the keys of a message's sender.
func BenchmarkKeys(b *testing.B) {
	h := newHouse(b, 0)
	d := h.add("usr_1")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := d.Keys(d.SignKeyID, h.clock.Now()); !ok {
			b.Fatal("the key is not known")
		}
	}
}
