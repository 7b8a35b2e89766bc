// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func newLimiter(t testing.TB, clock *storagetest.Clock, burst, keys int) *limit.Limiter {
	t.Helper()
	l, err := limit.New(limit.Config{Burst: burst, Every: time.Minute, Keys: keys, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBurstIsAdmittedThenOneEachInterval(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := newLimiter(t, clock, 3, 10)
	for i := range 3 {
		if wait := l.Wait("a"); wait != 0 {
			t.Fatalf("event %d waits %s", i, wait)
		}
		l.Count("a")
	}
	if wait := l.Wait("a"); wait != time.Minute {
		t.Fatalf("after the burst: waits %s, want a minute", wait)
	}
	if wait := l.Wait("b"); wait != 0 {
		t.Fatalf("another key waits %s", wait)
	}
	clock.Advance(59 * time.Second)
	if wait := l.Wait("a"); wait != time.Second {
		t.Fatalf("waits %s, want a second", wait)
	}
	clock.Advance(time.Second)
	if wait := l.Wait("a"); wait != 0 {
		t.Fatalf("after the interval: waits %s", wait)
	}
	l.Count("a")
	if wait := l.Wait("a"); wait != time.Minute {
		t.Fatalf("only one is admitted: waits %s", wait)
	}
}

func TestRefusedEventsMakeNobodyWaitLonger(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := newLimiter(t, clock, 2, 10)
	for range 100 {
		l.Count("a")
	}
	if wait := l.Wait("a"); wait != time.Minute {
		t.Fatalf("waits %s, want a minute", wait)
	}
}

func TestKeyIsAsGoodAsNewAfterAQuietTime(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := newLimiter(t, clock, 2, 10)
	l.Count("a")
	l.Count("a")
	clock.Advance(time.Hour)
	l.Count("a")
	if wait := l.Wait("a"); wait != 0 {
		t.Fatalf("waits %s", wait)
	}
	l.Count("a")
	if wait := l.Wait("a"); wait != time.Minute {
		t.Fatalf("quiet time is not saved up: waits %s", wait)
	}
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := newLimiter(t, clock, 1, 3)
	l.Count("kept")
	for i := range 100 {
		l.Count(strconv.Itoa(i))
		clock.Advance(time.Minute)
		l.Count("kept")
	}
	if n := l.Len(); n != 3 {
		t.Fatalf("%d keys, want 3", n)
	}
	if l.Wait("kept") == 0 {
		t.Fatal("a busy key was forgotten before quiet ones")
	}
	if l.Wait("0") != 0 {
		t.Fatal("the quietest key was not forgotten")
	}
}

func TestNilLimiterAdmitsEverything(t *testing.T) {
	t.Parallel()
	var l *limit.Limiter
	l.Count("a")
	if l.Wait("a") != 0 || l.Len() != 0 {
		t.Fatal("a nil limiter limits")
	}
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now
	for _, c := range []limit.Config{
		{Every: 1, Keys: 1, Now: now}, {Burst: 1, Keys: 1, Now: now}, {Burst: 1, Every: 1, Now: now}, {Burst: 1, Every: 1, Keys: 1},
	} {
		if _, err := limit.New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestTakeTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l := newLimiter(t, clock, 3, 10)
	for i, want := range []limit.Budget{
		{Left: 2, Full: time.Minute}, {Left: 1, Full: 2 * time.Minute}, {Left: 0, Full: 3 * time.Minute},
		{Wait: time.Minute, Left: 0, Full: 3 * time.Minute}, {Wait: time.Minute, Left: 0, Full: 3 * time.Minute},
	} {
		if got := l.Take("a"); got != want {
			t.Errorf("event %d: %+v, want %+v", i, got, want)
		}
	}
	clock.Advance(90 * time.Second)
	if got, want := l.Take("a"), (limit.Budget{Left: 0, Full: 150 * time.Second}); got != want {
		t.Errorf("after a while: %+v, want %+v", got, want)
	}
	if got, want := l.Take("b"), (limit.Budget{Left: 2, Full: time.Minute}); got != want {
		t.Errorf("another key: %+v, want %+v", got, want)
	}
	var none *limit.Limiter
	if got := none.Take("a"); got != (limit.Budget{}) {
		t.Errorf("no limiter: %+v", got)
	}
}

func TestConcurrentCountsAdmitTheBurstOnly(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, storagetest.NewClock(), 5, 10)
	var group sync.WaitGroup
	var admitted atomic.Int32
	for range 50 {
		group.Go(func() {
			l.Count("a")
			if l.Wait("other") == 0 {
				admitted.Add(1)
			}
		})
	}
	group.Wait()
	if l.Wait("a") != time.Minute || admitted.Load() != 50 {
		t.Fatalf("a waits %s, %d others were admitted", l.Wait("a"), admitted.Load())
	}
}

func TestAddressIsWhatOnePartyControls(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, ip, want string }{
		{"v4", "192.0.2.7", "192.0.2.7"},
		{"mapped v4", "::ffff:192.0.2.7", "192.0.2.7"},
		{"v6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"v6 neighbour", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"},
		{"zone", "fe80::1%eth0", "fe80::/64"},
		{"no address", "somewhere", "somewhere"},
		{"empty", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := limit.Address(test.ip); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestNetworkIsWhatOnePartyIsGiven(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, ip, want string }{
		{"v4", "192.0.2.7", "192.0.2.7"},
		{"mapped v4", "::ffff:192.0.2.7", "192.0.2.7"},
		{"v6", "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"},
		{"v6 in another of its subnets", "2001:db8:1:ffff::1", "2001:db8:1::/48"},
		{"zone", "fe80::1%eth0", "fe80::/48"},
		{"no address", "somewhere", "somewhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := limit.Network(test.ip); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func BenchmarkWait(b *testing.B) {
	l := newLimiter(b, storagetest.NewClock(), 5, 10)
	b.ReportAllocs()
	for b.Loop() {
		l.Wait("a")
	}
}

func TestDaily(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	l, err := limit.Daily(24, 10, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		if taken := l.Take("a"); taken.Wait != 0 {
			t.Fatalf("event %d of the first day waits %s", i, taken.Wait)
		}
	}
	admitted := 0
	for range 24 * 60 {
		clock.Advance(time.Minute)
		if l.Take("a").Wait == 0 {
			admitted++
		}
	}
	if admitted != 24 {
		t.Errorf("the next day admits %d", admitted)
	}
	for name, n := range map[string]int{"none": 0, "fewer than none": -1, "more than a clock tells apart": 1 << 62} {
		if _, err := limit.Daily(n, 10, clock.Now); err == nil {
			t.Errorf("%s in a day: built", name)
		}
	}
}
