// SPDX-License-Identifier: Apache-2.0

//go:build linux

package caddy_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHealthOfAFullDisk: who asks how the server is learns that the disk is full, while everything can be read still.
func TestHealthOfAFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("gatehouse", disk, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("a full disk is not tried: mounting a small file system needs root (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	h := start(t, "", "")
	h.reload(t, strings.Replace(h.current(), "storage badger data", "storage badger "+filepath.Join(disk, "data"), 1))
	want := func(when string, status int, says string) {
		t.Helper()
		got := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/gatehouse/health")
		if got.Status != status || !strings.Contains(got.Body, says) {
			t.Errorf("%s: health is %d %s", when, got.Status, got.Body)
		}
	}
	want("before", http.StatusOK, `"store":"ok"`)
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Fallocate(int(ballast.Fd()), 0, 0, 160<<20), ballast.Close()); err != nil {
		t.Fatal(err)
	}
	want("full", http.StatusServiceUnavailable, "no space left for the store")
	if got := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/gatehouse/users/alice"); got.Status != http.StatusOK {
		t.Errorf("reading a user: %d %s", got.Status, got.Body)
	}
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	want("with room again", http.StatusOK, `"store":"ok"`)
}
