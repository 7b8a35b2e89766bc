// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

// place is where in a round trip a node is killed.
type place int

const (
	before   place = iota // nothing of the round trip reaches the database
	partly                // the database has all of it but the commit
	after                 // the database has answered, and the node has not heard it
	answered              // the node has answered, and the caller has not heard it
	told                  // the caller has the answer
)

// step is one at which a node is killed: a place in one of the round trips of a request, or after all of them.
type step struct {
	trip  int
	place place
}

func (s step) String() string {
	return [...]string{
		fmt.Sprintf("before round trip %d reaches the database", s.trip),
		fmt.Sprintf("when round trip %d has reached the database but for its commit", s.trip),
		fmt.Sprintf("after the database has answered round trip %d, before the node hears it", s.trip),
		"after the whole answer, before the caller has it",
		"when the caller has the answer",
	}[s.place]
}

// committed reports whether what a request writes in the last of its round trips is there.
func (s step) committed(trips int) bool {
	return s.place > after || s.place == after && s.trip == trips
}

// steps are all those of a request that commits in the last of its round trips.
func steps(trips int) (all []step) {
	for trip := range trips {
		all = append(all, step{trip + 1, before})
		if trip+1 == trips {
			all = append(all, step{trips, partly})
		}
		all = append(all, step{trip + 1, after})
	}
	return append(all, step{trips, answered}, step{trips, told})
}

// snare follows one request over the wire, and holds it up at a step.
type snare struct {
	key  string // which the first reading of the request asks for
	step step

	mu   sync.Mutex
	conn int // on which the request is; 0 before its first round trip
	seen int // round trips of the request

	reached, leave chan struct{}
}

func newSnare(key string, at step) *snare {
	return &snare{key: key, step: at, reached: make(chan struct{}), leave: make(chan struct{})}
}

// follow is the rule of the wire.
func (s *snare) follow(t *wire.Trip) bool {
	if !s.catches(t) {
		return true
	}
	if s.step.place == partly {
		t.Part = upTo(t, "COMMIT")
	}
	close(s.reached)
	<-s.leave
	return false
}

// catches counts the round trips of the request, and reports whether this is where it is held up.
func (s *snare) catches(t *wire.Trip) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := len(t.Runs()) > 0 // a trip may prepare statements and run none
	if runs && (t.Conn == s.conn || s.conn == 0 && t.Mentions(s.key)) {
		s.conn = t.Conn
		s.seen++
	}
	return t.Conn == s.conn && s.seen == s.step.trip && (runs && s.step.place < after || t.Answer && s.step.place == after)
}

// trips is how many round trips the request took.
func (s *snare) trips() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// upTo returns what of a trip comes before a statement.
func upTo(t *wire.Trip, statement string) (part []byte) {
	for _, m := range t.Messages {
		if m.Runs(statement) {
			break
		}
		part = append(part, m.Raw...)
	}
	return part
}

// matrix is a cluster of which the first node is killed again and again, and the other asked what became of it.
type matrix struct {
	*cluster
	wire *wire.Wire
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{cluster: startWith(t, 0, "")}
	m.wire = wire.New(t, m.dsn)
	config := strings.Replace(caddyfile, "default_scope", "tokens {\n\t\t\trefresh_grace 60s\n\t\t}\n\t\tdefault_scope", 1)
	m.join(m.nodeWith(config, func(p *program.Config) { p.Env = append(p.Env, "GATEHOUSE_DSN="+m.wire.DSN("")) }))
	m.join(m.nodeOf(config))
	m.balancer.only(m.nodes[1].Addresses[0])
	return m
}

// whole sends a request that nobody disturbs, and returns what comes of it: how many round trips it takes and what it writes.
func (m *matrix) whole(key string, form url.Values) (trips int, writes []string) {
	m.Helper()
	s, was := newSnare(key, step{}), m.records()
	m.wire.SetTrips(s.follow)
	defer m.wire.SetTrips(nil)
	if got := m.send(http.MethodPost, m.at(0, "/token"), form, ""); got.Access == "" {
		m.Fatalf("no tokens: %d %s", got.Status, got.Body)
	}
	return s.trips(), changed(was, m.records())
}

