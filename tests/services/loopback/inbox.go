// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// InboxPath is what the address of an inbox begins with, behind the base of the service.
const InboxPath = "/inbox/"

// Limits of inboxes: what comes beyond them pushes out the oldest.
const (
	maxInbox = 100
	longest  = 2 * time.Minute
	usual    = 30 * time.Second
)

// Notice is one notification as it arrives on a phone.
type Notice struct {
	Service   string            `json:"service"`
	Address   string            `json:"address"`
	Operation string            `json:"operation,omitempty"`
	At        time.Time         `json:"at"`
	Headers   map[string]string `json:"headers"`
	Payload   json.RawMessage   `json:"payload,omitempty"`
}

// Inbox holds what was delivered and not read, by address. The zero value is empty. It is safe for concurrent use.
type Inbox struct {
	mu      sync.Mutex
	notices map[string][]Notice
	changed map[string]chan struct{}
}

// Put delivers a notice to the phone at its address.
func (b *Inbox) Put(n Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.notices == nil {
		b.notices = map[string][]Notice{}
	}
	kept := append(b.notices[n.Address], n)
	b.notices[n.Address] = kept[max(0, len(kept)-maxInbox):]
	if waiting := b.changed[n.Address]; waiting != nil {
		close(waiting)
		delete(b.changed, n.Address)
	}
}

// Take returns the oldest notice to an address and removes it; it waits for one until ctx ends.
func (b *Inbox) Take(ctx context.Context, address string) (Notice, bool) {
	for {
		n, found, changed := b.look(address)
		if found {
			return n, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Notice{}, false
		}
	}
}

func (b *Inbox) look(address string) (Notice, bool, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if waiting := b.notices[address]; len(waiting) > 0 {
		if b.notices[address] = waiting[1:]; len(waiting) == 1 {
			delete(b.notices, address)
		}
		return waiting[0], true, nil
	}
	if b.changed == nil {
		b.changed = map[string]chan struct{}{}
	}
	if b.changed[address] == nil {
		b.changed[address] = make(chan struct{})
	}
	return Notice{}, false, b.changed[address]
}

// ServeHTTP answers GET /inbox/{address} with the oldest notice as a JSON object, once there is one, and with 204 when there was none
// for as long as ?wait= says: 30s unless told otherwise, at most 2m. What was answered is no longer in the inbox.
func (b *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), InboxPath))
	if err != nil || address == "" || r.Method != http.MethodGet {
		http.Error(w, "GET "+InboxPath+"{address}", http.StatusNotFound)
		return
	}
	wait := usual
	if text := r.URL.Query().Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			http.Error(w, "wait is a time like 30s", http.StatusBadRequest)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(wait, longest))
	defer cancel()
	n, ok := b.Take(ctx, address)
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(n) // a phone that left in between has lost it, as phones do
}
