// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		expires time.Time
		want    time.Time
	}{
		{"never", time.Time{}, time.Time{}},
		{"a moment", time.UnixMilli(1767323045123), time.UnixMilli(1767323045123)},
		{"cut to the millisecond", time.Unix(1767323045, 123999999), time.UnixMilli(1767323045123)},
		{"before 1970", time.UnixMilli(-5), time.UnixMilli(-5)},
		{"1970 itself is not never", time.UnixMilli(0), time.UnixMilli(-1)},
		{"the year 9999", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, value := range []string{"", "v", "\x00\x01"} {
				expires, got, err := badgerstore.OpenEnvelope(badgerstore.SealEnvelope(test.expires, []byte(value)))
				if err != nil || string(got) != value || !expires.Equal(test.want) {
					t.Errorf("%q came back as %q until %v and %v", value, got, expires, err)
				}
			}
		})
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add([]byte{1, 0x80})
	f.Add([]byte{2, 0, 'v'})
	f.Add(badgerstore.SealEnvelope(time.UnixMilli(1767323045123), []byte("value")))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		expires, value, err := badgerstore.OpenEnvelope(sealed)
		if err != nil {
			if !errors.Is(err, badgerstore.ErrDamaged) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		again, same, err := badgerstore.OpenEnvelope(badgerstore.SealEnvelope(expires, value))
		if err != nil || !bytes.Equal(value, same) || !again.Equal(expires) {
			t.Fatalf("%x does not survive being written again", sealed)
		}
	})
}