// kill sends a request to the first node, which is killed at a step, and returns what the node has answered.
func (m *matrix) kill(at step, key string, form url.Values) *answer {
	m.Helper()
	s := newSnare(key, at)
	m.wire.SetTrips(s.follow)
	defer m.wire.SetTrips(nil)
	answers := make(chan *answer, 1)
	go func() { answers <- m.send(http.MethodPost, m.at(0, "/token"), form, "") }()
	select {
	case <-s.reached:
		must(m, m.nodes[0].Kill())
		close(s.leave)
		got := <-answers
		if got.Status != 0 {
			m.Errorf("a node that was killed answers: %d %s", got.Status, got.Body)
		}
		return got
	case got := <-answers:
		must(m, m.nodes[0].Kill())
		if at.place < answered || got.Access == "" {
			m.Fatalf("it did not come to that: %d %s", got.Status, got.Body)
		}
		return got
	}
}

// records is what is in the database of what code exchange and refresh write: the value of each key.
func (m *matrix) records() map[string]string {
	m.Helper()
	conn, err := pgx.Connect(m.Context(), m.dsn)
	must(m, err)
	defer conn.Close(m.Context())
	rows, err := conn.Query(m.Context(), "SELECT convert_from(key, 'UTF8'), value FROM gatehouse.items")
	must(m, err)
	all := map[string]string{}
	var key string
	var value []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		if slices.Contains([]string{"code", "grant", "family", "audit", "auth_session", "revocation"}, table(key)) {
			all[key] = string(value)
		}
		return nil
	})
	must(m, err)
	return all
}

func table(key string) string { return key[:max(strings.IndexAny(key, "/#"), 0)] }

// changed names the tables of which a record, or an index entry, is new, gone or another one.
func changed(was, is map[string]string) []string {
	tables := map[string]bool{}
	for key, value := range is {
		if old, ok := was[key]; !ok || old != value {
			tables[table(key)] = true
		}
	}
	for key := range was {
		if _, ok := is[key]; !ok {
			tables[table(key)] = true
		}
	}
	return slices.Sorted(maps.Keys(tables))
}

// wants checks that all was written, or nothing.
func (m *matrix) wants(committed bool, whole, writes []string) {
	m.Helper()
	if !committed {
		whole = nil
	}
	if diff := cmp.Diff(whole, writes); diff != "" {
		m.Errorf("of what it writes there is (-want +got):\n%s", diff)
	}
}

// live checks that tokens are good at every node, and returns what comes of refreshing them.
func (m *matrix) live(has *answer) *answer {
	m.Helper()
	for node := range m.nodes {
		if got := m.send(http.MethodGet, m.at(node, "/api"), nil, has.Access); got.Status != http.StatusOK {
			m.Errorf("node %d refuses the token: %d %s", node, got.Status, got.Body)
		}
	}
	next := m.send(http.MethodPost, m.at(0, "/token"), refreshing(has.Refresh), "")
	if next.Refresh == "" {
		m.Errorf("the app has to begin again: %d %s", next.Status, next.Body)
	}
	return next
}

// dead checks that tokens are worth nothing, at any node.
func (m *matrix) dead(had *answer) {
	m.Helper()
	for node := range m.nodes {
		if got := m.send(http.MethodPost, m.at(node, "/token"), refreshing(had.Refresh), ""); got.Error != "invalid_grant" {
			m.Errorf("node %d refreshes: %d %s", node, got.Status, got.Body)
		}
		m.until(fmt.Sprintf("node %d refuses the token", node), func() bool {
			return m.send(http.MethodGet, m.at(node, "/api"), nil, had.Access).Status == http.StatusUnauthorized
		})
	}
}

