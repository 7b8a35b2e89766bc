// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Identity is a key and what was issued for it.
type Identity struct {
	// Installation is what the device calls itself: random, and never changed while the key is kept.
	Installation string
	// Key is on P-256. It may be one that the platform keeps and never shows.
	Key crypto.Signer
	// Chain is the certificate, in DER, and what leads from it towards a root; empty before there is one.
	Chain [][]byte
}

// Storage keeps identities by name: one for each server, and for each entity there; and another one while its key is replaced.
type Storage interface {
	// Load returns what was saved under the name, and the zero value when nothing was.
	Load(ctx context.Context, name string) (Identity, error)
	// Save keeps an identity, also when the process ends at once. With the zero value it takes away what was kept under the name, which
	// happens where [Config].Rekey is used.
	Save(ctx context.Context, name string, identity Identity) error
}

// Folder is a [Storage] of files that only their owner can read: for programs on a computer, and for tests. A phone has a better place.
type Folder string

// file is what a [Folder] keeps.
type file struct {
	Installation string   `json:"installation"`
	Key          []byte   `json:"key"` // PKCS #8
	Chain        [][]byte `json:"chain,omitempty"`
}

func (f Folder) path(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(string(f), hex.EncodeToString(sum[:16])+".json")
}

// Load reads a file.
func (f Folder) Load(_ context.Context, name string) (Identity, error) {
	data, err := os.ReadFile(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, fmt.Errorf("reading an identity: %w", err)
	}
	var kept file
	if err := json.Unmarshal(data, &kept); err != nil {
		return Identity{}, fmt.Errorf("reading an identity: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(kept.Key)
	if err != nil {
		return Identity{}, errors.New("reading an identity: there is no key in it") // the cause may quote some of it
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return Identity{}, errors.New("reading an identity: the key does not sign")
	}
	return Identity{Installation: kept.Installation, Key: signer, Chain: kept.Chain}, nil
}

// Save writes a file in the place of the one before. A key that cannot leave where it is cannot be saved in a file.
func (f Folder) Save(_ context.Context, name string, identity Identity) error {
	if identity.Key == nil {
		if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("taking an identity away: %w", err)
		}
		return nil
	}
	key, err := x509.MarshalPKCS8PrivateKey(identity.Key)
	if err != nil {
		return errors.New("keeping an identity: the key cannot be written into a file")
	}
	data, err := json.Marshal(file{Installation: identity.Installation, Key: key, Chain: identity.Chain})
	if err != nil {
		return fmt.Errorf("keeping an identity: %w", err)
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return fmt.Errorf("keeping an identity: %w", err)
	}
	fresh, err := os.CreateTemp(string(f), ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("keeping an identity: %w", err)
	}
	_, err = fresh.Write(data)
	err = errors.Join(err, fresh.Sync(), fresh.Close())
	if err == nil {
		err = os.Rename(fresh.Name(), f.path(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keeping an identity: %w", err), os.Remove(fresh.Name()))
	}
	return nil
}
