// SPDX-License-Identifier: Apache-2.0

package androidkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// MaxStatusList is the size of the largest status list that is read, in bytes.
const MaxStatusList = 16 << 20

// StatusList is a file with Google's list of certificates that were taken back
// (https://android.googleapis.com/attestation/status). It is read again when it has changed. It is safe for concurrent use.
type StatusList struct {
	// Path is where the file is.
	Path string
	// MaxAge is how long ago the file may have been written; zero is however long. An older one is an error: whoever trusts a
	// list that nobody renews trusts certificates that were taken back.
	MaxAge time.Duration
	// Now is required where there is a MaxAge.
	Now func() time.Time

	mu      sync.Mutex
	read    time.Time // when the file was written that was read
	size    int64
	entries map[string]bool
}

// Check reads the list, for whoever wants to know before it is needed. One that is too old passes: it stops those who need it, and not
// a server that starts.
func (l *StatusList) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refresh()
}

// Revoked reports whether a certificate stands on the list, revoked or suspended.
func (l *StatusList) Revoked(serial string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refresh(); err != nil {
		return false, err
	}
	if l.MaxAge > 0 && l.Now().Sub(l.read) > l.MaxAge {
		return false, fmt.Errorf("reading a status list that is older than %v", l.MaxAge)
	}
	return l.entries[serial], nil
}

// refresh reads the file where it has changed. The caller holds the lock.
func (l *StatusList) refresh() error {
	info, err := os.Stat(l.Path)
	if err != nil {
		return fmt.Errorf("looking for a status list: %w", err)
	}
	if l.entries == nil || !info.ModTime().Equal(l.read) || info.Size() != l.size {
		entries, err := readStatusList(l.Path)
		if err != nil {
			return err
		}
		l.entries, l.read, l.size = entries, info.ModTime(), info.Size()
	}
	return nil
}

func readStatusList(path string) (map[string]bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a status list: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, MaxStatusList+1))
	if err != nil {
		return nil, fmt.Errorf("reading a status list: %w", err)
	}
	return parseStatusList(data)
}

// parseStatusList reads the serial numbers. Whatever the status is, a certificate that has one is not to be trusted.
func parseStatusList(data []byte) (map[string]bool, error) {
	var list struct {
		Entries map[string]struct {
			Status string `json:"status"`
		} `json:"entries"`
	}
	if len(data) > MaxStatusList {
		return nil, errors.New("reading a status list that is too large")
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading a status list: %w", err)
	}
	if list.Entries == nil {
		return nil, errors.New("reading a status list without entries")
	}
	entries := make(map[string]bool, len(list.Entries))
	for serial := range list.Entries {
		entries[serial] = true
	}
	return entries, nil
}
