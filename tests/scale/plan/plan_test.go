// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/tests/scale/plan"
)

func measured(t testing.TB) *plan.Costs {
	t.Helper()
	c, err := plan.Measured()
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// figures are what may only go up with the number of users.
func figures(p *plan.Plan) map[string]float64 {
	all := map[string]float64{
		"processors": p.Processors, "nodes": p.Nodes, "trips": p.Trips, "updates": p.Updates, "views": p.Views, "sent": p.Sent,
		"received": p.Received, "wal": p.WAL, "dead": p.Dead, "busy": p.Busy, "open": p.Open, "bytes": p.Bytes, "audit": p.Audit,
		"events": p.Events, "expiring": p.Expiring, "entries": p.Entries, "view": p.ViewBytes, "view cpu": p.ViewCPU, "reread": p.Reread,
		"notices": p.Notices, "heard": p.Heard,
	}
	for kind, n := range p.Requests {
		all[string(kind)] = n
	}
	for kind, n := range p.Store {
		all["store of "+kind] = n
	}
	return all
}

func profiles(t *rapid.T) plan.Profile {
	n := func(name string, most float64) float64 { return rapid.Float64Range(0, most).Draw(t, name) }
	return plan.Profile{
		Users: math.Pow(10, rapid.Float64Range(2, 9).Draw(t, "users")), Logins: n("logins", 5), SignOns: n("signons", 9), Refreshes: n("refreshes", 300),
		Calls: n("calls", 5000), Introspections: n("introspections", 500), Mints: n("mints", 500), Revocations: n("revocations", 5),
		Phones: n("phones", 1), Operations: n("operations", 20), New: n("new", 0.1), Peak: rapid.Float64Range(1, 24).Draw(t, "peak"), Apps: n("apps", 50),
	}
}

// TestMoreAskForMore: of whatever there is, more users need no less, and nothing is negative or not a number.
func TestMoreAskForMore(t *testing.T) {
	t.Parallel()
	c := measured(t)
	rapid.Check(t, func(t *rapid.T) {
		p := profiles(t)
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		few := plan.Make(c, p, plan.Common)
		p.Users *= rapid.Float64Range(1, 100).Draw(t, "times")
		many := plan.Make(c, p, plan.Common)
		more := figures(&many)
		for name, n := range figures(&few) {
			if n < 0 || math.IsNaN(n) || math.IsInf(n, 0) || more[name] < n*(1-1e-9) {
				t.Errorf("%s is %v, and %v for more users", name, n, more[name])
			}
		}
	})
}

// TestLimits: a limit is reached where a plan for so many users says that it is, and not before.
func TestLimits(t *testing.T) {
	t.Parallel()
	c := measured(t)
	p := plan.Make(c, plan.Usual(1e7), plan.Common)
	last := 0.0
	for _, l := range p.Limits(c) {
		if l.Reached < last {
			t.Errorf("%s is not in order", l.Name)
		}
		if last = l.Reached; math.IsInf(last, 1) {
			continue
		}
		for _, tt := range []struct {
			users float64
			over  bool
		}{{l.Reached * 0.9, false}, {l.Reached * 1.1, true}} {
			profile := p.Profile
			profile.Users = tt.users
			then := plan.Make(c, profile, plan.Common)
			for _, other := range then.Limits(c) {
				if other.Name == l.Name && (other.Used > 1) != tt.over {
					t.Errorf("%s: %.2f of it is used by %.3g users", l.Name, other.Used, tt.users)
				}
			}
		}
	}
	for _, l := range p.Limits(c) {
		profile := p.Profile
		profile.Users /= p.Gateways(c)
		one := plan.Make(c, profile, plan.Common)
		for _, of := range one.Limits(c) {
			if of.Name == l.Name && !of.Easy && of.Used > 0.75 {
				t.Errorf("one gateway of several uses %.2f of %s", of.Used, of.Name)
			}
		}
	}
}

// TestUnits: what can be computed by hand.
func TestUnits(t *testing.T) {
	t.Parallel()
	c := measured(t)
	nothing := plan.Profile{Users: 86_400, Peak: 2}
	calls := nothing
	calls.Calls = 1
	p := plan.Make(c, calls, plan.Common)
	if got := p.Requests[plan.Call]; got != 2 {
		t.Errorf("a request a day of as many as a day has seconds is %v a second at twice the average", got)
	}
	if want := 2 * c.Requests[plan.Call].CPU / 1000; math.Abs(p.Processors-want) > 1e-9 {
		t.Errorf("%v processors, want %v", p.Processors, want)
	}
	if want := p.Nodes*c.Idle.Updates + 2*c.Requests[plan.Call].Updates; math.Abs(p.Updates-want) > 1e-9 || c.Requests[plan.Call].Updates > 0.05 {
		t.Errorf("whoever only calls writes %v, want hardly more than what nodes do by themselves, %v", p.Updates, want)
	}
	if p.Audit != 0 || p.Entries != 0 || p.Notices != 0 {
		t.Errorf("whoever only calls leaves %v bytes of audit, %v revocations and %v notices", p.Audit, p.Entries, p.Notices)
	}
	revoking := nothing
	revoking.Revocations = 1
	p = plan.Make(c, revoking, plan.Common)
	if want := 86_400 * 25.0 / 24 * c.Requests[plan.Revoke].Kept["revocation"]; math.Abs(p.Entries-want) > 1e-6 {
		t.Errorf("%v revocations are known, want those of 25 hours, %v", p.Entries, want)
	}
	slow := plan.Common
	slow.RTT = 10*plan.Common.RTT + 9*plan.Common.Serve
	if fast, p := p, plan.Make(c, revoking, slow); math.Abs(p.Busy-10*fast.Busy) > 1e-9 {
		t.Errorf("with ten times the way %v connections are in use, before %v", p.Busy, fast.Busy)
	}
	none := plan.Make(c, nothing, plan.Common)
	seldom := plan.Common
	seldom.Checkpoint = 100 * time.Hour
	if often, p := plan.Make(c, plan.Usual(1e7), plan.Common), plan.Make(c, plan.Usual(1e7), seldom); p.WAL >= often.WAL {
		t.Error("checkpoints further apart cost as much")
	}
	if none.Bytes <= 0 || none.Store["user"] <= 0 || none.Store["audit"] != 0 {
		t.Errorf("users who do nothing take %v bytes, of which %v are audit", none.Bytes, none.Store["audit"])
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n           float64
		number, sum string
	}{
		{0, "0", "0 B"}, {0.00123, "0.0012", "0.0012 B"}, {0.25, "0.2", "0.2 B"}, {1, "1", "1 B"}, {9.94, "9.9", "9.9 B"}, {9.96, "10", "10 B"},
		{999, "999", "999 B"}, {999.6, "1 k", "1 kB"}, {1234, "1.2 k", "1.2 kB"}, {1e6, "1 M", "1 MB"}, {123e9, "123 G", "123 GB"}, {5e21, "5000 E", "5000 EB"},
		{math.Inf(1), "never", "never"},
	} {
		if got := plan.Number(tt.n); got != tt.number {
			t.Errorf("%v is %q, want %q", tt.n, got, tt.number)
		}
		if got := plan.Bytes(tt.n); got != tt.sum && !math.IsInf(tt.n, 1) {
			t.Errorf("%v bytes are %q, want %q", tt.n, got, tt.sum)
		}
	}
}
