// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/tests/scale/plan"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// run prints what the arguments ask for.
func run(args []string, out, errors io.Writer) error {
	p, h := plan.Usual(0), plan.Common
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(errors)
	users := flags.String("users", "1e5,1e7,1e9", "numbers of users")
	which := flags.String("table", "all", "costs, plans, store, limits, or all")
	for _, f := range []struct {
		name  string
		value *float64
		usage string
	}{
		{"logins", &p.Logins, "logins with a password, a day and user"},
		{"signons", &p.SignOns, "authorizations of one logged in"},
		{"refreshes", &p.Refreshes, "refreshes"},
		{"calls", &p.Calls, "requests through the gate"},
		{"introspections", &p.Introspections, "introspections"},
		{"mints", &p.Mints, "tokens by client credentials"},
		{"revocations", &p.Revocations, "logouts and tokens that are given back"},
		{"phones", &p.Phones, "share of users who have a phone"},
		{"operations", &p.Operations, "questions to a phone, a day"},
		{"new", &p.New, "share of users who register on a day"},
		{"peak", &p.Peak, "the busiest hour, in averages"},
		{"apps", &p.Apps, "applications that a user has grants of"},
		{"cores", &h.Cores, "processors of a node"},
		{"busy", &h.Busy, "which part of them is used"},
		{"memory", &h.Memory, "of a node, in bytes"},
		{"commits", &h.Commits, "writing transactions a second that a primary does"},
		{"trips", &h.Trips, "statements a second that a primary answers"},
		{"wal", &h.WAL, "bytes of write-ahead log a second that it bears"},
		{"disk", &h.Disk, "bytes of store that it bears"},
		{"connections", &h.Connections, "max_connections"},
		{"pool", &h.Pool, "connections of a node"},
	} {
		flags.Float64Var(f.value, f.name, *f.value, f.usage)
	}
	flags.DurationVar(&h.RTT, "rtt", h.RTT, "a round trip to the database")
	flags.DurationVar(&h.Checkpoint, "checkpoint", h.Checkpoint, "time between two checkpoints")
	if err := flags.Parse(args); err != nil {
		return err
	}
	costs, err := plan.Measured()
	if err != nil {
		return err
	}
	plans, err := plansFor(&costs, p, h, *users)
	if err != nil {
		return err
	}
	return printAll(out, &costs, plans, *which)
}

func plansFor(costs *plan.Costs, p plan.Profile, h plan.Hardware, users string) ([]plan.Plan, error) {
	if err := h.Check(); err != nil {
		return nil, err
	}
	var plans []plan.Plan
	for text := range strings.SplitSeq(users, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of users", text)
		}
		p.Users = n
		if err := p.Check(); err != nil {
			return nil, err
		}
		plans = append(plans, plan.Make(costs, p, h))
	}
	return plans, nil
}

func printAll(out io.Writer, costs *plan.Costs, plans []plan.Plan, which string) error {
	known := false
	for _, table := range []struct {
		name  string
		print func() error
	}{
		{"costs", func() error { return plan.PrintCosts(out, costs) }},
		{"plans", func() error { return plan.PrintPlans(out, costs, plans) }},
		{"store", func() error { return plan.PrintStore(out, plans) }},
		{"limits", func() error { return plan.PrintLimits(out, costs, plans) }},
	} {
		if which != "all" && which != table.name {
			continue
		}
		if known {
			_, _ = fmt.Fprintln(out) // what is behind it says whether that can be written
		}
		known = true
		if err := table.print(); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("there is no table %q", which)
	}
	return nil
}
