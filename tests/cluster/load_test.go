// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
	"github.com/gatehouse-id/gatehouse/tests/postgres/wire"
	"github.com/gatehouse-id/gatehouse/tests/program"
)

// What the callers under load do.
const (
	doLogin   = "login"
	doAPI     = "API call"
	doRefresh = "refresh"
)

// call is one thing that a caller wanted, until it had it.
type call struct {
	phase, kind string
	tries       int
	took        time.Duration
	failed      string // why there was no use in trying again
}

// callers are people with apps: each logs in, calls the API, refreshes, and logs in again after some time.
type callers struct {
	*cluster
	mu    sync.Mutex
	phase string // guarded by mu, as is calls
	calls []call
	stop  chan struct{}
	group sync.WaitGroup
}

func (l *callers) enter(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
}

func (l *callers) during() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase
}

func (l *callers) add(c call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

// of returns the calls of a phase, those of one kind if it is named.
func (l *callers) of(phase, kind string) (some []call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.phase == phase && (kind == "" || c.kind == kind) {
			some = append(some, c)
		}
	}
	return some
}

// wants has a caller try until it has what it wants, as apps do: again after a connection that was cut, and after a 503 when it is told to
// come again. A call belongs to the phase in which it was told so first, and otherwise to that in which it began.
func (l *callers) wants(kind string, try func() *answer) *answer {
	c := call{phase: l.during(), kind: kind}
	defer func() { l.add(c) }()
	for began := time.Now(); ; {
		got := try()
		c.tries++
		if c.took = time.Since(began); got.Status == http.StatusOK {
			return got
		}
		if later := got.Status == 0 || got.Status == http.StatusServiceUnavailable; !later || c.took > patience {
			c.failed = fmt.Sprintf("%d %s", got.Status, got.Body)
			return nil
		}
		if c.tries == 1 {
			c.phase = l.during()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-l.Context().Done():
			return nil
		}
	}
}

// oneLogin is a whole login of an app, up to its tokens. What broke off is begun again.
func (l *callers) oneLogin(user string) *answer {
	ask := url.Values{
		"client_id": {"mobile"}, "response_type": {"code"}, "scope": {"openid offline_access accounts:read"},
		"code_challenge": {oauth.Challenge(faces.Verifier)}, "code_challenge_method": {"S256"},
	}
	asked := l.send(http.MethodPost, l.issuer+"/authorize-challenge", ask, "")
	if asked.Session == "" {
		return asked
	}
	answers := url.Values{"client_id": {"mobile"}, "auth_session": {asked.Session}, "answers": {faces.ByPassword(user, password).String()}}
	granted := l.send(http.MethodPost, l.issuer+"/authorize-challenge", answers, "")
	if strings.Contains(granted.Body, `"code":"unavailable"`) { // for all passwords that are hashed at this moment there is no memory
		granted.Status = http.StatusServiceUnavailable
	}
	if granted.Code == "" {
		return granted
	}
	return l.send(http.MethodPost, l.issuer+"/token", redeeming(granted.Code), "")
}

// over reports whether callers are to stop.
func (l *callers) over() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *callers) api(token string) *answer {
	return l.wants(doAPI, func() *answer { return l.send(http.MethodGet, l.issuer+"/api", nil, token) })
}

// live is somebody who logs in, uses the app for a while, and logs in again.
func (l *callers) live(user string) {
	for !l.over() {
		has := l.wants(doLogin, func() *answer { return l.oneLogin(user) })
		for range 3 {
			for range 4 {
				if has == nil || l.over() {
					return
				}
				l.api(has.Access)
			}
			old := has.Refresh
			has = l.wants(doRefresh, func() *answer { return l.send(http.MethodPost, l.issuer+"/token", refreshing(old), "") })
		}
	}
}

// work is somebody whose token is good for as long as it takes, and who calls the API two hundred times a second.
func (l *callers) work() {
	has := l.wants(doLogin, func() *answer { return l.oneLogin("alice") })
	next := time.NewTicker(5 * time.Millisecond)
	defer next.Stop()
	for has != nil && !l.over() {
		<-next.C
		l.api(has.Access)
	}
}

// enough waits until so many calls that began in the phase have come to their end, of every kind.
func (l *callers) enough(phase string, n int) {
	l.Helper()
	l.until("there are enough calls "+phase, func() bool {
		return len(l.of(phase, doLogin)) >= n/10 && len(l.of(phase, doAPI)) >= n && len(l.of(phase, doRefresh)) >= n/5
	})
}