// TestKilledAtEveryStep kills a node with kill -9 at every step of a code exchange and of a refresh, and asks another what became of it:
// all that the request writes is there, or nothing; a code gives tokens once at most; and the app goes on with what it has, or can
// begin again. What was found at each step is printed (go test -v).
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	code := m.code()
	trips, whole := m.whole("code/"+randid.Hash(code), redeeming(code))
	m.Logf("a code exchange takes %d round trips and writes %v", trips, whole)
	for _, at := range steps(trips) {
		m.Logf("code exchange, killed %s: %s", at, m.exchange(at, at.committed(trips), whole))
	}
	has := m.login()
	trips, whole = m.whole(family(has), refreshing(has.Refresh))
	m.Logf("a refresh takes %d round trips and writes %v", trips, whole)
	for _, at := range steps(trips) {
		m.Logf("refresh, killed %s: %s", at, m.refresh(at, at.committed(trips), whole))
	}
	m.inOrder()
}

// exchange has a node killed while it redeems a code, and says what is found.
func (m *matrix) exchange(at step, committed bool, whole []string) string {
	m.Helper()
	code := m.code()
	was := m.records()
	got := m.kill(at, "code/"+randid.Hash(code), redeeming(code))
	m.wants(committed, whole, changed(was, m.records()))
	if at.place == told {
		next := m.send(http.MethodPost, m.at(1, "/token"), refreshing(got.Refresh), "")
		must(m, m.nodes[0].Restart(m.Context()))
		got.Refresh = next.Refresh
		m.live(got)
		return "the tokens are good"
	}
	again := m.send(http.MethodPost, m.at(1, "/token"), redeeming(code), "")
	if committed == (again.Access != "") || committed && again.Error != "invalid_grant" {
		m.Errorf("killed %s, the other node says: %d %s", at, again.Status, again.Body)
	}
	begun := m.login()
	must(m, m.nodes[0].Restart(m.Context()))
	m.live(begun)
	found := "the code is spent, and nobody has anything for it: the app logs in again"
	if !committed {
		found = "nothing was written, the code gives tokens at the other node"
		again = m.live(again)
	} else if got.Access != "" {
		found += "; what was on its way is worth nothing"
		m.dead(got)
	}
	if third := m.send(http.MethodPost, m.at(0, "/token"), redeeming(code), ""); third.Error != "invalid_grant" {
		m.Errorf("killed %s, the code is good again: %d %s", at, third.Status, third.Body)
	}
	if !committed {
		m.dead(again) // since the code was shown once more
	}
	return found
}

// family is where the tokens that an app refreshes are kept.
func family(has *answer) string {
	id, _, _ := strings.Cut(has.Refresh, ".")
	return "family/" + id
}

// refresh has a node killed while it refreshes, and says what is found.
func (m *matrix) refresh(at step, committed bool, whole []string) string {
	m.Helper()
	has := m.login()
	was := m.records()
	got := m.kill(at, family(has), refreshing(has.Refresh))
	m.wants(committed, whole, changed(was, m.records()))
	next := got
	if at.place != told {
		next = m.send(http.MethodPost, m.at(1, "/token"), refreshing(has.Refresh), "")
	}
	if next.Refresh == "" || got.Refresh != "" && got.Refresh != next.Refresh {
		m.Errorf("killed %s, the other node says: %d %s, and not %s", at, next.Status, next.Body, got.Refresh)
	}
	must(m, m.nodes[0].Restart(m.Context()))
	for node := range m.nodes { // within the grace there is one successor, whoever is asked
		if more := m.send(http.MethodPost, m.at(node, "/token"), refreshing(has.Refresh), ""); more.Refresh != next.Refresh {
			m.Errorf("killed %s, node %d has another successor: %d %s", at, node, more.Status, more.Body)
		}
	}
	last := m.live(next)
	if reused := m.send(http.MethodPost, m.at(1, "/token"), refreshing(has.Refresh), ""); reused.Error != "invalid_grant" {
		m.Errorf("killed %s, two successors live: %d %s", at, reused.Status, reused.Body)
	}
	m.dead(last)
	switch {
	case at.place == told:
		return "the tokens are good"
	case committed:
		return "the token was rotated: the old one gives the same successor within the grace"
	}
	return "nothing was written, the old token is refreshed at the other node"
}
