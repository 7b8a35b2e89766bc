// SPDX-License-Identifier: Apache-2.0

package hold

import "sync"

// Seats bound who waits. A zero field takes its default.
type Seats struct {
	// All is how many callers wait at once. Default: 5,000.
	All int
	// Client is how many requests of one client do, unless the client is a site, which everybody has. Default: 1,000.
	Client int
	// User is how many requests of one user do. Default: 10.
	User int
	// Bytes is how much they have sent in bodies. Default: 64 MiB.
	Bytes int
}

func (s Seats) normalize() Seats {
	for _, f := range []struct {
		field *int
		usual int
	}{{&s.All, 5000}, {&s.Client, 1000}, {&s.User, 10}, {&s.Bytes, 64 << 20}} {
		if *f.field <= 0 {
			*f.field = f.usual
		}
	}
	return s
}

// room is who waits.
type room struct {
	most Seats

	mu      sync.Mutex
	all     int
	bytes   int
	clients map[string]int
	users   map[string]int
}

func newRoom(most Seats) *room {
	return &room{most: most.normalize(), clients: map[string]int{}, users: map[string]int{}}
}

// take gives a caller a seat until leave is called, once; false where there is none. A client without a name is not bounded.
func (m *room) take(client, user string, bytes int) (leave func(), ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all >= m.most.All || client != "" && m.clients[client] >= m.most.Client || m.users[user] >= m.most.User || m.bytes+bytes > m.most.Bytes {
		return nil, false
	}
	m.count(client, user, bytes, 1)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.count(client, user, -bytes, -1)
	}, true
}

func (m *room) count(client, user string, bytes, n int) {
	m.all += n
	m.bytes += bytes
	for name, in := range map[string]map[string]int{client: m.clients, user: m.users} {
		if in[name] += n; in[name] == 0 {
			delete(in, name)
		}
	}
}

func (m *room) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}
