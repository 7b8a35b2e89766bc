// SPDX-License-Identifier: Apache-2.0

//go:build linux || darwin || freebsd

package badgerstore

import (
	"fmt"
	"syscall"
)

// free returns how many bytes an ordinary user can still write to the file system of dir.
func free(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("asking for the space left: %w", err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}
