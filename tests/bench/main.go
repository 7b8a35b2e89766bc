// SPDX-License-Identifier: Apache-2.0

// Command bench measures a running Gatehouse from outside: processor time of the server for each request, read from /proc,
// which is steady on a noisy machine, and requests a second, which are not. What is compared is measured in turn, round by
// round, in one run and one process.
//
// Usage: go run ./tests/bench [-length 4s] [-rounds 3] [-only gate,token,...] [-profile DIR]
//
//	go run ./tests/bench -only phones -rounds 1 -length 1s -waiting 9000 [-http2]
//
// The upstream and the clients live in this process, so their work is not counted as the server's.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// options are the flags.
type options struct {
	length time.Duration
	rounds int
	only   string
	// program is a program that is built already; empty builds this checkout.
	program string
	users   int
	// phones is how many simulated phones there are, and waiting how many of their calls wait at once.
	phones, waiting int
	// records is how many records of others a database has.
	records int
	// costs is a file that the costs of requests are written to; empty writes none.
	costs string
	// http2 has calls that wait share connections.
	http2 bool
	// profiles is a folder for processor profiles; empty takes none. Taking them costs, so the figures are no result.
	profiles string
}

func main() {
	var o options
	flag.DurationVar(&o.length, "length", 4*time.Second, "how long one measurement lasts")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is repeated, in turn")
	flag.StringVar(&o.only, "only", "", "comma-separated: gate, unseen, token, introspect, refresh, idle, phones, devices, push, drain, confirm, stores, costs")
	flag.StringVar(&o.program, "program", "", "a program that is built already")
	flag.IntVar(&o.users, "users", 100_000, "users for the idle measurement")
	flag.IntVar(&o.phones, "phones", 200, "simulated phones")
	flag.IntVar(&o.waiting, "waiting", 9000, "calls of phones that wait at once; each takes a file on either side over HTTP/1.1")
	flag.IntVar(&o.records, "records", 300_000, "records of others in a database that is measured")
	flag.StringVar(&o.costs, "write", "", "a file for the costs of requests: tests/scale/plan/costs.json")
	flag.BoolVar(&o.http2, "http2", false, "have calls that wait share connections")
	flag.StringVar(&o.profiles, "profile", "", "a folder for a processor profile of each measurement")
	serve := flag.String("apple", "", "be a copy of Apple's service with its files in this folder, for the measurement drain")
	flag.Parse()
	do := func() error { return run(o) }
	if *serve != "" {
		do = func() error { return serveApple(*serve) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	path := o.program
	if path == "" {
		dir, err := os.MkdirTemp("", "gatehouse-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
		if path, err = program.Build(dir); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name    string
		measure func(path string, o options) error
	}{
		{"gate", measureKnown},
		{"unseen", measureUnseen},
		{"token", measureToken},
		{"introspect", measureIntrospect},
		{"refresh", measureRefresh},
		{"idle", measureIdle},
		{"phones", measurePhones},
		{"push", measurePush},
		{"drain", measureDrain},
		{"devices", measureDevices},
		{"confirm", measureConfirm},
		{"stores", measureStores},
		{"costs", measureCosts},
	} {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+c.name+",") {
			continue
		}
		fmt.Printf("\n%s\n", c.name)
		if err := c.measure(path, o); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}
