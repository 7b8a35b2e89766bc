// SPDX-License-Identifier: Apache-2.0

//go:build unix

package seal_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/seal"
)

// Opening a pipe for reading waits for whoever writes, which would hang the start.
func TestKeyFileIsNoPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.LoadOrCreateFile(path); !errors.Is(err, seal.ErrKey) {
		t.Errorf("LoadOrCreateFile = %v, want ErrKey", err)
	}
}