// report prints what the callers saw.
func (l *callers) report(phases ...string) {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "WHILE\tCALL\tCALLS\tAT ONCE\tAFTER ANOTHER TRY\tNEVER\tMEDIAN\tP99\tLONGEST")
	for _, phase := range phases {
		for _, kind := range []string{doLogin, doAPI, doRefresh} {
			some := l.of(phase, kind)
			slices.SortFunc(some, func(a, b call) int { return cmp.Compare(a.took, b.took) })
			var once, again, never int
			for _, c := range some {
				switch {
				case c.failed != "":
					never++
				case c.tries > 1:
					again++
				default:
					once++
				}
			}
			at := func(part float64) string {
				return fmt.Sprintf("%.1f ms", float64(some[int(part*float64(len(some)-1))].took.Microseconds())/1000)
			}
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", phase, kind, len(some), once, again, never, at(.5), at(.99), at(1))
		}
	}
	_ = table.Flush() // it writes into memory
	l.Log("\n" + text.String())
}

// those are the people who call, beside alice.
var those = []string{"bob", "carol", "dave", "erin"}

// phase is something that happens while people call.
type phase struct {
	name   string
	happen func()
}

// calls is how many API calls begin in a phase at least.
const calls = 100

// through has people call while one thing happens after the other: nobody is refused for good. What they saw is printed.
func (l *callers) through(phases ...phase) {
	l.Helper()
	l.enter(phases[0].name)
	for _, user := range those {
		l.group.Go(func() { l.live(user) })
	}
	l.group.Go(l.work)
	var names []string
	for _, p := range phases {
		names = append(names, p.name)
		l.enter(p.name)
		p.happen()
		l.enough(p.name, calls)
	}
	l.end(names...)
}

// end has nobody call any more, prints what they saw, and fails the test where somebody was refused for good.
func (l *callers) end(phases ...string) {
	l.Helper()
	close(l.stop)
	l.group.Wait()
	l.report(phases...)
	for _, c := range l.calls {
		if c.failed != "" {
			l.Errorf("while %s: %s: %s", c.phase, c.kind, c.failed)
		}
	}
}

// TestUnderLoad: one of three nodes is killed, one is upgraded, and the database is restarted, while people log in and call an API: nobody is
// refused for good, and nobody has to log in again. What the callers saw is printed.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	l := &callers{cluster: startWith(t, 3, "", those...), stop: make(chan struct{})}
	if path, found := findFormer(t); found {
		l.change(1, path)
	}
	const killed, upgraded, restarted = "a node is killed and comes back", "a node is stopped and upgraded", "the database is restarted"
	l.through(
		phase{"nothing happens", func() {}},
		phase{killed, func() {
			must(t, l.nodes[0].Kill())
			l.enough(killed, calls/2)
			must(t, l.nodes[0].Restart(t.Context()))
		}},
		phase{upgraded, func() {
			must(t, l.nodes[1].Stop())
			l.enough(upgraded, calls/2)
			l.change(1, binary)
		}},
		phase{restarted, func() {
			l.database.Stop(t)
			before := len(l.of(restarted, doAPI))
			l.until("the gate goes on without a database", func() bool { return len(l.of(restarted, doAPI)) > before })
			l.database.Restart(t)
		}},
		phase{"all is over", func() {}},
	)
}

// TestUnderLoadOverAFaultyWire: between one of two nodes and the database things come late, are cut, are damaged, and at last nothing comes
// through at all: what the callers want they get, at that node or at the other.
func TestUnderLoadOverAFaultyWire(t *testing.T) {
	t.Parallel()
	l := &callers{cluster: startWith(t, 1, "", those...), stop: make(chan struct{})}
	faulty := wire.New(t, l.dsn)
	dsn := faulty.DSN("sslmode=verify-full sslrootcert=" + faulty.SpeakTLS())
	l.join(l.nodeWith(caddyfile, func(p *program.Config) { p.Env = append(p.Env, "GATEHOUSE_DSN="+dsn) }))
	var sent atomic.Int64
	l.through(
		phase{"nothing happens", func() {}},
		phase{"each answer comes 50 ms late", func() {
			faulty.SetTrips(func(trip *wire.Trip) bool {
				if trip.Answer {
					<-time.After(50 * time.Millisecond)
				}
				return true
			})
		}},
		phase{"each eleventh message is the last of its connection", func() {
			faulty.SetTrips(func(*wire.Trip) bool { return sent.Add(1)%11 != 0 })
		}},
		phase{"each thirteenth answer is damaged", func() {
			faulty.SetTrips(nil)
			faulty.Alter(func(bytes []byte) {
				if sent.Add(1)%13 == 0 && len(bytes) > 0 {
					bytes[len(bytes)/2] ^= 1
				}
			})
		}},
		phase{"nothing comes through", func() {
			faulty.Alter(nil)
			faulty.SetTrips(func(*wire.Trip) bool { return false })
		}},
		phase{"all is over", func() { faulty.SetTrips(nil) }},
	)
}
