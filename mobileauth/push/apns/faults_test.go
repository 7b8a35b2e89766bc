// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	fake "github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
)

func TestFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		step   fake.Step
		limit  time.Duration
		class  push.Class
		reason string
	}{
		{"closed in the middle of an answer", fake.Step{Status: 500, Reason: "InternalServerError", Cut: true}, 0, push.Transient, "connection"},
		{"stream reset", fake.Step{Reset: true}, 0, push.Transient, "connection"},
		{"no answer", fake.Step{Stall: true}, 500 * time.Millisecond, push.Transient, "timeout"},
		{"connection that is left", fake.Step{GoAway: true, Reason: "Shutdown"}, 0, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := build(t, func(c *apns.Config, _ *loopback.Authority) {
				if tt.limit > 0 {
					c.Timeout = tt.limit
				}
			})
			w.Script.Add(tt.step)
			want(t, w.send(t), tt.class, tt.reason, 0)
			if tt.limit == 0 {
				want(t, w.send(t), "", "", 0)
			}
		})
	}
}

func TestAServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, w.send(t), push.Transient, "connection", 0)
}

func TestAServiceThatNobodyVouchesFor(t *testing.T) {
	t.Parallel()
	w := build(t, func(c *apns.Config, _ *loopback.Authority) { c.Roots = x509.NewCertPool() })
	want(t, w.send(t), push.Config, "certificate", 0)
}

func TestAProxyCarriesWhatIsSent(t *testing.T) {
	t.Parallel()
	p, err := proxy.Start(proxy.Config{User: "us", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	w := build(t, func(c *apns.Config, _ *loopback.Authority) { c.Proxy = p.URL })
	for range 3 {
		want(t, w.send(t), "", "", 0)
	}
	if asked := p.Asked(); len(asked) != 1 || "https://"+asked[0] != w.URL {
		t.Errorf("the proxy was asked for %q, want the service once", asked)
	}
}

func TestAProxyThatRefuses(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]push.Class{
		http.StatusForbidden: push.Config, http.StatusProxyAuthRequired: push.Config, http.StatusBadGateway: push.Overloaded,
		http.StatusServiceUnavailable: push.Overloaded,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			p, err := proxy.Start(proxy.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			p.Refuse(status)
			w := build(t, func(c *apns.Config, _ *loopback.Authority) { c.Proxy = p.URL })
			want(t, w.send(t), class, "proxy", 0)
			p.Refuse(0)
			want(t, w.send(t), "", "", 0)
		})
	}
}

func TestAProxyThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := build(t, func(c *apns.Config, _ *loopback.Authority) { c.Proxy = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} })
	want(t, w.send(t), push.Transient, "connection", 0)
}

// Ten thousand pushes go over one connection, so many at once as places are, and none of them is kept afterwards. It runs alone: memory
// is measured.
func TestTenThousandPushesOverOneConnection(t *testing.T) { //nolint:paralleltest // see above
	const places = 48
	total := 10_000
	if raceDetector {
		total = 1000 // each costs the detector some milliseconds
	}
	w := build(t, func(c *apns.Config, _ *loopback.Authority) { c.Places = places })
	addresses := make([]string, 20)
	for i := range addresses {
		addresses[i] = strings.Repeat(fmt.Sprintf("%02x", i), 32)
		w.Register(addresses[i], topic)
	}
	before := heap()
	jobs := make(chan int)
	var group sync.WaitGroup
	for range 2 * places {
		group.Go(func() {
			for i := range jobs {
				m := w.message()
				m.Address, m.Operation = addresses[i%len(addresses)], fmt.Sprintf("op_%d", i)
				if err := w.sender.Send(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range total {
		jobs <- i
	}
	close(jobs)
	group.Wait()
	got := w.Stats()
	if got.Accepted != total || got.Requests != total || got.Connections != 1 || got.Surplus != 0 || got.Most > places {
		t.Errorf("stats = %+v, want %d accepted over one connection, at most %d at once", got, total, places)
	}
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("%d bytes are held after %d pushes", grown, total)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}

func TestAConnectionThatIsLeftTakesNobodyWithIt(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	want(t, w.send(t), "", "", 0)
	w.Script.Add(fake.Step{GoAway: true, Reason: "Shutdown"})
	var group sync.WaitGroup
	for range 60 {
		group.Go(func() {
			if err := w.sender.Send(t.Context(), w.message()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := w.Stats(); got.Connections > 3 {
		t.Errorf("%d connections were opened", got.Connections)
	}
}

func BenchmarkSend(b *testing.B) {
	authority, err := loopback.NewAuthority()
	if err != nil {
		b.Fatal(err)
	}
	signs, err := fake.NewKey(team, keyID)
	if err != nil {
		b.Fatal(err)
	}
	now := func() time.Time { return start }
	service, err := fake.Start(fake.Config{Authority: authority, Now: now, Keys: []*fake.Key{signs}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = service.Close() })
	service.Register(phone, topic)
	p8, err := signs.P8()
	if err != nil {
		b.Fatal(err)
	}
	key, err := apns.ParseKey(p8)
	if err != nil {
		b.Fatal(err)
	}
	sender, err := apns.New(apns.Config{Key: key, TeamID: team, KeyID: keyID, BaseURL: service.URL, Roots: authority.Pool(), Now: now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(sender.Close)
	m := push.Message{ID: pushID, Operation: "op_1", Address: phone, App: topic, Expires: start.Add(time.Minute)}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := sender.Send(b.Context(), m); err != nil {
				b.Error(err)
			}
		}
	})
}
