// SPDX-License-Identifier: Apache-2.0

package record

import (
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Desks describes where the desks of users are kept.
func Desks(sealer storage.Sealer) storage.Table[Desk] {
	return storage.Table[Desk]{
		Name: "operation_desk", Version: 1, Sealer: sealer,
		ID:     func(d *Desk) string { return d.UserID },
		Expiry: (*Desk).Expires,
	}
}

// Keys describes where the keys of those who start operations are kept.
func Keys() storage.Table[Key] {
	return storage.Table[Key]{
		Name: "operation_key", Version: 1,
		ID:     func(k *Key) string { return k.Name },
		Expiry: func(k *Key) time.Time { return k.Until },
	}
}
