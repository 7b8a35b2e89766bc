// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"fmt"

	"github.com/gatehouse-id/gatehouse/storage"
)

// space watches the file system, because Badger must never meet its end.
type space struct {
	dir     string
	reserve int64
}

// check refuses writes below the reserve.
func (s space) check() error { return s.need(s.reserve) }

// checkOpen refuses to open the store where Badger could not even write out what it finds in its logs.
func (s space) checkOpen() error { return s.need(s.reserve / 4) }

func (s space) need(bytes int64) error {
	left, err := free(s.dir)
	switch {
	case err != nil:
		return err
	case left < bytes:
		return fmt.Errorf("%w: %d MiB left on the file system of %q, %d MiB needed",
			storage.ErrFull, left>>20, s.dir, bytes>>20)
	}
	return nil
}
