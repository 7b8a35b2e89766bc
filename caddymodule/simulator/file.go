// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// phone is what stands in a file.
type phone struct {
	Version int               `json:"v"`
	State   device.State      `json:"state"`
	Keys    *device.SoftStore `json:"keys"`
	// Push is where notifications go, nil for nowhere.
	Push *reach `json:"push,omitempty"`
	// Platform is the one that it says it is of.
	Platform string `json:"platform,omitempty"`

	path string
}

const fileVersion = 1

// newPhone returns a phone that is to be enrolled. A file that is there is another phone and is left alone.
func newPhone(path string) (*phone, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s is a phone already: choose another --file, or disconnect that one first", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for the phone: %w", err)
	}
	return &phone{Version: fileVersion, Keys: new(device.SoftStore), path: path}, nil
}

func openPhone(path string) (*phone, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no phone in %s: make one with \"device enroll\"", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the phone: %w", err)
	}
	p := &phone{Keys: new(device.SoftStore), path: path}
	if json.Unmarshal(data, p) != nil || p.Version != fileVersion || p.Keys == nil {
		return nil, fmt.Errorf("%s is not the file of a phone", path)
	}
	return p, nil
}

// save replaces the file in one step, so that a phone which is switched off in the middle has the old one or the new one.
func (p *phone) save(_ context.Context, s device.State) (err error) {
	p.State = s
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the phone: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(p.path), filepath.Base(p.path)+".*") // readable for its owner alone
	if err != nil {
		return fmt.Errorf("saving the phone: %w", err)
	}
	_, err = file.Write(append(data, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), p.path)
	}
	if err != nil {
		return fmt.Errorf("saving the phone: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// forget removes the file of a phone that is not registered any more.
func (p *phone) forget() error {
	if err := os.Remove(p.path); err != nil {
		return fmt.Errorf("removing the phone: %w", err)
	}
	return nil
}
