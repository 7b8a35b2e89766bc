// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A stored value is one byte of version, the moment of expiry as a varint of milliseconds since 1970 (zero is never), and
// the value.
const envelopeVersion = 1

// maxEnvelope is what an envelope adds to a value at most.
const maxEnvelope = 1 + binary.MaxVarintLen64

func sealEnvelope(expires time.Time, value []byte) []byte {
	sealed := make([]byte, 1, maxEnvelope+len(value))
	sealed[0] = envelopeVersion
	var moment int64
	if !expires.IsZero() {
		// 1970 itself is long past whatever the clock says, so its neighbour may stand for it.
		if moment = expires.UnixMilli(); moment == 0 {
			moment = -1
		}
	}
	sealed = binary.AppendVarint(sealed, moment)
	return append(sealed, value...)
}

// openEnvelope returns parts of sealed, not copies.
func openEnvelope(sealed []byte) (expires time.Time, value []byte, err error) {
	if len(sealed) == 0 || sealed[0] != envelopeVersion {
		return time.Time{}, nil, fmt.Errorf("a value is not of this format: %w", ErrDamaged)
	}
	moment, n := binary.Varint(sealed[1:])
	if n <= 0 {
		return time.Time{}, nil, fmt.Errorf("a value ends in its header: %w", ErrDamaged)
	}
	if moment != 0 {
		expires = time.UnixMilli(moment).UTC()
	}
	return expires, sealed[1+n:], nil
}
