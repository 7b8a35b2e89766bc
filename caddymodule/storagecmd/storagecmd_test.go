// SPDX-License-Identifier: Apache-2.0

package storagecmd_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/caddymodule/storagecmd"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

// call gives a command on a store without a server, and returns what it printed.
func call(t *testing.T, args ...string) (said string, err error) {
	t.Helper()
	cmd := storagecmd.Command(func(*cobra.Command, string, string) ([]byte, error) { return nil, errors.New("no configuration") })
	for _, name := range []string{"address", "config", "adapter"} {
		cmd.PersistentFlags().String(name, "", "")
	}
	cmd.PersistentFlags().Bool("json", false, "")
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--address", "unix/"+filepath.Join(t.TempDir(), "none")))
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// store makes a store with one item, and returns how it is named.
func store(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: dir, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(storage.Item{Key: "a/1", Value: []byte("1")}) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return "badger:" + dir
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("old"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestKeepStaysInItsFolder: older backups are removed where the new one is, whatever the folder is called, and nothing else.
func TestKeepStaysInItsFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	const old = "gatehouse-20250102T030405Z.backup"
	goes := filepath.Join(root, "of [ab]", old)
	stay := []string{
		filepath.Join(root, "of a", old), filepath.Join(root, "of [ab]", "gatehouse-20250102T030405.5Z.backup"),
		filepath.Join(root, "of [ab]", "gatehouse-copied-bTyhand0Z.backup"), filepath.Join(root, "of [ab]", "gatehouse-20240102T030405Z.backup", "x"),
	}
	for _, path := range append(stay, goes) {
		write(t, path)
	}
	if said, err := call(t, "backup", filepath.Join(root, "of [ab]"), "--keep", "1", "--store", store(t)); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if _, err := os.Stat(goes); !os.IsNotExist(err) {
		t.Errorf("the older backup is there: %v", err)
	}
	for _, path := range stay {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestDiscardWantsANewFile: what is taken out of a store goes into no file that somebody else has put there.
func TestDiscardWantsANewFile(t *testing.T) {
	t.Parallel()
	there, link := filepath.Join(t.TempDir(), "there"), filepath.Join(t.TempDir(), "link")
	write(t, there)
	if err := os.Symlink(there, link); err != nil {
		t.Skip(err)
	}
	const key = "7Wb0Yh1kq3zJr0s6nXG5m0g0T1nq8vK2m4p6r8t0w2Y="
	for _, path := range []string{there, link} {
		_, err := call(t, "check", "--discard", path, "--store", store(t), "--seal-key", key)
		if err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("it says %v", err)
		}
	}
	path := filepath.Join(t.TempDir(), "new")
	if said, err := call(t, "check", "--discard", path, "--store", store(t), "--seal-key", key); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the new one: %v, %v", info, err)
	}
}

// TestFilesTellTheTerminalNothing: an export is somebody else's text.
func TestFilesTellTheTerminalNothing(t *testing.T) {
	t.Parallel()
	var export bytes.Buffer
	w, err := transfer.NewWriter(&export, transfer.Header{ID: "exp_1", Source: "\x1b[2Jbadger"})
	if err != nil {
		t.Fatal(err)
	}
	err = w.Add(storage.Item{Key: "\x1b]0;owned\x07/1", Value: []byte("1")})
	_, closed := w.Close()
	path := filepath.Join(t.TempDir(), "export")
	if err := errors.Join(err, closed, os.WriteFile(path, export.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"stats", path}, {"import", path, "--dry-run", "--store", store(t), "--overwrite"}} {
		said, err := call(t, args...)
		if err != nil || strings.ContainsAny(said, "\x1b\x07") || !strings.Contains(said, `\x1b`) {
			t.Errorf("%s: %q, %v", args[0], said, err)
		}
	}
}

// TestAFileThatAnybodyMade is taken by nobody who does not say so: it could hold a login of its maker's.
func TestAFileThatAnybodyMade(t *testing.T) {
	t.Parallel()
	const text = "7Wb0Yh1kq3zJr0s6nXG5m0g0T1nq8vK2m4p6r8t0w2Y="
	key, err := seal.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	probe, err := transfer.Probe(sealer) // as it stands in any backup
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]transfer.Header{"bare": {ID: "exp_1"}, "probed": {ID: "exp_1", Probe: probe}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var export bytes.Buffer
			w, err := transfer.NewWriter(&export, header)
			if err != nil {
				t.Fatal(err)
			}
			err = w.Add(storage.Item{Key: "session/mine", Value: []byte("1")})
			_, closed := w.Close()
			path, at := filepath.Join(t.TempDir(), "export"), store(t)
			if err := errors.Join(err, closed, os.WriteFile(path, export.Bytes(), 0o600)); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"restore", path}, {"restore", path, "--dry-run"}, {"import", path, "--overwrite", "--dry-run"},
			} {
				args = append(args, "--store", at, "--seal-key", text)
				if said, err := call(t, args...); !errors.Is(err, transfer.ErrUnproven) {
					t.Errorf("%s: %v: %s", args[0], err, said)
				}
				if said, err := call(t, append(args, "--unproven", "--dry-run")...); err != nil {
					t.Errorf("%s, told so: %v: %s", args[0], err, said)
				}
			}
			if said, err := call(t, "stats", "--store", at); err != nil || strings.Contains(said, "session") {
				t.Errorf("afterwards there is %s, %v", said, err)
			}
		})
	}
}
