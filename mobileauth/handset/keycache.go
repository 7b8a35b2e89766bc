// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// maxKeys bounds each of the two generations of a [KeyCache].
const maxKeys = 8192

// KeyCache is [Device.Keys] for whoever asks for every message: it remembers the keys that it has read. What it remembers are
// facts about bytes, found by the thumbprint and used only where the record has those very bytes; whether a device may use a key,
// and until when, the record says each time. The zero cache is empty, and is safe for concurrent use.
type KeyCache struct {
	mu       sync.Mutex
	new, old map[string]pair
}

// pair is a pair of keys as the record has them, and what they say.
type pair struct {
	sign, enc json.RawMessage
	keys      envelope.PublicKeys
}

// Keys returns what [Device.Keys] does.
func (c *KeyCache) Keys(d *Device, kid string, now time.Time) (envelope.PublicKeys, bool) {
	sign, enc := d.texts(kid, now)
	if known, ok := c.find(kid); ok && bytes.Equal(known.sign, sign) && bytes.Equal(known.enc, enc) {
		return known.keys, true
	}
	keys, ok := d.Keys(kid, now)
	if ok {
		c.put(kid, pair{bytes.Clone(sign), bytes.Clone(enc), keys})
	}
	return keys, ok
}

func (c *KeyCache) find(kid string) (pair, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.new[kid]; ok {
		return known, true
	}
	known, ok := c.old[kid]
	if ok {
		c.add(kid, known)
	}
	return known, ok
}

func (c *KeyCache) put(kid string, p pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(kid, p)
}

// add forgets the older generation when the newer is full: what is in use has moved on by then.
func (c *KeyCache) add(kid string, p pair) {
	if c.new == nil || len(c.new) >= maxKeys {
		c.old, c.new = c.new, map[string]pair{}
	}
	c.new[kid] = p
}
