// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/seal"
)

func TestParseKeyReadsEverySpelling(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{0xfb, 0xff, 0x3e, 0x01}, 8)
	var id string
	tests := []struct{ name, text string }{
		{"standard", base64.StdEncoding.EncodeToString(secret)},
		{"standard without padding", base64.RawStdEncoding.EncodeToString(secret)},
		{"URL", base64.URLEncoding.EncodeToString(secret)},
		{"URL without padding", base64.RawURLEncoding.EncodeToString(secret)},
		{"hexadecimal", hex.EncodeToString(secret)},
		{"hexadecimal in capitals", strings.ToUpper(hex.EncodeToString(secret))},
		{"line break behind", base64.StdEncoding.EncodeToString(secret) + "\r\n"},
		{"space around", "  " + hex.EncodeToString(secret) + "\t"},
	}
	for _, tt := range tests {
		k, err := seal.ParseKey(tt.text)
		if err != nil || !bytes.Equal(k.Secret, secret) {
			t.Errorf("%s: ParseKey = %x, %v", tt.name, k.Secret, err)
		}
		if id == "" {
			id = k.ID
		}
		if k.ID == "" || k.ID != id {
			t.Errorf("%s: identifier %q, want one for all spellings: %q", tt.name, k.ID, id)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"space", " \n"},
		{"16 bytes", base64.StdEncoding.EncodeToString(make([]byte, 16))},
		{"31 bytes", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab1"), 11)[:31])},
		{"33 bytes", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab1"), 11))},
		{"64 characters that are not hexadecimal", strings.Repeat("zy", 32)},
		{"a pass phrase", "correct horse battery staple"},
		{"a pass phrase of 32 bytes", "correct horse battery staple 123"},
		{"bits to spare", strings.Repeat("ab", 21) + "B"},
		{"a placeholder", strings.Repeat("0", 64)},
		{"two lines", strings.Repeat("a1", 16) + "\n" + strings.Repeat("a1", 16)},
		{"a private key", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIH\n-----END PRIVATE KEY-----"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := seal.ParseKey(tt.text)
			if !errors.Is(err, seal.ErrKey) {
				t.Fatalf("ParseKey = %v, %v, want ErrKey", k, err)
			}
			if text := strings.TrimSpace(tt.text); len(text) > 4 && strings.Contains(err.Error(), text[:4]) {
				t.Errorf("the error quotes the text: %v", err)
			}
		})
	}
}

func TestKeyFileIsCreatedOnceAndReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seal.key")
	first, err := seal.LoadOrCreateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := seal.LoadOrCreateFile(path)
	if err != nil || !bytes.Equal(first.Secret, second.Secret) || first.ID != second.ID {
		t.Errorf("second load = %v, %v, want %v", second, err, first)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	onlyFile(t, path)
	sealed := mustSeal(t, mustNew(t, first), "l", "x")
	if _, err := mustNew(t, second).Open("l", sealed); err != nil {
		t.Error(err)
	}
}

func TestEachFileHasItsOwnKey(t *testing.T) {
	t.Parallel()
	one, err := seal.LoadOrCreateFile(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := seal.LoadOrCreateFile(filepath.Join(t.TempDir(), "k"))
	if err != nil || bytes.Equal(one.Secret, two.Secret) || one.ID == two.ID {
		t.Errorf("two files hold %v and %v, %v", one, two, err)
	}
}

func TestRacingCreatorsAgree(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "seal.key")
		keys := make([]seal.Key, 16)
		errs := make([]error, len(keys))
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				<-start
				keys[i], errs[i] = seal.LoadOrCreateFile(path)
			})
		}
		close(start)
		wg.Wait()
		for i := range keys {
			if errs[i] != nil || !bytes.Equal(keys[i].Secret, keys[0].Secret) {
				t.Fatalf("creator %d has %v, %v; creator 0 has %v", i, keys[i], errs[i], keys[0])
			}
		}
		onlyFile(t, path)
	}
}

// onlyFile fails when anything was left beside the key file.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory holds %v, %v, want the key file alone", entries, err)
	}
}

func TestKeyFileRefuses(t *testing.T) {
	t.Parallel()
	good := hex.EncodeToString(key("", 1).Secret)
	tests := []struct {
		name, text string
		mode       fs.FileMode
		wantText   string
	}{
		{"readable by the group", good, 0o640, "0640"},
		{"readable by everyone", good, 0o644, "0644"},
		{"writable by everyone", good, 0o602, "0602"},
		{"empty", "", 0o600, "32 bytes"},
		{"cut", good[:40], 0o600, "32 bytes"},
		{"too long", good + good, 0o600, "32 bytes"},
		{"binary", "\x00\x01\x02", 0o600, "32 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "seal.key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := seal.LoadOrCreateFile(path)
			if !errors.Is(err, seal.ErrKey) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.wantText) {
				t.Errorf("LoadOrCreateFile = %v, want ErrKey with path and %q", err, tt.wantText)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.text {
				t.Errorf("the refused file was changed to %q, %v", got, err)
			}
		})
	}
}

func TestOwnerReadableFilesAreTaken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(path, []byte(hex.EncodeToString(key("", 1).Secret)), 0o400); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "mounted")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if k, err := seal.LoadOrCreateFile(name); err != nil || !bytes.Equal(k.Secret, key("", 1).Secret) {
			t.Errorf("LoadOrCreateFile(%q) = %v, %v", name, k, err)
		}
	}
}

func TestKeyFileIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere", "key"), dangling); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       error
	}{
		{"a directory", dir, seal.ErrKey},
		{"in no directory", filepath.Join(dir, "missing", "key"), fs.ErrNotExist},
		{"a dangling link", dangling, fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := seal.LoadOrCreateFile(tt.path); !errors.Is(err, tt.want) {
				t.Errorf("LoadOrCreateFile = %v, want %v", err, tt.want)
			}
		})
	}
}
